/** From the front to the back among peers that do not get on, lie about what they have, or come again and again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerSlot, PieceIndex } from '../../src/metainfo/geometry.js';
import { World } from './world.js';

const KIB = 1024;
const PIECES = 400;

/** Pieces of one block; ours is the number 20. */
function world(): World {
  const size = { lengthBytes: PIECES * 16 * KIB, pieceLengthBytes: 16 * KIB };
  return new World({ seed: 1, ...size, have: [0, 1, 2, 3], openPieces: 1, forward: { ownNumber: 20 } });
}

/** The slot gives until so many more pieces are verified: which they are, in order. */
function fetch(scene: World, slot: number, count: number): number[] {
  const before = scene.verified.size;
  for (let idle = 0; idle < 5 && scene.verified.size < before + count; idle++) {
    scene.settle();
    scene.fill(slot);
    scene.settle();
    if (scene.deliver(slot) !== null) idle = 0;
    scene.settle();
    scene.check();
  }
  return [...scene.verified].slice(before, before + count);
}

/** What was asked of it goes back. */
function chokes(scene: World, slot: number): void {
  const peer = scene.peers.get(slot)!;
  peer.asked.clear();
  peer.queue.length = 0;
  scene.scheduler.peerChoked(slot as PeerSlot, scene.nowMs);
}

function webSeed(scene: World): void {
  scene.join(0, 'all', { fast: true, runs: 'anywhere' });
  scene.unchoke(0);
}

function gets(scene: World, slot: number, piece: number): void {
  scene.scheduler.peerHave(slot as PeerSlot, piece as PieceIndex);
  scene.peers.get(slot)!.has.add(piece);
}

/** What lies between one piece and the next. */
function steps(pieces: readonly number[]): number[] {
  return pieces.slice(1).map((piece, index) => piece - pieces[index]!);
}

test('a leech that gets nothing while we get sixteen pieces loses its turns, and has them again with the next', () => {
  const scene = world();
  scene.join(1, [], { number: 10 });
  webSeed(scene);
  assert.deepEqual(steps(fetch(scene, 0, 16)), new Array(15).fill(2));
  // What it left comes first.
  assert.deepEqual(fetch(scene, 0, 4), [4, 6, 8, 10]);
  fetch(scene, 0, 20);
  gets(scene, 1, 399);
  fetch(scene, 0, 1);
  assert.deepEqual(steps(fetch(scene, 0, 10)), new Array(9).fill(2));
});

test('one that comes later takes no turn before it has a piece, however often it comes', () => {
  const scene = world();
  webSeed(scene);
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
  webSeed(scene);
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
  webSeed(scene);
  const got = fetch(scene, 0, 5).slice(1);
  assert.deepEqual(got, [10, 20, 30, 40]);
  gets(scene, 1, 60);
  assert.deepEqual(fetch(scene, 0, 3), [50, 70, 80]);
  scene.leave(1);
  fetch(scene, 0, 1);
  for (const piece of fetch(scene, 0, 5)) assert.ok(piece < 10, `${piece}`);
});
