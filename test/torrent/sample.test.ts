import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { Geometry } from '../../src/metainfo/geometry.js';
import { makeRandom } from '../../src/random.js';
import { drawSample } from '../../src/torrent/sample.js';

const MIB = 1024 * 1024;

function sampled(pieceBytes: number, recorded: (piece: number) => boolean, pieceCount = 10_000, seed = 1): number[] {
  const pieces = new Bitfield(pieceCount);
  for (let piece = 0; piece < pieceCount; piece++) if (recorded(piece)) pieces.set(piece);
  const sample = drawSample(pieces, new Geometry(pieceCount * pieceBytes, pieceBytes), makeRandom(seed));
  return Array.from({ length: pieceCount }, (_, piece) => piece).filter((piece) => sample.has(piece));
}

test('a sample has at least 16 pieces, 1 % and 64 MiB, and nothing that is not recorded', () => {
  const isEven = (piece: number): boolean => piece % 2 === 0;
  assert.equal(sampled(32 * MIB, isEven, 200).length, 16);
  assert.equal(sampled(16 * MIB, isEven).length, 50);
  assert.equal(sampled(MIB, isEven).length, 64);
  assert.ok(sampled(MIB, isEven).every(isEven));
});

test('what is small is sampled whole, nothing gives nothing', () => {
  assert.equal(sampled(16 * 1024, (piece) => piece < 3000).length, 3000);
  assert.equal(sampled(MIB, (piece) => piece > 9_997).length, 2);
  assert.deepEqual(
    sampled(MIB, () => false),
    [],
  );
});

test('each piece is as likely as any other', () => {
  const counts = new Array<number>(100).fill(0);
  for (let seed = 0; seed < 2000; seed++)
    for (const piece of sampled(32 * MIB, () => true, 100, seed)) counts[piece]!++;
  // 320 expected; a standard deviation is 16.
  assert.ok(Math.min(...counts) > 240 && Math.max(...counts) < 400, counts.join(' '));
});
