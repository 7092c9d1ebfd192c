/** Our tracker over UDP: with our client, with datagrams that are none of BEP 15, and beside TCP in a flood. */
import assert from 'node:assert/strict';
import { createSocket, Socket } from 'node:dgram';
import { once } from 'node:events';
import type { NetworkInterfaceInfo } from 'node:os';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { until } from '../../lab/wait.js';
import type { AnnounceRequest } from '../../src/discovery/announce.js';
import { announceHttp } from '../../src/discovery/http-tracker.js';
import { announceRequest, connectRequest } from '../../src/discovery/udp-messages.js';
import { UdpTrackers } from '../../src/discovery/udp-tracker.js';
import { OwnNetworks } from '../../src/net/own-addresses.js';
import { sipHash, sipKey } from '../../src/net/siphash.js';
import { ConnectionIds } from '../../src/tracker/connection-ids.js';
import { startTracker, type TrackerOptions } from '../../src/tracker/server.js';
import { readUdpAnnounce, readUdpScrape } from '../../src/tracker/udp-query.js';

const infoHash = Buffer.from('00ff2526203d2b41617e7f80c3283f2f5c0a0d22', 'hex');

function peer(last: number, more: Partial<AnnounceRequest> = {}): AnnounceRequest {
  const peerId = Buffer.from(`-SH0001-udp-server-${last}`);
  const bytes = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: 2 ** 33 };
  return { infoHash, peerId, port: 7000 + last, numwant: 50, ...bytes, ...more };
}

async function scene(context: TestContext, options: Partial<TrackerOptions> = {}) {
  const tracker = await startTracker({ port: 0, host: '127.0.0.1', ...options });
  const udp = new UdpTrackers();
  context.after(async () => {
    await udp.close();
    await tracker.close();
  });
  const host = tracker.host.includes(':') ? '[::1]' : '127.0.0.1';
  return { tracker, udp, url: `udp://${host}:${tracker.port}` };
}

test('peers of UDP and of HTTP are of one swarm', async (context) => {
  const { tracker, udp, url } = await scene(context);
  await udp.announce(url, peer(1, { event: 'started', leftBytes: 0 }));
  const http = await announceHttp(`${tracker.url('127.0.0.1')}/announce`, peer(2));
  assert.deepEqual(
    http.peers.map(({ port }) => port),
    [7001],
  );
  assert.equal(http.externalIp, '127.0.0.1');
  const third = await udp.announce(url, peer(3));
  assert.deepEqual(third.peers.map(({ port }) => port).sort(), [7001, 7002]);
  assert.deepEqual([third.complete, third.incomplete], [1, 2]);
  assert.ok(third.intervalMs !== null && third.intervalMs > 0);
  await udp.announce(url, peer(2, { event: 'completed', leftBytes: 0 }));
  const scraped = await udp.scrape(url, [infoHash, Buffer.alloc(20, 1)]);
  assert.deepEqual(scraped.get(infoHash.toString('hex')), { complete: 2, downloaded: 1, incomplete: 1 });
  assert.deepEqual(scraped.get('01'.repeat(20)), { complete: 0, downloaded: 0, incomplete: 0 });
  await udp.announce(url, peer(1, { event: 'stopped' }));
  assert.equal(tracker.stats().peers, 2);
});

test('over IPv6 peers have their 18 bytes, on the one socket for both families', async (context) => {
  const { tracker, udp, url } = await scene(context, { host: '::' });
  await udp.announce(url, peer(1));
  await udp.announce(`udp://127.0.0.1:${tracker.port}`, peer(2));
  const [of6, of4] = [await udp.announce(url, peer(3)), await udp.announce(url.replace('[::1]', '127.0.0.1'), peer(4))];
  assert.deepEqual(of6.peers, [{ host: '::1', port: 7001 }]);
  assert.deepEqual(of4.peers, [{ host: '127.0.0.1', port: 7002 }]);
});

test('an allow-list and passkeys hold for UDP and HTTP', async (context) => {
  const { tracker, udp, url } = await scene(context, { registeredOnly: true, passkeys: ['k1', 'k-2'] });
  tracker.register(infoHash, { seedPort: 7777 });
  const base = tracker.url('127.0.0.1');
  for (const path of ['', '/announce', '/k3/announce', '/k1', '/k1/announce/x']) {
    await assert.rejects(udp.announce(`${url}${path}`, peer(1)), /passkey is not known/, path);
  }
  for (const path of ['/announce', '/k3/announce'])
    await assert.rejects(announceHttp(`${base}${path}`, peer(1)), /passkey is not known/, path);
  const { peers } = await udp.announce(`${url}/k1/announce`, peer(1));
  assert.deepEqual(peers, [{ host: '127.0.0.1', port: 7777 }]);
  assert.equal((await announceHttp(`${base}/k-2/announce`, peer(2))).peers.length, 2);
  const unknown = peer(1, { infoHash: Buffer.alloc(20, 5) });
  await assert.rejects(udp.announce(`${url}/k1/announce`, unknown), /does not serve this torrent/);
  await assert.rejects(udp.scrape(`${url}/k1/announce`, [infoHash]), /passkey/);
});

