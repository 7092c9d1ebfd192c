/**
 * Which piece to open next for a peer: of the highest priority in which it has one, the rarest, ties at random; or the
 * one of lowest index (sequential). Not sequential, the first few pieces are taken at random from the highest priority
 * there is, so that a newcomer soon has something to give; and before all of its priority go pieces of which blocks are
 * here from an earlier run, as open pieces are finished first.
 *
 * The rarest is found by bounded probes, in time that does not grow with the number of pieces: the `PROBES` rarest
 * pieces, which is exact unless that many that the peer lacks are as rare; else the rarest of `CANDIDATES` of the
 * peer's pieces from a random word on, which is exact for a peer with no more than that, or with all of them in one
 * word. A piece is always found when there is one.
 *
 * Invariant: per peer and priority, words outside of [from, until) hold no pickable piece of the peer. The scan of a
 * sequential pick moves `from` on, and a peer with nothing to pick has an empty range, so no word is looked at in vain
 * twice.
 */

import type { Peers } from '../peers/peers.js';
import { grown } from '../peers/slot-rows.js';
import type { Availability } from './availability.js';
import { HIGH, LEVELS, type Level, LOW, URGENT } from './priority.js';
import type { RarityOrder } from './rarity-order.js';

/** Pieces taken at random before rarity counts. */
export const RANDOM_PIECES = 4;
/** Pieces of the rarity order that are tried. */
export const PROBES = 64;
/** Pickable pieces compared for rarity when the probes found none. */
export const CANDIDATES = 8;
/** Pieces opened one after the other for a peer that prefers runs, before a rarer one goes first. */
export const RUN_PIECES = 16;
const NOTHING = -1;
/** Whether runs of pieces suit a peer, and where the first of them begins. */
export type Runs = 'none' | 'anywhere' | 'from-first';
/** In place of the piece that a run goes on with: the peer has no use for runs. */
const NO_RUNS = -2;

/** Leeches take turns at those that have everything (`forward.ts`). */
export interface Turns {
  /** There are turns. */
  hasTurns(): boolean;
  /** Nothing is asked of those that have everything: leeches have enough for us, and wait for what we have. */
  rests(): boolean;
  /** A piece that no leech has, or -1. */
  pick(): number;
  /** A piece became pickable. */
  offered(piece: number): void;
}

export class Picker {
  /** Pieces still to be taken at random. */
  randomPieces: number;
  readonly #availability: Availability;
  readonly #peers: Peers;
  readonly #random: () => number;
  /** By index instead of rarest first. */
  isSequential: boolean;
  readonly #wordCount: number;
  /** Null: there are none. */
  turns: Turns | null = null;
  /** Pieces of which some blocks are here; those that were opened since are taken off when they are met. */
  #begun: number[] = [];
  #nextBegun = 0;
  /** Words worth a look: `[slot * LEVELS + priority]`. */
  #from: Int32Array;
  #until: Int32Array;
  /** The piece that would go on with the run of a peer, and how many it has. */
  #runNext: Int32Array;
  #runLength: Int32Array;

  /** @param isSequential by index instead of rarest first. */
  constructor(
    availability: Availability,
    peers: Peers,
    rows: number,
    haveCount: number,
    random: () => number,
    isSequential = false,
  ) {
    this.#availability = availability;
    this.#peers = peers;
    this.#random = random;
    this.isSequential = isSequential;
    this.#wordCount = Math.ceil(peers.pieceCount / 32);
    this.#from = new Int32Array(rows * LEVELS);
    this.#until = new Int32Array(rows * LEVELS).fill(this.#wordCount);
    this.#runNext = new Int32Array(rows).fill(NO_RUNS);
    this.#runLength = new Int32Array(rows);
    this.randomPieces = isSequential ? 0 : Math.max(0, RANDOM_PIECES - haveCount);
  }

  /** Of these some blocks are here. */
  prefer(pieces: readonly number[]): void {
    this.#begun = [...pieces];
  }

  /** Leeches take turns at this one: what one of them has already is the last to ask it for. */
  hasTurns(slot: number): boolean {
    return this.turns !== null && !this.isSequential && this.#peers.isUniform[slot] !== 0 && this.turns.hasTurns();
  }

