import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { PeerSlot } from '../../src/metainfo/geometry.js';
import { seeded, World, type WorldOptions } from './world.js';

const KIB = 1024;
const STEP_MS = 250;

type Manner = 'good' | 'slow' | 'silent' | 'stalling' | 'rejecting' | 'choking' | 'leaving' | 'corrupt';

/**
 * Runs until complete; returns the virtual seconds it took. Slot 0 is a steady peer with everything, unless
 * `distributed`.
 */
function finish(options: WorldOptions, manners: readonly Manner[], distributed = false, limitMs = 3_600_000): number {
  const world = new World({ maxSlots: manners.length, ...options });
  const dice = seeded(options.seed ^ 0x5bd1);
  const { pieceCount } = world.geometry;
  const shares = manners.map((_, slot) =>
    Array.from({ length: pieceCount }, (_unused, piece) => piece).filter(
      (piece) => !distributed || piece % manners.length === slot || dice() < 0.3,
    ),
  );
  const banned = new Set<number>();
  let checks = 0;
  while (!world.scheduler.isComplete) {
    assert.ok(
      world.nowMs < limitMs,
      `seed ${options.seed}: ${world.verified.size} of ${pieceCount} after ${limitMs} ms`,
    );
    manners.forEach((manner, slot) => {
      if (!world.peers.has(slot)) {
        if (banned.has(slot) || (manner === 'leaving' && dice() < 0.9)) return;
        world.join(slot, distributed ? shares[slot]! : 'all', { fast: slot % 2 === 0 });
        world.unchoke(slot);
        return;
      }
      act(world, slot, manner, dice);
    });
    for (const piece of [...world.verifying]) {
      const blocks = Array.from({ length: world.geometry.blockCount(piece as never) }, (_, block) => block);
      const senders = blocks.map((block) => world.scheduler.view.senderOf(piece as never, block as never));
      const bad = senders.filter((slot) => slot >= 0 && manners[slot] === 'corrupt');
      const failed = world.verify(piece, bad.length === 0);
      assert.deepEqual([...failed].sort(), bad.length === 0 ? [] : [...new Set(senders)].filter((s) => s >= 0).sort());
      for (const slot of bad) banned.add(slot);
    }
    for (const slot of [...banned, ...world.dropped]) if (world.peers.has(slot)) world.leave(slot);
    if (dice() < 0.7) for (const piece of [...world.opening]) world.makeReady(piece);
    world.scheduler.fillHungry(world.nowMs);
    world.pass(STEP_MS);
    if (checks++ % 8 === 0) world.check();
  }
  world.check();
  return world.nowMs / 1000;
}

function act(world: World, slot: number, manner: Manner, dice: () => number): void {
  const isChoking = world.scheduler.view.isPeerChoking(slot as PeerSlot);
  if (isChoking) {
    if (dice() < 0.2) world.unchoke(slot);
    return;
  }
  if (manner === 'silent') return;
  if (manner === 'stalling') {
    world.begin(slot);
    return;
  }
  if (manner === 'choking' && dice() < 0.2) {
    world.choke_(slot);
    return;
  }
  if (manner === 'leaving' && dice() < 0.1) {
    world.leave(slot);
    return;
  }
  if (manner === 'rejecting' && dice() < 0.9) {
    world.reject(slot);
    world.fill(slot);
    return;
  }
  if (manner === 'slow' && dice() < 0.95) return;
  const blocks = manner === 'slow' ? 1 : 4;
  for (let count = 0; count < blocks; count++) world.deliver(slot);
  world.fill(slot);
}

test('one good peer completes a torrent among silent, stalling, rejecting, choking, leaving and corrupt ones', () => {
  const manners: Manner[] = ['good', 'silent', 'stalling', 'rejecting', 'choking', 'leaving', 'corrupt', 'slow'];
  for (let seed = 1; seed <= 10; seed++) {
    const seconds = finish({ seed, lengthBytes: 3_000_000, pieceLengthBytes: 64 * KIB, openPieces: 6 }, manners);
    assert.ok(seconds < 300, `seed ${seed} took ${seconds} s`);
  }
});

test('a torrent of one block completes', () => {
  finish({ seed: 1, lengthBytes: 1, pieceLengthBytes: 16 * KIB }, ['good', 'silent']);
});

test('pieces of odd lengths complete', () => {
  finish({ seed: 2, lengthBytes: 1_234_567, pieceLengthBytes: 49_999 }, ['good', 'choking', 'good']);
});

test('with room for one piece a swarm in which everyone has a part of the data completes', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const options = { seed, lengthBytes: 2_000_000, pieceLengthBytes: 100_000, openPieces: 1 };
    finish(options, ['good', 'good', 'slow', 'choking', 'good', 'rejecting'], true);
  }
});

test('the only source of a piece may be late again and again: its blocks are asked for again until it delivers', () => {
  const seconds = finish({ seed: 3, lengthBytes: 400_000, pieceLengthBytes: 64 * KIB, openPieces: 2 }, ['slow']);
  assert.ok(seconds < 1_800, `took ${seconds} s`);
});

test('any swarm with a copy of every piece completes in bounded virtual time', () => {
  const manner = fc.constantFrom<Manner>('good', 'slow', 'rejecting', 'choking', 'leaving');
  const shape = fc.record({
    seed: fc.nat(),
    pieceLengthBytes: fc.constantFrom(16 * KIB, 40_000, 128 * KIB),
    lengthBytes: fc.integer({ min: 1, max: 800_000 }),
    openPieces: fc.constantFrom(1, 2, 5, 100),
    requestsPerPeer: fc.constantFrom(1, 5, 2000),
  });
  fc.assert(
    fc.property(
      shape,
      fc.array(manner, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (options, manners, distributed) => {
        finish(options, manners, distributed);
      },
    ),
    { numRuns: 60, includeErrorInReport: true },
  );
});

test('a slow peer whose requests were all taken over and cancelled is asked again', () => {
  const world = new World({ seed: 1, lengthBytes: 512 * KIB, pieceLengthBytes: 64 * KIB, openPieces: 1 });
  const [slow, fast] = [0, 1];
  world.join(slow, 'all');
  world.unchoke(slow);
  world.settle();
  world.pass(2500);
  world.join(fast, 'all');
  world.unchoke(fast);
  while (world.verifying.size === 0) {
    world.deliver(fast);
    world.fill(fast);
    world.pass(10);
  }
  assert.equal(world.cancels.filter(({ slot }) => slot === slow).length, 4);
  world.leave(fast);
  world.settle();
  world.settle();
  assert.ok(world.scheduler.view.requestsInFlight(slow as PeerSlot) > 0);
  world.check();
});
