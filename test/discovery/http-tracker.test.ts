import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Agent } from 'undici';
import { LIMITS } from '../../src/config.js';
import type { AnnounceRequest } from '../../src/discovery/announce.js';
import { announceHttp, scrapeHttp } from '../../src/discovery/http-tracker.js';
import { announceUrl, percentBytes, scrapeUrl } from '../../src/discovery/tracker-url.js';
import { type ErrorCode, HaulError } from '../../src/errors.js';
import { type BencodeInput, encodeBencode } from '../../src/metainfo/bencode.js';
import { shownUrl } from '../../src/net/url.js';
import { makeRandom } from '../../src/random.js';

const infoHash = Buffer.from('00ff2526203d2b41617e7f80c3283f2f5c0a0d22', 'hex');
const peerId = Buffer.from('-SH0001-abcdefghijkl');
const request: AnnounceRequest = {
  infoHash,
  peerId,
  port: 6881,
  uploadedBytes: 1,
  downloadedBytes: 2,
  leftBytes: 3,
  numwant: 50,
};

const dispatcher = new Agent();
const server = createServer((incoming, response) => handler(incoming, response));
let handler: RequestListener = () => {};
let url = '';

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}/announce`;
});
after(async () => {
  await dispatcher.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const announce = (at = url) => announceHttp(at, request, { dispatcher });
const answer = (body: Uint8Array | string, headers: Record<string, string> = {}, status = 200) => {
  handler = (_incoming, response) => {
    response.writeHead(status, headers).end(body);
  };
};
const answerValue = (value: BencodeInput) => answer(encodeBencode(value));

async function fails(promise: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<HaulError> {
  const error = await promise.then(
    () => assert.fail('did not fail'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof HaulError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  assert.ok(!error.message.includes('\n'));
  return error;
}

test('the query has every byte escaped, keeps what the URL had, and names no ip', () => {
  const target = announceUrl(new URL('http://h/announce?passkey=x#frag'), {
    ...request,
    event: 'started',
    key: 0xfeed,
    trackerId: Buffer.from('t&'),
  });
  assert.equal(
    target.href,
    `http://h/announce?passkey=x&info_hash=${percentBytes(infoHash)}&peer_id=${percentBytes(peerId)}&port=6881` +
      '&uploaded=1&downloaded=2&left=3&compact=1&no_peer_id=1&numwant=50&event=started&key=0000feed&trackerid=%74%26',
  );
  assert.equal(percentBytes(infoHash).slice(0, 9), '%00%ff%25');
});

test('a zone is said only when there is one', () => {
  const tracker = new URL('http://h/announce');
  assert.match(announceUrl(tracker, { ...request, zone: 'eu-1/rack7' }).href, /&numwant=50&zone=eu-1\/rack7$/);
  assert.ok(!announceUrl(tracker, request).href.includes('zone'));
});

test('a scrape URL exists only where BEP 48 finds one', () => {
  const scrape = (text: string) => scrapeUrl(new URL(text), [])?.href ?? null;
  assert.equal(scrape('http://h/a/announce'), 'http://h/a/scrape');
  assert.equal(scrape('http://h/announce.php?k=1'), 'http://h/scrape.php?k=1&');
  assert.equal(scrape('http://h/a'), null);
  assert.equal(scrape('http://h/announce/x'), null);
});

test('a shown URL has neither credentials nor query', () => {
  assert.equal(shownUrl('http://user:pass@h:80/announce?passkey=1'), 'http://h/announce?…');
  assert.ok(shownUrl(`http://h/${'a'.repeat(5000)}`).length < 250);
  assert.equal(shownUrl('no url'), '"no url"');
});

test('compact and IPv6 peers, counts and intervals are read', async () => {
  answerValue({
    complete: 5,
    incomplete: 7,
    interval: 1800,
    'min interval': 60,
    'tracker id': 'tid',
    'warning message': 'be\u001b[31mware',
    peers: Buffer.from('0a0000011ae1000000000000', 'hex'),
    peers6: Buffer.from('20010db80000000000000000000000011ae1', 'hex'),
  });
  const reply = await announce();
  assert.deepEqual(reply.peers, [
    { host: '10.0.0.1', port: 6881 },
    { host: '2001:db8::1', port: 6881 },
  ]);
  assert.deepEqual(
    [reply.complete, reply.incomplete, reply.intervalMs, reply.minIntervalMs],
    [5, 7, 1_800_000, 60_000],
  );
  assert.equal(reply.warning, 'be?[31mware');
  assert.equal(Buffer.from(reply.trackerId!).toString(), 'tid');
});

