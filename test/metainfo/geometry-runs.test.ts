import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BlockIndex, Geometry, type PieceIndex } from '../../src/metainfo/geometry.js';

const BLOCK = 16 * 1024;
const [FIRST, LAST] = [0 as PieceIndex, 1 as PieceIndex];
/** Pieces of 10 blocks and of 3 and a half. */
const geometry = new Geometry(13.5 * BLOCK, 10 * BLOCK);

test('a range is a run when it is whole blocks of the piece, the last one also when it is short', () => {
  assert.equal(geometry.asRun(FIRST, 0, BLOCK), 1);
  assert.equal(geometry.asRun(FIRST, 3 * BLOCK, 7 * BLOCK), 7);
  assert.equal(geometry.asRun(LAST, 2 * BLOCK, 1.5 * BLOCK), 2);
  assert.equal(geometry.asRun(LAST, 3 * BLOCK, 0.5 * BLOCK), 1);
  for (const [begin, length] of [
    [0, 0],
    [0, -BLOCK],
    [-BLOCK, BLOCK],
    [1, BLOCK],
    [0, BLOCK + 1],
    [9 * BLOCK, 2 * BLOCK],
    [10 * BLOCK, BLOCK],
    [0, 2 ** 32 - 1],
  ] as const)
    assert.equal(geometry.asRun(FIRST, begin, length), 0, `${begin} ${length}`);
  assert.equal(geometry.asRun(LAST, 2 * BLOCK, 1.25 * BLOCK), 0);
  assert.equal(geometry.asRun(LAST, 3 * BLOCK, BLOCK), 0);
});

test('the length of a run ends with the piece', () => {
  assert.equal(geometry.runLength(FIRST, 8 as BlockIndex, 2), 2 * BLOCK);
  assert.equal(geometry.runLength(FIRST, 8 as BlockIndex, 8), 2 * BLOCK);
  assert.equal(geometry.runLength(LAST, 0 as BlockIndex, 16), 3.5 * BLOCK);
  assert.equal(geometry.blockAt(BLOCK - 1), 0);
  assert.equal(geometry.blockAt(BLOCK), 1);
});
