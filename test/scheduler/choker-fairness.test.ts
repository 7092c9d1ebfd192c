/** Who is served for how long: the choker through 90 virtual minutes. Times are seconds of service, not turns. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { TURN_MS } from '../../src/scheduler/serve/optimistic-slot.js';
import { type BytesPerSecond, crowd, type Scene } from './choke-scene.js';
import { seeded } from './world.js';

const PEERS = 20;
const MINUTES_90_SEC = 90 * 60;
const TURN_SEC = TURN_MS / 1000;
const SEEDS = [1, 2, 3, 4, 5];

const slots = (first: number, end: number): number[] => Array.from({ length: end - first }, (_, i) => first + i);
const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function assertNearMean(values: readonly number[], most: number, what: string): void {
  const mean = meanOf(values);
  for (const value of values) assert.ok(Math.abs(value - mean) <= mean * most, `${what}: mean ${mean} of ${values}`);
}

/** Lets time pass until the peer has the optimistic slot. @returns seconds */
function untilOptimistic(scene: Scene, slot: number, gives: BytesPerSecond): number {
  const beganMs = scene.nowMs;
  while (scene.choker.optimistic !== slot) {
    scene.pass(1, gives);
    if (scene.nowMs - beganMs > 3_600_000) assert.fail(`slot ${slot} waits for ever`);
  }
  return (scene.nowMs - beganMs) / 1000;
}

/** What the peers give, and from which slot on they are counted: those before have regular slots. */
const MIXES: Readonly<Record<string, (random: () => number) => { first: number; gives: BytesPerSecond }>> = {
  'nobody gives': () => ({ first: 0, gives: [] }),
  'all give the same': () => ({ first: 0, gives: () => 100 }),
  'all give about the same': (random) => ({ first: 0, gives: () => 80 + Math.floor(40 * random()) }),
  'three strong givers': () => ({ first: 3, gives: (slot) => (slot < 3 ? 100 : 0) }),
  'three strong givers, the others a little': (random) => ({
    first: 3,
    gives: (slot) => (slot < 3 ? 100 : Math.floor(10 * random())),
  }),
};

for (const [name, mix] of Object.entries(MIXES)) {
  test(`through 90 minutes the optimistic slot is shared within 10 % of the mean by 20 peers: ${name}`, () => {
    for (const seed of SEEDS) {
      for (const uploadSlots of [1, 4]) {
        const { first, gives } = mix(seeded(seed));
        const scene = crowd(PEERS, uploadSlots, seed);
        scene.pass(MINUTES_90_SEC, gives);
        // With one slot there is no regular one.
        const shares = scene.optimisticSec.slice(uploadSlots === 1 ? 0 : first);
        assert.ok(meanOf(shares) * shares.length > 0.99 * MINUTES_90_SEC, 'the slot is in use');
        assertNearMean(shares, 0.1, `seed ${seed}, ${uploadSlots} slots`);
      }
    }
  });
}

test('those who stay share the optimistic slot within a turn, whoever comes and goes', () => {
  for (const seed of SEEDS) {
    const random = seeded(seed + 100);
    const scene = crowd(PEERS, 4, seed);
    const gives = (slot: number): number => (slot < 3 ? 100 : 0);
    for (let second = 0; second < MINUTES_90_SEC; second += 20) {
      scene.pass(20, gives);
      const guest = 15 + Math.floor(random() * 5);
      if (scene.peers.active.has(guest)) scene.leave(guest);
      else {
        scene.join(guest);
        scene.interest(guest);
      }
    }
    const stayed = scene.optimisticSec.slice(3, 15);
    const [least, most] = [Math.min(...stayed), Math.max(...stayed)];
    // A turn more or less, and the turn that is under way at the end.
    assert.ok(most - least <= 2 * TURN_SEC, `${stayed}`);
    // Guests hold at most three turns of four.
    assert.ok(least >= MINUTES_90_SEC / 4 / PEERS, `${stayed}`);
  }
});

test('a new peer gets the optimistic slot within two of its turns, 60 s, where no other newcomer waits', () => {
  const gives = (slot: number): number => (slot < 3 ? 100 : 0);
  for (let seed = 1; seed <= 60; seed++) {
    const scene = crowd(PEERS + 1, 4, seed);
    scene.leave(PEERS);
    scene.pass(700 + seed * 7, gives);
    scene.join(PEERS);
    scene.interest(PEERS);
    const waitedSec = untilOptimistic(scene, PEERS, gives);
    assert.ok(waitedSec <= 2 * TURN_SEC, `seed ${seed}: ${waitedSec} s`);
  }
});