  /** This one is left to others (`Turns.rests`). */
  restsAt(slot: number): boolean {
    return this.turns !== null && this.#peers.isUniform[slot] !== 0 && this.turns.rests();
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.#from = grown(this.#from, rows * LEVELS);
    this.#until = grown(this.#until, rows * LEVELS, this.#wordCount);
    this.#runNext = grown(this.#runNext, rows, NO_RUNS);
    this.#runLength = grown(this.#runLength, rows);
  }

  /** The peer's pieces are others now. */
  forget(slot: number): void {
    this.#from.fill(0, slot * LEVELS, (slot + 1) * LEVELS);
    this.#until.fill(this.#wordCount, slot * LEVELS, (slot + 1) * LEVELS);
  }

  /** A web server gives a run of pieces in one answer: the next piece comes before others of its rarity. */
  setRuns(slot: number, runs: Runs): void {
    this.#runNext[slot] = runs === 'none' ? NO_RUNS : runs === 'anywhere' ? NOTHING : 0;
  }

  /** The piece that was picked for the peer was opened. */
  opened(slot: number, piece: number): void {
    const next = this.#runNext[slot]!;
    if (next === NO_RUNS) return;
    this.#runLength[slot] = piece === next ? this.#runLength[slot]! + 1 : 1;
    this.#runNext[slot] = piece + 1;
  }

