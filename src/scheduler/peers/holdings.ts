/**
 * What peers have and what of it we still need, and the two conclusions: our interest in a peer, and how many peers
 * serve us. Keeps the peers' bits, their wanted counts and the availability in step.
 *
 * Invariant: we are interested in a peer exactly while it has a piece that is needed: neither verified nor skipped; the
 * sink hears of changes only.
 */
import type { Bitfield } from '../../metainfo/bitfield.js';
import type { PeerSlot } from '../../metainfo/geometry.js';
import type { Clock } from '../clock.js';
import type { Availability } from '../pieces/availability.js';
import type { Picker } from '../pieces/picker.js';
import { type Level, SKIP } from '../pieces/priority.js';
import type { SchedulerSink } from '../sink.js';
import type { Peers } from './peers.js';

export interface HoldingsParts {
  readonly peers: Peers;
  readonly availability: Availability;
  readonly picker: Picker;
  readonly have: Bitfield;
  readonly sink: SchedulerSink;
  readonly clock: Clock;
}

export class Holdings {
  /** 1 for every piece that is neither verified nor skipped. */
  readonly isNeeded: Uint8Array;
  readonly isVerified: Uint8Array;
  needCount = 0;
  /** Unchoked peers that have something we need; they share the room. */
  servingCount = 0;
  readonly #peers: Peers;
  readonly #availability: Availability;
  readonly #picker: Picker;
  readonly #sink: SchedulerSink;
  readonly #clock: Clock;

  constructor({ peers, availability, picker, have, sink, clock }: HoldingsParts) {
    this.#peers = peers;
    this.#availability = availability;
    this.#picker = picker;
    this.#sink = sink;
    this.#clock = clock;
    this.isNeeded = new Uint8Array(peers.pieceCount);
    this.isVerified = new Uint8Array(peers.pieceCount);
    for (let piece = 0; piece < peers.pieceCount; piece++) {
      if (have.has(piece)) this.isVerified[piece] = 1;
      else if (availability.priority(piece) !== SKIP) this.isNeeded[piece] = 1;
      this.needCount += this.isNeeded[piece]!;
    }
  }

  /** Pieces the peer has and we need. */
  wantedOf(slot: number): number {
    return this.#peers.isUniform[slot] !== 0 ? this.needCount : this.#peers.wanted[slot]!;
  }

