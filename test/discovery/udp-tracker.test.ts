/** The client of UDP trackers against trackers that answer in every way but the right one. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { until } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import type { AnnounceRequest } from '../../src/discovery/announce.js';
import { readAnnounceReply, readScrapeReply, replyHead } from '../../src/discovery/udp-messages.js';
import { parseUdpUrl, UdpTrackers, type UdpTrackersOptions } from '../../src/discovery/udp-tracker.js';
import { type ErrorCode, HaulError } from '../../src/errors.js';
import { CONNECTION_ID, connects, int32s, type Respond, replyTo, udpStandIn } from './udp-stand-in.js';

const infoHash = Buffer.from('00ff2526203d2b41617e7f80c3283f2f5c0a0d22', 'hex');
const request: AnnounceRequest = {
  infoHash,
  peerId: Buffer.from('-SH0001-abcdefghijkl'),
  port: 6881,
  uploadedBytes: 2 ** 40 + 1,
  downloadedBytes: 2,
  leftBytes: 3,
  numwant: 50,
  event: 'started',
  key: 0xfeedbeef,
};
const PEERS = Buffer.from('0a0000011ae10a0000021ae2', 'hex');

function client(context: TestContext, options: UdpTrackersOptions = {}): UdpTrackers {
  const trackers = new UdpTrackers(options);
  context.after(() => trackers.close());
  return trackers;
}

/** Connects, and answers announces with the rest of this body. */
function announces(body: Uint8Array): Respond {
  return (bytes) => (bytes.readUInt32BE(8) === 0 ? replyTo(bytes, 0, CONNECTION_ID) : replyTo(bytes, 1, body));
}

const honest = announces(Buffer.concat([int32s(1800, 7, 5), PEERS]));

