/** What clients of BitTorrent come for: the tracker, and the bytes of a torrent as a web seed. */
import { z } from 'zod';
import { bytesOf, COMMON_ANSWERS, notFound, TYPED_ANSWERS } from './artifact-routes.js';
import type { Inside, TrackerDoor } from './inside.js';
import type { Answer, Exchange, Operation, Route } from './route.js';
import { HEX40, NO_QUERY } from './schemas.js';
import { checkGrant } from './tokens.js';

const BENCODE = { description: 'bencoded (BEP 3); a failure is a reply, too', type: 'text/plain' };

const NO_TRACKER = { description: 'no such tracker', type: 'application/problem+json', schema: 'Problem' } as const;

function sent(body: Buffer): Answer {
  return { status: 200, headers: { 'content-type': 'text/plain', 'cache-control': 'no-store' }, body };
}

async function blob(exchange: Exchange, inside: Inside): Promise<Answer> {
  // Whoever knows the info-hash may have the bytes, under whatever name: peers give them, too.
  checkGrant(exchange.grant, 'read', null);
  const row = await inside.catalogue.byInfoHash(exchange.params.infoHash!);
  if (row === null) throw notFound('there is no such torrent');
  return bytesOf(exchange, row, inside, true);
}

function pick(...statuses: number[]): Operation['answers'] {
  return Object.fromEntries(statuses.map((status) => [status, COMMON_ANSWERS[status]!]));
}

/** The tracker reads it by itself (`tracker/query.ts`): bytes, no UTF-8; what is wrong is a bencoded failure. */
const word = (means: string): z.ZodOptional<z.ZodString> => z.string().optional().describe(means);
const ANNOUNCE_WORDS = z.object({
  info_hash: word('20 bytes, percent-encoded; must be there'),
  peer_id: word('20 bytes, percent-encoded; must be there'),
  port: word('where the peer listens, 0: nowhere; must be there'),
  uploaded: word('bytes; not looked at further'),
  downloaded: word('bytes; not looked at further'),
  left: word('bytes that are missing, 0: a seed'),
  event: word('started, stopped, completed, or nothing'),
  numwant: word('so many peers at most; -1: as many as is usual'),
  compact: word('0: peers as dictionaries (BEP 3), else as bytes (BEP 23, 7)'),
  no_peer_id: word('1: dictionaries without peer ids'),
  zone: word('where the peer is: those of its zone come first'),
});
const SCRAPE_WORDS = z.object({
  info_hash: word('20 bytes, percent-encoded; once for each torrent'),
});

const PASSKEY = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/** @throws Problem where no announce URL of ours could have it */
function passkeyOf({ params }: Exchange): string {
  const passkey = params.passkey ?? '';
  if (passkey !== '' && !PASSKEY.safeParse(passkey).success) throw notFound('there is no such tracker');
  return passkey;
}

/** @throws Problem 429 */
function noteGuess({ guess }: Exchange, tracker: TrackerDoor, passkey: string): void {
  if (passkey === '') return;
  guess.check();
  if (!tracker.permits(passkey)) guess.wrong();
}

/** Announces show who they are by their passkey, so they need no token. */
function trackerRoutes(tracker: TrackerDoor): Route[] {
  const announce = (exchange: Exchange): Answer => {
    const { request, target } = exchange;
    const { socket } = request;
    const local = (): string => socket.localAddress ?? '';
    const passkey = passkeyOf(exchange);
    noteGuess(exchange, tracker, passkey);
    return sent(tracker.announce(target.rawQuery, socket.remoteAddress ?? '', local, passkey));
  };
  const scrape = (exchange: Exchange): Answer => {
    const passkey = passkeyOf(exchange);
    noteGuess(exchange, tracker, passkey);
    return sent(tracker.scrape(exchange.target.rawQuery, passkey));
  };
  const operation = (id: string, summary: string, told: z.ZodObject, handle: Operation['handle']): Operation => ({
    id,
    summary,
    scope: null,
    query: null,
    told,
    answers: { ...pick(400, 401, 421, 429), 200: BENCODE, 404: NO_TRACKER },
    handle,
  });
  const announcing = (id: string): Operation => operation(id, 'Announce (BEP 3, 7, 23, 24)', ANNOUNCE_WORDS, announce);
  const scraping = (id: string): Operation => operation(id, 'Scrape (BEP 48)', SCRAPE_WORDS, scrape);
  const passkey = { schema: PASSKEY, description: 'Passkey: the announce URL has it' };
  return [
    { template: '/announce', params: {}, operations: { GET: announcing('announce') } },
    { template: '/scrape', params: {}, operations: { GET: scraping('scrape') } },
    { template: '/{passkey}/announce', params: { passkey }, operations: { GET: announcing('announceWithPasskey') } },
    { template: '/{passkey}/scrape', params: { passkey }, operations: { GET: scraping('scrapeWithPasskey') } },
  ];
}

export function swarmRoutes(inside: Inside): Route[] {
  const get: Operation = {
    id: 'getBlob',
    summary: 'The bytes of a torrent: its web seed (BEP 19)',
    scope: 'read',
    query: NO_QUERY,
    headers: { Range: 'one range of bytes' },
    answers: {
      ...TYPED_ANSWERS,
      404: { description: 'no such torrent', type: 'application/problem+json', schema: 'Problem' },
    },
    handle: (exchange) => blob(exchange, inside),
  };
  const fileName = { schema: z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}$/), description: 'Any' };
  const route: Route = {
    template: '/blobs/{infoHash}/{fileName}',
    params: { infoHash: { schema: HEX40, description: 'Of the torrent' }, fileName },
    operations: { GET: get },
  };
  return [route, ...(inside.tracker === null ? [] : trackerRoutes(inside.tracker))];
}
