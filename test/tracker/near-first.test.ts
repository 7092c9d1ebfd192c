/** What a peer that says where it is learns from the tracker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeRandom } from '../../src/random.js';
import type { AnnounceQuery } from '../../src/tracker/query.js';
import type { SwarmView } from '../../src/tracker/swarm-view.js';
import { Swarms } from '../../src/tracker/swarms.js';

const INTERVAL_S = 100;

/** A swarm whose peers are numbers. */
class Scene {
  readonly swarms: Swarms;
  readonly zones = new Map<number, string>();
  readonly seeds = new Set<number>();

  constructor(seed = 1, limits = {}) {
    this.swarms = new Swarms({ intervalS: INTERVAL_S, registeredOnly: false, random: makeRandom(seed), limits });
  }

  /** Announces, and returns the peers named in the reply. Peers from 1000 on have IPv6 addresses. */
  announce(peer: number, zone: string, more: Partial<AnnounceQuery> = {}, nowS = 0): number[] {
    this.zones.set(peer, zone);
    if (more.isSeed) this.seeds.add(peer);
    else this.seeds.delete(peer);
    const plain = { infoHash: 'h'.repeat(20), peerId: 'p'.repeat(20), port: 6881, isSeed: false, event: '' as const };
    const query = { ...plain, numwant: -1, isCompact: true, noPeerId: true, ...(zone === '' ? {} : { zone }), ...more };
    const view = this.swarms.announce(query, compact(peer, query.port), nowS * 1000);
    assert.ok(typeof view !== 'string', String(view));
    const named = peersOf(view);
    assert.equal(new Set(named).size, named.length, 'nobody is named twice');
    assert.ok(!named.includes(peer), 'nobody is named to itself');
    return named;
  }

  in(zone: string, peers: readonly number[]): number[] {
    return peers.filter((peer) => `${this.zones.get(peer)}/`.startsWith(`${zone}/`));
  }

  /** `count` leeches of a zone. */
  fill(zone: string, first: number, count: number): void {
    for (let peer = first; peer < first + count; peer++) this.announce(peer, zone);
  }
}

function compact(peer: number, port: number): Uint8Array {
  const bytes = new Uint8Array(peer < 1000 ? 6 : 18);
  bytes.set(peer < 1000 ? [10, 0] : [0x20, 1]);
  bytes.set([peer >> 8, peer & 255, port >> 8, port & 255], bytes.length - 4);
  return bytes;
}

function peersOf(view: SwarmView): number[] {
  const number = (bytes: Buffer): number => bytes.readUInt16BE(bytes.length - 4);
  const four = view.picks4.slice(0, view.count4).map((slot) => number(view.table4.address(slot)));
  return [...four, ...view.picks6.slice(0, view.count6).map((slot) => number(view.table6.address(slot)))];
}

test('nine tenths of a reply are of the asker’s zone, and some are not', () => {
  const scene = new Scene();
  scene.fill('a', 0, 100);
  scene.fill('b', 100, 100);
  const named = scene.announce(7, 'a');
  assert.deepEqual([scene.in('a', named).length, named.length], [45, 50]);
  assert.equal(scene.announce(7, 'a', { numwant: 5 }).length, 5);
  assert.equal(scene.in('b', scene.announce(7, 'a', { numwant: 5 })).length, 2);
  assert.equal(scene.in('a', scene.announce(7, 'a', { numwant: 1 })).length, 1);
  assert.deepEqual(scene.announce(7, 'a', { numwant: 0 }), []);
});

test('a zone that cannot fill its part is not made up for from outside', () => {
  const scene = new Scene();
  scene.fill('a', 0, 19);
  scene.fill('b', 100, 500);
  const named = scene.announce(0, 'a');
  assert.deepEqual([scene.in('a', named).length, named.length], [18, 20]);
});

test('where all are in one zone a reply is full', () => {
  const scene = new Scene();
  scene.fill('a', 0, 60);
  assert.equal(scene.announce(0, 'a').length, 50);
});

test('a peer alone in its zone, or nearly, still learns of eight', () => {
  const scene = new Scene();
  scene.fill('b', 100, 100);
  assert.equal(scene.announce(0, 'a').length, 8);
  const named = scene.announce(1, 'a');
  assert.deepEqual([scene.in('a', named).length, named.length], [1, 8]);
});

test('a peer without a zone gets anybody, as if there were none', () => {
  const scene = new Scene();
  scene.fill('a', 0, 30);
  scene.fill('', 100, 10);
  assert.equal(scene.announce(100, '').length, 39);
  assert.equal(scene.announce(100, '', { zone: '' }).length, 39);
  // To the others it is elsewhere.
  assert.deepEqual(scene.in('a', scene.announce(0, 'a')).length, 29);
});

