/** Torrents share the dials of their engine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { DialBudget } from '../../src/engine/dial-budget.js';

/** Seconds until `late` got its first dial, when the others take all they can from the beginning on. */
function waitOf(greedyCount: number, isNamed: boolean): number {
  const budget = new DialBudget<object>(30);
  const greedy = Array.from({ length: greedyCount }, () => ({}));
  const late = {};
  for (let tick = 0; tick < 1000; tick++) {
    budget.refill(100);
    const asking = [...greedy, late];
    for (let i = 0; i < asking.length; i++) {
      const torrent = asking[(tick + i) % asking.length]!;
      if (torrent !== late) while (budget.take(torrent, false));
      else if (tick >= 20 && budget.take(late, isNamed)) return (tick - 20) / 10;
    }
  }
  return Number.POSITIVE_INFINITY;
}

test('a torrent with thousands of dead addresses does not keep another waiting', () => {
  assert.ok(waitOf(1, false) <= 0.2);
  assert.equal(waitOf(1, true), 0);
});

test('nor do a hundred such torrents for long, and a peer that the user named does not wait at all', () => {
  assert.ok(waitOf(100, false) <= 100 / 3);
  assert.equal(waitOf(100, true), 0);
});

test('one torrent alone gets all dials, and never more', () => {
  const budget = new DialBudget<object>(30);
  const torrent = {};
  let made = 0;
  for (let tick = 0; tick < 100; tick++) {
    while (budget.take(torrent, false)) made++;
    budget.refill(100);
  }
  assert.ok(made >= 30 + 29 * 9 && made <= 30 + 30 * 10, `${made}`);
});

test('nobody gives up a place for a dial that is refused, and without a place no dial is used up', () => {
  const budget = new DialBudget<object>(1);
  const torrent = {};
  let places = 0;
  const makePlace = (): boolean => ++places > 0;
  assert.equal(
    budget.take(torrent, false, () => false),
    false,
  );
  assert.equal(budget.take(torrent, false, makePlace), true);
  assert.equal(budget.take(torrent, false, makePlace), false);
  assert.equal(places, 1);
  assert.equal(budget.take(torrent, true, makePlace), true);
  assert.equal(places, 2);
});

test('dials under way are shared by the torrents there are', () => {
  assert.equal(DialBudget.halfOpen(1), LIMITS.halfOpenDials);
  assert.equal(DialBudget.halfOpen(3), LIMITS.halfOpenDials / 3);
  assert.equal(DialBudget.halfOpen(1000), LIMITS.halfOpenMin);
});
