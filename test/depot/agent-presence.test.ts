/** Blobs that sleep are announced: not too many at once, when the tracker wants it, not while they speak themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AGENT_LIMITS } from '../../src/depot/agent/limits.js';
import { Presence } from '../../src/depot/agent/presence.js';

function hashOf(number: number): string {
  return number.toString(16).padStart(40, '0');
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a few are announced in each second, and again when their time has come', async () => {
  const told: string[] = [];
  let nowMs = 0;
  const presence = new Presence({
    announce: async (infoHash) => {
      told.push(infoHash);
      return 120_000;
    },
    isAwake: () => false,
    isAway: () => false,
    now: () => nowMs,
  });
  for (let number = 0; number < 10; number++) presence.add(hashOf(number));
  presence.tick();
  assert.equal(told.length, AGENT_LIMITS.announces);
  for (let turn = 0; turn < 5; turn++) {
    await settle();
    nowMs += 1_000;
    presence.tick();
  }
  assert.deepEqual(
    [...told].sort(),
    Array.from({ length: 10 }, (_, number) => hashOf(number)),
  );
  nowMs = 119_000;
  presence.tick();
  assert.equal(told.length, 10);
  nowMs = 120_000;
  presence.tick();
  assert.equal(told.length, 14);
});

test('one that is awake speaks for itself, and is announced soon after it fell asleep', async () => {
  const told: string[] = [];
  let nowMs = 0;
  let isAwake = true;
  const presence = new Presence({
    announce: async (infoHash) => {
      told.push(infoHash);
      return null;
    },
    isAwake: () => isAwake,
    isAway: () => false,
    now: () => nowMs,
  });
  presence.add(hashOf(1));
  presence.tick();
  assert.deepEqual(told, []);
  isAwake = false;
  nowMs = 1_000;
  presence.tick();
  assert.deepEqual(told, [], 'its goodbye is on the way still');
  nowMs = 5_000;
  presence.tick();
  assert.deepEqual(told, [hashOf(1)]);
});

test('of too many those that were used last are announced, and nobody while the depot is away', async () => {
  const told: string[] = [];
  let isAway = true;
  const presence = new Presence({
    announce: async (infoHash) => {
      told.push(infoHash);
      return null;
    },
    isAwake: () => false,
    isAway: () => isAway,
    now: () => 0,
  });
  for (let number = 0; number <= AGENT_LIMITS.announced; number++) presence.add(hashOf(number));
  assert.equal(presence.count, AGENT_LIMITS.announced);
  presence.tick();
  assert.deepEqual(told, []);
  isAway = false;
  presence.tick();
  assert.deepEqual(told[0], hashOf(1));
});
