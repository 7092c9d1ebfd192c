/**
 * Which piece to open next for a peer: the first few at random, so that a newcomer soon has something to give; then the rarest,
 * ties at random. Bounded probes of the rarity order find it nearly always; for a peer with few useful pieces the words
 * of its bitfield are compared with those of the pickable pieces. That is once per opened piece, never per block.
 */
import type { Availability } from './availability.js';
import type { Peers } from './peers.js';
import { grown } from './slot-rows.js';

/** Pieces taken at random before rarity counts. */
export const RANDOM_PIECES = 4;
const PROBES = 64;
/** Pickable pieces compared for rarity when the probes found none. */
const CANDIDATES = 32;
const NOTHING = -1;

export class Picker {
  /** Pieces still to be taken at random. */
  randomPieces: number;
  readonly #availability: Availability;
  readonly #peers: Peers;
  readonly #random: () => number;
  /** Peers known to have no pickable piece, by the generation in which that was found. */
  #barren: Int32Array;
  #generation = 1;

  constructor(availability: Availability, peers: Peers, rows: number, haveCount: number, random: () => number) {
    this.#availability = availability;
    this.#peers = peers;
    this.#random = random;
    this.#barren = new Int32Array(rows);
    this.randomPieces = Math.max(0, RANDOM_PIECES - haveCount);
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.#barren = grown(this.#barren, rows);
  }

  /** The peer's pieces changed. */
  forget(slot: number): void {
    this.#barren[slot] = 0;
  }

  /** A piece became pickable again. */
  reopened(): void {
    this.#generation++;
  }

  /** A pickable piece that the peer has, or -1. */
  pick(slot: number): number {
    if (this.#barren[slot] === this.#generation) return NOTHING;
    const { pickableEnd } = this.#availability;
    if (this.randomPieces > 0) {
      const begin = this.#availability.firstIndex(0);
      for (let probe = 0; probe < PROBES && begin < pickableEnd; probe++) {
        const piece = this.#availability.pieceAt(begin + Math.floor(this.#random() * (pickableEnd - begin)));
        if (this.#peers.has(slot, piece)) return piece;
      }
    }
    // A piece with no copies outside of seeds cannot be this peer's, unless it is one of them.
    const begin = this.#availability.firstIndex(this.#peers.isUniform[slot] !== 0 ? 0 : 1);
    const end = Math.min(pickableEnd, begin + PROBES);
    for (let index = begin; index < end; index++) {
      const piece = this.#availability.pieceAt(index);
      if (this.#peers.has(slot, piece)) return piece;
    }
    const piece = end === pickableEnd ? NOTHING : this.#search(slot);
    if (piece === NOTHING) this.#barren[slot] = this.#generation;
    return piece;
  }

  /** From a random word on: the rarest of the first candidates. */
  #search(slot: number): number {
    const mine = this.#peers.words(slot);
    if (mine === null) return NOTHING;
    const pickable = this.#availability.pickableWords;
    const { length } = pickable;
    const offset = Math.floor(this.#random() * length);
    let best = NOTHING;
    let bestCopies = Number.POSITIVE_INFINITY;
    let seen = 0;
    for (let step = 0; step < length && seen < CANDIDATES; step++) {
      const word = offset + step < length ? offset + step : offset + step - length;
      if ((mine[word]! & pickable[word]!) === 0) continue;
      const end = Math.min(word * 32 + 32, this.#peers.pieceCount);
      for (let piece = word * 32; piece < end; piece++) {
        if (!this.#availability.isPickable(piece) || !this.#peers.has(slot, piece)) continue;
        seen++;
        const copies = this.#availability.copies(piece);
        if (copies >= bestCopies) continue;
        best = piece;
        bestCopies = copies;
      }
    }
    return best;
  }
}
