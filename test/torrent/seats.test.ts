/** Scenes of a full table: one letter per address, rules as words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { type Place, whoIsUseless, whoYields } from '../../src/torrent/seats.js';

interface TestPlace extends Place {
  readonly name: string;
}

/** A trading peer, unless told otherwise. */
function place(name: string, facts: Partial<Place> = {}): TestPlace {
  return {
    name,
    group: name[0]!,
    isNamed: false,
    ageMs: 600_000,
    idleMs: 0,
    isWanted: true,
    hadChance: false,
    priority: () => 0,
    ...facts,
  };
}

const trading = (names: string): TestPlace[] => names.split(' ').map((name) => place(name));
const from = (group: string, priority = 0) => ({ group, priority: () => priority });

test('who is in touch and trades keeps its place', () => {
  assert.equal(whoYields(trading('a1 b1 c1 d1'), from('e', 1e9), 2), null);
});

test('an address above its share yields to one below it, its least useful peer first', () => {
  const places = [...trading('a1 a2 a3 b1'), place('a4', { idleMs: 5_000 }), place('a5', { idleMs: 9_000 })];
  assert.equal(whoYields(places, from('c'), 2)?.name, 'a5');
  assert.equal(whoYields(places, from('b'), 2)?.name, 'a5');
  assert.equal(whoYields(places, from('a'), 2), null);
  assert.equal(whoYields(trading('a1 a2 a3'), from('c'), 3), null, 'a share may be kept');
  const named = places.map((each) => ({ ...each, isNamed: each.group === 'a' }));
  assert.equal(whoYields(named, from('c'), 2), null, 'whom the user named stays');
});

test('peers that want nothing of each other yield, but for the first seconds', () => {
  const unwanted = { isWanted: false, idleMs: LIMITS.settleMs, ageMs: LIMITS.settleMs };
  assert.equal(whoYields([...trading('a1 b1'), place('c1', unwanted)], from('d'), 2)?.name, 'c1');
  const young = { ...unwanted, ageMs: LIMITS.settleMs - 1 };
  assert.equal(whoYields([...trading('a1 b1'), place('c1', young)], from('d'), 2), null);
  assert.equal(whoIsUseless([place('a1', { idleMs: 1e9 }), place('c1', unwanted)])?.name, 'c1');
});

test('a fleet behind one address turns its own idle places over', () => {
  const idle = { hadChance: true, idleMs: LIMITS.idlePlaceMs };
  const fleet = [...trading('a1 a2 a3'), place('a4', idle)];
  assert.equal(whoYields(fleet, from('a'), 2)?.name, 'a4');
  const mixed = [...trading('a1 a2'), place('b1', idle)];
  assert.equal(whoYields(mixed, from('a'), 2), null, 'who is at its share does not displace others');
  assert.equal(whoYields(mixed, from('c'), 2)?.name, 'b1');
});

test('who waits for its turn for long yields to whom the canonical order prefers', () => {
  const waiting = { idleMs: LIMITS.idlePlaceMs };
  const places = [
    place('a1', { ...waiting, priority: () => 7 }),
    place('b1', { ...waiting, priority: () => 5 }),
    place('c1', { priority: () => 1 }),
  ];
  assert.equal(whoYields(places, from('d', 6), 2)?.name, 'b1');
  assert.equal(whoYields(places, from('d', 5), 2), null);
});
