import assert from 'node:assert/strict';
import test from 'node:test';
import type { PeerSlot } from '../../src/metainfo/geometry.js';
import { Choker } from '../../src/scheduler/choker.js';
import { Peers } from '../../src/scheduler/peers.js';
import { RollingRates } from '../../src/scheduler/rate.js';
import type { SchedulerSink } from '../../src/scheduler/sink.js';
import { seeded } from './world.js';

const NEW_MS = 30_000;

class Scene {
  readonly peers: Peers;
  readonly given: RollingRates;
  readonly taken: RollingRates;
  readonly choker: Choker;
  readonly log: string[] = [];
  readonly turns: number[];
  nowMs = 0;
  isComplete = false;

  constructor(peerCount: number, uploadSlots: number, seed = 1) {
    this.peers = new Peers(peerCount, 8);
    this.given = new RollingRates(peerCount);
    this.taken = new RollingRates(peerCount);
    this.turns = new Array<number>(peerCount).fill(0);
    const sink = { choke: (slot: PeerSlot, isChoked: boolean) => this.log.push(`${isChoked ? '-' : '+'}${slot}`) };
    const options = { rows: peerCount, uploadSlots, random: seeded(seed) };
    const rates = { given: this.given, taken: this.taken };
    this.choker = new Choker(this.peers, rates, sink as unknown as SchedulerSink, options);
  }

  join(slot: number): void {
    this.peers.join(slot, this.nowMs);
    this.given.reset(slot, this.nowMs);
    this.taken.reset(slot, this.nowMs);
    this.choker.joined(slot, this.nowMs);
  }

  interest(slot: number, isInterested = true): void {
    this.peers.isPeerInterested[slot] = isInterested ? 1 : 0;
    this.choker.interestChanged(slot, this.nowMs);
    this.choker.checkInvariants();
  }

  /** Seconds pass in which peer i gives `gives[i]` bytes a second and, while unchoked, takes `takes[i]`. */
  pass(seconds: number, gives: readonly number[] = [], takes: readonly number[] = []): void {
    for (let count = 0; count < seconds; count++) {
      this.nowMs += 1000;
      for (let index = 0; index < this.peers.active.size; index++) {
        const slot = this.peers.active.at(index);
        if ((gives[slot] ?? 0) > 0) {
          this.given.add(slot, gives[slot]!, this.nowMs);
          this.peers.gaveMs[slot] = this.nowMs;
        }
        if (this.peers.isChoking[slot] === 0) this.taken.add(slot, takes[slot] ?? 0, this.nowMs);
      }
      const before = this.choker.optimistic;
      this.choker.tick(this.nowMs, this.isComplete);
      if (this.choker.optimistic !== before && this.choker.optimistic >= 0) this.turns[this.choker.optimistic]!++;
      this.choker.checkInvariants();
    }
  }

  get unchoked(): number[] {
    return [...this.peers.isChoking.keys()].filter(
      (slot) => this.peers.active.has(slot) && this.peers.isChoking[slot] === 0,
    );
  }
}

function crowd(peerCount: number, uploadSlots: number, seed = 1): Scene {
  const scene = new Scene(peerCount, uploadSlots, seed);
  for (let slot = 0; slot < peerCount; slot++) scene.join(slot);
  for (let slot = 0; slot < peerCount; slot++) scene.interest(slot);
  return scene;
}

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

test('through 90 minutes the optimistic slot is shared within 10 % of the mean by 20 peers', () => {
  const scene = crowd(20, 4);
  const gives = Array.from({ length: 20 }, (_, slot) => (slot < 3 ? 100 : 0));
  scene.pass(40, gives);
  scene.turns.fill(0);
  scene.pass(90 * 60, gives);
  const rest = scene.turns.slice(3);
  const mean = rest.reduce((sum, turns) => sum + turns, 0) / rest.length;
  assert.ok(mean > 9, `${rest}`);
  for (const turns of rest) assert.ok(Math.abs(turns - mean) <= Math.max(1, mean * 0.1), `${rest}`);
});

test('a new peer gets the optimistic slot three times as often as an old one', () => {
  let fresh = 0;
  const runs = 600;
  for (let seed = 1; seed <= runs; seed++) {
    const scene = crowd(8, 2, seed);
    scene.peers.leave(7);
    const gives = [100, 0, 0, 0, 0, 0, 0, 0];
    scene.pass(90, gives);
    scene.join(7);
    scene.interest(7);
    const before = scene.choker.optimistic;
    while (scene.choker.optimistic === before) scene.pass(1, gives);
    if (scene.nowMs - scene.peers.joinedMs[7]! < NEW_MS && scene.choker.optimistic === 7) fresh++;
  }
  // Five old candidates with weight 1, one new with weight 3.
  assert.ok(Math.abs(fresh / runs - 3 / 8) < 0.08, `${fresh} of ${runs}`);
});

test('as a seed, fast takers are preferred but nobody waits for ever', () => {
  const scene = crowd(12, 4);
  scene.isComplete = true;
  const takes = Array.from({ length: 12 }, (_, slot) => (slot + 1) * 100);
  const served = new Array<number>(12).fill(0);
  for (let minute = 0; minute < 60; minute++) {
    scene.pass(60, [], takes);
    for (const slot of scene.unchoked) served[slot]!++;
  }
  for (const [slot, minutes] of served.entries()) assert.ok(minutes > 0, `slot ${slot} was never served: ${served}`);
  assert.ok(served[11]! > served[0]!, `${served}`);
});