/** Sends datagrams and returns the answers that came before the answer to a connect behind them. */
async function answersTo(context: TestContext, port: number, datagrams: readonly Uint8Array[]): Promise<Buffer[]> {
  const socket = createSocket('udp4');
  context.after(() => socket.close());
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const answers: Buffer[] = [];
  for (const datagram of datagrams) socket.send(datagram);
  socket.send(connectRequest(0xffffffff));
  for (;;) {
    const [answer] = (await once(socket, 'message')) as [Buffer];
    if (answer.readUInt32BE(4) === 0xffffffff && answer.readUInt32BE(0) === 0) return answers;
    answers.push(answer);
  }
}

test('nobody gets more bytes back than were sent without an id of this address', async (context) => {
  const { tracker } = await scene(context);
  const forged = announceRequest(Buffer.alloc(8, 1), 7, peer(1), '');
  const wrongProtocol = connectRequest(8);
  wrongProtocol[7] = 0x81;
  const odd = [Buffer.alloc(0), Buffer.alloc(15), Buffer.alloc(2000, 0xff), Buffer.alloc(16, 2), wrongProtocol];
  const answers = await answersTo(context, tracker.port, [forged, ...odd]);
  assert.deepEqual(
    answers.map((answer) => [answer.readUInt32BE(0), answer.readUInt32BE(4), answer.toString('latin1', 8)]),
    [[3, 7, 'connection id mismatch']],
  );
  assert.ok(answers[0]!.length < forged.length);
  assert.deepEqual([tracker.stats().announces, tracker.stats().peers], [0, 0]);
});

test('a flood of datagrams does not keep TCP from its turn', async (context) => {
  const { tracker } = await scene(context);
  const socket = createSocket('udp4');
  socket.connect(tracker.port, '127.0.0.1');
  await once(socket, 'connect');
  const flood = announceRequest(Buffer.alloc(8, 1), 7, peer(1), '');
  let sent = 0;
  let isOver = false;
  // The next bunch goes out at the next turn of the loop: there are always some that wait.
  const send = (): void => {
    for (let k = 0; k < 64 && !isOver; k++) socket.send(flood, () => sent++);
    if (!isOver) setImmediate(send);
  };
  send();
  const url = `${tracker.url('127.0.0.1')}/announce`;
  for (let k = 0; k < 20; k++) await announceHttp(url, peer(k % 9));
  isOver = true;
  socket.close();
  assert.ok(sent > 500, `${sent} sent`);
  assert.equal(tracker.stats().announces, 20);
});

test('where answers wait for the link no more are made: Node would keep them all', async (context) => {
  const { udp, url } = await scene(context);
  const waiting = context.mock.method(Socket.prototype, 'getSendQueueSize', () => 2 ** 21);
  await assert.rejects(udp.announce(url, peer(1), { timeoutMs: 50 }), { code: 'TIMEOUT' });
  // On a busy machine the datagram is read later than that.
  await until('the queue is looked at', 20_000, () => waiting.mock.callCount() > 0);
  waiting.mock.mockImplementation(() => 2 ** 19);
  await udp.announce(url, peer(1));
});

test('SipHash-2-4 gives the words of its reference', () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
  const out = new Uint32Array(2);
  sipHash(sipKey(bytes), bytes.subarray(0, 15), out);
  assert.deepEqual([out[1], out[0]], [0xa129ca61, 0x49be45e5]);
  sipHash(sipKey(bytes), bytes.subarray(0, 0), out);
  assert.deepEqual([out[1], out[0]], [0x726fdb47, 0xdd0e0e31]);
});

test('a connection id is of its address and of the last two minutes', () => {
  const ids = new ConnectionIds(Buffer.alloc(16, 9));
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.constantFrom(4, 16),
      fc.nat(2 ** 40),
      (ip, length, nowMs) => {
        const id = Buffer.alloc(16);
        ids.write(ip, length, nowMs, id, 0);
        const isValid = (address: Uint8Array, atMs: number) => ids.isValid(address, length, atMs, id);
        assert.ok(isValid(ip, nowMs) && isValid(ip, nowMs + 60_000));
        assert.ok(!isValid(ip, nowMs + 120_000) && !isValid(ip, nowMs + 180_000));
        const other = Uint8Array.from(ip);
        other[length - 1]! ^= 1;
        assert.ok(!isValid(other, nowMs));
        assert.ok(!new ConnectionIds(Buffer.alloc(16, 8)).isValid(ip, length, nowMs, id));
        // Nor is that of an IPv4 address one of the IPv6 addresses that begin or end with it.
        const sixteen = Buffer.alloc(16);
        sixteen.set(ip.subarray(0, 4), nowMs % 2 === 0 ? 0 : 12);
        if (length === 4) assert.ok(!ids.isValid(sixteen, 16, nowMs, id));
      },
    ),
  );
});

