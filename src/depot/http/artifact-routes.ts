/** Artifacts by name: put, get, remove. Also /cas (a blob under its own SHA-256) and /ac (what build tools keep). */
import { z } from 'zod';
import { HaulError } from '../../errors.js';
import { withTrackers } from '../../metainfo/torrent.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { INFO_HEADER } from '../depot-said.js';
import { fileNameOf, fullName, type Space } from '../names.js';
import type { Published } from '../publish-port.js';
import { hasOutputs } from './action-check.js';
import { announceUrl, artifactJson, basesOf, linksOf, webSeedUrl } from './artifact-json.js';
import { etagOf, isMatch, isNoneMatch, rangeOf, reprDigest, statedSha256 } from './conditions.js';
import type { Inside } from './inside.js';
import { keptMediaType, safeHeaders } from './media-type.js';
import { json, notFound } from './plain-answers.js';
import { Problem } from './problems.js';
import { putByPeers } from './put-by-peers.js';
import { checkBefore, checkBody, header, taken } from './put-checks.js';
import type { Answer, AnswerDoc, Exchange, Links, Operation, Route } from './route.js';
import { GET_QUERY, HEX64, NAME_PART, NO_QUERY, PUT_QUERY } from './schemas.js';
import { checkGrant } from './tokens.js';

export { json, jsonBody, notFound } from './plain-answers.js';

const BYTES = 'application/octet-stream';
const DIGEST_HEADERS = {
  'X-Checksum-Sha256': {
    description: 'SHA-256 of the body in hexadecimal; verified, as are Repr-Digest and Content-Digest (RFC 9530)',
    schema: z.string().regex(/^[0-9A-Fa-f]{64}$/),
  },
};

/** The bytes of a row: whole, a range, or only the head of it. */
export function bytesOf(
  exchange: Exchange,
  row: ArtifactRow,
  inside: { readonly depository: Pick<Inside['depository'], 'read'> },
  isForever: boolean,
): Answer {
  const { sha256, lengthBytes, name, contentType } = row;
  const etag = etagOf(sha256);
  const headers = {
    ...safeHeaders(contentType, fileNameOf(name)),
    etag,
    'accept-ranges': 'bytes',
    'repr-digest': reprDigest(sha256),
    'x-checksum-sha256': sha256,
    'last-modified': new Date(row.createdMs).toUTCString(),
    'cache-control': isForever ? 'private, max-age=31536000, immutable' : 'private, no-cache',
  };
  if (!isMatch(header(exchange, 'if-match'), etag))
    throw new Problem(412, 'PRECONDITION', 'the artifact is not that of If-Match', { etag });
  if (!isNoneMatch(header(exchange, 'if-none-match'), etag)) return { status: 304, headers };
  const range = rangeOf(header(exchange, 'range'), header(exchange, 'if-range'), etag, lengthBytes);
  if (range === 'none')
    throw new Problem(416, 'RANGE', `the artifact has ${lengthBytes} bytes`, {
      'content-range': `bytes */${lengthBytes}`,
    });
  const { begin, end } = range ?? { begin: 0, end: lengthBytes };
  const place: Record<string, string> =
    range === null ? {} : { 'content-range': `bytes ${begin}-${end - 1}/${lengthBytes}` };
  const open = (): AsyncIterable<Uint8Array> => inside.depository.read(row, { begin, end });
  return {
    status: range === null ? 200 : 206,
    headers: { ...headers, ...place },
    // Under one name with the torrent: an artifact has one share of the upload limit by all doors together.
    body: { lengthBytes: end - begin, open, share: row.infoHash ?? sha256 },
  };
}

/** What a depot gave that is gone comes from another one. */
function withOthers(torrent: Buffer, row: ArtifactRow, bases: readonly string[], passkey: string | null): Buffer {
  const tiers = bases.map((base) => [announceUrl(base, passkey)]);
  const webSeeds = bases.map((base) => webSeedUrl(row, base));
  return withTrackers(torrent, tiers, webSeeds);
}

async function torrentOf(exchange: Exchange, row: ArtifactRow, inside: Inside): Promise<Answer> {
  const { base, grant } = exchange;
  const passkey = inside.passkeyOf(grant.token);
  const own = await inside.depository.torrent(row, announceUrl(base, passkey), webSeedUrl(row, base));
  const bases = basesOf(base, inside.others);
  const torrent = own === null || bases.length === 1 ? own : withOthers(own, row, bases, passkey);
  if (torrent === null) throw notFound('the artifact is too short to have a torrent');
  const headers = {
    ...safeHeaders('application/x-bittorrent', `${fileNameOf(row.name)}.torrent`),
    'cache-control': 'private, no-store',
  };
  return { status: 200, headers, body: torrent };
}