async function fails(promise: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  const error = await promise.then(
    () => assert.fail('did not fail'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof HaulError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  assert.ok(!error.message.includes('\n'));
}

test('an announce has every field in its place, and the reply is read', async (context) => {
  const tracker = await udpStandIn(context, honest);
  const reply = await client(context).announce(`${tracker.url}/x/announce?k=1`, request);
  assert.deepEqual([reply.intervalMs, reply.incomplete, reply.complete], [1_800_000, 7, 5]);
  assert.deepEqual(reply.peers, [
    { host: '10.0.0.1', port: 6881 },
    { host: '10.0.0.2', port: 6882 },
  ]);
  const [connect, announce] = tracker.requests;
  assert.deepEqual([connect!.length, connect!.readBigUInt64BE(0)], [16, 0x41727101980n]);
  assert.deepEqual(announce!.subarray(0, 8), CONNECTION_ID);
  assert.deepEqual(announce!.subarray(16, 36), infoHash);
  assert.equal(announce!.toString('latin1', 36, 56), '-SH0001-abcdefghijkl');
  assert.deepEqual(
    [56, 64, 72].map((at) => announce!.readBigUInt64BE(at)),
    [2n, 3n, 2n ** 40n + 1n],
  );
  assert.deepEqual(
    [announce!.readUInt32BE(80), announce!.readUInt32BE(84), announce!.readUInt32BE(88), announce!.readInt32BE(92)],
    [2, 0, 0xfeedbeef, 50],
  );
  assert.equal(announce!.readUInt16BE(96), 6881);
  assert.equal(announce!.toString('latin1', 98), '\x02\x0f/x/announce?k=1');
});

test('a connection id serves several torrents and is asked for again after a minute', async (context) => {
  let nowMs = 0;
  const tracker = await udpStandIn(context, honest);
  const trackers = client(context, { now: () => nowMs });
  await Promise.all([trackers.announce(tracker.url, request)]);
  nowMs = 59_999;
  await trackers.announce(tracker.url, request);
  assert.deepEqual(tracker.actions(), [0, 1, 1]);
  nowMs = 60_000;
  await trackers.announce(tracker.url, request);
  assert.deepEqual(tracker.actions(), [0, 1, 1, 0, 1]);
  const transactions = tracker.requests.map((bytes) => bytes.readUInt32BE(12));
  assert.equal(new Set(transactions).size, 5);
});

test('torrents that announce together connect once, and who gives up takes nobody along', async (context) => {
  let release: (() => void) | null = null;
  const tracker = await udpStandIn(context, (bytes, from, socket) => {
    if (bytes.readUInt32BE(8) !== 0) return honest(bytes, from, socket);
    release = () => socket.send(replyTo(bytes, 0, CONNECTION_ID), from.port, from.address);
    return null;
  });
  const trackers = client(context);
  const controller = new AbortController();
  const given = fails(trackers.announce(tracker.url, request, { signal: controller.signal }), 'ABORTED', /given up/);
  const others = Array.from({ length: 5 }, () => trackers.announce(tracker.url, request));
  await until('it was asked', 10_000, () => release !== null);
  controller.abort();
  await given;
  release!();
  for (const reply of await Promise.all(others)) assert.equal(reply.peers.length, 2);
  assert.deepEqual(tracker.actions(), [0, 1, 1, 1, 1, 1]);
});

test('of two trackers at one address each is named by its own URL', async (context) => {
  const refusal: Respond = (bytes) =>
    bytes.readUInt32BE(8) === 0 ? replyTo(bytes, 0, CONNECTION_ID) : replyTo(bytes, 3, Buffer.from('no'));
  const tracker = await udpStandIn(context, refusal);
  const lookUp = async () => ['127.0.0.1'];
  const trackers = client(context, { lookUp } as UdpTrackersOptions);
  for (const name of ['one.example', 'two.example'])
    await fails(
      trackers.announce(`udp://${name}:${tracker.port}/announce`, request),
      'TRACKER',
      new RegExp(`udp://${name.replace('.', '\\.')}:\\d+.*: refused: no`),
    );
});

test('who answers late or not is asked again, each time as another transaction', async (context) => {
  let number = 0;
  const tracker = await udpStandIn(context, (...args) => (number++ % 2 === 0 ? null : honest(...args)));
  const reply = await client(context, { resendMs: 20 }).announce(tracker.url, request);
  assert.equal(reply.peers.length, 2);
  assert.deepEqual(tracker.actions(), [0, 0, 1, 1]);
  assert.equal(new Set(tracker.requests.map((bytes) => bytes.readUInt32BE(12))).size, 4);
});

test('a silent tracker is over after the time given, a port of nobody at once', async (context) => {
  const tracker = await udpStandIn(context, () => null);
  const trackers = client(context);
  await fails(trackers.announce(tracker.url, request, { timeoutMs: 50 }), 'TIMEOUT', /no answer within 0.05 s/);
  const gone = createSocket('udp4').bind(0, '127.0.0.1');
  await new Promise((resolve) => gone.once('listening', resolve));
  const { port } = gone.address();
  await new Promise<void>((resolve) => gone.close(() => resolve()));
  await fails(trackers.announce(`udp://127.0.0.1:${port}`, request), 'NETWORK', /nobody listens there/);
  const controller = new AbortController();
  const waiting = trackers.announce(tracker.url, request, { signal: controller.signal });
  controller.abort();
  await fails(waiting, 'ABORTED', /given up/);
  assert.ok(LIMITS.udpTrackerTimeoutMs > 15_000);
});

test('answers with another transaction, and those from elsewhere, are not heard', async (context) => {
  const lies = Buffer.concat([int32s(1, 1, 1), Buffer.from('0b0b0b0b0001', 'hex')]);
  const other = createSocket('udp4').bind(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  context.after(() => other.close());
  const tracker = await udpStandIn(context, (bytes, from, socket) => {
    if (bytes.readUInt32BE(8) === 1) {
      const wrong = replyTo(bytes, 1, lies);
      wrong.writeUInt32BE((wrong.readUInt32BE(4) ^ 1) >>> 0, 4);
      socket.send(wrong, from.port, from.address);
      socket.send(Buffer.alloc(3), from.port, from.address);
      // The right transaction from another port: the kernel keeps it from us.
      other.send(replyTo(bytes, 1, lies), from.port, from.address);
    }
    return honest(bytes, from, socket);
  });
  const trackers = client(context);
  for (let k = 0; k < 5; k++) assert.equal((await trackers.announce(tracker.url, request)).incomplete, 7);
});

test('short answers, those of another kind and refusals are told', async (context) => {
  const cases: [Respond, RegExp][] = [
    [(bytes) => replyTo(bytes, 0, Buffer.alloc(7)), /answered 15 bytes to a connect/],
    [announces(Buffer.alloc(11)), /answered 19 bytes to an announce/],
    [announces(Buffer.alloc(12 + 5)), /answered 25 bytes to an announce/],
    [(...args) => connects(...args) ?? replyTo(args[0], 2, Buffer.alloc(12)), /answered action 2, not 1/],
    [(...args) => connects(...args) ?? replyTo(args[0], 3, Buffer.from('go\u0000 away')), /refused: go\? away/],
    [(bytes) => replyTo(bytes, 3, Buffer.alloc(0)), /refused: no reason given/],
  ];
  for (const [respond, message] of cases) {
    const tracker = await udpStandIn(context, respond);
    await fails(client(context).announce(tracker.url, request), 'TRACKER', message);
  }
});

test('a refusal makes the next announce ask for a new connection id', async (context) => {
  let isFresh = false;
  const tracker = await udpStandIn(context, (bytes, ...rest) => {
    if (bytes.readUInt32BE(8) === 1 && !isFresh) return replyTo(bytes, 3, Buffer.from('Connection ID mismatch'));
    return honest(bytes, ...rest);
  });
  const trackers = client(context);
  await fails(trackers.announce(tracker.url, request), 'TRACKER', /mismatch/);
  isFresh = true;
  await trackers.announce(tracker.url, request);
  assert.deepEqual(tracker.actions(), [0, 1, 0, 1]);
});

test('an announce with an id of before the tracker was started anew is made once more', async (context) => {
  let known = CONNECTION_ID;
  const tracker = await udpStandIn(context, (bytes, ...rest) => {
    if (bytes.readUInt32BE(8) === 0) return replyTo(bytes, 0, known);
    if (!bytes.subarray(0, 8).equals(known)) return replyTo(bytes, 3, Buffer.from('unknown connection id'));
    return honest(bytes, ...rest);
  });
  const trackers = client(context);
  await trackers.announce(tracker.url, request);
  known = Buffer.from('fedcba9876543210', 'hex');
  assert.equal((await trackers.announce(tracker.url, request)).peers.length, 2);
  assert.deepEqual(tracker.actions(), [0, 1, 1, 0, 1]);
});

test('where one family is silent the other is asked, and is the first the next time', async (context) => {
  const tracker = await udpStandIn(context, honest);
  const silent = createSocket({ type: 'udp6', ipv6Only: true });
  context.after(() => silent.close());
  let heard = 0;
  silent.on('message', () => heard++);
  await new Promise<void>((resolve) => silent.bind(tracker.port, '::1', resolve));
  const trackers = client(context, { lookUp: async () => ['::1', '127.0.0.1'], familyMs: 30 });
  const url = `udp://tracker.example:${tracker.port}`;
  assert.equal((await trackers.announce(url, request)).peers.length, 2);
  assert.equal(heard, 1);
  assert.equal((await trackers.announce(url, request)).peers.length, 2);
  assert.equal(heard, 1);
});

test('a tracker that was silent is asked from another socket, for networks change', async (context) => {
  const ports = new Set<number>();
  const tracker = await udpStandIn(context, (_, from) => {
    ports.add(from.port);
    return null;
  });
  const trackers = client(context);
  for (let times = 1; times <= 2; times++) {
    await fails(trackers.announce(tracker.url, request, { timeoutMs: 300 }), 'TIMEOUT', /no answer/);
    await until('it is heard', 10_000, () => ports.size >= times);
  }
});

test('who was silent has less time the next time, until it answers', async (context) => {
  let isSilent = true;
  const tracker = await udpStandIn(context, (...args) => (isSilent ? null : honest(...args)));
  const trackers = client(context, { silentMs: 400 });
  await fails(trackers.announce(tracker.url, request, { timeoutMs: 200 }), 'TIMEOUT', /within 0\.2 s/);
  for (let times = 0; times < 2; times++)
    await fails(trackers.announce(tracker.url, request, { timeoutMs: 60_000 }), 'TIMEOUT', /within 0\.4 s/);
  isSilent = false;
  await until('it answers', 10_000, () =>
    trackers.announce(tracker.url, request).then(
      () => true,
      () => false,
    ),
  );
  isSilent = true;
  await fails(trackers.announce(tracker.url, request, { timeoutMs: 500 }), 'TIMEOUT', /within 0\.5 s/);
});

test('over IPv6 the peers have 18 bytes', async (context) => {
  const peer = Buffer.from('20010db80000000000000000000000011ae1', 'hex');
  const tracker = await udpStandIn(context, announces(Buffer.concat([int32s(60, 0, 1), peer])), '::1');
  const reply = await client(context).announce(tracker.url, request);
  assert.deepEqual(reply.peers, [{ host: '2001:db8::1', port: 6881 }]);
});

test('a name is looked up, the first address of each family is tried, and only those permitted', async (context) => {
  const tracker = await udpStandIn(context, honest);
  const { port } = new URL(tracker.url);
  const lookUp = async () => ['::1', '::1', '127.0.0.1'];
  const trackers = client(context, { lookUp });
  assert.equal((await trackers.announce(`udp://tracker.example:${port}`, request)).peers.length, 2);
  const permits = () => false;
  await fails(trackers.announce(`udp://tracker.example:${port}`, request, { permits }), 'NETWORK', /private network/);
  for (const at of ['127.0.0.1:53', '[::1]:161', '10.0.0.1:6379'])
    await fails(trackers.announce(`udp://${at}`, request), 'NETWORK', /that port is no tracker/);
});

test('for one tracker more than sockets are kept the one unused for longest goes, and no other', async (context) => {
  let nowMs = 0;
  const many = await Promise.all(Array.from({ length: LIMITS.udpTrackersKept + 1 }, () => udpStandIn(context, honest)));
  const trackers = client(context, { now: () => nowMs++ });
  for (const { url } of many) await trackers.announce(url, request);
  for (const { url } of many.slice(1)) await trackers.announce(url, request);
  assert.ok(many.slice(1).every((tracker) => tracker.requests.length === 3));
  await trackers.announce(many[0]!.url, request);
  assert.deepEqual(many[0]!.actions(), [0, 1, 0, 1]);
});

test('a repeat has a connection id that is still good', async (context) => {
  let nowMs = 0;
  let isSilent = true;
  const tracker = await udpStandIn(context, (bytes, ...rest) => {
    if (bytes.readUInt32BE(8) === 0 || !isSilent) return honest(bytes, ...rest);
    isSilent = false;
    nowMs += 60_000;
    return null;
  });
  await client(context, { now: () => nowMs, resendMs: 100 }).announce(tracker.url, request);
  assert.deepEqual(tracker.actions(), [0, 1, 0, 1]);
});

test('scrapes are read, and one that is too short is refused', async (context) => {
  let entries = int32s(1, 2, 3, 4, 5, 6);
  const tracker = await udpStandIn(context, (...args) => connects(...args) ?? replyTo(args[0], 2, entries));
  const trackers = client(context);
  const other = Buffer.alloc(20, 9);
  const found = await trackers.scrape(tracker.url, [infoHash, other]);
  assert.deepEqual(found.get(infoHash.toString('hex')), { complete: 1, downloaded: 2, incomplete: 3 });
  assert.deepEqual(found.get(other.toString('hex')), { complete: 4, downloaded: 5, incomplete: 6 });
  assert.deepEqual(tracker.requests[1]!.subarray(16), Buffer.concat([infoHash, other]));
  entries = int32s(1, 2, 3);
  await fails(trackers.scrape(tracker.url, [infoHash, other]), 'TRACKER', /20 bytes to a scrape/);
  await fails(trackers.scrape(tracker.url, []), 'LIMIT', /1 to 74/);
});

test('a URL without a port, a host, or with too much behind it is refused', () => {
  assert.deepEqual(parseUdpUrl('udp://h:80/').urlData, '');
  assert.equal(parseUdpUrl('udp://[2001:db8::1]:80/a?b').host, '2001:db8::1');
  for (const url of ['udp://h', 'udp://h:0', 'udp://:80', `udp://h:80/${'a'.repeat(1300)}`, 'udp:x'])
    assert.throws(() => parseUdpUrl(url), HaulError, url);
});

test('any bytes of a reply are read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (data, isIPv6) => {
      const bytes = Buffer.from(data);
      assert.equal(replyHead(bytes) === null, bytes.length < 8);
      const reply = readAnnounceReply(bytes, isIPv6, () => 0);
      const width = isIPv6 ? 18 : 6;
      assert.equal(reply === null, bytes.length < 20 || (bytes.length - 20) % width !== 0);
      assert.ok(reply === null || reply.peers.length <= (bytes.length - 20) / width);
      assert.ok(reply?.intervalMs == null || reply.intervalMs > 0);
      assert.equal(readScrapeReply(bytes, [infoHash]) === null, bytes.length < 20);
    }),
  );
});