test('who joined within two turns comes before newcomers of before', () => {
  const gives = (slot: number): number => (slot < 3 ? 100 : 0);
  for (const seed of SEEDS) {
    const scene = crowd(PEERS + 1, 4, seed);
    scene.leave(PEERS);
    // Most of the crowd are newcomers still.
    scene.pass(3 * TURN_SEC, gives);
    scene.join(PEERS);
    scene.interest(PEERS);
    assert.ok(untilOptimistic(scene, PEERS, gives) <= 2 * TURN_SEC, `seed ${seed}`);
  }
});

test('of n newcomers that wait the last is served after n turns and a third of n for the others', () => {
  const gives = (slot: number): number => (slot < 3 ? 100 : 0);
  for (const newcomers of [2, 3, 4, 6]) {
    for (const seed of SEEDS) {
      const scene = crowd(PEERS + newcomers, 4, seed);
      for (const slot of slots(PEERS, PEERS + newcomers)) scene.leave(slot);
      scene.pass(900 + seed * 13, gives);
      for (const slot of slots(PEERS, PEERS + newcomers)) {
        scene.join(slot);
        scene.interest(slot);
      }
      const waited = new Set(slots(PEERS, PEERS + newcomers));
      const beganMs = scene.nowMs;
      while (waited.size > 0) {
        scene.pass(1, gives);
        waited.delete(scene.choker.optimistic);
        const turns = newcomers + Math.ceil(newcomers / 3);
        assert.ok(scene.nowMs - beganMs <= turns * TURN_MS, `seed ${seed}: ${[...waited]} wait after ${turns} turns`);
      }
    }
  }
});

test('peers that join again and again leave every fourth turn to the others', () => {
  const gives = (slot: number): number => (slot < 3 ? 100 : 0);
  const scene = crowd(PEERS, 4);
  for (let second = 0; second < MINUTES_90_SEC; second += 10) {
    scene.pass(10, gives);
    for (const slot of slots(12, PEERS)) {
      if (scene.choker.optimistic === slot || scene.peers.isChoking[slot] === 0) continue;
      scene.leave(slot);
      scene.join(slot);
      scene.interest(slot);
    }
  }
  const loyal = scene.optimisticSec.slice(3, 12);
  assert.ok(meanOf(loyal) * loyal.length >= MINUTES_90_SEC / 4 - TURN_SEC, `${loyal}`);
});

test('who falls behind after an hour of regular slots is ahead of the others by one turn at most', () => {
  for (const seed of SEEDS) {
    const scene = crowd(PEERS, 4, seed);
    scene.pass(3600, (slot) => (slot < 3 ? 100 : 0));
    const gives = (slot: number): number => (slot >= 3 && slot < 6 ? 100 : 0);
    // Their average fades; then one cycle of the 17 that have no regular slot.
    scene.pass(30, gives);
    scene.optimisticSec.fill(0);
    scene.pass(17 * TURN_SEC, gives);
    const fallen = scene.optimisticSec.slice(0, 3);
    assert.ok(Math.max(...fallen) <= 2 * TURN_SEC, `${scene.optimisticSec}`);
    assert.ok(Math.min(...fallen) > 0, `${scene.optimisticSec}`);
  }
});

test('after every round nobody has a regular slot who gives less than a peer that is choked', () => {
  for (const seed of SEEDS) {
    const random = seeded(seed);
    const scene = crowd(PEERS, 5, seed);
    // The first round is at the first tick: from here on each step ends with a round.
    scene.pass(1);
    for (let minute = 0; minute < 90; minute++) {
      const gives = slots(0, PEERS).map(() => Math.floor(1000 * random()));
      for (let round = 0; round < 6; round++) {
        scene.pass(10, gives);
        const regular = scene.unchoked.filter((slot) => slot !== scene.choker.optimistic);
        assert.equal(regular.length, 4);
        const least = Math.min(...regular.map((slot) => scene.given.average(slot, scene.nowMs)));
        for (const slot of slots(0, PEERS)) {
          if (scene.peers.isChoking[slot] === 0) continue;
          const rate = scene.given.average(slot, scene.nowMs);
          assert.ok(rate <= least, `slot ${slot} gives ${rate}, a regular one ${least}`);
        }
      }
    }
  }
});

