/** Where pieces lie, against counting byte by byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Geometry, PIECE_HASH_BYTES, type PieceIndex, pieceHash } from '../../src/metainfo/geometry.js';

const SHAPES = [
  [1, 4],
  [8, 4],
  [9, 4],
  [11, 4],
  [3, 1],
] as const;

test('the pieces of a range are those with a byte of it, and those wholly in it', () => {
  for (const [lengthBytes, pieceLengthBytes] of SHAPES) {
    const geometry = new Geometry(lengthBytes, pieceLengthBytes);
    for (let begin = 0; begin <= lengthBytes; begin++) {
      for (let end = begin; end <= lengthBytes; end++) {
        const touched: number[] = [];
        const whole: number[] = [];
        for (let piece = 0; piece < geometry.pieceCount; piece++) {
          const [from, to] = [geometry.pieceBegin(piece as PieceIndex), geometry.pieceEnd(piece as PieceIndex)];
          if (Math.max(begin, from) < Math.min(end, to)) touched.push(piece);
          if (begin <= from && to <= end) whole.push(piece);
        }
        const list = ({ first, end: behind }: { first: number; end: number }): number[] =>
          Array.from({ length: behind - first }, (_, index) => first + index);
        assert.deepEqual(list(geometry.piecesIn(begin, end - begin)), touched, `${begin}-${end}`);
        assert.deepEqual(list(geometry.wholePiecesIn(begin, end - begin)), whole, `${begin}-${end}`);
      }
    }
  }
});

test('pieces have the bytes that they have together, and each its hash', () => {
  const geometry = new Geometry(11, 4);
  assert.equal(geometry.bytesOf(2, false), 8);
  assert.equal(geometry.bytesOf(2, true), 7);
  assert.equal(geometry.bytesOf(3, true), 11);
  assert.equal(geometry.pieceAt(8), 2);
  const hashes = Buffer.from(Array.from({ length: 3 * PIECE_HASH_BYTES }, (_, index) => Math.floor(index / 20)));
  assert.deepEqual(pieceHash(hashes, 1), Buffer.alloc(PIECE_HASH_BYTES, 1));
});
