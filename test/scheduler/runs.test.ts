/** Runs: several blocks of a piece in one request, of peers that serve them (`setRunBlocks`). */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { PeerSlot } from '../../src/metainfo/geometry.js';
import { deliverRun } from './run-steps.js';
import { World, type WorldOptions } from './world.js';

const KIB = 1024;

function world(more: Partial<WorldOptions> = {}): World {
  const size = { lengthBytes: 8192 * KIB, pieceLengthBytes: 256 * KIB };
  return new World({ seed: 1, ...size, openPieces: 1000, maxSlots: 4, ...more });
}

/** Gives so many blocks, and asks again after each few. */
function give(of: World, slot: number, blocks: number): void {
  for (let count = 0; count < blocks; count++) {
    for (const piece of [...of.opening]) of.makeReady(piece);
    of.deliver(slot);
    for (const piece of [...of.verifying]) of.verify(piece, true);
    of.fill(slot);
  }
}

test('a peer that serves runs is asked for them as soon as four of them fit into its queue, and not before', () => {
  const made = world();
  made.join(0, 'all', { runBlocks: 4 });
  made.unchoke(0);
  for (const piece of [...made.opening]) made.makeReady(piece);
  made.fill(0);
  give(made, 0, 8);
  assert.equal(made.runs, 0);
  give(made, 0, 80);
  assert.ok(made.runs >= 10, `${made.runs} runs`);
  made.check();
});

test('a peer that does not say so is asked for single blocks, however deep its queue', () => {
  const made = world();
  made.join(0, 'all');
  made.unchoke(0);
  give(made, 0, 200);
  assert.equal(made.runs, 0);
});

test('what of a run was taken over by another peer ends the step of the others: nothing is stored twice', () => {
  const made = world();
  made.join(0, 'all', { runBlocks: 4 });
  made.unchoke(0);
  give(made, 0, 300);
  for (let step = 0; step < 600 && made.peers.get(0)!.queue.length > 0; step++) {
    for (const piece of [...made.opening]) made.makeReady(piece);
    if (step === 5) {
      made.join(1, 'all', { runBlocks: 4 });
      made.unchoke(1);
    }
    if (step > 5) made.deliver(1);
    if (deliverRun(made, 0, 5) === 0) made.deliver(0);
    for (const slot of [0, 1]) if (made.peers.has(slot)) made.fill(slot);
    for (const piece of [...made.verifying]) made.verify(piece, true);
    made.check();
  }
  assert.equal(made.verified.size, made.geometry.pieceCount);
});

test('under a download limit that is no run long blocks are asked for one by one, as many as it lets in', () => {
  const made = world({ downloadBytesPerSec: 16 * KIB });
  made.join(0, 'all', { runBlocks: 8 });
  made.unchoke(0);
  give(made, 0, 100);
  assert.ok(made.scheduler.requestTarget(0 as PeerSlot) >= 32);
  assert.equal(made.runs, 0);
  assert.equal(made.peers.get(0)!.queue.length, 10);
});

test('with room for less than a run nothing is asked and nothing opened, whatever would fit', () => {
  // Two runs of eight, and four blocks at the end.
  const made = world({ lengthBytes: 200 * 320 * KIB, pieceLengthBytes: 320 * KIB, requestsPerPeer: 64 });
  made.join(0, 'all', { runBlocks: 8 });
  made.unchoke(0);
  give(made, 0, 400);
  const { queue } = made.peers.get(0)!;
  const target = made.scheduler.requestTarget(0 as PeerSlot);
  assert.equal(target, 64);
  let asked = 0;
  for (let step = 0; step < 200; step++) {
    made.deliver(0);
    const [before, opening] = [queue.length, made.opening.size];
    made.fill(0);
    if (target - before >= 8) asked++;
    else assert.deepEqual([queue.length, made.opening.size], [before, opening], `with room for ${target - before}`);
    for (const piece of [...made.opening]) made.makeReady(piece);
    for (const piece of [...made.verifying]) made.verify(piece, true);
  }
  assert.ok(asked >= 20, `${asked} times`);
});

test('a peer that has nothing to do while rarer pieces are made ready is given single blocks of common ones', () => {
  const made = world();
  made.join(0, 'all', { runBlocks: 8 });
  made.unchoke(0);
  give(made, 0, 100);
  // From now on what is open is had by two, and the rest by one.
  made.join(1, [...made.ready.keys()]);
  while (made.peers.get(0)!.queue.length > 0) made.deliver(0);
  const common = new Set(made.ready.keys());
  made.fill(0);
  assert.ok(made.opening.size > 0);
  const { queue } = made.peers.get(0)!;
  assert.equal(queue.length, 4);
  assert.ok(queue.every(({ piece }) => common.has(piece)));
});

test('blocks that come together deepen the queue as much as one after the other', () => {
  const made = world();
  made.join(0, 'all', { runBlocks: 4 });
  made.unchoke(0);
  give(made, 0, 8);
  const before = made.scheduler.requestTarget(0 as PeerSlot);
  const blocks = deliverRun(made, 0, 4);
  assert.ok(blocks > 1);
  assert.equal(made.scheduler.requestTarget(0 as PeerSlot), before + blocks);
});