test('dictionary peers may be host names; unusable ones and ourselves are left out', async () => {
  answerValue({
    peers: [
      { ip: '10.0.0.1', port: 1, 'peer id': Buffer.alloc(20) },
      { ip: 'seed.example', port: 2 },
      { ip: '2001:db8::2', port: 3 },
      { ip: '10.0.0.9', port: 4, 'peer id': peerId },
      { ip: '10.0.0.9', port: 0 },
      { ip: 'not a host', port: 5 },
      { ip: 5, port: 5 },
      { port: 5 },
      'x',
    ],
  });
  const { peers, intervalMs } = await announce();
  assert.deepEqual(
    peers.map(({ host }) => host),
    ['10.0.0.1', 'seed.example', '2001:db8::2'],
  );
  assert.equal(intervalMs, null);
});

test('keys out of order are accepted, keys given twice are not', async () => {
  answer('d5:peers0:8:intervali60ee');
  assert.equal((await announce()).intervalMs, 60_000);
  answer('d8:intervali60e8:intervali61ee');
  await fails(announce(), 'TRACKER', /no tracker reply: .*duplicate/);
});

test('of a reply that is too long a sample of both families is kept, not the head', async () => {
  const dead = (count: number) => Buffer.from(Array.from({ length: count }, (_, i) => [10, 1, i >> 8, i, 0, 9]).flat());
  const six = (count: number) =>
    Buffer.from(Array.from({ length: count }, (_, i) => [0x20, 1, ...Array(12).fill(0), i >> 8, i, 0, 9]).flat());
  const good = Buffer.from([10, 9, 9, 9, 0, 80]);
  const announceWith = (seed: number) => announceHttp(url, request, { dispatcher, random: makeRandom(seed) });
  answerValue({ interval: 60, peers: Buffer.concat([dead(10_000), good]), peers6: six(5_000) });
  let found = 0;
  for (let seed = 0; seed < 12; seed++) {
    const { peers } = await announceWith(seed);
    assert.equal(peers.length, LIMITS.knownAddresses);
    assert.equal(new Set(peers.map(({ host }) => host)).size, LIMITS.knownAddresses);
    assert.equal(
      peers.filter(({ host }) => host.includes(':')).length,
      Math.ceil(LIMITS.knownAddresses * (5000 / 15_001)),
    );
    if (peers.some(({ host }) => host === '10.9.9.9')) found++;
  }
  // One in three is expected; the head of the list never holds it.
  assert.ok(found >= 1 && found <= 10, `${found} of 12`);
  const named = Array.from({ length: 6000 }, (_, i) => ({ ip: `10.2.${i >> 8}.${i & 255}`, port: 9 }));
  answerValue({ interval: 60, peers: named });
  const { peers } = await announceWith(1);
  assert.equal(peers.length, LIMITS.knownAddresses);
  assert.ok(peers.some(({ host }) => host.startsWith('10.2.23.')));
});

test('the request line carries the hash unharmed and the headers an agent', async () => {
  let seen = '';
  let agent: string | undefined;
  handler = (incoming, response) => {
    seen = incoming.url ?? '';
    agent = incoming.headers['user-agent'];
    response.end('d5:peers0:e');
  };
  await announce(`${url}?passkey=x`);
  assert.ok(seen.startsWith(`/announce?passkey=x&info_hash=${percentBytes(infoHash)}&`), seen);
  assert.match(agent ?? '', /^Swarmhaul/);
});

test('credentials in the URL become an Authorization header', async () => {
  let seen: string | undefined;
  handler = (incoming, response) => {
    seen = incoming.headers.authorization;
    response.end('d5:peers0:e');
  };
  await announce(url.replace('http://', 'http://us%3Aer:pass@'));
  assert.equal(seen, `Basic ${Buffer.from('us:er:pass').toString('base64')}`);
});

