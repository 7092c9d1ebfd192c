/** Who stands in line for memory, and who passes whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setUp, Torrent } from './pool-scene.js';

test('a large piece that does not fit holds up nobody who has less, and nobody grows past it', () => {
  const { pool, later } = setUp(40);
  const [large, small, busy] = [new Torrent(pool, 16), new Torrent(pool, 1), new Torrent(pool, 1)];
  assert.equal(large.open(2), 2);
  assert.equal(small.open(3), 3);
  assert.equal(large.open(1), 0, 'first in line, 5 are left');
  assert.equal(small.open(1), 0);
  small.wanted = 99;
  for (let ms = 0; ms < 3000; ms += 1000) pool.tick(ms);
  assert.equal(small.share.pieces, 6);
  assert.equal(busy.open(1), 0);
  busy.wanted = 99;
  for (let ms = 3000; ms < 60_000; ms += 1000) {
    pool.tick(ms);
    if (small.share.pieces > 0) small.share.givePiece();
    later();
  }
  assert.equal(small.share.pieces + busy.share.pieces, 8);
  assert.ok(busy.share.pieces > 2);
  large.wanted = 1;
  while (large.wanted > 0 && small.share.pieces + busy.share.pieces > 0) {
    for (const torrent of [small, busy]) {
      torrent.wanted = 0;
      if (torrent.share.pieces > 0) torrent.share.givePiece();
    }
    later();
  }
  assert.equal(large.share.pieces, 3 - large.wanted);
});

test('who has no piece, or one, is not passed: others wait until it has its least', () => {
  const { pool, later } = setUp(40);
  const [first, large, small] = [new Torrent(pool, 10), new Torrent(pool, 16), new Torrent(pool, 1)];
  assert.equal(first.open(3), 3);
  assert.equal(large.open(1), 0);
  assert.equal(small.open(1), 0);
  [large.wanted, small.wanted] = [1, 9];
  pool.tick(1000);
  later();
  assert.equal(small.share.pieces, 0);
  first.share.givePiece();
  later();
  assert.equal(large.share.pieces, 1);
});

test('a unit that does not fit holds up nobody who has less', () => {
  const { pool } = setUp(26);
  const [large, small] = [new Torrent(pool, 1, 4), new Torrent(pool, 1, 1)];
  large.used = 5;
  small.used = 4;
  assert.equal(large.read(5), 5);
  assert.equal(small.read(2), 2);
  const third = new Torrent(pool, 2);
  assert.equal(third.open(1), 1);
  // Two are left: too few for the first in line.
  assert.equal(large.read(1), 0);
  pool.tick(0);
  assert.equal(small.read(3), 2);
  assert.equal(small.unitCalls, 0);
  third.share.givePiece();
  pool.tick(100);
  assert.equal(small.unitCalls, 1);
});
