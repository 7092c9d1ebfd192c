import assert from 'node:assert/strict';
import test from 'node:test';
import { RequestLine, TURN_BLOCKS } from '../../src/scheduler/ask/request-line.js';
import { crowded } from './run-steps.js';
import { World } from './world.js';

const KIB = 1024;
/** Half of it may be under way: 64 turns. */
const OPEN_PIECES = 512;
const BUDGET_BLOCKS = OPEN_PIECES * 2;
const PEERS = 100;

test('the line is first come, first served, whoever stands in it twice and however it grows', () => {
  const line = new RequestLine(4096);
  line.grow(4);
  for (const slot of [2, 0, 2, 3]) line.wait(slot);
  assert.equal(line.next(), 2);
  line.wait(1);
  line.wait(2);
  line.grow(8);
  line.wait(7);
  assert.deepEqual(
    Array.from({ length: 5 }, () => line.next()),
    [0, 3, 1, 2, 7],
  );
  assert.equal(line.size, 0);
});

test('there are turns only where even shares are small and many are at work all the same', () => {
  const line = new RequestLine(2 * 64 * TURN_BLOCKS);
  assert.ok(!line.isCrowded(64) && line.isCrowded(65));
  assert.ok(!new RequestLine(2 * 64 * TURN_BLOCKS - 2).isCrowded(1000));
});

/** @param runBlocks what each serves in one message, of pieces that are as long at least */
function crowd(pieces = 2000, runBlocks = 1): World {
  const pieceBlocks = Math.max(4, runBlocks);
  const pieceLengthBytes = pieceBlocks * 16 * KIB;
  const options = { pieceLengthBytes, openPieces: (4 * OPEN_PIECES) / pieceBlocks, maxSlots: 128 };
  const lengthBytes = pieces * 64 * KIB;
  const world = new World({ seed: 5, lengthBytes, requestsPerPeer: 2000, ...options });
  crowded.add(world);
  for (let slot = 0; slot < PEERS; slot++) {
    world.join(slot, 'all', { fast: true, runBlocks });
    world.unchoke(slot);
  }
  world.settle();
  return world;
}

function underWay(world: World): number {
  let sum = 0;
  for (const slot of world.peers.keys()) sum += world.scheduler.view.requestsInFlight(slot as never);
  return sum;
}

test('a crowd asks in turns: runs of blocks, no more under way than half the room, and everybody gives alike', () => {
  const world = crowd();
  const given = new Array<number>(PEERS).fill(0);
  let runs = 0;
  for (let round = 0; !world.scheduler.isComplete; round++) {
    assert.ok(round < 1000, 'it stands still');
    for (let slot = 0; slot < PEERS; slot++) {
      const before = given[slot]!;
      while (world.deliver(slot) !== null) given[slot]!++;
      if (given[slot]! > before) runs++;
      world.fill(slot);
      assert.ok(underWay(world) <= BUDGET_BLOCKS);
    }
    world.settle();
    world.pass(10);
    world.check();
  }
  const blocks = given.reduce((a, b) => a + b, 0);
  const mean = blocks / PEERS;
  assert.ok(blocks / runs >= 10, `${blocks / runs} blocks a run`);
  // The first in a round find more to do at the end.
  const [least, most] = [Math.min(...given) / mean, Math.max(...given) / mean];
  assert.ok(least > 0.8 && most < 1.5, `${least} to ${most} of the mean`);
});

test('a turn of a peer that serves runs is one request, as soon as the peer has shown that it takes so much', () => {
  const world = crowd(1500, TURN_BLOCKS);
  const given = new Array<number>(PEERS).fill(0);
  for (let round = 0; !world.scheduler.isComplete; round++) {
    assert.ok(round < 1000, 'it stands still');
    for (let slot = 0; slot < PEERS; slot++) {
      while (world.deliver(slot) !== null) given[slot]!++;
      world.fill(slot);
    }
    assert.ok(underWay(world) <= BUDGET_BLOCKS);
    world.settle();
    world.pass(10);
  }
  world.check();
  const blocks = given.reduce((a, b) => a + b, 0);
  // The first 28 blocks of each go one by one.
  const share = (world.runs * TURN_BLOCKS) / (blocks - 28 * PEERS);
  assert.ok(share > 0.8, `${share} of the blocks in runs`);
  const mean = blocks / PEERS;
  const [least, most] = [Math.min(...given) / mean, Math.max(...given) / mean];
  assert.ok(least > 0.7 && most < 1.5, `${least} to ${most} of the mean`);
});

test('who is silent, chokes or leaves while it waits or works does not hold up the others', () => {
  const world = crowd(500);
  for (let slot = 0; slot < 60; slot++) {
    if (slot % 3 === 1) world.choke_(slot);
    else if (slot % 3 === 2) world.leave(slot);
  }
  for (let second = 0; !world.scheduler.isComplete; second++) {
    assert.ok(second < 200, 'it stands still');
    // Every third of the first sixty says nothing at all.
    for (let slot = 60; slot < PEERS; slot++) {
      for (let count = 0; count < 8; count++) world.deliver(slot);
      world.fill(slot);
    }
    world.settle();
    world.pass(1_000);
    world.check();
  }
});

test('when the crowd is gone the ones that waited are filled', () => {
  const world = crowd();
  const waiting = [...world.peers].filter(([, peer]) => peer.queue.length === 0).map(([slot]) => slot);
  assert.ok(waiting.length > 0, 'nobody waits');
  for (let slot = 0; slot < PEERS; slot++) if (!waiting.includes(slot)) world.leave(slot);
  world.pass(1_000);
  world.settle();
  world.check();
  for (const slot of waiting) assert.ok(world.peers.get(slot)!.queue.length > 0, `slot ${slot}`);
});
