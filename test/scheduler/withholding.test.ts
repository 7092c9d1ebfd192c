/**
 * Peers that take requests for the last blocks and keep them, with an honest seed at hand: how long they can hold a
 * download up.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { PeerSlot } from '../../src/metainfo/geometry.js';
import { World } from './world.js';

const KIB = 1024;
const STEP_MS = 100;
const HONEST = 0;

type Act = (world: World, slot: number, step: number) => void;

/**
 * Steps of 100 ms until complete: the honest seed gives up to three blocks in each, the others act first. Returns the
 * virtual seconds.
 */
function finish(world: World, bad: number, act: Act): number {
  for (let slot = 1; slot <= bad; slot++) world.join(slot, 'all', { fast: slot % 2 === 0 });
  world.join(HONEST, 'all', { fast: true });
  for (let slot = bad; slot >= 0; slot--) world.unchoke(slot);
  for (let step = 0; !world.scheduler.isComplete; step++) {
    assert.ok(step < 600, `not complete after a minute: ${world.verified.size} of ${world.geometry.pieceCount}`);
    world.settle();
    for (let slot = 1; slot <= bad; slot++) {
      if (world.dropped.has(slot)) world.leave(slot);
      else if (world.peers.has(slot)) act(world, slot, step);
    }
    for (let count = 0; count < 3; count++) world.deliver(HONEST);
    world.fill(HONEST);
    if (step % 10 === 9) world.pass(STEP_MS);
    else world.nowMs += STEP_MS;
    world.check();
  }
  return world.nowMs / 1000;
}

const world = (slots: number): World =>
  new World({ seed: 1, lengthBytes: 640 * KIB, pieceLengthBytes: 64 * KIB, maxSlots: slots + 1, openPieces: 16 });

test('peers that choke and unchoke fast and give nothing do not keep the last pieces', () => {
  const seconds = finish(world(8), 8, (scene, slot) => {
    if (!scene.peers.get(slot)!.isChoking) scene.choke_(slot);
    scene.unchoke(slot);
  });
  assert.ok(seconds <= 4, `${seconds} s`);
});

test('nor do those that choke and unchoke and neither answer nor refuse, though BEP 6 asks them to', () => {
  const seconds = finish(world(8), 8, (scene, slot) => {
    const { peers, scheduler, nowMs } = scene;
    const peer = peers.get(slot)!;
    if (!peer.isFast) peer.asked.clear();
    scheduler.peerChoked(slot as PeerSlot, nowMs);
    scheduler.peerUnchoked(slot as PeerSlot, nowMs);
    for (const ask of peer.asked.values()) ask.isLate = scheduler.view.isSnubbed(slot as PeerSlot);
    scene.fill(slot);
  });
  assert.ok(seconds <= 6, `${seconds} s`);
});

test('peers that stall inside a block hold it for seconds', () => {
  const seconds = finish(world(30), 30, (scene, slot) => void scene.begin(slot));
  assert.ok(seconds <= 6, `${seconds} s`);
});

test('peers that hold back the last block of each piece hold it for seconds', () => {
  const seconds = finish(world(10), 10, (scene, slot) => {
    const { queue } = scene.peers.get(slot)!;
    const last = scene.geometry.blocksPerPiece - 1;
    const at = queue.findIndex(({ block }) => block !== last);
    if (at < 0) return;
    queue.unshift(...queue.splice(at, 1));
    scene.deliver(slot);
    scene.fill(slot);
  });
  assert.ok(seconds <= 5, `${seconds} s`);
});

test('a quick peer that vanishes inside a block holds it for a second', () => {
  const alone = finish(world(0), 0, () => {});
  const seconds = finish(world(1), 1, (scene, slot, step) => {
    if (step < 3) scene.deliver(slot);
    else scene.begin(slot);
    scene.fill(slot);
  });
  assert.ok(seconds <= alone + 1.2, `${seconds} s, ${alone} s without it`);
});

test('one whose blocks took a second before is waited for as long as two of them', () => {
  const scene = world(1);
  const seconds = finish(scene, 1, (own, slot, step) => {
    if (step === 10 || step === 28) own.end(slot);
    own.begin(slot);
    own.fill(slot);
  });
  assert.ok(!scene.dropped.has(1 as PeerSlot) && seconds > 2.5, `dropped, ${seconds} s`);
});
