/** Peer exchange of one torrent without sockets: who is told of whom, how often, and what is believed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { type Address, formatAddress, toCompact } from '../../src/net/address.js';
import { makeRandom } from '../../src/random.js';
import { PeerExchange, type PexRemote } from '../../src/torrent/pex.js';
import { encodePex, PEX_REACHABLE, PEX_SEED, parsePex } from '../../src/wire/pex.js';

const MINUTE_MS = LIMITS.pexIntervalMs;

class Remote implements PexRemote {
  readonly sent: Uint8Array[] = [];
  readonly listenPort = 6881;
  ownHost: string | null = '1.1.1.1';
  closed: string | null = null;

  readonly host: string;
  readonly isReachable: boolean;

  constructor(host: string, isReachable: boolean) {
    this.host = host;
    this.isReachable = isReachable;
  }

  sendPex(payload: Uint8Array): boolean {
    this.sent.push(payload);
    return true;
  }

  close(reason: string): void {
    this.closed = reason;
  }

  /** Who it was told of last, and their flags. */
  get heard(): Record<string, number> {
    const peers = parsePex(this.sent.at(-1)!, 1000, makeRandom(1))!;
    return Object.fromEntries(peers.map(({ address, flags }) => [address.host, flags]));
  }
}

class Scene {
  nowMs = 0;
  isComplete = false;
  knownAddresses = 0;
  readonly found: string[] = [];
  peers: { remote: Remote; isSeed: boolean }[] = [];
  readonly exchange = new PeerExchange({
    now: () => this.nowMs,
    random: makeRandom(1),
    listenPort: 6881,
    peers: () => this.peers,
    isComplete: () => this.isComplete,
    knownAddresses: () => this.knownAddresses,
    owner: { onPeers: (addresses) => this.found.push(...addresses.map(formatAddress)) },
  });

  join(host: string, isSeed = false, isReachable = false): Remote {
    const remote = new Remote(host, isReachable);
    this.peers.push({ remote, isSeed });
    this.exchange.joined(remote);
    return remote;
  }

  leave(remote: Remote): void {
    this.peers = this.peers.filter((peer) => peer.remote !== remote);
  }

  tick(afterMs = 1000): void {
    this.nowMs += afterMs;
    this.exchange.tick(this.nowMs);
  }

  hear(remote: Remote, addresses: readonly Address[], flags = 0): void {
    const added = addresses.map((address) => ({ compact: toCompact(address)!, flags }));
    this.exchange.heard(remote, encodePex(added, []));
  }
}

test('a newcomer hears of all at once, and then once a minute of who came and left', () => {
  const scene = new Scene();
  const first = scene.join('8.0.0.1', true, true);
  scene.tick();
  const second = scene.join('8.0.0.2');
  scene.tick();
  assert.deepEqual(second.heard, { '8.0.0.1': PEX_SEED | PEX_REACHABLE, '8.0.0.2': 0 });
  assert.deepEqual([first.sent.length, second.sent.length], [1, 1]);
  for (let second = 0; second < 200; second++) scene.tick();
  assert.equal(first.heard['8.0.0.2'], 0);
  assert.ok(first.sent.length <= 2 && second.sent.length <= 2);
  const third = scene.join('8.0.0.3');
  scene.leave(second);
  scene.tick(2 * MINUTE_MS);
  assert.deepEqual(Object.keys(third.heard).sort(), ['8.0.0.1', '8.0.0.3']);
  assert.deepEqual(Object.keys(first.heard), ['8.0.0.3']);
  assert.ok(Buffer.from(first.sent.at(-1)!).includes(Buffer.from(toCompact({ host: '8.0.0.2', port: 6881 })!)));
});

test('nobody hears twice within a minute, whenever it came, and nobody misses who came', () => {
  const scene = new Scene();
  const random = makeRandom(3);
  const told = new Map<Remote, { atMs: number[]; of: Set<string> }>();
  for (let second = 0; second < 1200; second++) {
    if (second < 900 && random() < 0.03) told.set(scene.join(`8.0.1.${told.size}`), { atMs: [], of: new Set() });
    const before = new Map([...told.keys()].map((remote) => [remote, remote.sent.length]));
    scene.tick();
    for (const [remote, { atMs, of }] of told) {
      if (remote.sent.length === before.get(remote)) continue;
      assert.equal(remote.sent.length, before.get(remote)! + 1);
      assert.ok(atMs.length === 0 || scene.nowMs - atMs.at(-1)! >= MINUTE_MS);
      atMs.push(scene.nowMs);
      for (const host of Object.keys(remote.heard)) of.add(host);
    }
  }
  assert.ok(told.size > 10);
  for (const { of } of told.values()) assert.equal(of.size, told.size);
});

