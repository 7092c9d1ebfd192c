/** `PUT /artifacts/{path}?p2p`: the body is the torrent, and the bytes come from peers. */
import { HaulError } from '../../errors.js';
import { groupOf } from '../../net/remote-group.js';
import { fullName } from '../names.js';
import { P2P_LIMITS } from '../p2p/limits.js';
import { DEPOT_DEFAULTS } from '../publish.js';
import { receive } from '../receive.js';
import { arrivalJson, arrivalUrl } from './arrival-json.js';
import { artifactJson } from './artifact-json.js';
import { etagOf, reprDigest, statedSha256 } from './conditions.js';
import type { Inside } from './inside.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { json } from './plain-answers.js';
import { Problem } from './problems.js';
import { checkBefore, checkBody, header } from './put-checks.js';
import type { Answer, Exchange } from './route.js';
import { checkGrant } from './tokens.js';

/** Torrents that are read at once: each may be held whole. */
const READ_AT_ONCE = 16;
let reading = 0;

/** @throws Problem, HaulError: as a PUT of the bytes, and 409 SEND_BYTES where they have to be sent after all */
export async function putByPeers(exchange: Exchange, inside: Inside, path: string): Promise<Answer> {
  const { byPeers } = inside;
  if (byPeers === undefined) throw sendBytes('nothing is published by peers here');
  const { grant, query, base } = exchange;
  const name = fullName('artifacts', path);
  const overwrite = query.overwrite === true;
  checkGrant(grant, 'write', name);
  // Whoever may not delete may not make bytes of others go.
  if (overwrite) checkGrant(grant, 'delete', name);
  // `Content-Digest` is that of the body, which is the torrent.
  const sha256 = statedSha256([header(exchange, 'repr-digest')], header(exchange, 'x-checksum-sha256'));
  if (typeof sha256 === 'object' && sha256 !== null) throw new Problem(400, 'BAD_ARGUMENT', sha256.why);
  const onlyIfNew = header(exchange, 'if-none-match')?.trim() === '*';
  if ((checkBody(exchange, Number.MAX_SAFE_INTEGER) ?? 0) > P2P_LIMITS.torrentBytes) throw tooLong();
  await checkBefore(exchange, inside, { name, overwrite, onlyIfNew, sha256, lengthBytes: null });
  const torrent = await bodyOf(exchange);
  const wish = {
    name,
    sha256,
    contentType: null,
    retentionDays: (query['retention-days'] as number | undefined) ?? null,
    replicas: (query.replicas as number | undefined) ?? null,
    overwrite,
    onlyIfNew,
    onlyAdds: !grant.scopes.has('delete'),
    owner: grant.token?.id ?? groupOf(exchange.request.socket.remoteAddress ?? ''),
  };
  const begun = await byPeers.begin(wish, torrent).catch((error: unknown) => {
    throw HaulError.is(error) && error.code === 'SYSTEM_LIMIT' ? busy() : error;
  });
  if (begun.kind === 'send') throw sendBytes(begun.why);
  const passkey = inside.passkeyOf(grant.token);
  if (begun.kind === 'there') {
    const { row } = begun;
    const answer = artifactJson(row, base, passkey);
    const digest = { etag: etagOf(row.sha256), 'repr-digest': reprDigest(row.sha256) };
    return json(200, answer, { location: String(answer.url), ...digest });
  }
  return json(202, arrivalJson(begun.view, base, passkey), { location: arrivalUrl(begun.view, base) });
}

function sendBytes(why: string): Problem {
  return new Problem(409, 'SEND_BYTES', `send the bytes as the body of a PUT: ${why}`);
}

function tooLong(): Problem {
  return new Problem(413, 'LIMIT', `a torrent has at most ${P2P_LIMITS.torrentBytes} bytes here`);
}

function busy(): Problem {
  const retry = { 'retry-after': String(DEPOT_HTTP_LIMITS.retrySeconds) };
  return new Problem(503, 'BUSY', 'too many uploads by peers are under way', retry);
}

/** No slower than a body of bytes may be. */
async function bodyOf(exchange: Exchange): Promise<Buffer> {
  const body = await exchange.body();
  if (reading >= READ_AT_ONCE) throw busy();
  reading++;
  const chunks: Uint8Array[] = [];
  try {
    await receive(
      { body, signal: exchange.signal, lengthBytes: null },
      { write: async (chunk) => void chunks.push(chunk) },
      {
        lengthMax: P2P_LIMITS.torrentBytes,
        tooLong,
        pace: DEPOT_DEFAULTS.pace,
        monotonic: () => performance.now(),
      },
    );
  } finally {
    reading--;
  }
  return Buffer.concat(chunks);
}
