/** The picker against a slow and obvious one that sorts everything and knows nothing of orders, words and ranges. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { Clock } from '../../src/scheduler/clock.js';
import { Holdings } from '../../src/scheduler/peers/holdings.js';
import { Peers } from '../../src/scheduler/peers/peers.js';
import { Availability } from '../../src/scheduler/pieces/availability.js';
import { CANDIDATES, Picker, PROBES } from '../../src/scheduler/pieces/picker.js';
import { NORMAL, PRIORITIES, type Priority, SKIP } from '../../src/scheduler/pieces/priority.js';
import type { SchedulerSink } from '../../src/scheduler/sink.js';
import { seeded } from './world.js';

const SLOTS = 8;

interface Model {
  readonly isSequential: boolean;
  readonly priorities: Uint8Array;
  readonly states: ('closed' | 'open' | 'verified')[];
  readonly peers: Map<number, Set<number>>;
}

interface Best {
  /** The pieces of the highest priority in which the peer has one that may be opened. */
  readonly among: readonly number[];
  /** Those of them that are as good as any. */
  readonly best: readonly number[];
  /** Pieces of that priority that the peer lacks and that are as rare. */
  readonly lacked: number;
  /** No piece that may be opened has a higher priority. */
  readonly isHighest: boolean;
}

function copiesOf(model: Model, piece: number): number {
  return [...model.peers.values()].filter((pieces) => pieces.has(piece)).length;
}

function bestFor(model: Model, slot: number): Best {
  const pickable = [...model.states.keys()].filter(
    (piece) => model.states[piece] === 'closed' && model.priorities[piece] !== SKIP,
  );
  const mine = pickable.filter((piece) => model.peers.get(slot)!.has(piece));
  const top = Math.max(...mine.map((piece) => model.priorities[piece]!));
  const among = mine.filter((piece) => model.priorities[piece] === top);
  const copies = new Map(pickable.map((piece) => [piece, copiesOf(model, piece)]));
  const fewest = Math.min(...among.map((piece) => copies.get(piece)!));
  const lacked = pickable.filter(
    (piece) => model.priorities[piece] === top && !mine.includes(piece) && copies.get(piece)! <= fewest,
  );
  return {
    among,
    best: model.isSequential ? among.slice(0, 1) : among.filter((piece) => copies.get(piece) === fewest),
    lacked: lacked.length,
    isHighest: pickable.every((piece) => model.priorities[piece]! <= top),
  };
}

/** What the picker promises (see there), stated from outside. */
function checkPick(model: Model, slot: number, picked: number, isRandom: boolean): void {
  const { among, best, lacked, isHighest } = bestFor(model, slot);
  if (among.length === 0) {
    assert.equal(picked, -1);
    return;
  }
  assert.ok(among.includes(picked), `${picked} is not among ${among}`);
  if (isRandom && isHighest) return;
  if (model.isSequential || lacked < PROBES || among.length <= CANDIDATES) {
    assert.ok(best.includes(picked), `${picked} is not among the best, ${best}`);
    return;
  }
  const noRarer = among.filter((piece) => copiesOf(model, piece) >= copiesOf(model, picked));
  assert.ok(noRarer.length >= CANDIDATES, `${picked} is rarer than ${noRarer.length} pieces only`);
}

/** The real parts and the model, kept in step. */
class Pair {
  readonly model: Model;
  readonly #random: () => number;
  readonly #peers: Peers;
  readonly #availability: Availability;
  readonly #picker: Picker;
  readonly #holdings: Holdings;

