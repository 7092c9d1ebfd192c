import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ArtifactRow } from '../../../src/depot/catalogue/port.js';
import {
  excessBytes,
  type KeepRules,
  NO_RULES,
  planRemovals,
  type Situation,
  type Surroundings,
  upcoming,
} from '../../../src/depot/keep/decide.js';
import { rowOf } from '../catalogue-conformance.js';

const QUIET: Surroundings = { isInUse: () => false, copies: () => 0 };

function situation(more: Partial<Situation> = {}): Situation {
  return { rules: NO_RULES, nowMs: 1000, isTimeSure: true, excessBytes: 0, limit: 100, ...more };
}

function row(name: string, more: Partial<ArtifactRow> = {}): ArtifactRow {
  return rowOf(name, name, { lengthBytes: 100, usedMs: 0, ...more });
}

const plan = (rows: readonly ArtifactRow[], more: Partial<Situation>, around = QUIET) =>
  planRemovals(rows, around, situation(more)).map(({ row: { name }, reason }) => `${name} ${reason}`);

const OWN: KeepRules = { ...NO_RULES, ownBytes: { high: 1000, low: 800 } };
const DISK: KeepRules = { ...NO_RULES, diskShare: { high: 0.9, low: 0.8 } };

test('nothing is too much below the high mark; above it, all is down to the low one, also on the way', () => {
  const full = (usedBytes: number) => ({ usedBytes, disk: null });
  assert.equal(excessBytes(OWN, full(1000), false), 0);
  assert.equal(excessBytes(OWN, full(1001), false), 201);
  assert.equal(excessBytes(OWN, full(900), false), 0);
  assert.equal(excessBytes(OWN, full(900), true), 100);
  assert.equal(excessBytes(OWN, full(800), true), 0);
  assert.equal(excessBytes(NO_RULES, full(1e15), true), 0);
});

test('a full disk asks for what is missing there, and never for more than there is of ours', () => {
  const disk = (freeBytes: number, usedBytes: number) => ({ usedBytes, disk: { freeBytes, totalBytes: 10_000 } });
  assert.equal(excessBytes(DISK, disk(1000, 5000), false), 0);
  assert.equal(excessBytes(DISK, disk(900, 5000), false), 1100);
  assert.equal(excessBytes(DISK, disk(900, 300), false), 300);
  assert.equal(excessBytes(DISK, { usedBytes: 5000, disk: null }, false), 0);
  assert.equal(excessBytes({ ...OWN, ...DISK, ownBytes: OWN.ownBytes }, disk(900, 2000), false), 1200);
});

test('by age goes what is over, by idleness what nobody fetched, and a pin holds against all', () => {
  const rows = [
    row('over', { expiresMs: 999 }),
    row('at', { expiresMs: 1000, usedMs: 900 }),
    row('pinned', { expiresMs: 1, isPinned: true }),
    row('idle', { usedMs: 499 }),
    row('used', { usedMs: 500 }),
  ];
  assert.deepEqual(plan(rows, { rules: { ...NO_RULES, idleMs: 500 } }), ['over age', 'idle idle']);
  assert.deepEqual(plan(rows, {}), ['over age']);
});

test('while the time is doubted nothing goes by age or idleness; what must go by watermark does', () => {
  const rows = [row('over', { expiresMs: 1 }), row('idle'), row('third')];
  const rules = { ...OWN, idleMs: 1 };
  assert.deepEqual(plan(rows, { rules, isTimeSure: false }), []);
  assert.deepEqual(plan(rows, { rules, isTimeSure: false, excessBytes: 150 }), ['over watermark', 'idle watermark']);
});

test('by watermark as much goes as has to, and what went by age counts', () => {
  const rows = [row('over', { expiresMs: 1 }), row('a'), row('b'), row('c')];
  assert.deepEqual(plan(rows, { excessBytes: 101 }), ['over age', 'a watermark']);
  assert.deepEqual(plan(rows, { excessBytes: 100 }), ['over age']);
  assert.deepEqual(plan(rows, { excessBytes: 1e9, limit: 2 }), ['over age', 'a watermark']);
});