test('gzip, zlib and bare deflate replies are inflated', async () => {
  const body = encodeBencode({ interval: 60, peers: '' });
  for (const [encoding, bytes] of [
    ['gzip', gzipSync(body)],
    ['deflate', deflateSync(body)],
    ['deflate', deflateRawSync(body)],
  ] as const) {
    answer(bytes, { 'content-encoding': encoding });
    assert.equal((await announce()).intervalMs, 60_000);
  }
});

test('a failure reason is told, printable and short', async () => {
  answerValue({ 'failure reason': `go\u0000 away\u202e ${'x'.repeat(5000)}` });
  const error = await fails(
    announce(),
    'TRACKER',
    /^tracker http:\/\/127\.0\.0\.1:\d+\/announce: refused: go\? away\? xxx/,
  );
  assert.ok(error.message.length < 300);
  answerValue({ 'failure reason': 5 });
  await fails(announce(), 'TRACKER', /no reason given/);
});

test('answers that are no tracker reply are named for what they are', async () => {
  const cases: [Uint8Array | string, RegExp][] = [
    ['<!DOCTYPE html><html>', /answered HTML, not a tracker reply/],
    [' \n<html>', /answered HTML/],
    ['', /answered nothing/],
    ['d8:intervali60e5:peers12:abc', /no tracker reply/],
    ['i5e', /answered no dictionary/],
    ['l'.repeat(5000), /nested deeper/],
    [encodeBencode({ peers: 'abcde' }), /peers that cannot be read/],
    [encodeBencode({ peers: 7 }), /peers that cannot be read/],
    [encodeBencode({ peers: '', peers6: 'abcdef' }), /peers that cannot be read/],
  ];
  for (const [body, message] of cases) {
    answer(body);
    await fails(announce(), 'TRACKER', message);
  }
});

test('any bytes as a body give a reply or a HaulError TRACKER', async () => {
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .array(fc.constantFrom('d', 'l', 'e', 'i1e', '5:peers', '8:interval', '4:port', '2:ip', '6:aaaaaa', '0:'), {
        maxLength: 12,
      })
      .map((parts) => Buffer.from(`d${parts.join('')}e`)),
  );
  await fc.assert(
    fc.asyncProperty(body, async (bytes) => {
      answer(bytes);
      await announce().catch((error: unknown) => {
        if (!(error instanceof HaulError) || error.code !== 'TRACKER') throw error;
      });
    }),
    { numRuns: 150 },
  );
});

test('a status other than 200 is told, with the failure reason when there is one', async () => {
  answer('<html>oops', {}, 500);
  const error = await fails(announce(`${url}?passkey=secret`), 'TRACKER', /answered HTTP status 500$/);
  assert.ok(!error.message.includes('secret') && !String(error.facts.url).includes('secret'));
  answer(encodeBencode({ 'failure reason': 'banned' }), {}, 403);
  await fails(announce(), 'TRACKER', /HTTP status 403: banned/);
});

test('redirects are followed, a few of them, and only to http', async () => {
  handler = (incoming, response) => {
    if (incoming.url?.startsWith('/announce')) response.writeHead(302, { location: '/other?x=1' }).end('moved');
    else response.end('d8:intervali60e5:peers0:e');
  };
  assert.equal((await announce()).intervalMs, 60_000);
  let hops = 0;
  handler = (_incoming, response) => {
    response.writeHead(301, { location: `/announce?hop=${hops++}` }).end();
  };
  await fails(announce(), 'TRACKER', /redirected more than 5 times/);
  assert.equal(hops, 6);
  answer('', { location: 'ftp://x/' }, 302);
  await fails(announce(), 'TRACKER', /redirected to.*ftp is not http or https/);
  answer('', { location: 'http://[' }, 302);
  await fails(announce(), 'TRACKER', /not a URL/);
});

