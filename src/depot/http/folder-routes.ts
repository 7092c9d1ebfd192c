/** Folders as torrents: what a listing is asked for beside its names, and the bytes of one by HTTP (BEP 19). */
import { HaulError } from '../../errors.js';
import { formatMagnet } from '../../magnet/link.js';
import { groupOf } from '../../net/remote-group.js';
import type { FolderRecord } from '../folders/record.js';
import { shortName } from '../names.js';
import { announceUrl } from './artifact-json.js';
import { bytesOf, json, notFound, TYPED_ANSWERS } from './artifact-routes.js';
import { rangeOf } from './conditions.js';
import type { Inside } from './inside.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { safeHeaders } from './media-type.js';
import { Problem } from './problems.js';
import type { Answer, Exchange, Route } from './route.js';
import { HEX40, NAME_PART, NO_QUERY } from './schemas.js';
import { encodePath } from './target.js';
import { checkGrant } from './tokens.js';

/** What `?torrent`, `?magnet` and `?info` of a listing ask for; null: it is a listing. */
export function folderWish(query: Exchange['query']): 'torrent' | 'magnet' | 'info' | null {
  return (['torrent', 'magnet', 'info'] as const).find((wish) => query[wish] === '') ?? null;
}

/** @param prefix full, with a slash at its end; the grant for it is checked */
export async function folderOf(
  exchange: Exchange,
  inside: Inside,
  prefix: string,
  wish: 'torrent' | 'magnet' | 'info',
): Promise<Answer> {
  const { base, grant, request, signal, query } = exchange;
  const { folders } = inside;
  if (shortName(prefix) === '') throw notFound('all artifacts together are no folder: name one');
  if (folders === undefined) throw notFound('there are no torrents of folders here');
  const group = groupOf(request.socket.remoteAddress ?? '');
  const onlyMade = query.made === '';
  const record = await folders.request({ prefix, group, signal, onlyMade }).catch((error: unknown) => {
    if (HaulError.is(error) && error.code === 'IN_USE') throw busy('BUSY', error.message);
    throw error;
  });
  if (record === 'hashing') throw busy('HASHING', 'the folder is being hashed: ask again');
  if (record === 'none') throw notFound('there is no such folder, or too little in it for a torrent');
  const announce = announceUrl(base, inside.passkeyOf(grant.token));
  const webSeed = `${base}/folders/${record.infoHash}/`;
  const magnet = formatMagnet({
    infoHash: Buffer.from(record.infoHash, 'hex'),
    displayName: record.layout.name,
    trackers: [announce],
    webSeeds: [webSeed],
  });
  if (wish === 'torrent') {
    const type = safeHeaders('application/x-bittorrent', `${record.layout.name}.torrent`);
    const body = folders.torrent(record, announce, webSeed);
    return { status: 200, headers: { ...type, 'cache-control': 'private, no-store' }, body };
  }
  if (wish === 'magnet') {
    const type = 'text/plain; charset=utf-8';
    return { status: 200, headers: { 'content-type': type, 'cache-control': 'no-store' }, body: `${magnet}\n` };
  }
  const { infoHash, files, lengthBytes } = record;
  const url = `${base}/${encodePath(prefix)}`;
  return json(200, { prefix: shortName(prefix), infoHash, files, lengthBytes, torrentUrl: `${url}?torrent`, magnet });
}

function busy(code: string, detail: string): Problem {
  return new Problem(503, code, detail, { 'retry-after': String(DEPOT_HTTP_LIMITS.retrySeconds) });
}

/** A file of a folder's torrent, by the path that clients make of the torrent: never another one of that name. */
async function fileOf(exchange: Exchange, inside: Inside): Promise<Answer> {
  const { grant, params } = exchange;
  // Whoever knows the info-hash may have the bytes: peers give them, too.
  checkGrant(grant, 'read', null);
  const path = params.path!;
  for (const record of (await inside.folders?.find(params.infoHash!)) ?? []) {
    const { layout, members, prefix } = record;
    if (!path.startsWith(`${layout.name}/`)) break;
    const below = path.slice(layout.name.length + 1);
    const member = members.get(below);
    if (member === undefined) return paddingOf(exchange, record, below);
    const row = await inside.depository.find(`${prefix}${below}`);
    if (row !== null && row.sha256 === member.sha256)
      return sharedBy(params.infoHash!, bytesOf(exchange, row, inside, true));
  }
  throw notFound('there is no such torrent, or no such file in it');
}

/** It shares the upload limit with what goes by the folder's torrent. */
function sharedBy(infoHash: string, answer: Answer): Answer {
  const { body } = answer;
  return typeof body === 'object' && 'open' in body ? { ...answer, body: { ...body, share: infoHash } } : answer;
}

/** For clients that know no padding: its bytes are zeros. */
function paddingOf({ request }: Exchange, { layout }: FolderRecord, path: string): Answer {
  const pad = layout.entries.find((entry) => entry.sha256 === null && entry.path === path);
  if (pad === undefined) throw notFound('there is no such file in the torrent');
  const { lengthBytes } = pad;
  const range = rangeOf(request.headers.range, undefined, '', lengthBytes);
  if (range === 'none')
    throw new Problem(416, 'RANGE', `the padding has ${lengthBytes} bytes`, {
      'content-range': `bytes */${lengthBytes}`,
    });
  const { begin, end } = range ?? { begin: 0, end: lengthBytes };
  const headers = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' };
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(end - begin);
  };
  const body = { lengthBytes: end - begin, open };
  if (range === null) return { status: 200, headers, body };
  return { status: 206, headers: { ...headers, 'content-range': `bytes ${begin}-${end - 1}/${lengthBytes}` }, body };
}

export function folderRoutes(inside: Inside): Route[] {
  const problem = { type: 'application/problem+json', schema: 'Problem' } as const;
  const path = { schema: NAME_PART, description: 'Name of the torrent, and the path of a file in it' };
  return [
    {
      template: '/folders/{infoHash}/{path}',
      params: { infoHash: { schema: HEX40, description: 'Of the torrent' }, path },
      operations: {
        GET: {
          id: 'getFolderFile',
          summary: 'A file of the torrent of a folder: its web seed (BEP 19)',
          scope: 'read',
          query: NO_QUERY,
          headers: { Range: 'one range of bytes' },
          answers: {
            ...TYPED_ANSWERS,
            404: { description: 'no such torrent, or no such file in it', ...problem },
          },
          handle: (exchange) => fileOf(exchange, inside),
        },
      },
    },
  ];
}