test('of those outside the zone most are from the zone around it', () => {
  const scene = new Scene();
  scene.fill('eu/r1', 0, 100);
  scene.fill('eu/r2', 100, 100);
  scene.fill('eu-1/r1', 200, 100);
  scene.fill('eu', 300, 1);
  const named = scene.announce(0, 'eu/r1');
  assert.deepEqual([scene.in('eu/r1', named).length, scene.in('eu', named).length, named.length], [45, 48, 50]);
  // Inside 'eu' counts as at home for a peer that says no more than that.
  assert.equal(scene.in('eu', scene.announce(300, 'eu')).length, 45);
});

test('a zone around the own one that is empty, or small, does not leave the own one alone', () => {
  const scene = new Scene();
  scene.fill('eu/r1', 0, 46);
  scene.fill('eu/r2', 100, 1);
  scene.fill('us', 200, 100);
  const named = scene.announce(0, 'eu/r1');
  assert.deepEqual([scene.in('eu', named).length, scene.in('us', named).length], [46, 4]);
});

test('a zone without a seed is told of one outside, a zone with one need not be', () => {
  const scene = new Scene();
  scene.fill('a', 0, 60);
  scene.fill('b', 100, 300);
  scene.announce(500, 'b', { isSeed: true });
  const hears = (peer: number, zone: string): boolean => scene.announce(peer, zone).includes(500);
  for (let i = 0; i < 50; i++) assert.ok(hears(i, 'a'));
  scene.announce(59, 'a', { isSeed: true });
  const heard = Array.from({ length: 50 }, (_, peer) => hears(peer, 'a')).filter((yes) => yes).length;
  assert.ok(heard < 10, `${heard} of 50`);
  scene.announce(59, 'a', { event: 'stopped' });
  assert.ok(hears(0, 'a'));
});

test('the seed may be of the other family, or of this process', () => {
  const scene = new Scene();
  scene.fill('a', 0, 60);
  scene.fill('b', 1000, 300);
  scene.announce(1500, 'b', { isSeed: true });
  for (let peer = 0; peer < 50; peer++) assert.ok(scene.announce(peer, 'a').includes(1500));
  scene.swarms.register('h'.repeat(20), 7000);
  const heard = Array.from({ length: 50 }, (_, peer) => scene.announce(peer, 'a').includes(1500));
  assert.ok(heard.filter((yes) => yes).length < 10, 'its own seed is in every reply');
});

test('a seed is told of leeches only, mostly of its zone', () => {
  const scene = new Scene();
  scene.fill('a', 0, 100);
  scene.fill('b', 100, 100);
  for (let peer = 200; peer < 260; peer++) scene.announce(peer, 'a', { isSeed: true });
  const named = scene.announce(200, 'a', { isSeed: true });
  assert.deepEqual([scene.in('a', named).length, named.length], [45, 50]);
  assert.ok(!named.some((peer) => scene.seeds.has(peer)));
});

test('seeds and leeches of a zone are named as often as their numbers say', () => {
  const scene = new Scene();
  scene.fill('a', 0, 150);
  for (let peer = 150; peer < 200; peer++) scene.announce(peer, 'a', { isSeed: true });
  let seeds = 0;
  for (let i = 0; i < 400; i++) seeds += scene.announce(0, 'a').filter((peer) => scene.seeds.has(peer)).length;
  assert.ok(Math.abs(seeds / 400 / 50 - 50 / 199) < 0.01, String(seeds));
});

test('both families count: neighbours of either are given', () => {
  const scene = new Scene();
  scene.fill('a', 0, 100);
  scene.fill('b', 100, 100);
  scene.fill('a', 1000, 100);
  scene.fill('b', 1100, 100);
  const named = scene.announce(0, 'a', { numwant: 40 });
  assert.deepEqual([named.filter((peer) => peer < 1000).length, named.length], [30, 40]);
  assert.ok(scene.in('a', named).length >= 34);
  // Neighbours of the other family alone, too.
  scene.fill('c', 1200, 20);
  assert.equal(scene.in('c', scene.announce(300, 'c')).length, 20);
});

test('a peer that moves to another zone, or says no more where it is, is found there', () => {
  const scene = new Scene();
  scene.fill('a', 0, 10);
  scene.fill('b', 100, 10);
  scene.announce(5, 'b');
  assert.equal(scene.in('b', scene.announce(100, 'b')).length, 10);
  scene.announce(5, '');
  assert.equal(scene.in('b', scene.announce(100, 'b')).length, 9);
  const near = scene.announce(0, 'a');
  assert.equal(scene.in('a', near).length, 8);
});