test('a compression bomb is stopped at the limit', async () => {
  answer(gzipSync(Buffer.alloc(10 * 1024 * 1024)), { 'content-encoding': 'gzip' });
  await fails(announce(), 'TRACKER', /more than 1048576 bytes after inflation/);
  answer('not gzip', { 'content-encoding': 'gzip' });
  await fails(announce(), 'TRACKER', /broken gzip data/);
  answer('x', { 'content-encoding': 'br' });
  await fails(announce(), 'TRACKER', /encoding we did not ask for/);
});

test('an endless answer and one announced too long are cut off', async () => {
  handler = (_incoming, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65536, 0x61)));
    };
    response.on('drain', more);
    more();
  };
  await fails(announce(), 'TRACKER', /more than 1048576 bytes$/);
  handler = (_incoming, response) => {
    response.writeHead(200, { 'content-length': '999999999' });
    response.write('d');
  };
  await fails(announce(), 'TRACKER', /more than 1048576 bytes$/);
});

test('a tracker that never answers, or never ends, is given up', async () => {
  handler = () => {};
  await fails(announceHttp(url, request, { dispatcher, timeoutMs: 30 }), 'TIMEOUT', /no complete answer within 0.03 s/);
  handler = (_incoming, response) => {
    response.writeHead(200).write('d');
  };
  await fails(announceHttp(url, request, { dispatcher, timeoutMs: 30 }), 'TIMEOUT', /no complete answer/);
  // A byte now and then does not keep it open.
  handler = (_incoming, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('d'), 5);
    response.on('close', () => clearInterval(timer));
  };
  await fails(announceHttp(url, request, { dispatcher, timeoutMs: 60 }), 'TIMEOUT', /no complete answer/);
});

test('an abort ends the exchange, before and during', async () => {
  const controller = new AbortController();
  handler = () => controller.abort();
  await fails(announceHttp(url, request, { dispatcher, signal: controller.signal }), 'ABORTED', /given up/);
  await fails(announceHttp(url, request, { dispatcher, signal: controller.signal }), 'ABORTED', /given up/);
});

test('trouble on the way is told in words', async (context) => {
  let reaction: (socket: Socket) => void = (socket) => socket.resetAndDestroy();
  const sockets = new Set<Socket>();
  const tcp = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => reaction(socket));
  });
  const close = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => tcp.close(resolve));
  };
  context.after(close);
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  const at = `http://127.0.0.1:${(tcp.address() as { port: number }).port}/announce`;
  await fails(announce(at), 'NETWORK', /connection (reset|closed)/);
  reaction = (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nd5');
  await fails(announce(at), 'NETWORK', /connection closed before the answer was complete/);
  reaction = (socket) => socket.end('BitTorrent protocol nonsense\r\n\r\n');
  await fails(announce(at), 'TRACKER', /not HTTP/);
  reaction = (socket) => socket.end(`HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(30)}\r\n`);
  await fails(announce(at), 'TRACKER', /too many headers/);
  await close();
  await fails(announce(at), 'NETWORK', /connection refused/);
});

test('URLs that are no http URLs are refused without a connection', async () => {
  await fails(announce('udp://h:80/announce'), 'TRACKER', /udp is not http or https/);
  await fails(announce('nonsense'), 'TRACKER', /not a URL/);
  await fails(announce(`http://h/${'a'.repeat(3000)}`), 'TRACKER', /longer than/);
});

test('a scrape is read by info-hash, also one that is not text', async () => {
  const other = Buffer.from('abcdefghijklmnopqrst');
  answerValue({ files: new Map([[infoHash, { complete: 1, downloaded: 2, incomplete: 3 }]]) });
  const entries = await scrapeHttp(url, [infoHash, other], { dispatcher });
  assert.deepEqual([...entries], [[infoHash.toString('hex'), { complete: 1, downloaded: 2, incomplete: 3 }]]);
  answerValue({ files: 5 });
  await fails(scrapeHttp(url, [infoHash], { dispatcher }), 'TRACKER', /scrape without files/);
  await fails(scrapeHttp('http://h/other', [infoHash], { dispatcher }), 'TRACKER', /cannot be scraped/);
  await fails(scrapeHttp(url, [], { dispatcher }), 'LIMIT', /1 to 64/);
});
