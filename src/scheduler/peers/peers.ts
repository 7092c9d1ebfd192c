/**
 * The connected peers as a table of typed arrays, one row per slot; and what each of them has.
 * Tables are replaced when they grow: none may be kept from one call to the next.
 * Owns the facts only: who has what, who chokes whom, who wants what. Decisions are made elsewhere.
 * Invariant: `wanted[slot]` is the number of pieces the peer has and we still need, for every peer that is not
 * `isUniform`.
 */
import { grown } from './slot-rows.js';
import { SlotSet } from './slot-set.js';

export class Peers {
  readonly pieceCount: number;
  readonly active: SlotSet;
  /** Active peers counted piece by piece: all but those that said they have everything. */
  readonly partial: SlotSet;
  /** Unchoked peers whose pipeline could not be filled. */
  readonly hungry: SlotSet;
  isFast: Uint8Array;
  /** The peer has every piece and `bits` is not kept: its copies are `Availability.seedCount`. */
  isUniform: Uint8Array;
  isPeerChoking: Uint8Array;
  isPeerInterested: Uint8Array;
  isChoking: Uint8Array;
  isInterested: Uint8Array;
  isSnubbed: Uint8Array;
  /** What the peer asked for waits for us: for the disk, or a rate limit. */
  isHeldUp: Uint8Array;
  /** What it sent waits for us, unread: for our own limit. */
  isHeldBack: Uint8Array;
  /** How often it became snubbed. */
  snubs: Int32Array;
  pieces: Int32Array;
  wanted: Int32Array;
  /** Last sign of life while requests are outstanding. */
  waitingSinceMs: Float64Array;
  /**
   * Latest of: it gave us a block, we became interested, we could have asked it and did not for the sake of our own
   * limit.
   */
  gaveMs: Float64Array;
  joinedMs: Float64Array;
  /** When it last unchoked us. */
  unchokedMs: Float64Array;
  pausedUntilMs: Float64Array;
  readonly #bits: (Uint8Array | null | undefined)[] = [];
  readonly #words: (Uint32Array | null | undefined)[] = [];

  constructor(rows: number, pieceCount: number) {
    this.pieceCount = pieceCount;
    this.active = new SlotSet(rows);
    this.partial = new SlotSet(rows);
    this.hungry = new SlotSet(rows);
    this.isFast = new Uint8Array(rows);
    this.isUniform = new Uint8Array(rows);
    this.isPeerChoking = new Uint8Array(rows);
    this.isPeerInterested = new Uint8Array(rows);
    this.isChoking = new Uint8Array(rows);
    this.isInterested = new Uint8Array(rows);
    this.isSnubbed = new Uint8Array(rows);
    this.isHeldUp = new Uint8Array(rows);
    this.isHeldBack = new Uint8Array(rows);
    this.snubs = new Int32Array(rows);
    this.pieces = new Int32Array(rows);
    this.wanted = new Int32Array(rows);
    this.waitingSinceMs = new Float64Array(rows);
    this.gaveMs = new Float64Array(rows);
    this.joinedMs = new Float64Array(rows);
    this.unchokedMs = new Float64Array(rows);
    this.pausedUntilMs = new Float64Array(rows);
  }

  /** Whoever serves us is asked again when the hungry are, also who has enough to do. */
  callServing(): void {
    for (let index = 0; index < this.active.size; index++) {
      const slot = this.active.at(index);
      if (this.isPeerChoking[slot] === 0 && this.isInterested[slot] !== 0) this.hungry.add(slot);
    }
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.active.grow(rows);
    this.partial.grow(rows);
    this.hungry.grow(rows);
    this.isFast = grown(this.isFast, rows);
    this.isUniform = grown(this.isUniform, rows);
    this.isPeerChoking = grown(this.isPeerChoking, rows);
    this.isPeerInterested = grown(this.isPeerInterested, rows);
    this.isChoking = grown(this.isChoking, rows);
    this.isInterested = grown(this.isInterested, rows);
    this.isSnubbed = grown(this.isSnubbed, rows);
    this.isHeldUp = grown(this.isHeldUp, rows);
    this.isHeldBack = grown(this.isHeldBack, rows);
    this.snubs = grown(this.snubs, rows);
    this.pieces = grown(this.pieces, rows);
    this.wanted = grown(this.wanted, rows);
    this.waitingSinceMs = grown(this.waitingSinceMs, rows);
    this.gaveMs = grown(this.gaveMs, rows);
    this.joinedMs = grown(this.joinedMs, rows);
    this.unchokedMs = grown(this.unchokedMs, rows);
    this.pausedUntilMs = grown(this.pausedUntilMs, rows);
  }