  constructor(seed: number, pieceCount: number, isSequential: boolean, hasPriorities: boolean, have: Bitfield) {
    this.#random = seeded(seed);
    const priorities = new Uint8Array(pieceCount).fill(NORMAL);
    if (hasPriorities) for (const piece of priorities.keys()) priorities[piece] = this.roll(PRIORITIES);
    const states = Array.from(priorities, (_, piece) =>
      have.has(piece) ? ('verified' as const) : ('closed' as const),
    );
    this.model = { isSequential, priorities, states, peers: new Map() };
    this.#peers = new Peers(SLOTS, pieceCount);
    this.#availability = new Availability(
      pieceCount,
      SLOTS,
      (piece) => !have.has(piece),
      this.#random,
      hasPriorities ? priorities : null,
    );
    this.#picker = new Picker(this.#availability, this.#peers, SLOTS, have.count, this.#random, isSequential);
    const sink = { interested: () => {} } as Partial<SchedulerSink> as SchedulerSink;
    this.#holdings = new Holdings({
      peers: this.#peers,
      availability: this.#availability,
      picker: this.#picker,
      have,
      sink,
      clock: new Clock(),
    });
  }

  roll(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** A seed that says so, or a peer with a random share of the pieces. */
  join(slot: number, kind: number): void {
    const { pieceCount } = this.#peers;
    const bits = new Bitfield(pieceCount);
    const share = [1, 1, 0.8, 0.3, 0.05][kind % 5]!;
    for (let piece = 0; piece < pieceCount; piece++) if (this.#random() < share) bits.set(piece);
    if (!this.model.peers.has(slot)) {
      this.#peers.join(slot, 0);
      this.#picker.forget(slot);
    }
    if (kind % 5 === 0) this.#holdings.haveAll(slot);
    else this.#holdings.bitfield(slot, bits.bytes);
    this.model.peers.set(slot, new Set([...this.model.states.keys()].filter((piece) => bits.has(piece))));
  }

  leave(slot: number): void {
    this.#holdings.haveNone(slot);
    this.#peers.leave(slot);
    this.model.peers.delete(slot);
  }

  have(slot: number): void {
    const piece = this.roll(this.#peers.pieceCount);
    this.#holdings.have(slot, piece);
    this.model.peers.get(slot)!.add(piece);
  }

  pick(slot: number): void {
    const isRandom = this.#picker.randomPieces > 0;
    const piece = this.#picker.pick(slot);
    checkPick(this.model, slot, piece, isRandom);
    if (piece < 0) return;
    this.model.states[piece] = 'open';
    this.#availability.close(piece);
    if (isRandom) this.#picker.randomPieces--;
  }

  /** Every second open piece, say, is verified or given back. */
  endOpen(isGood: boolean): void {
    this.model.states.forEach((state, piece) => {
      if (state !== 'open' || this.#random() < 0.5) return;
      this.model.states[piece] = isGood ? 'verified' : 'closed';
      if (isGood) this.#holdings.verified(piece);
      else this.#holdings.offer(piece);
    });
  }

  prioritize(priority: Priority): void {
    const piece = this.roll(this.#peers.pieceCount);
    this.model.priorities[piece] = priority;
    this.#holdings.setPriority(piece, priority, this.model.states[piece] === 'open');
  }

  check(): void {
    this.#availability.checkInvariants();
    this.#picker.checkInvariants();
  }
}

type Happening = (pair: Pair, slot: number, pick: number) => void;

const PEER_EVENTS: readonly Happening[] = [
  (pair, slot, pick) => (pick % 4 === 0 ? pair.leave(slot) : pair.pick(slot)),
  (pair, slot, pick) => (pick % 4 === 0 ? pair.join(slot, pick) : pair.pick(slot)),
  (pair, slot) => pair.have(slot),
  (pair, slot, pick) => {
    for (let count = pick % 40; count >= 0; count--) pair.pick(slot);
  },
];
const OTHER_EVENTS: readonly Happening[] = [
  (pair, _slot, pick) => pair.endOpen(pick % 3 > 0),
  (pair, _slot, pick) => {
    for (let count = pick % 8; count >= 0; count--) pair.prioritize((pick % PRIORITIES) as Priority);
  },
];

function happen(pair: Pair, kind: number, slot: number, pick: number): void {
  if (kind >= PEER_EVENTS.length) OTHER_EVENTS[kind - PEER_EVENTS.length]!(pair, slot, pick);
  else if (pair.model.peers.has(slot)) PEER_EVENTS[kind]!(pair, slot, pick);
  else pair.join(slot, pick);
}

test('whatever happened before, the pick is what a slow reference calls best, but for what bounded probes miss', () => {
  const event = fc.tuple(fc.nat(PEER_EVENTS.length + OTHER_EVENTS.length - 1), fc.nat(SLOTS - 1), fc.nat(255));
  const shape = fc.record({
    seed: fc.nat(),
    pieceCount: fc.constantFrom(1, 7, 33, 64, 150, 400),
    isSequential: fc.boolean(),
    hasPriorities: fc.boolean(),
    verified: fc.constantFrom(0, 0.02, 0.5),
    events: fc.array(event, { minLength: 1, maxLength: 120, size: 'max' }),
  });
  fc.assert(
    fc.property(shape, ({ seed, pieceCount, isSequential, hasPriorities, verified, events }) => {
      const dice = seeded(seed ^ 0x5bd1);
      const have = new Bitfield(pieceCount);
      for (let piece = 0; piece < pieceCount; piece++) if (dice() < verified) have.set(piece);
      const pair = new Pair(seed, pieceCount, isSequential, hasPriorities, have);
      for (const [kind, slot, pick] of events) {
        happen(pair, kind, slot, pick);
        pair.check();
      }
    }),
    { numRuns: 150, includeErrorInReport: true },
  );
});
