import assert from 'node:assert/strict';
import test from 'node:test';
import { crowd } from './choke-scene.js';

test('a newly interested peer is unchoked at once while a slot is free, and no further', () => {
  const scene = crowd(6, 4);
  assert.deepEqual(scene.log, ['+0', '+1', '+2', '+3']);
});

test('a slot that becomes free goes to whoever waits longest', () => {
  const scene = crowd(6, 4);
  scene.interest(2, false);
  assert.deepEqual(scene.log.slice(4), ['-2', '+4']);
  scene.choker.left(0, scene.nowMs);
  scene.peers.leave(0);
  assert.deepEqual(scene.unchoked, [1, 3, 4, 5]);
});

test('after a round the three who gave most are unchoked, and one more', () => {
  const scene = crowd(8, 4);
  scene.pass(21, [0, 50, 10, 0, 90, 20, 0, 70]);
  assert.equal(scene.unchoked.length, 4);
  for (const slot of [1, 4, 7]) assert.ok(scene.unchoked.includes(slot), `slot ${slot}`);
  assert.ok(![1, 4, 7].includes(scene.choker.optimistic));
});

test('peers that are not interested take no slot, whatever they give', () => {
  const scene = crowd(8, 4);
  scene.interest(4, false);
  scene.pass(21, [0, 50, 10, 0, 90, 20, 0, 70]);
  assert.ok(!scene.unchoked.includes(4));
  for (const slot of [1, 5, 7]) assert.ok(scene.unchoked.includes(slot));
});

test('messages go out only when something changes', () => {
  const scene = crowd(3, 4);
  scene.pass(100, [5, 6, 7]);
  assert.deepEqual(scene.log, ['+0', '+1', '+2']);
});

test('without a limit everyone interested is unchoked and stays so', () => {
  const scene = crowd(40, Number.POSITIVE_INFINITY);
  scene.pass(120);
  assert.equal(scene.unchoked.length, 40);
  assert.equal(scene.log.length, 40);
});

test('no slots: nobody; one slot: one peer at a time, and everyone in turn', () => {
  assert.deepEqual(crowd(3, 0).log, []);
  const scene = crowd(4, 1);
  scene.pass(600);
  assert.equal(scene.unchoked.length, 1);
  for (const turns of scene.turns) assert.ok(turns >= 3, `${scene.turns}`);
});

test('who gave nothing for a minute although we want from it is not paid back', () => {
  const scene = crowd(8, 4);
  const gives = [0, 50, 10, 30, 90, 20, 40, 70];
  for (const slot of gives.keys()) scene.peers.isInterested[slot] = 1;
  scene.pass(50, gives);
  const quiet = [...gives];
  quiet[4] = 0;
  // Its 20 s average is gone, but so is everyone else's: only the anti-snub rule tells them apart.
  scene.pass(
    61,
    quiet.map((bytes) => (bytes > 0 ? 1 : 0)),
  );
  scene.given.add(4, 1_000_000, scene.nowMs);
  scene.pass(
    10,
    quiet.map((bytes) => (bytes > 0 ? 1 : 0)),
  );
  assert.ok(!scene.unchoked.includes(4) || scene.choker.optimistic === 4);
});