test('who falls silent is forgotten in its zone as well', () => {
  const scene = new Scene();
  scene.fill('a', 0, 30);
  const nowS = scene.swarms.expiryS + 2;
  scene.announce(0, 'a', {}, nowS);
  scene.swarms.sweep(nowS * 1000, 1000);
  assert.deepEqual([scene.swarms.peerCount, scene.announce(1, 'a', {}, nowS)], [1, [0]]);
});

test('a peer that nobody can reach hears of its neighbours and is not remembered', () => {
  const scene = new Scene();
  scene.fill('', 0, 50);
  const named = scene.announce(100, 'a', { port: 0 });
  assert.equal(named.length, 8);
  scene.fill('a', 200, 20);
  assert.equal(scene.in('a', scene.announce(100, 'a', { port: 0 })).length, 20);
  assert.ok(!scene.announce(200, 'a').includes(100));
});

test('a reply is always of different peers, as many of the zone as are meant to be', () => {
  const peer = fc.record({ zone: fc.constantFrom('', 'a', 'a/1', 'a/2', 'b', 'b/1'), isSeed: fc.boolean() });
  const peers = fc.array(peer, { minLength: 1, maxLength: 120 });
  fc.assert(
    fc.property(peers, fc.nat(60), fc.nat(), ({ length, ...list }, numwant, seed) => {
      const scene = new Scene(seed);
      const all = Array.from({ length }, (_, id) => list[id]!);
      for (const [id, { zone, isSeed }] of all.entries()) scene.announce(id * 20, zone, { isSeed });
      const { zone, isSeed } = all[0]!;
      const named = scene.announce(0, zone, { isSeed, numwant });
      const eligible = [...scene.zones.keys()].filter((id) => id !== 0 && !(isSeed && scene.seeds.has(id)));
      for (const id of named) assert.ok(eligible.includes(id));
      assert.ok(named.length <= numwant);
      if (zone === '') return;
      assert.ok(named.length >= Math.min(numwant, 8, eligible.length));
      // With one family the number is exact.
      const near = scene.in(zone, eligible).length;
      if (eligible.every((id) => id < 1000)) {
        const far = Math.min(Math.max(2, Math.ceil(numwant / 10)), numwant >> 1, eligible.length - near);
        assert.equal(scene.in(zone, named).length, Math.min(numwant - far, near));
      }
      const hasSeedAtHome = scene.in(zone, [...scene.seeds]).length > 0;
      if (!isSeed && !hasSeedAtHome && scene.seeds.size > 0 && numwant > 15) {
        assert.ok(named.some((id) => scene.seeds.has(id)));
      }
    }),
    { numRuns: 500 },
  );
});

/** Peers that can be reached from the first one over who was named to whom. */
function reachable(links: ReadonlyMap<number, ReadonlySet<number>>): number {
  const seen = new Set<number>();
  const next = [...links.keys()].slice(0, 1);
  for (let peer = next.pop(); peer !== undefined; peer = next.pop()) {
    if (seen.has(peer)) continue;
    seen.add(peer);
    next.push(...links.get(peer)!);
  }
  return seen.size;
}

/** 200 peers of four zones come in any order; `links` is who is connected to whom then. */
function crowd(seed: number): { scene: Scene; links: Map<number, Set<number>> } {
  const scene = new Scene(seed);
  const random = makeRandom(seed + 1);
  const links = new Map<number, Set<number>>();
  for (let peer = 0; peer < 200; peer++) {
    links.set(peer, new Set());
    for (const other of scene.announce(peer, `z${Math.floor(random() * 4)}`)) {
      links.get(peer)!.add(other);
      links.get(other)!.add(peer);
    }
  }
  return { scene, links };
}

test('a swarm of zones is connected, also when a third of it leaves, and most connections stay in a zone', () => {
  for (let seed = 0; seed < 200; seed++) {
    const { scene, links } = crowd(seed);
    assert.equal(reachable(links), 200, `seed ${seed}`);
    let near = 0;
    let all = 0;
    for (const [peer, others] of links) {
      near += scene.in(scene.zones.get(peer)!, [...others]).length;
      all += others.size;
    }
    assert.ok(near / all > 0.75, `seed ${seed}: ${near} of ${all} in their zone`);
    const random = makeRandom(seed + 2);
    for (const peer of [...links.keys()]) if (random() < 1 / 3) links.delete(peer);
    const kept = new Map(
      [...links].map(([peer, others]) => [peer, new Set([...others].filter((id) => links.has(id)))]),
    );
    assert.equal(reachable(kept), kept.size, `seed ${seed}, after many left`);
  }
});