test('one message names 50 at most, and the others come in the next; it is made once for all', () => {
  const scene = new Scene();
  const first = scene.join('8.0.0.1');
  scene.tick();
  for (let i = 0; i < 120; i++) scene.join(`8.0.2.${i}`);
  const heard = new Set(Object.keys(first.heard));
  for (let minute = 0; minute < 5; minute++) {
    const count = first.sent.length;
    scene.tick(MINUTE_MS);
    if (first.sent.length === count) continue;
    assert.ok(Object.keys(first.heard).length <= 50);
    for (const host of Object.keys(first.heard)) heard.add(host);
  }
  assert.equal(heard.size, 121);
  const made = new Set(scene.peers.map(({ remote }) => remote.sent[0]));
  assert.ok(made.size <= 3, `${made.size} messages`);
});

test('addresses of our network are told to nobody outside, and taken of nobody outside', () => {
  const scene = new Scene();
  const outside = scene.join('8.0.0.1');
  const inside = scene.join('192.168.1.2');
  const own = scene.join('127.0.0.1');
  scene.tick();
  assert.deepEqual(Object.keys(outside.heard), ['8.0.0.1']);
  assert.deepEqual(Object.keys(inside.heard), ['8.0.0.1', '192.168.1.2']);
  assert.deepEqual(Object.keys(own.heard), ['8.0.0.1', '192.168.1.2', '127.0.0.1']);
  const all = ['8.8.8.8', '192.168.1.9', '127.0.0.1', '::1', '224.0.0.1', '0.0.0.0'];
  const named = all.map((host) => ({ host, port: 9 }));
  scene.hear(outside, [...named, { host: '8.8.8.8', port: 0 }]);
  assert.deepEqual(scene.found.splice(0), ['8.8.8.8:9']);
  scene.hear(inside, named);
  assert.deepEqual(scene.found.splice(0), ['8.8.8.8:9', '192.168.1.9:9']);
  scene.hear(own, named);
  assert.deepEqual(scene.found.splice(0), ['8.8.8.8:9', '192.168.1.9:9', '127.0.0.1:9', '[::1]:9']);
});

test('neither ourselves nor who is connected is dialled, nor a seed by a seed', () => {
  const scene = new Scene();
  const remote = scene.join('8.0.0.1');
  scene.join('8.0.0.2');
  scene.tick();
  scene.hear(remote, [
    { host: '1.1.1.1', port: 6881 },
    { host: '8.0.0.2', port: 6881 },
    { host: '8.0.0.3', port: 6881 },
  ]);
  assert.deepEqual(scene.found.splice(0), ['8.0.0.3:6881']);
  scene.isComplete = true;
  scene.hear(remote, [{ host: '8.0.0.4', port: 6881 }], PEX_SEED);
  assert.deepEqual(scene.found, []);
});

test('a peer is believed 50 addresses a minute, and leaves half of the book to others', () => {
  const scene = new Scene();
  const remote = scene.join('8.0.0.1');
  const list = (net: number): Address[] => Array.from({ length: 50 }, (_, i) => ({ host: `9.0.${net}.${i}`, port: 1 }));
  scene.hear(remote, list(1));
  scene.hear(remote, list(2));
  assert.equal(scene.found.length, 50);
  scene.nowMs += MINUTE_MS;
  scene.hear(remote, list(3));
  assert.equal(scene.found.length, 100);
  scene.knownAddresses = LIMITS.knownAddresses / 2 - 3;
  scene.nowMs += MINUTE_MS;
  scene.hear(remote, list(4));
  assert.equal(scene.found.length, 103);
});

test('who sends too often is not read, and in the end dropped; who sends once a minute never is', () => {
  const scene = new Scene();
  const honest = scene.join('8.0.0.1');
  const flood = scene.join('8.0.0.2');
  for (let minute = 0; minute < 60; minute++) {
    scene.hear(honest, [{ host: '9.0.0.1', port: minute + 1 }]);
    // Each as early or late as a timer may be.
    scene.nowMs += MINUTE_MS + (minute % 2 === 0 ? -900 : 900);
  }
  assert.equal(honest.closed, null);
  assert.equal(scene.found.length, 60);
  for (let i = 0; i < 2 + LIMITS.pexIgnored; i++) scene.hear(flood, []);
  assert.equal(flood.closed, null);
  scene.hear(flood, []);
  assert.match(flood.closed ?? '', /too often/);
});

test('a torrent without peers forgets those that left, and is not looked at any more', () => {
  const scene = new Scene();
  assert.equal(scene.exchange.dueAtMs, Number.POSITIVE_INFINITY);
  const remote = scene.join('8.0.0.1');
  scene.tick();
  assert.ok(Number.isFinite(scene.exchange.dueAtMs));
  scene.leave(remote);
  for (let minute = 0; minute < 4; minute++) scene.tick(MINUTE_MS);
  assert.equal(scene.exchange.dueAtMs, Number.POSITIVE_INFINITY);
});