async function getArtifact(exchange: Exchange, inside: Inside): Promise<Answer> {
  const { query, base, grant } = exchange;
  const path = exchange.params.path!;
  const name = fullName('artifacts', path);
  checkGrant(grant, 'read', name);
  const row = await inside.depository.find(name);
  // What really has the name comes first.
  if (row === null && path.endsWith('.torrent') && Object.keys(query).length === 0) {
    const of = path.slice(0, -'.torrent'.length);
    const named = of === '' || of.endsWith('/') ? null : await inside.depository.find(fullName('artifacts', of));
    if (named !== null) return torrentOf(exchange, named, inside);
  }
  if (row === null) throw notFound();
  const passkey = inside.passkeyOf(grant.token);
  if (query.torrent === '') return torrentOf(exchange, row, inside);
  if (query.info === '') return json(200, artifactJson(row, base, passkey), { etag: etagOf(row.sha256) });
  if (query.magnet === '') {
    const { magnet } = linksOf(row, base, passkey, inside.others);
    if (magnet === null) throw notFound('the artifact is too short to have a torrent');
    const type = 'text/plain; charset=utf-8';
    return { status: 200, headers: { 'content-type': type, 'cache-control': 'no-store' }, body: `${magnet}\n` };
  }
  const answer = bytesOf(exchange, row, inside, false);
  if (header(exchange, INFO_HEADER) === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, [INFO_HEADER]: infoHeader(row) } };
}

/** Without links: they are as long as the name, thrice. */
function infoHeader(row: ArtifactRow): string {
  const said = { ...artifactJson(row, '', null), url: '', torrentUrl: null, magnet: null };
  return Buffer.from(JSON.stringify(said)).toString('base64');
}

interface PutRules {
  readonly space: Space;
  /** What is asked for: it needs the scope delete. */
  readonly overwrite: boolean;
  /** Other bytes are read, and dropped: what is there stays, and is what the answer tells of. */
  readonly firstStays?: boolean;
  readonly sha256: string | null;
}

async function put(exchange: Exchange, inside: Inside, path: string, rules: PutRules): Promise<Answer> {
  const { grant, query, signal } = exchange;
  const { space, overwrite, firstStays = false } = rules;
  const name = fullName(space, path);
  checkGrant(grant, 'write', name);
  // Whoever may not delete may not make bytes of others go.
  if (overwrite) checkGrant(grant, 'delete', name);
  const lengthBytes = checkBody(exchange, inside.artifactBytesMax);
  const fields = [header(exchange, 'repr-digest'), header(exchange, 'content-digest')];
  const stated = statedSha256(fields, header(exchange, 'x-checksum-sha256'));
  if (typeof stated === 'object' && stated !== null) throw new Problem(400, 'BAD_ARGUMENT', stated.why);
  if (rules.sha256 !== null && stated !== null && stated !== rules.sha256)
    throw new Problem(422, 'MISMATCH', 'the digest of the request is not the one of the path');
  const sha256 = rules.sha256 ?? stated;
  const onlyIfNew = header(exchange, 'if-none-match')?.trim() === '*';
  await checkBefore(exchange, inside, { name, overwrite: overwrite || firstStays, onlyIfNew, sha256, lengthBytes });
  const body = await exchange.body();
  const published: Pick<Published, 'kind' | 'row'> = await inside.depository
    .publish({
      name,
      lengthBytes,
      sha256,
      contentType: space === 'artifacts' ? keptMediaType(header(exchange, 'content-type')) : null,
      retentionDays: (query['retention-days'] as number | undefined) ?? null,
      replicas: (query.replicas as number | undefined) ?? null,
      overwrite,
      onlyIfNew,
      onlyAdds: !grant.scopes.has('delete'),
      body,
      signal,
    })
    .catch(async (error: unknown) => {
      if (!HaulError.is(error) || error.code !== 'FILE_EXISTS') throw error;
      if (onlyIfNew) throw taken(true);
      const there = firstStays ? await inside.depository.find(name) : null;
      if (there === null) throw error;
      return { kind: 'unchanged' as const, row: there };
    });
  const { row, kind } = published;
  const answer = artifactJson(row, exchange.base, inside.passkeyOf(grant.token));
  return json(kind === 'created' ? 201 : 200, answer, {
    location: String(answer.url),
    etag: etagOf(row.sha256),
    'repr-digest': reprDigest(row.sha256),
  });
}