test('contributors are served in the order of what they give', () => {
  for (const seed of SEEDS) {
    const random = seeded(seed);
    const scene = crowd(PEERS, 5, seed);
    // Peer i gives (i + 1) on average, now more, now less.
    scene.pass(MINUTES_90_SEC, (slot) => Math.floor((slot + 1) * 1000 * 2 * random()));
    for (const slot of slots(1, PEERS)) {
      const [worse, better] = [scene.servedSec[slot - 1]!, scene.servedSec[slot]!];
      assert.ok(worse <= better + 2 * TURN_SEC, `slot ${slot}: ${scene.servedSec}`);
    }
    assert.ok(meanOf(scene.servedSec.slice(16)) > 10 * meanOf(scene.servedSec.slice(0, 10)), `${scene.servedSec}`);
  }
});

test('free riders get nothing but the optimistic slot', () => {
  for (const seed of SEEDS) {
    const scene = crowd(PEERS, 4, seed);
    // Six give, the others nothing.
    const gives = (slot: number): number => (slot < 6 ? 100 + slot : 0);
    scene.pass(60, gives);
    for (const seconds of [scene.servedSec, scene.optimisticSec]) seconds.fill(0);
    scene.pass(MINUTES_90_SEC, gives);
    const riders = slots(6, PEERS);
    const fairShareSec = MINUTES_90_SEC / (PEERS - 3);
    for (const slot of riders) {
      assert.equal(scene.servedSec[slot], scene.optimisticSec[slot], `slot ${slot}`);
      assert.ok(scene.servedSec[slot]! <= fairShareSec + 2 * TURN_SEC, `slot ${slot}: ${scene.servedSec}`);
    }
  }
});

/** A seed for 90 minutes, after ten to begin. @returns seconds unchoked, by slot */
function served(takes: BytesPerSecond, uploadSlots: number, seed: number): Scene {
  const scene = crowd(PEERS, uploadSlots, seed);
  scene.isComplete = true;
  scene.pass(600, [], takes);
  for (const seconds of [scene.servedSec, scene.optimisticSec]) seconds.fill(0);
  scene.pass(MINUTES_90_SEC, [], takes);
  return scene;
}

test('a seed serves takers of one speed within 1 % of the mean, of about one speed within 50 %', () => {
  for (const seed of SEEDS) {
    for (const uploadSlots of [2, 4, 8]) {
      const random = seeded(seed);
      assertNearMean(served(() => 100, uploadSlots, seed).servedSec, 0.01, `${uploadSlots} slots`);
      const takes = (): number => 80 + Math.floor(40 * random());
      assertNearMean(served(takes, uploadSlots, seed).servedSec, 0.5, `${uploadSlots} slots, about one speed`);
    }
  }
});

test('a seed serves takers of 1 : 20: none takes over 2.2 times the mean, nor has under half an even share', () => {
  for (const seed of SEEDS) {
    const { servedSec, optimisticSec, tookBytes } = served((slot) => (slot + 1) * 100, 4, seed);
    const even = (4 * MINUTES_90_SEC) / PEERS;
    // A turn of a minute is not cut short, and the optimistic slot is everybody's.
    for (const bytes of tookBytes) assert.ok(bytes < 2.2 * meanOf(tookBytes), `${tookBytes}`);
    for (const seconds of servedSec) assert.ok(seconds >= even / 2 && seconds <= 4 * even, `${servedSec}`);
    assertNearMean(optimisticSec, 0.2, 'optimistic slot');
  }
});

test('a seed takes a slot back from a peer that takes nothing for 20 s, although its minute is not over', () => {
  const scene = crowd(PEERS, 4);
  scene.isComplete = true;
  scene.pass(600, [], () => 100);
  const idle = scene.choker.optimistic;
  while (scene.choker.optimistic === idle) scene.pass(1, [], () => 100);
  assert.ok(scene.unchoked.includes(idle), 'the optimistic peer got a regular slot');
  scene.pass(20, [], (slot) => (slot === idle ? 0 : 100));
  assert.ok(!scene.unchoked.includes(idle));
});