  /** The peer got one more piece. */
  gained(slot: number, piece: number): void {
    if (this.#availability.isPickable(piece)) this.#include(slot * LEVELS + this.#availability.priority(piece), piece);
  }

  /** A piece became pickable, for everybody. */
  offered(piece: number): void {
    if (!this.#availability.isPickable(piece)) return;
    this.turns?.offered(piece);
    for (let row = this.#availability.priority(piece); row < this.#from.length; row += LEVELS)
      this.#include(row, piece);
  }

  #include(row: number, piece: number): void {
    const word = piece >> 5;
    if (word < this.#from[row]!) this.#from[row] = word;
    if (word >= this.#until[row]!) this.#until[row] = word + 1;
  }

  /** A pickable piece that the peer has, or -1. @param highest no piece above that */
  pick(slot: number, highest: Level = URGENT): number {
    let mayBeRandom = this.randomPieces > 0 && !this.isSequential;
    const hasTurns = this.hasTurns(slot);
    for (let priority: number = highest; priority >= LOW; priority--) {
      if (priority === HIGH && hasTurns) {
        const piece = this.turns!.pick();
        if (piece !== NOTHING) return piece;
      }
      const order = this.#availability.order(priority);
      if (order === null || order.size === 0) continue;
      const row = slot * LEVELS + priority;
      if (this.#from[row]! < this.#until[row]!) {
        // Somebody reads those one after the other.
        const isInOrder = this.isSequential || priority === URGENT;
        let piece = this.#begun.length > 0 && !isInOrder ? this.#ofBegun(slot, priority) : NOTHING;
        if (piece === NOTHING && this.#runNext[slot]! >= 0 && !hasTurns) piece = this.#ofRun(slot, order, priority);
        if (piece === NOTHING && mayBeRandom && !isInOrder) piece = this.#any(slot, order);
        if (piece === NOTHING) piece = isInOrder ? this.#lowest(slot, order, row) : this.#rarest(slot, order, row);
        if (piece !== NOTHING) return piece;
        this.#from[row] = this.#wordCount;
        this.#until[row] = 0;
      }
      mayBeRandom = false;
    }
    return NOTHING;
  }

  /** In turn, so that pieces which nobody has do not hide the others. */
  #ofBegun(slot: number, priority: number): number {
    for (let probe = Math.min(PROBES, this.#begun.length); probe > 0; probe--) {
      if (this.#nextBegun >= this.#begun.length) this.#nextBegun = 0;
      const piece = this.#begun[this.#nextBegun]!;
      if (!this.#availability.isPickable(piece)) {
        const last = this.#begun.pop()!;
        if (last !== piece) this.#begun[this.#nextBegun] = last;
        continue;
      }
      if (this.#availability.priority(piece) === priority && this.#peers.has(slot, piece)) return piece;
      this.#nextBegun++;
    }
    return NOTHING;
  }

  /** The piece after the last one, if it is of this priority, and not more common than others once the run is long. */
  #ofRun(slot: number, order: RarityOrder, priority: number): number {
    const piece = this.#runNext[slot]!;
    const { pieceCount } = this.#peers;
    const availability = this.#availability;
    if (this.isSequential || piece >= pieceCount || !availability.isPickable(piece)) return NOTHING;
    if (availability.priority(piece) !== priority || !this.#peers.has(slot, piece)) return NOTHING;
    const rarest = order.pieceAt(order.firstIndex(0));
    const isRare = availability.copies(piece) <= availability.copies(rarest);
    return isRare || this.#runLength[slot]! < RUN_PIECES ? piece : NOTHING;
  }

  #any(slot: number, order: RarityOrder): number {
    const begin = order.firstIndex(0);
    for (let probe = 0; probe < PROBES; probe++) {
      const piece = order.pieceAt(begin + Math.floor(this.#random() * (order.end - begin)));
      if (this.#peers.has(slot, piece)) return piece;
    }
    return NOTHING;
  }

  #rarest(slot: number, order: RarityOrder, row: number): number {
    if (this.#peers.isUniform[slot] !== 0) return order.pieceAt(order.firstIndex(0));
    const bytes = this.#peers.bytes(slot);
    if (bytes === null) return NOTHING;
    // All it can have lies in one word: a HAVE of a peer that had nothing for us, most often.
    if (this.#until[row]! - this.#from[row]! === 1 && this.#wordCount > 1) return this.#search(slot, bytes, order, row);
    // A piece without copies cannot be this peer's.
    const begin = order.firstIndex(1);
    const end = Math.min(order.end, begin + PROBES);
    for (let index = begin; index < end; index++) {
      const piece = order.pieceAt(index);
      if ((bytes[piece >> 3]! & (0x80 >> (piece & 7))) !== 0) return piece;
    }
    return end === order.end ? NOTHING : this.#search(slot, bytes, order, row);
  }

  /** From a random word on: the rarest of the first candidates. */
  #search(slot: number, bytes: Uint8Array, order: RarityOrder, row: number): number {
    const words = this.#peers.words(slot)!;
    const from = this.#from[row]!;
    const length = this.#until[row]! - from;
    const offset = Math.floor(this.#random() * length);
    let best = NOTHING;
    let bestCopies = Number.POSITIVE_INFINITY;
    let seen = 0;
    for (let step = 0; step < length && seen < CANDIDATES; step++) {
      const word = from + (offset + step < length ? offset + step : offset + step - length);
      if ((words[word]! & order.words[word]!) === 0) continue;
      for (let at = word * 4; at < word * 4 + 4; at++) {
        for (let both = bytes[at]! & order.bytes[at]!; both !== 0; seen++) {
          const piece = at * 8 + firstBit(both);
          both &= ~(0x80 >> (piece & 7));
          const copies = this.#availability.copies(piece);
          if (copies >= bestCopies) continue;
          best = piece;
          bestCopies = copies;
        }
      }
    }
    return best;
  }

  #lowest(slot: number, order: RarityOrder, row: number): number {
    const words = this.#peers.words(slot);
    const bytes = this.#peers.bytes(slot);
    const isUniform = this.#peers.isUniform[slot] !== 0;
    if (words === null && !isUniform) return NOTHING;
    const until = this.#until[row]!;
    let word = this.#from[row]!;
    if (words === null) while (word < until && order.words[word] === 0) word++;
    else while (word < until && (words[word]! & order.words[word]!) === 0) word++;
    this.#from[row] = word;
    for (let at = word * 4; at < until * 4; at++) {
      const both = order.bytes[at]! & (bytes === null ? 0xff : bytes[at]!);
      if (both !== 0) return at * 8 + firstBit(both);
    }
    return NOTHING;
  }

  /** Throws when a pickable piece of a peer lies outside of its range. For tests: O(peers × pieces). */
  checkInvariants(): void {
    for (let index = 0; index < this.#peers.active.size; index++) {
      const slot = this.#peers.active.at(index);
      for (let piece = 0; piece < this.#peers.pieceCount; piece++) {
        if (!this.#availability.isPickable(piece) || !this.#peers.has(slot, piece)) continue;
        const row = slot * LEVELS + this.#availability.priority(piece);
        if (piece >> 5 < this.#from[row]! || piece >> 5 >= this.#until[row]!)
          throw new Error(`piece ${piece} would not be found for slot ${slot}`);
      }
    }
  }
}

/** Position of the first bit set in a byte, in the order of BEP 3 `bitfield`. */
function firstBit(byte: number): number {
  return Math.clz32(byte) - 24;
}