async function remove(exchange: Exchange, inside: Inside, name: string): Promise<Answer> {
  checkGrant(exchange.grant, 'delete', name);
  const ifMatch = header(exchange, 'if-match');
  if (ifMatch !== undefined) {
    const row = await inside.depository.find(name);
    if (!isMatch(ifMatch, row === null ? null : etagOf(row.sha256)))
      throw new Problem(412, 'PRECONDITION', 'the artifact is not that of If-Match');
  }
  if ((await inside.depository.remove(name)) === null) throw notFound();
  return { status: 204 };
}

export const PROBLEM = (description: string): AnswerDoc => ({
  description,
  type: 'application/problem+json',
  schema: 'Problem',
});
export const COMMON_ANSWERS: Readonly<Record<number, AnswerDoc>> = {
  400: PROBLEM('the request is not understood'),
  401: PROBLEM('a token is needed, or this one is not known'),
  403: PROBLEM('the token does not suffice, or the page is another site’s'),
  421: PROBLEM('the Host is not a name of this depot'),
  429: PROBLEM('too many wrong tokens came from this address'),
  431: { description: 'the URL and the headers are too long' },
  503: PROBLEM('not now: come again later'),
};
const AS_KEY = { key: '$request.path.key' } as const;
const AS_PUT = { path: '$request.path.path' } as const;
const OF_TORRENT = { infoHash: '$response.body#/infoHash' } as const;
const ARTIFACT_LINKS: Links = {
  getArtifact: AS_PUT,
  removeArtifact: AS_PUT,
  pinArtifact: AS_PUT,
  unpinArtifact: AS_PUT,
  getBlob: { ...OF_TORRENT, fileName: 'any' },
  pieces: OF_TORRENT,
};
export const PUT_ANSWERS: Readonly<Record<number, AnswerDoc>> = {
  202: { description: 'with `p2p`: the bytes are fetched from peers', type: 'application/json', schema: 'Arrival' },
  201: { description: 'new', type: 'application/json', schema: 'Artifact' },
  200: {
    description: 'the same bytes were there, or others were replaced',
    type: 'application/json',
    schema: 'Artifact',
  },
  ...COMMON_ANSWERS,
  408: PROBLEM('the body came too slowly'),
  409: PROBLEM('other bytes have this name'),
  412: PROBLEM('a condition of the request does not hold'),
  413: PROBLEM('longer than is taken here'),
  415: PROBLEM('the body is encoded'),
  422: PROBLEM('the bytes are not those of the digest; nothing was kept'),
  507: PROBLEM('there is no space for it'),
};

function putAnswers(links: Links): Operation['answers'] {
  return { ...PUT_ANSWERS, 200: { ...PUT_ANSWERS[200]!, links }, 201: { ...PUT_ANSWERS[201]!, links } };
}

export const GET_ANSWERS: Readonly<Record<number, AnswerDoc>> = {
  200: { description: 'the bytes', type: BYTES },
  206: { description: 'one range of them', type: BYTES },
  304: { description: 'still the bytes of If-None-Match' },
  ...COMMON_ANSWERS,
  404: PROBLEM('there is no such artifact'),
  412: PROBLEM('a condition of the request does not hold'),
  416: PROBLEM('no byte of the range is there'),
};
/** Bytes of artifacts: of the type that they were put with. */
export const TYPED_ANSWERS: Readonly<Record<number, AnswerDoc>> = {
  ...GET_ANSWERS,
  200: { description: 'the bytes', type: '*/*' },
  206: { description: 'one range of them', type: '*/*' },
};
const ARTIFACT_ANSWERS: Readonly<Record<number, AnswerDoc>> = {
  ...TYPED_ANSWERS,
  200: {
    description: 'the bytes, of the type that they were put with; or what the query asks for',
    type: '*/*',
    others: { 'application/json': 'Artifact', 'application/x-bittorrent': null, 'text/plain': null },
  },
};
export const DELETE_ANSWERS: Readonly<Record<number, AnswerDoc>> = {
  204: { description: 'gone' },
  ...COMMON_ANSWERS,
  404: PROBLEM('there is no such artifact'),
  412: PROBLEM('a condition of the request does not hold'),
};
const GET_HEADERS = {
  Range: 'one range of bytes; several are answered with the whole',
  'If-Range': 'the range only if the artifact is still this one',
  'If-None-Match': '304 if it still is',
};

