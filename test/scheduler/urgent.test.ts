/** What readers wait for: before all else, in order, over all links, and given back when nobody reads any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { World, type WorldOptions } from './world.js';

const KIB = 1024;

/** Pieces of four blocks. */
function world(pieces: number, options: Partial<WorldOptions> = {}): World {
  return new World({ seed: 1, lengthBytes: pieces * 64 * KIB, pieceLengthBytes: 64 * KIB, ...options });
}

function seed(scene: World, slot: number): void {
  scene.join(slot, 'all');
  scene.unchoke(slot);
  scene.settle();
}

/** Slot 0 delivers until that many pieces are verified; which they are, in order. */
function fetch(scene: World, count: number): number[] {
  for (let idle = 0; idle < 3 && scene.verified.size < count; idle++) {
    if (scene.deliver(0) !== null) idle = 0;
    scene.fill(0);
    scene.settle();
    scene.check();
  }
  return [...scene.verified].slice(0, count);
}

test('urgent pieces are fetched first and in order, whatever is rare', () => {
  const scene = world(40, { openPieces: 2 });
  scene.read([30, 31, 32, 33], false);
  seed(scene, 0);
  assert.deepEqual(fetch(scene, 4), [30, 31, 32, 33]);
});

test('a reader that begins elsewhere is served before what was asked for', () => {
  const scene = world(60, { openPieces: 4 });
  seed(scene, 0);
  fetch(scene, 8);
  const late = scene.cancels.length;
  scene.read([50, 51], true);
  scene.settle();
  scene.fill(0);
  assert.ok(scene.cancels.length > late, 'requests went back');
  const first = scene.peers
    .get(0)!
    .queue.map(({ piece }) => piece)
    .slice(0, 12);
  assert.deepEqual(first.filter((piece) => piece === 50).length, 4, `${first}`);
  assert.deepEqual(
    fetch(scene, 40)
      .filter((piece) => piece >= 50)
      .slice(0, 2)
      .sort(),
    [50, 51],
  );
});

test('the piece that a reader waits for is asked of all in even parts', () => {
  const scene = world(20, { openPieces: 6 });
  scene.read([7, 8, 9], false);
  for (const slot of [0, 1]) scene.join(slot, 'all');
  for (const slot of [0, 1]) scene.unchoke(slot);
  scene.settle();
  for (const slot of [0, 1]) {
    const blocks = scene.peers.get(slot)!.queue.filter(({ piece }) => piece === 7);
    assert.equal(blocks.length, 2, `slot ${slot}`);
  }
});

test('what is not urgent any more has its own priority again, and may be skipped meanwhile', () => {
  const scene = world(12, { openPieces: 1 });
  scene.read([9, 10, 11], false);
  scene.prioritize(10, 0);
  scene.read([], false);
  scene.read([10, 3], false);
  seed(scene, 0);
  assert.deepEqual(fetch(scene, 1), [3]);
  const order = fetch(scene, 11);
  assert.equal(order.length, 11);
  assert.ok(!order.includes(10) && scene.scheduler.isComplete);
  // Verified ones are no concern of anybody.
  scene.scheduler.setUrgent([3, 4] as PieceIndex[], [3] as PieceIndex[], scene.nowMs);
  scene.check();
});

/** Slot 0 gives a block and looks for something to ask for, so many times within a second. */
function look(scene: World, times: number): void {
  for (let i = 0; i < times; i++) {
    scene.deliver(0);
    scene.fill(0);
    scene.settle();
    scene.check();
  }
}

test('nothing is closed for an urgent piece that the peer at hand has not got', () => {
  const scene = world(40, { openPieces: 3 });
  scene.join(1, [35]);
  scene.join(
    0,
    Array.from({ length: 30 }, (_, piece) => piece),
  );
  scene.unchoke(0);
  scene.settle();
  scene.read([35], true);
  look(scene, 20);
  assert.equal(scene.closedPieces, 0);
});

test('where an urgent piece finds no room in spite of one that was closed for it, the others stay for a second', () => {
  const scene = world(40, { openPieces: 4 });
  seed(scene, 0);
  scene.isFull = true;
  scene.read([35], true);
  look(scene, 4);
  assert.ok(scene.closedPieces <= 1, `${scene.closedPieces} closed`);
  scene.isFull = false;
  scene.pass(1000);
  fetch(scene, scene.verified.size + 3);
  assert.ok(scene.verified.has(35));
});
