/** What of the local network is believed, and how much is said to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LSD_LIMITS } from '../../src/lsd/limits.js';
import { encodeSearch } from '../../src/lsd/messages.js';
import { Neighbours } from '../../src/lsd/neighbours.js';
import { type Address, formatAddress } from '../../src/net/address.js';

const OWN = '10.0.0.1';
const hash = (index: number): Buffer => Buffer.alloc(20, index);
const MOST = 24;

function scene(port: number | null = 6881) {
  let nowMs = 0;
  const sent: (readonly string[])[] = [];
  const heard: string[] = [];
  const neighbours = new Neighbours({
    now: () => nowMs,
    port,
    cookie: 'ours',
    isOnLink: (host) => host.startsWith('10.') || host.startsWith('fe80:'),
    isOwn: (host) => host === OWN,
    hashesPerDatagram: MOST,
    send: (infoHashes) => sent.push(infoHashes),
  });
  const join = (index: number) => neighbours.join(hash(index), (peer) => heard.push(formatAddress(peer)));
  const hears = (from: string, told = 7000, hashes = [1], cookie = 'theirs'): void => {
    const names = hashes.map((index) => hash(index).toString('hex'));
    const sender: Address = { host: from, port: 6771 };
    neighbours.receive(encodeSearch('239.192.152.143:6771', told, names, cookie), sender);
  };
  const later = (ms: number): void => {
    nowMs += ms;
  };
  return { neighbours, sent, heard, join, hears, later };
}

test('who announces a torrent of ours is a peer of it; who announces another one is not', () => {
  const { neighbours, heard, join, hears } = scene();
  const leave = join(1);
  hears('10.0.0.2', 7000, [1, 9]);
  hears('fe80::2%eth0', 7001);
  hears('10.0.0.3', 7000, [9]);
  assert.deepEqual(heard, ['10.0.0.2:7000', '[fe80::2%eth0]:7001']);
  assert.equal(neighbours.heard, 2);
  leave();
  hears('10.0.0.4');
  assert.equal(heard.length, 2);
});

test('we ourselves, by cookie or by address and port, are nobody; another program on this machine is', () => {
  const { neighbours, heard, join, hears } = scene();
  join(1);
  hears('10.0.0.2', 7000, [1], 'ours');
  hears(OWN, 6881, [1], 'some other');
  assert.deepEqual(heard, []);
  hears(OWN, 6882);
  assert.deepEqual(heard, [`${OWN}:6882`]);
  assert.deepEqual(neighbours.dropped, { malformed: 0, offLink: 0, flood: 0 });
});

test('who is on none of our networks is not believed, nor is what has another form, and both are counted', () => {
  const { neighbours, heard, join, hears } = scene();
  join(1);
  hears('8.8.8.8');
  hears('127.0.0.1');
  neighbours.receive(Buffer.from('M-SEARCH * HTTP/1.1\r\n\r\n'), { host: '10.0.0.2', port: 1 });
  neighbours.receive(Buffer.alloc(60_000, 'Infohash: '), { host: '10.0.0.2', port: 1 });
  neighbours.receive(Buffer.alloc(0), { host: '10.0.0.2', port: 1 });
  assert.deepEqual(neighbours.dropped, { malformed: 3, offLink: 2, flood: 0 });
  assert.deepEqual(heard, []);
});

test('one address that floods is read so often a second, and keeps nobody else from being heard', () => {
  const { neighbours, heard, join, hears, later } = scene();
  join(1);
  for (let i = 0; i < 1_000; i++) hears('10.0.0.2');
  assert.equal(heard.length, LSD_LIMITS.readPerAddressBurst);
  assert.equal(neighbours.dropped.flood, 900);
  later(60_000);
  hears('10.0.0.3');
  assert.equal(heard.at(-1), '10.0.0.3:7000');
});

test('of one address a few ports are believed, so that nobody sends us to each port of a host', () => {
  const { heard, join, hears, later } = scene();
  join(1);
  for (let port = 1; port <= 60; port++) hears('10.0.0.2', port);
  assert.equal(heard.length, LSD_LIMITS.portsPerAddress);
  hears('10.0.0.2', 1);
  assert.equal(heard.length, LSD_LIMITS.portsPerAddress + 1, 'those that are known are known');
  later(LSD_LIMITS.portsMs);
  hears('10.0.0.2', 100);
  assert.equal(heard.at(-1), '10.0.0.2:100');
});

test('from many forged addresses come so many peers of one torrent a minute, and a bounded memory', () => {
  const { neighbours, heard, join, hears, later } = scene();
  join(1);
  join(2);
  for (let i = 0; i < 900; i++) hears(`10.1.${i >> 8}.${i & 255}`);
  assert.equal(heard.length, LSD_LIMITS.peersPerMinute);
  hears('10.0.0.9', 7000, [2]);
  assert.equal(heard.at(-1), '10.0.0.9:7000', 'another torrent has its own');
  later(60_000);
  hears('10.0.0.10');
  assert.equal(heard.at(-1), '10.0.0.10:7000');
  assert.equal(neighbours.dropped.flood, 800);
});

test('few torrents go out one by one, for some read the first info-hash only; many share datagrams', () => {
  const { neighbours, sent, join, later } = scene();
  for (let index = 1; index <= 200; index++) join(index);
  const announce = (count: number) => {
    for (let index = 1; index <= count; index++) neighbours.announce(hash(index));
  };
  announce(3);
  neighbours.announce(hash(1));
  neighbours.flush();
  assert.deepEqual(
    sent,
    [1, 2, 3].map((index) => [hash(index).toString('hex')]),
  );
  later(1_000);
  announce(200);
  neighbours.flush();
  assert.deepEqual(
    sent.slice(3).map(({ length }) => length),
    Array(LSD_LIMITS.datagramsPerSecond).fill(MOST),
  );
  for (let second = 0; second < 10; second++) {
    later(1_000);
    neighbours.flush();
  }
  const all = sent.slice(3).flat();
  assert.deepEqual([all.length, new Set(all).size], [200, 200], 'each once');
  assert.equal(neighbours.sent, sent.length);
});

test('who cannot be connected to announces nothing, nor does who has left', () => {
  const silent = scene(null);
  silent.join(1);
  silent.neighbours.announce(hash(1));
  silent.neighbours.flush();
  silent.hears('10.0.0.2');
  assert.deepEqual([silent.sent.length, silent.heard.length], [0, 1]);
  const { neighbours, sent, join } = scene();
  const leave = join(1);
  neighbours.announce(hash(1));
  leave();
  neighbours.announce(hash(1));
  neighbours.flush();
  assert.equal(sent.length, 0);
});
