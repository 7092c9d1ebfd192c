import test from 'node:test';
import fc from 'fast-check';
import type { PeerSlot, PieceIndex } from '../../src/metainfo/geometry.js';
import { PRIORITIES, type Priority } from '../../src/scheduler/pieces/priority.js';
import { deliverRun } from './run-steps.js';
import { seeded, World } from './world.js';

const SLOTS = 6;
const KIB = 1024;

type Happening = (world: World, slot: number, pick: number) => void;

/** What may happen to a peer that is there. */
const PEER_EVENTS: readonly Happening[] = [
  (world, slot, pick) => {
    if (pick % 4 === 0) world.leave(slot);
  },
  (world, slot) => {
    if (world.peers.get(slot)!.isChoking) world.unchoke(slot);
  },
  (world, slot, pick) => {
    if (pick % 3 === 0 && !world.peers.get(slot)!.isChoking) world.choke_(slot);
  },
  (world, slot, pick) => world.have(slot, pick % world.geometry.pieceCount),
  (world, slot, pick) => world.lack(slot, pick % world.geometry.pieceCount),
  (world, slot) => {
    world.begin(slot);
  },
  (world, slot) => world.end(slot),
  (world, slot, pick) => {
    for (let count = 0; count < pick % 8; count++) world.deliver(slot);
    world.fill(slot);
  },
  (world, slot, pick) => {
    for (let count = 0; count < 8; count++) if (deliverRun(world, slot, 1 + (pick % 9)) === 0) world.deliver(slot);
    world.fill(slot);
  },
  (world, slot, pick) => {
    if (world.peers.get(slot)!.isFast) world.reject(slot);
    world.scheduler.peerInterested(slot as PeerSlot, pick % 2 === 0, world.nowMs);
  },
];

/** What happens around the peers. */
const WORLD_EVENTS: readonly Happening[] = [
  (world) => {
    for (const piece of [...world.opening]) if (world.random() < 0.9) world.makeReady(piece, leftBlocks(world, piece));
    for (const piece of [...world.opening]) if (world.random() < 0.3) world.abandon(piece);
    world.scheduler.fillHungry(world.nowMs);
  },
  (world) => {
    for (const piece of [...world.verifying]) world.verify(piece, world.random() < 0.8);
  },
  (world, _slot, pick) => {
    world.isFull = pick % 5 === 0;
  },
  (world, _slot, pick) => world.pass(pick * 20),
  (world, _slot, pick) => world.pass(1000 + pick * 200),
  (world, _slot, pick) => {
    const piece = Math.floor(world.random() * world.geometry.pieceCount);
    world.prioritize(piece, (pick % PRIORITIES) as Priority);
  },
  (world, slot, pick) => {
    const first = Math.floor(world.random() * world.geometry.pieceCount);
    const pieces = Array.from({ length: pick % 7 }, (_, step) => (first + step) % world.geometry.pieceCount);
    world.read(pieces, slot % 2 === 0);
  },
];

function join(world: World, slot: number, pick: number): void {
  const { pieceCount } = world.geometry;
  const some = Array.from({ length: pieceCount }, (_, piece) => piece).filter(() => world.random() < 0.5);
  world.join(slot, pick % 3 === 0 ? 'all' : some, {
    fast: pick % 2 === 0,
    runBlocks: 2 ** (pick % 4),
    runs: pick % 5 === 0 ? 'anywhere' : 'none',
    number: pick % 7 === 0 ? null : pick,
  });
}

/** One random event; an event for a peer that is not there brings it. */
function happen(world: World, kind: number, slot: number, pick: number): void {
  const isAround = kind < WORLD_EVENTS.length;
  if (isAround) WORLD_EVENTS[kind]!(world, slot, pick);
  else if (world.peers.has(slot)) PEER_EVENTS[kind - WORLD_EVENTS.length]!(world, slot, pick);
  else join(world, slot, pick);
}

test('whatever happens in whatever order, nothing is asked twice, asked in vain or lost, and all counts agree', () => {
  const event = fc.tuple(fc.nat(PEER_EVENTS.length + WORLD_EVENTS.length - 1), fc.nat(SLOTS - 1), fc.nat(255));
  const shape = fc.record({
    seed: fc.nat(),
    pieceLengthBytes: fc.constantFrom(16 * KIB, 32 * KIB, 50_000, 80 * KIB, 7_000, 256 * KIB, 170_000),
    pieces: fc.integer({ min: 1, max: 40 }),
    openPieces: fc.constantFrom(1, 2, 3, 8, 1000),
    uploadSlots: fc.constantFrom(0, 1, 2, 4, Number.POSITIVE_INFINITY),
    isSequential: fc.boolean(),
    hasPriorities: fc.boolean(),
    forward: fc.constantFrom(null, { ownNumber: 100 }),
    events: fc.array(event, { minLength: 1, maxLength: 400, size: 'max' }),
  });
  fc.assert(
    fc.property(shape, ({ events, pieces, hasPriorities, ...options }) => {
      const lengthBytes = Math.max(1, pieces * options.pieceLengthBytes - 3_000);
      const dice = seeded(options.seed);
      const priorities = Uint8Array.from({ length: Math.ceil(lengthBytes / options.pieceLengthBytes) }, () =>
        Math.floor(dice() * PRIORITIES),
      );
      const world = new World({ ...options, ...(hasPriorities ? { priorities } : {}), lengthBytes, maxSlots: SLOTS });
      for (const [kind, slot, pick] of events) {
        happen(world, kind, slot, pick);
        world.check();
      }
    }),
    { numRuns: 200, includeErrorInReport: true },
  );
});

/** Now and then an earlier run has left some of a piece, or all of it. */
function leftBlocks(world: World, piece: number): number[] {
  if (world.random() < 0.7) return [];
  const share = world.random() * 1.3;
  const blocks = Array.from({ length: world.geometry.blockCount(piece as PieceIndex) }, (_, block) => block);
  return blocks.filter(() => world.random() < share);
}