  /** The state BEP 3 gives a new connection: choked and not interested both ways, no pieces. */
  join(slot: number, nowMs: number): void {
    if (this.active.has(slot)) throw new Error(`slot ${slot} is taken`);
    this.active.add(slot);
    this.partial.add(slot);
    this.isFast[slot] = 0;
    this.isUniform[slot] = 0;
    this.isPeerChoking[slot] = 1;
    this.isPeerInterested[slot] = 0;
    this.isChoking[slot] = 1;
    this.isInterested[slot] = 0;
    this.isSnubbed[slot] = 0;
    this.isHeldUp[slot] = 0;
    this.isHeldBack[slot] = 0;
    this.snubs[slot] = 0;
    this.pieces[slot] = 0;
    this.wanted[slot] = 0;
    this.waitingSinceMs[slot] = nowMs;
    this.gaveMs[slot] = nowMs;
    this.joinedMs[slot] = nowMs;
    this.unchokedMs[slot] = nowMs;
    this.pausedUntilMs[slot] = 0;
  }

  /** Its clocks stood still for a while. */
  shiftClocks(slot: number, ms: number, nowMs: number): void {
    const clocks = [this.waitingSinceMs, this.gaveMs, this.unchokedMs];
    for (const clock of clocks) clock[slot] = Math.min(nowMs, clock[slot]! + ms);
  }

  leave(slot: number): void {
    this.active.delete(slot);
    this.partial.delete(slot);
    this.hungry.delete(slot);
    this.#bits[slot] = null;
    this.#words[slot] = null;
  }

  has(slot: number, piece: number): boolean {
    if (this.isUniform[slot] !== 0) return true;
    const bits = this.#bits[slot];
    return bits != null && (bits[piece >> 3]! & (0x80 >> (piece & 7))) !== 0;
  }

  isSeed(slot: number): boolean {
    return this.pieces[slot] === this.pieceCount;
  }

  /**
   * The peer's bits as words in machine order, to be combined with other words only; null: it has none or is uniform.
   */
  words(slot: number): Uint32Array | null {
    return this.#words[slot] ?? null;
  }

  /** The same bits as bytes, in the order of BEP 3 `bitfield`. */
  bytes(slot: number): Uint8Array | null {
    return this.#bits[slot] ?? null;
  }

  /** Marks one piece; false when the peer had it. */
  give(slot: number, piece: number): boolean {
    if (this.has(slot, piece)) return false;
    const bits = this.#bits[slot] ?? this.#allocate(slot);
    bits[piece >> 3]! |= 0x80 >> (piece & 7);
    this.pieces[slot]!++;
    return true;
  }

  /** Unmarks one piece of a peer that is not `isUniform`; false when it had not the piece. */
  take(slot: number, piece: number): boolean {
    if (!this.has(slot, piece)) return false;
    this.#bits[slot]![piece >> 3]! &= ~(0x80 >> (piece & 7));
    this.pieces[slot]!--;
    return true;
  }

  giveAll(slot: number): void {
    this.isUniform[slot] = 1;
    this.pieces[slot] = this.pieceCount;
    this.partial.delete(slot);
    this.#bits[slot] = null;
    this.#words[slot] = null;
  }

  /** Forgets what the peer has. The caller has taken it out of the availability first. */
  giveNone(slot: number): void {
    this.isUniform[slot] = 0;
    this.pieces[slot] = 0;
    this.wanted[slot] = 0;
    this.partial.add(slot);
    this.#bits[slot] = null;
    this.#words[slot] = null;
  }

  #allocate(slot: number): Uint8Array {
    const words = new Uint32Array(Math.ceil(this.pieceCount / 32));
    const bits = new Uint8Array(words.buffer);
    this.#words[slot] = words;
    this.#bits[slot] = bits;
    return bits;
  }
}
