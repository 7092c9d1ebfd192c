/** What a `World` knows of runs: requests for blocks in a row, and their arrival at once. */
import assert from 'node:assert/strict';
import type { BlockIndex, PeerSlot, PieceIndex } from '../../src/metainfo/geometry.js';
import { TURN_BLOCKS } from '../../src/scheduler/ask/request-line.js';
import type { World } from './world.js';

/** Worlds with more peers than there is room for even shares: they are asked in turns. */
export const crowded = new WeakSet<World>();

/**
 * A power of two at a multiple of itself, cut short only by the end of the piece, of a peer that serves it and has a
 * deep queue, or a turn.
 */
export function checkRun(world: World, slot: PeerSlot, piece: PieceIndex, first: BlockIndex, count: number): void {
  const { runBlocks } = world.peers.get(slot)!;
  const size = 2 ** Math.ceil(Math.log2(count));
  assert.ok(size <= runBlocks && first % size === 0, `a run of ${count} blocks at ${first}`);
  assert.ok(
    count === size || first + count === world.geometry.blockCount(piece),
    `a run of ${count} blocks at ${first}`,
  );
  const isTurn = crowded.has(world) && count <= TURN_BLOCKS;
  const isDeep = world.scheduler.requestTarget(slot) >= 4 * runBlocks;
  assert.ok(isTurn || isDeep, 'a run is asked of a peer with few requests');
  world.runs++;
}

/**
 * As many of its oldest requests as are for blocks in a row come at once, up to `most`. Returns how many were taken at
 * once.
 */
export function deliverRun(world: World, slot: number, most: number): number {
  const { queue, asked } = world.peers.get(slot)!;
  if (queue.length === 0 || [...world.arriving.values()].includes(slot)) return 0;
  const [piece, first] = [queue[0]!.piece as PieceIndex, queue[0]!.block as BlockIndex];
  let count = 1;
  while (count < most && queue[count]?.piece === piece && queue[count]!.block === first + count) count++;
  const taken = world.scheduler.blocksStored(slot as PeerSlot, piece, first, count, world.nowMs);
  for (const { block } of queue.splice(0, taken)) {
    assert.ok(asked.delete(world.key(piece, block)), 'a run has a block that was not asked for');
    assert.ok(!world.arriving.has(world.key(piece, block)), 'a run has a block that another one sends');
    world.ready.get(piece)!.add(block);
    assert.equal(world.scheduler.view.senderOf(piece, block as BlockIndex), slot);
  }
  if (taken === 0) return 0;
  const isComplete = world.ready.get(piece)!.size === world.geometry.blockCount(piece);
  assert.equal(world.scheduler.becomesWhole(piece), isComplete);
  if (isComplete) {
    world.ready.delete(piece);
    world.verifying.add(piece);
  }
  return taken;
}
