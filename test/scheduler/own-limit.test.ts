/**
 * Our own download limit in virtual time: what we leave unread is not late, and no more is asked for than the limit
 * lets in.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { PeerSlot } from '../../src/metainfo/geometry.js';
import { RateLimit, Throttle } from '../../src/peer/throttle.js';
import { Turns } from '../../src/peer/turns.js';
import { World } from './world.js';

const KIB = 1024;
const STEP_MS = 100;
const HEADER_BYTES = 13;

interface Reader {
  isHeld: boolean;
  sinceMs: number;
  heldMs: number;
  /** Bytes of the block under way that were not read. */
  leftBytes: number;
}

/** A world whose owner reads through a real throttle. Who is not `mayGive` sends nothing now. */
class LimitedWorld {
  readonly world: World;
  readonly turns = new Turns(true);
  readonly throttle: Throttle;
  readonly readers = new Map<number, Reader>();
  mostAsked = 0;
  mayGive: (slot: number, nowMs: number) => boolean = () => true;

  constructor(pieces: number, peers: number, bytesPerSec: number) {
    this.world = new World({
      seed: 1,
      lengthBytes: pieces * 32 * KIB,
      pieceLengthBytes: 32 * KIB,
      openPieces: 16,
      maxSlots: peers,
      downloadBytesPerSec: bytesPerSec,
    });
    this.throttle = new Throttle([new RateLimit(bytesPerSec, 0)], this.turns);
    for (let slot = 0; slot < peers; slot++) {
      this.readers.set(slot, { isHeld: false, sinceMs: 0, heldMs: 0, leftBytes: 0 });
      this.world.join(slot, 'all', { fast: true });
      this.world.unchoke(slot);
    }
  }

  get asked(): number {
    return [...this.world.peers.values()].filter((peer) => peer.asked.size > 0).length;
  }

  /** Until complete; the virtual seconds. */
  run(mostSeconds: number): number {
    const { world, throttle, turns } = this;
    for (let step = 1; !world.scheduler.isComplete; step++) {
      assert.ok(step < mostSeconds * 10, `${world.verified.size} of ${world.geometry.pieceCount} in ${mostSeconds} s`);
      for (const limit of throttle.limits) limit.refill(world.nowMs);
      turns.serve(throttle.readBytes, () => throttle.isDry);
      for (const [slot, reader] of this.readers) {
        if (world.dropped.has(slot)) this.#leave(slot);
        else if (!reader.isHeld && this.mayGive(slot, world.nowMs)) this.#read(slot, reader);
      }
      world.settle();
      if (step % 10 === 0) this.#tellHeld();
      if (step % 10 === 0) world.pass(STEP_MS);
      else world.nowMs += STEP_MS;
      this.mostAsked = Math.max(this.mostAsked, this.asked);
      world.check();
    }
    return world.nowMs / 1000;
  }

  #leave(slot: number): void {
    this.world.leave(slot);
    this.readers.delete(slot);
  }

  #read(slot: number, reader: Reader): void {
    const { world, throttle } = this;
    let room = throttle.readBytes;
    while (room > 0) {
      if (reader.leftBytes === 0) {
        if (world.begin(slot) === null) break;
        reader.leftBytes = 16 * KIB + HEADER_BYTES;
      }
      const bytes = Math.min(room, reader.leftBytes);
      room -= bytes;
      reader.leftBytes -= bytes;
      if (reader.leftBytes > 0) continue;
      world.end(slot);
      world.fill(slot);
    }
    throttle.take(throttle.readBytes - room);
    if (room === throttle.readBytes || !throttle.isDry) return;
    reader.isHeld = true;
    reader.sinceMs = world.nowMs;
    throttle.wait(() => {
      reader.isHeld = false;
      reader.heldMs += world.nowMs - reader.sinceMs;
    });
  }

  #tellHeld(): void {
    const { nowMs, scheduler } = this.world;
    for (const [slot, reader] of this.readers) {
      if (reader.isHeld) {
        reader.heldMs += nowMs - reader.sinceMs;
        reader.sinceMs = nowMs;
      }
      scheduler.setHeldBack(slot as PeerSlot, reader.heldMs, nowMs);
      reader.heldMs = 0;
    }
  }
}

for (const [bytesPerSec, mostAsked] of [
  [1000, 2],
  [4000, 2],
  [20_000, 4],
] as const) {
  test(`twelve seeds at ${bytesPerSec} B/s: few are asked, nobody is late, every block comes once`, () => {
    const scene = new LimitedWorld(4, 12, bytesPerSec);
    const seconds = scene.run((1.2 * 4 * 32 * KIB) / bytesPerSec + 20);
    assert.ok(seconds > (0.7 * 4 * 32 * KIB) / bytesPerSec, `${seconds} s`);
    assert.equal(scene.readers.size, 12);
    for (let slot = 0; slot < 12; slot++) assert.equal(scene.world.scheduler.view.timesLate(slot as PeerSlot), 0);
    assert.equal(scene.world.doubled, 0);
    assert.ok(scene.mostAsked <= mostAsked, `${scene.mostAsked} were asked`);
  });
}

test('where peers are slower than the limit, more and more of them are asked', () => {
  const scene = new LimitedWorld(60, 12, 20_000);
  // A whole block every eight seconds each: 2 kB/s.
  const gaveMs = new Map<number, number>();
  scene.mayGive = (slot, nowMs) => {
    if (nowMs - (gaveMs.get(slot) ?? 0) < 8000 + slot) return false;
    if (scene.world.peers.get(slot)!.asked.size + scene.readers.get(slot)!.leftBytes > 0) gaveMs.set(slot, nowMs);
    return true;
  };
  // 169 s where all are asked from the start.
  scene.run(190);
  assert.equal(scene.mostAsked, 12);
  assert.equal(scene.readers.size, 12);
});

test('one that takes the requests of a low limit and gives nothing, or half a block, is passed by', () => {
  for (const given of ['nothing', 'half a block'] as const) {
    const scene = new LimitedWorld(4, 12, 4000);
    const bad = [...scene.world.peers].find(([, peer]) => peer.asked.size > 0)?.[0];
    scene.mayGive = (slot) => slot !== bad && slot !== 11;
    scene.world.settle();
    if (given === 'half a block') assert.notEqual(scene.world.begin(11), null);
    scene.run(120);
  }
});