test('any datagram is read within its length or refused', () => {
  const announce = announceRequest(Buffer.alloc(8), 1, peer(1), `/${'k'.repeat(300)}/announce?zone=eu/r7`);
  const read = readUdpAnnounce(announce, 6)!;
  assert.equal(read.path, `/${'k'.repeat(300)}/announce`);
  assert.deepEqual([read.query.zone, read.query.isSeed, read.query.port], ['eu/r7', false, 7001]);
  const tail = fc.uint8Array({ maxLength: 120 });
  fc.assert(
    fc.property(tail, fc.nat(120), (bytes, cut) => {
      const whole = Buffer.concat([announce.subarray(0, 98 - (cut > 98 ? 0 : cut % 2)), bytes]);
      const found = readUdpAnnounce(whole, 18);
      assert.ok(found === null || (found.path.length <= bytes.length && found.query.numwant <= 72));
      const hashes = readUdpScrape(Buffer.concat([Buffer.alloc(16), bytes]));
      assert.equal(hashes === null, bytes.length === 0 || bytes.length % 20 !== 0);
    }),
  );
});

test('what is behind an unknown option of BEP 41 is read, what is behind their end is not', () => {
  const announce = announceRequest(Buffer.alloc(8, 1), 7, peer(1), '');
  const path = Buffer.from('\x02\x0b/k/announce');
  const read = (...options: Uint8Array[]) => readUdpAnnounce(Buffer.concat([announce, ...options]), 6)?.path;
  assert.equal(read(path), '/k/announce');
  assert.equal(read(Buffer.from([1, 1, 77, 3, 1, 2, 3]), path), '/k/announce');
  assert.equal(read(Buffer.from([0]), path), '');
  assert.equal(read(Buffer.from([77, 200]), path), '');
  assert.equal(read(Buffer.from([77])), '');
});

test('a UDP port that is taken leaves a tracker of TCP, unless UDP was asked for', async (context) => {
  const holder = createSocket('udp4').bind(0, '127.0.0.1');
  await once(holder, 'listening');
  context.after(() => holder.close());
  const { port } = holder.address();
  const lines: string[] = [];
  const log = (level: string, line: string): void => void lines.push(`${level} ${line}`);
  await assert.rejects(startTracker({ port, host: '127.0.0.1', udp: true, log }), { code: 'PORT_IN_USE' });
  const { tracker } = await scene(context, { port, log });
  assert.equal(tracker.port, port);
  assert.equal((await announceHttp(`${tracker.url('127.0.0.1')}/announce`, peer(1))).peers.length, 0);
  assert.match(lines.join('\n'), /warn .*UDP port/);
});

test('our addresses are listed once a second, whoever asks', () => {
  let [nowMs, listed] = [0, 0];
  const of = (address: string, cidr: string, internal = false) =>
    ({ address, cidr, internal, family: address.includes(':') ? 'IPv6' : 'IPv4' }) as NetworkInterfaceInfo;
  const list = () => {
    listed++;
    const own = [of('127.0.0.1', '127.0.0.1/8', true), of('10.1.0.5', '10.1.0.5/16'), of('10.2.0.5', '10.2.0.5/16')];
    return { lo: own, x: [of('fe80::1', 'fe80::1/64'), of('2001:db8::5', '2001:db8::5/64')] };
  };
  const own = new OwnNetworks(() => nowMs, list);
  const seen = [
    '127.0.0.9',
    '10.2.7.7',
    '::ffff:10.1.2.3',
    '192.0.2.1',
    '2001:db8::9',
    '2001:db8:1::9',
    'fe80::7%eth0',
  ];
  for (const late of [0, 999, 1000]) {
    nowMs = late;
    assert.deepEqual(
      seen.map((remote) => own.towards(remote)),
      ['127.0.0.1', '10.2.0.5', '10.1.0.5', '10.1.0.5', '2001:db8::5', '2001:db8::5', 'fe80::1'],
    );
    assert.equal(listed, late < 1000 ? 1 : 2);
  }
  assert.equal(
    new OwnNetworks(
      () => 0,
      () => ({}),
    ).towards('192.0.2.1'),
    '127.0.0.1',
  );
});