export function artifactRoutes(inside: Inside): Route[] {
  const get: Operation = {
    id: 'getArtifact',
    summary: 'The bytes of an artifact, its .torrent, its magnet link, or what is known of it',
    scope: 'read',
    query: GET_QUERY,
    headers: { ...GET_HEADERS, 'X-Swarmhaul-Info': 'tell what ?info tells in a header, too: base64 of the same JSON' },
    answers: ARTIFACT_ANSWERS,
    handle: (exchange) => getArtifact(exchange, inside),
  };
  const putting: Operation = {
    id: 'putArtifact',
    summary: 'Publish an artifact: its bytes are the body. A Repr-Digest with a sha-256 (RFC 9530) is verified',
    scope: 'write',
    query: PUT_QUERY,
    headers: { ...DIGEST_HEADERS, 'If-None-Match': '"*": only if nothing has the name' },
    takesBody: true,
    answers: putAnswers(ARTIFACT_LINKS),
    handle: (exchange) => {
      const overwrite = exchange.query.overwrite === true;
      if (exchange.query.p2p === '') return putByPeers(exchange, inside, exchange.params.path!);
      return put(exchange, inside, exchange.params.path!, { space: 'artifacts', overwrite, sha256: null });
    },
  };
  const removing: Operation = {
    id: 'removeArtifact',
    summary: 'Remove a name; its bytes go when nothing else names them',
    scope: 'delete',
    query: NO_QUERY,
    answers: DELETE_ANSWERS,
    handle: (exchange) => remove(exchange, inside, fullName('artifacts', exchange.params.path!)),
  };
  const description = 'Name of the artifact: parts with slashes between; any Unicode but control characters and \\';
  return [
    {
      template: '/artifacts/{path}',
      params: { path: { schema: NAME_PART, description } },
      operations: { GET: get, PUT: putting, DELETE: removing },
    },
    keyRoute('cas', inside),
    keyRoute('ac', inside),
  ];
}

/** A result that nobody gets any more, since its outputs are gone, is in nobody's way. */
async function dropDead({ grant }: Exchange, inside: Inside, name: string): Promise<void> {
  checkGrant(grant, 'write', name);
  const row = await inside.depository.find(name);
  if (row === null || (await hasOutputs(row, inside))) return;
  await inside.depository.remove(name, { sha256: row.sha256, createdMs: row.createdMs });
}

/** As Bazel and ccache speak to a cache. */
function keyRoute(space: 'cas' | 'ac', inside: Inside): Route {
  const isCas = space === 'cas';
  const title = isCas ? 'Cas' : 'Ac';
  const nameOf = (exchange: Exchange): string => fullName(space, exchange.params.key!);
  const get: Operation = {
    id: `get${title}`,
    summary: isCas
      ? 'A blob by its SHA-256'
      : 'What a build tool keeps under a key; an ActionResult of Bazel only while all its outputs are there',
    scope: 'read',
    query: NO_QUERY,
    headers: GET_HEADERS,
    answers: GET_ANSWERS,
    handle: async (exchange) => {
      checkGrant(exchange.grant, 'read', nameOf(exchange));
      const row = await inside.depository.find(nameOf(exchange));
      if (row === null) throw notFound();
      if (!isCas && !(await hasOutputs(row, inside))) throw notFound('outputs of this action are gone: run it again');
      return bytesOf(exchange, row, inside, isCas);
    },
  };
  const putting: Operation = {
    id: `put${title}`,
    summary: isCas
      ? 'Keep a blob; its SHA-256 must be the one of the path'
      : 'Keep a value under a key. With the scope delete it replaces another; else the first one stays, and is told',
    scope: 'write',
    query: NO_QUERY,
    headers: DIGEST_HEADERS,
    takesBody: true,
    answers: putAnswers({ [`get${title}`]: AS_KEY, [`remove${title}`]: AS_KEY }),
    handle: async (exchange) => {
      const { key } = exchange.params;
      if (isCas) return put(exchange, inside, key!, { space, overwrite: false, sha256: key! });
      // Tools put a key again and again. Who may delete replaces; for others the first value stays.
      const overwrite = exchange.grant.scopes.has('delete');
      if (!overwrite) await dropDead(exchange, inside, nameOf(exchange));
      return put(exchange, inside, key!, { space, overwrite, firstStays: !overwrite, sha256: null });
    },
  };
  const removing: Operation = {
    id: `remove${title}`,
    summary: 'Remove it',
    scope: 'delete',
    query: NO_QUERY,
    answers: DELETE_ANSWERS,
    handle: (exchange) => remove(exchange, inside, nameOf(exchange)),
  };
  const description = isCas ? 'SHA-256 of the blob' : 'Key of 64 hexadecimal digits';
  return {
    template: `/${space}/{key}`,
    params: { key: { schema: HEX64, description } },
    operations: { GET: get, PUT: putting, DELETE: removing },
  };
}
