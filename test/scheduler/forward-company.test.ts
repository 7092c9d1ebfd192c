/** From the front to the back among peers that do not get on, lie about what they have, or come again and again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chokes, fetch, getsOn, webSeed } from './forward-scene.js';
import { World } from './world.js';

const KIB = 1024;
const PIECES = 400;

/** Pieces of one block; ours is the number 20. */
function world(): World {
  const size = { lengthBytes: PIECES * 16 * KIB, pieceLengthBytes: 16 * KIB };
  return new World({ seed: 1, ...size, have: [0, 1, 2, 3], openPieces: 1, forward: { ownNumber: 20 } });
}

/** What lies between one piece and the next. */
function steps(pieces: readonly number[]): number[] {
  return pieces.slice(1).map((piece, index) => piece - pieces[index]!);
}

test('a leech that gets nothing while we get sixteen pieces loses its turns, and has them again with the next', () => {
  const scene = world();
  scene.join(1, [], { number: 10 });
  webSeed(scene, 0);
  assert.deepEqual(steps(fetch(scene, 0, 16)), new Array(15).fill(2));
  // What it left comes first.
  assert.deepEqual(fetch(scene, 0, 4), [4, 6, 8, 10]);
  fetch(scene, 0, 20);
  getsOn(scene, 1, 399);
  fetch(scene, 0, 1);
  assert.deepEqual(steps(fetch(scene, 0, 10)), new Array(9).fill(2));
});

test('one that comes later takes no turn before it has a piece, however often it comes', () => {
  const scene = world();
  webSeed(scene, 0);
  fetch(scene, 0, 16);
  for (let round = 0; round < 5; round++) {
    scene.join(1, [], { number: 10 + round });
    assert.deepEqual(steps(fetch(scene, 0, 4)), [1, 1, 1]);
    scene.leave(1);
  }
  scene.join(1, [399], { number: 10 });
  fetch(scene, 0, 1);
  assert.deepEqual(steps(fetch(scene, 0, 4)), [2, 2, 2]);
});

test('what a leech says that never gave anything makes no piece less new', () => {
  const scene = world();
  // All but every tenth piece.
  const said = [...Array(PIECES).keys()].filter((piece) => piece % 10 !== 0);
  scene.join(1, said, { number: null });
  webSeed(scene, 0);
  assert.deepEqual(
    fetch(scene, 0, 20),
    [...Array(20).keys()].map((step) => 4 + step),
  );
});

test('once it gave a piece, what it says counts, until it goes', () => {
  const scene = world();
  const said = [...Array(PIECES).keys()].filter((piece) => piece % 10 !== 0);
  scene.join(1, said, { number: null });
  scene.unchoke(1);
  fetch(scene, 1, 1);
  chokes(scene, 1);
  webSeed(scene, 0);
  const got = fetch(scene, 0, 5).slice(1);
  assert.deepEqual(got, [10, 20, 30, 40]);
  getsOn(scene, 1, 60);
  assert.deepEqual(fetch(scene, 0, 3), [50, 70, 80]);
  scene.leave(1);
  fetch(scene, 0, 1);
  for (const piece of fetch(scene, 0, 5)) assert.ok(piece < 10, `${piece}`);
});
