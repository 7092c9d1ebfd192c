import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VISITS_PER_SECOND, type Visited, Visits } from '../../src/engine/visits.js';

class Item implements Visited {
  ticks = 0;
  untilMs = 0;
  onTick: () => void = () => {};

  tick(): void {
    this.ticks++;
    this.onTick();
  }

  quietUntilMs(): number {
    return this.untilMs;
  }
}

function crowd(count: number): { readonly visits: Visits<Item>; readonly items: Item[] } {
  const visits = new Visits<Item>();
  const items = Array.from({ length: count }, () => new Item());
  for (const item of items) visits.stir(item);
  return { visits, items };
}

const ticksOf = (items: readonly Item[]): number => items.reduce((sum, { ticks }) => sum + ticks, 0);

test('busy ones are ticked each time, each of them first in its turn', () => {
  const { visits, items } = crowd(3);
  const firsts = new Set<Item>();
  for (let tick = 0; tick < 6; tick++) {
    let first: Item | null = null;
    for (const item of items) item.onTick = () => (first ??= item);
    visits.tick(tick * 100, false);
    firsts.add(first!);
  }
  assert.equal(ticksOf(items), 18);
  assert.equal(firsts.size, 3);
});

test('a few quiet ones are ticked every second, and between seconds not at all', () => {
  const { visits, items } = crowd(VISITS_PER_SECOND);
  for (const item of items) item.untilMs = Number.POSITIVE_INFINITY;
  visits.tick(0, true);
  assert.equal(visits.quietCount, VISITS_PER_SECOND);
  const before = ticksOf(items);
  for (let tick = 1; tick < 10; tick++) visits.tick(tick * 100, false);
  assert.equal(ticksOf(items), before);
  visits.tick(1000, true);
  assert.equal(ticksOf(items), before + VISITS_PER_SECOND);
});

test('of many quiet ones a few are ticked a second, all in turn', () => {
  const { visits, items } = crowd(1000);
  for (const item of items) item.untilMs = Number.POSITIVE_INFINITY;
  visits.tick(0, true);
  for (const item of items) item.ticks = 0;
  const rounds = Math.ceil(1000 / VISITS_PER_SECOND);
  for (let second = 1; second <= rounds; second++) visits.tick(second * 1000, true);
  assert.ok(items.every(({ ticks }) => ticks === 1 || ticks === 2));
  assert.equal(ticksOf(items), rounds * VISITS_PER_SECOND);
});

test('what is due comes first, once a second, also when it stays due', () => {
  const { visits, items } = crowd(1000);
  for (const item of items) item.untilMs = Number.POSITIVE_INFINITY;
  items[990]!.untilMs = 5_000;
  visits.tick(0, true);
  for (const item of items) item.ticks = 0;
  for (let second = 1; second < 5; second++) visits.tick(second * 1000, true);
  assert.equal(items[990]!.ticks, 0);
  visits.tick(5000, true);
  assert.equal(items[990]!.ticks, 1);
  visits.tick(6000, true);
  assert.equal(items[990]!.ticks, 2);
});

test('one that is stirred is busy again, and one that is gone is not ticked', () => {
  const { visits, items } = crowd(2);
  for (const item of items) item.untilMs = 60_000;
  visits.tick(0, true);
  items[0]!.untilMs = 0;
  visits.stir(items[0]!);
  visits.delete(items[1]!);
  for (const item of items) item.ticks = 0;
  visits.tick(100, false);
  visits.tick(1000, true);
  assert.deepEqual(
    items.map(({ ticks }) => ticks),
    [2, 0],
  );
  items[0]!.onTick = () => visits.delete(items[0]!);
  visits.tick(2000, true);
  visits.tick(3000, true);
  assert.equal(items[0]!.ticks, 3);
  assert.equal(visits.quietCount, 0);
});
