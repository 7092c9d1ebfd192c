import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grown, SlotRows } from '../../src/scheduler/peers/slot-rows.js';

test('a grown table keeps its rows and fills the new ones', () => {
  assert.deepEqual(grown(Int32Array.of(7, 8), 4, -1), Int32Array.of(7, 8, -1, -1));
  assert.deepEqual(grown(new Float64Array(0), 2), Float64Array.of(0, 0));
});

test('tables grow together to the next power of two, never above the limit, and not before a peer joins', () => {
  const grows: string[] = [];
  const tables = ['a', 'b'].map((name) => ({ grow: (rows: number) => void grows.push(`${name}${rows}`) }));
  const rows = new SlotRows(10, tables);
  assert.deepEqual(grows, []);
  for (const slot of [0, 3, 4, 2, 9]) rows.include(slot);
  assert.deepEqual(grows, ['a4', 'b4', 'a8', 'b8', 'a10', 'b10']);
  assert.throws(() => rows.include(10), /slot 10 is not below 10/);
});