test('what is in use stays, and what the swarm has too few copies of', () => {
  const around: Surroundings = {
    isInUse: ({ name }) => name === 'busy',
    copies: ({ name }) => (name === 'rare' ? 1 : 2),
  };
  const rows = [
    row('busy', { expiresMs: 1 }),
    row('rare', { replicas: 2 }),
    row('enough', { replicas: 2 }),
    row('rare over', { replicas: 3, expiresMs: 1 }),
  ];
  assert.deepEqual(plan(rows, { excessBytes: 1e9 }, around), ['enough watermark', 'rare over age']);
});

test('whatever the rows, no more goes than was asked, no name twice, and never what may not', () => {
  const rows = fc.array(
    fc
      .record({
        name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
        lengthBytes: fc.nat(100),
        expiresMs: fc.option(fc.nat(2000)),
        usedMs: fc.nat(2000),
        isPinned: fc.boolean(),
        replicas: fc.option(fc.nat(3)),
      })
      .map(({ name, ...more }) => row(name, more)),
  );
  const busy = fc.subarray(['a', 'b', 'c', 'd']);
  const property = fc.property(rows, busy, fc.nat(300), fc.boolean(), (list, busyNames, excess, isTimeSure) => {
    const around: Surroundings = { isInUse: ({ name }) => busyNames.includes(name as 'a'), copies: () => 1 };
    const removals = planRemovals(
      list,
      around,
      situation({ excessBytes: excess, isTimeSure, rules: { ...OWN, idleMs: 300 }, limit: 4 }),
    );
    assert.ok(removals.length <= 4);
    assert.equal(new Set(removals.map((removal) => removal.row.name)).size, removals.length);
    let left = excess;
    for (const { row: gone, reason } of removals) {
      assert.ok(!gone.isPinned && !around.isInUse(gone));
      if (reason === 'watermark') assert.ok(left > 0 && (gone.replicas ?? 0) <= 1);
      else assert.ok(isTimeSure);
      left -= gone.lengthBytes;
    }
  });
  fc.assert(property, { seed: 5 });
});

test('what goes next is shown in the order in which it goes, each name once, with what is in its way', () => {
  const rows = {
    over: row('over', { expiresMs: 900, usedMs: 10 }),
    soon: row('soon', { expiresMs: 5000, usedMs: 700 }),
    busy: row('busy', { expiresMs: 2000, usedMs: 20 }),
    idle: row('idle', { usedMs: 30 }),
  };
  const around: Surroundings = { isInUse: ({ name }) => name === 'busy', copies: () => 0 };
  const byAge = [rows.over, rows.busy, rows.soon];
  const byUse = [rows.over, rows.busy, rows.idle, rows.soon];
  const shown = (more: Partial<Situation>) =>
    upcoming(byAge, byUse, around, situation(more)).map(
      ({ row: { name }, reason, atMs, obstacle }) => `${name} ${reason} ${atMs} ${obstacle ?? ''}`,
    );
  assert.deepEqual(shown({}), ['over age 900 ', 'busy age 2000 in use', 'soon age 5000 ']);
  assert.deepEqual(shown({ isTimeSure: false })[0], 'over age 900 clock');
  assert.deepEqual(shown({ rules: { ...NO_RULES, idleMs: 1500 } }), [
    'over age 900 ',
    'busy idle 1520 in use',
    'idle idle 1530 ',
    'soon idle 2200 ',
  ]);
  assert.deepEqual(shown({ rules: OWN }), [
    'over age 900 ',
    'busy age 2000 in use',
    'soon age 5000 ',
    'idle watermark null ',
  ]);
  // The row that is in use frees nothing: the one behind it goes.
  assert.deepEqual(shown({ rules: OWN, excessBytes: 150 }), [
    'over age 900 ',
    'busy watermark 1000 in use',
    'idle watermark 1000 ',
    'soon age 5000 ',
  ]);
  assert.equal(shown({ limit: 2 }).length, 2);
});
