/** Slots whose owners take next to nothing do not count: others are served beside them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crowd, type Scene } from './choke-scene.js';

const MIB = 1024 * 1024;

/** A seed; everybody is to blame for what it takes. */
function seed(peerCount: number, uploadSlots: number): Scene {
  const scene = crowd(peerCount, uploadSlots);
  scene.isComplete = true;
  scene.peers.isHeldUp.fill(0);
  return scene;
}

function join(scene: Scene, slot: number): void {
  scene.join(slot);
  scene.peers.isHeldUp[slot] = 0;
  scene.interest(slot);
}

test('peers that take nothing keep nobody from being served', () => {
  const scene = seed(65, 8);
  scene.leave(64);
  scene.pass(1);
  assert.equal(scene.unchoked.length, 8, 'they are given some seconds');
  scene.pass(40);
  assert.equal(scene.unchoked.length, 64);
  join(scene, 64);
  assert.ok(scene.unchoked.includes(64), 'who comes now is served at once');
  scene.pass(60, [], (slot) => (slot === 64 ? MIB : 1));
  assert.ok(scene.servedSec[64]! >= 60 - 1, `${scene.servedSec[64]} s of 60`);
});

test('beyond some idle peers a slot goes round among those that did not leave one unused', () => {
  const scene = seed(101, 1);
  scene.leave(100);
  scene.pass(300);
  assert.ok(scene.unchoked.length <= 18 && scene.unchoked.length >= 17);
  join(scene, 100);
  assert.ok(scene.unchoked.includes(100));
  assert.ok(scene.unchoked.length <= 18 && scene.unchoked.length >= 17);
  scene.pass(10, [], (slot) => (slot === 100 ? MIB : 0));
  assert.ok(scene.unchoked.includes(100));
});

test('a trickle is nothing beside what the uplink can do', () => {
  const scene = seed(9, 8);
  const takes = (slot: number): number => (slot === 0 ? 8 * MIB : 2048);
  for (let second = 0; second < 20; second++) {
    scene.rates.uploadedBytes += 8 * MIB;
    scene.pass(1, [], takes);
  }
  assert.equal(scene.unchoked.length, 9, 'seven of eight leave their slots unused');
});

test('on a slow uplink small shares are shares', () => {
  const scene = seed(20, 8);
  for (let second = 0; second < 30; second++) {
    scene.rates.uploadedBytes += 16 * 1024;
    scene.pass(1, [], () => 2048);
    assert.equal(scene.unchoked.length, 8);
  }
});

test('who waits for our disk or our rate limit is not idle', () => {
  const scene = crowd(20, 8);
  scene.isComplete = true;
  scene.pass(30);
  assert.equal(scene.unchoked.length, 8);
});

test('who takes again what others have taken over waits for a round; where there is room it stays', () => {
  const scene = seed(3, 1);
  scene.pass(20);
  assert.equal(scene.unchoked.length, 3);
  for (let second = 0; second < 11; second++) {
    scene.rates.uploadedBytes += 3 * MIB;
    scene.pass(1, [], () => MIB);
  }
  assert.equal(scene.unchoked.length, 1);
});
