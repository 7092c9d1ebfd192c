/** What a torrent closes while others wait for memory: what nobody here will ask for soon, and nothing else. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { PeerSlot } from '../../src/metainfo/geometry.js';
import { World } from './world.js';

const KIB = 1024;
/** Pieces of 4 blocks. */
const OPTIONS = { seed: 1, lengthBytes: 64 * 64 * KIB, pieceLengthBytes: 64 * KIB, openPieces: 16 };

/** One peer with everything has asked for as much as it may, and given so many blocks. */
function begun(blocks: number): World {
  const world = new World(OPTIONS);
  world.join(0, 'all');
  world.unchoke(0);
  while (world.opening.size > 0) {
    for (const piece of [...world.opening]) world.makeReady(piece);
    world.scheduler.fillHungry(world.nowMs);
  }
  for (let block = 0; block < blocks; block++) {
    world.begin(0);
    world.end(0);
  }
  world.check();
  return world;
}

const giveWay = (world: World): void => {
  world.scheduler.giveWay(world.nowMs);
  world.check();
};

test('pieces of a download that lost its peers are closed at once, but for begun ones, which stay ten seconds', () => {
  const world = begun(3);
  assert.ok(world.openCount > 2, `${world.openCount} pieces are open`);
  world.leave(0);
  giveWay(world);
  assert.equal(world.openCount, 1);
  for (let second = 1; second < 10; second++) {
    world.pass(1000);
    giveWay(world);
    assert.equal(world.openCount, 1, `second ${second}`);
  }
  world.pass(1000);
  giveWay(world);
  assert.equal(world.openCount, 0);
});

test('a begun piece is not given up for others that waited at another time', () => {
  const world = begun(3);
  const { piece } = world.scheduler.view.unfinished()[0]!;
  world.leave(0);
  giveWay(world);
  world.pass(20_000);
  giveWay(world);
  assert.equal(world.openCount, 1);
  world.join(1, 'all');
  world.unchoke(1);
  for (let second = 0; second < 20; second++) {
    world.pass(1000);
    world.begin(1);
    world.end(1);
    giveWay(world);
  }
  assert.ok(world.ready.has(piece) || world.verifying.has(piece), 'a peer that serves it is here again');
});

test('a download that goes on keeps what its peers ask for next, and closes the rest', () => {
  const world = begun(3);
  const requests = world.scheduler.requestTarget(0 as PeerSlot);
  const before = world.openCount;
  giveWay(world);
  assert.ok(world.openCount * 4 >= requests, `${world.openCount} of ${before} pieces for ${requests} requests`);
  const kept = world.openCount;
  giveWay(world);
  assert.equal(world.openCount, kept);
});
