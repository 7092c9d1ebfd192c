/**
 * Whom a seed serves last: peers that pass nothing on. What they take is lost for the swarm, and has to leave here
 * again for somebody else.
 *
 * A piece that nobody else has goes to a peer; from its HAVE on the peer carries it. When another one has it next, and
 * not from us, the carrier passed it on. A fifth of peers that only take had a quarter to a half of the seed's uplink,
 * and everybody waited 1.25 to 1.49 times as long for the pieces that had not left yet; with this 1.14 to 1.25 times.
 * Counts only what copies outside prove: where every piece has several copies it says nothing about anybody.
 */
import type { PeerSlot, PieceIndex } from '../../metainfo/geometry.js';
import { grown } from '../peers/slot-rows.js';

/** A good peer carries that many pieces at most while they are on their way to others. */
const MAX_CARRIED = 5;
/**
 * And serves others first when a peer took this many times the mean, and so many pieces more: it may say no HAVE at
 * all.
 */
const ENOUGH_TIMES = 1.5;
const ENOUGH_PIECES = 16;
const NOBODY = -1;

export class Hoarders {
  readonly #pieceCount: number;
  readonly #pieceLengthBytes: number;
  /** Last peer that was sent something of the piece. Made with the first block: an idle torrent needs none of this. */
  #served: Int32Array | null = null;
  /** The peer that got the piece from us while nobody else had it, and has not passed it on yet. */
  #carrier: Int32Array | null = null;
  /** Pieces that a peer got and that came to nobody else from it, and pieces that did. */
  #kept: Int32Array;
  #passedOn: Int32Array;

  constructor(pieceCount: number, pieceLengthBytes: number) {
    this.#pieceCount = pieceCount;
    this.#pieceLengthBytes = pieceLengthBytes;
    this.#kept = new Int32Array(0);
    this.#passedOn = new Int32Array(0);
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.#kept = grown(this.#kept, rows);
    this.#passedOn = grown(this.#passedOn, rows);
  }

  joined(slot: PeerSlot): void {
    this.#kept[slot] = 0;
    this.#passedOn[slot] = 0;
  }

  /** O(pieces) */
  left(slot: PeerSlot): void {
    if (this.#served === null || this.#carrier === null) return;
    for (let piece = 0; piece < this.#pieceCount; piece++) {
      if (this.#served[piece] === slot) this.#served[piece] = NOBODY;
      if (this.#carrier[piece] === slot) this.#carrier[piece] = NOBODY;
    }
  }

  /** A block of the piece goes to the peer. */
  serves(slot: PeerSlot, piece: PieceIndex): void {
    this.#served ??= new Int32Array(this.#pieceCount).fill(NOBODY);
    this.#served[piece] = slot;
  }

  /** The peer said HAVE. @param copies outside, its own one included. */
  had(slot: PeerSlot, piece: PieceIndex, copies: number): void {
    if (this.#served === null) return;
    this.#carrier ??= new Int32Array(this.#pieceCount).fill(NOBODY);
    const isFromUs = this.#served[piece] === slot;
    if (copies === 1) {
      if (!isFromUs) return;
      this.#carrier[piece] = slot;
      this.#kept[slot]!++;
      return;
    }
    const carrier = this.#carrier[piece]!;
    if (carrier === NOBODY) return;
    this.#carrier[piece] = NOBODY;
    // It had to leave here again: the first carrier keeps its debt.
    if (isFromUs) return;
    this.#kept[carrier]!--;
    this.#passedOn[carrier]!++;
  }

  /** It passed on less than it kept. */
  keepsToItself(slot: number): boolean {
    return this.#kept[slot]! > MAX_CARRIED && this.#kept[slot]! > this.#passedOn[slot]!;
  }

  /** 1 for those to be served after the others. @param slots who wants something. */
  last(slots: readonly number[], tookBytes: (slot: number) => number): (slot: number) => number {
    const mean = slots.reduce((sum, slot) => sum + tookBytes(slot), 0) / slots.length;
    const limit = ENOUGH_TIMES * mean + ENOUGH_PIECES * this.#pieceLengthBytes;
    return (slot) => Number(this.keepsToItself(slot) || tookBytes(slot) > limit);
  }
}