  bitfield(slot: number, bits: Uint8Array): void {
    if (bits.length !== Math.ceil(this.#peers.pieceCount / 8))
      throw new RangeError('bitfield does not fit the torrent');
    const before = this.#isServing(slot);
    this.#forget(slot);
    let wanted = 0;
    for (let at = 0; at < bits.length; at++) {
      for (let byte = bits[at]!; byte !== 0; ) {
        const bit = Math.clz32(byte) - 24;
        byte &= ~(0x80 >> bit);
        const piece = at * 8 + bit;
        if (piece < this.#peers.pieceCount && this.#peers.give(slot, piece)) wanted += this.isNeeded[piece]!;
      }
    }
    if (this.#peers.isSeed(slot)) this.#becomeUniform(slot);
    else {
      this.#peers.wanted[slot] = wanted;
      this.#eachPiece(slot, (piece) => this.#availability.increment(piece));
    }
    this.#changed(slot, before);
  }

  /** False: that is nothing new. */
  have(slot: number, piece: number): boolean {
    if (!this.#peers.give(slot, piece)) return false;
    this.#availability.increment(piece);
    if (this.isNeeded[piece] === 0) return true;
    const before = this.#isServing(slot);
    this.#peers.wanted[slot]!++;
    this.#picker.gained(slot, piece);
    this.#changed(slot, before);
    if (this.#peers.isPeerChoking[slot] === 0) this.#peers.hungry.add(slot);
    return true;
  }

  /** The peer has this piece no more. O(1), but for a seed O(pieces). */
  lack(slot: number, piece: number): void {
    if (!this.#peers.has(slot, piece)) return;
    if (this.#peers.isUniform[slot] !== 0) this.#countEach(slot);
    const before = this.#isServing(slot);
    this.#peers.take(slot, piece);
    this.#availability.decrement(piece);
    this.#peers.wanted[slot]! -= this.isNeeded[piece]!;
    this.#changed(slot, before);
    if (this.wantedOf(slot) === 0) this.#peers.hungry.delete(slot);
  }

  /** A peer that has everything is counted piece by piece from now on. */
  #countEach(slot: number): void {
    this.#forget(slot);
    for (let piece = 0; piece < this.#peers.pieceCount; piece++) this.#peers.give(slot, piece);
    this.#peers.wanted[slot] = this.needCount;
    this.#eachPiece(slot, (piece) => this.#availability.increment(piece));
  }

  haveAll(slot: number): void {
    const before = this.#isServing(slot);
    this.#forget(slot);
    this.#becomeUniform(slot);
    this.#changed(slot, before);
  }

  haveNone(slot: number): void {
    const before = this.#isServing(slot);
    this.#forget(slot);
    this.#changed(slot, before);
  }

  setPeerChoking(slot: number, isChoking: boolean): void {
    const before = this.#isServing(slot);
    this.#peers.isPeerChoking[slot] = isChoking ? 1 : 0;
    this.#changed(slot, before);
  }

  /** The piece is ours for good. */
  verified(piece: number): void {
    this.isVerified[piece] = 1;
    if (this.isNeeded[piece] !== 0) this.#needLess(piece);
  }

  /** @param isOpen an open piece is not pickable, whatever its priority. */
  setPriority(piece: number, priority: Level, isOpen: boolean): void {
    if (this.#availability.priority(piece) === priority) return;
    this.#availability.setPriority(piece, priority);
    if (this.isVerified[piece] !== 0) return;
    if (!isOpen) this.offer(piece);
    if (priority === SKIP) this.#needLess(piece);
    else if (this.isNeeded[piece] === 0) this.#needMore(piece);
  }

  /** A piece that is not open and not verified may be picked, unless it is skipped. */
  offer(piece: number): void {
    this.#availability.reopen(piece);
    this.#picker.offered(piece);
  }

  #needLess(piece: number): void {
    this.isNeeded[piece] = 0;
    this.needCount--;
    // Seeds have one count in common: they change only with the last piece.
    const slots = this.needCount === 0 ? this.#peers.active : this.#peers.partial;
    for (let index = 0; index < slots.size; index++) {
      const slot = slots.at(index);
      if (!this.#peers.has(slot, piece)) continue;
      if (this.#peers.isUniform[slot] === 0) this.#peers.wanted[slot]!--;
      if (this.wantedOf(slot) > 0) continue;
      if (this.#peers.isPeerChoking[slot] === 0) this.servingCount--;
      this.#peers.hungry.delete(slot);
      this.#refreshInterest(slot);
    }
  }

  #needMore(piece: number): void {
    this.isNeeded[piece] = 1;
    this.needCount++;
    for (let index = 0; index < this.#peers.active.size; index++) {
      const slot = this.#peers.active.at(index);
      if (!this.#peers.has(slot, piece)) continue;
      if (this.#peers.isUniform[slot] === 0) this.#peers.wanted[slot]!++;
      if (this.#peers.isPeerChoking[slot] === 0) {
        if (this.wantedOf(slot) === 1) this.servingCount++;
        this.#peers.hungry.add(slot);
      }
      this.#refreshInterest(slot);
    }
  }

  #isServing(slot: number): boolean {
    return this.#peers.isPeerChoking[slot] === 0 && this.wantedOf(slot) > 0;
  }

  #changed(slot: number, wasServing: boolean): void {
    this.servingCount += Number(this.#isServing(slot)) - Number(wasServing);
    this.#refreshInterest(slot);
  }

  #refreshInterest(slot: number): void {
    const isInterested = this.wantedOf(slot) > 0;
    if (isInterested === (this.#peers.isInterested[slot] !== 0)) return;
    this.#peers.isInterested[slot] = isInterested ? 1 : 0;
    if (isInterested) this.#peers.gaveMs[slot] = this.#clock.nowMs;
    this.#sink.interested(slot as PeerSlot, isInterested);
  }

  #becomeUniform(slot: number): void {
    this.#peers.giveAll(slot);
    this.#picker.forget(slot);
    this.#availability.seedCount++;
  }

  #forget(slot: number): void {
    if (this.#peers.isUniform[slot] !== 0) this.#availability.seedCount--;
    else this.#eachPiece(slot, (piece) => this.#availability.decrement(piece));
    this.#peers.giveNone(slot);
    this.#picker.forget(slot);
  }

  #eachPiece(slot: number, visit: (piece: number) => void): void {
    const words = this.#peers.words(slot);
    if (words === null) return;
    for (let word = 0; word < words.length; word++) {
      if (words[word] === 0) continue;
      const end = Math.min(word * 32 + 32, this.#peers.pieceCount);
      for (let piece = word * 32; piece < end; piece++) if (this.#peers.has(slot, piece)) visit(piece);
    }
  }
}
