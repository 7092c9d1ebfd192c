/**
 * Which parts of verified pieces are resident for serving, which are pinned, and which go first when memory is short. A
 * unit is up to 1 MiB of one piece. Pure state in flat arrays: pin and unpin run per block served, 76,000 a second.
 *
 *   absent -> loading -> ready <-> pinned
 *      ^                   |  ^
 *      |                   v  | asked for again before it was let go
 *      +--- releasing <- evicted
 *
 * Every unit counts as a full one in the books; units divide a piece evenly, so little is lost.
 * Invariant: bytes of loading and ready units <= capacity, except just after `adopt`, which trims what is not pinned.
 * Must not know: what memory is, jobs, files. The owner loads and lets go.
 */
import type { Geometry, PieceIndex } from '../metainfo/geometry.js';
import { LEAST_UNITS } from './memory-pool.js';
import { grown, NO_SLOT, OldestFirst } from './oldest-first.js';
import type { PinOutcome } from './port.js';
import { SlotTable } from './slot-table.js';
import type { UnitOwner, UnitRoom } from './unit-owner.js';

const FREE = 0;
const LOADING = 1;
const READY = 2;
const EVICTED = 3;
const RELEASING = 4;

/** Evicted units whose memory is not back yet may hold this share of the capacity; then loading waits. */
const EVICTED_SHARE = 0.25;
/** Pins may keep half of the capacity loading, read-ahead a quarter: what is ready is to be used, not pushed out. */
const LOADING_SHARE = 0.5;
const READ_AHEAD_SHARE = 0.25;
/** A capacity below this many units could not serve a range of two. */
const UNITS_AT_LEAST = 8;

export class ResidentUnits {
  readonly unitBytes: number;
  readonly capacityBytes: number;
  readonly #geometry: Geometry;
  readonly #unitsPerPiece: number;
  readonly #owner: UnitOwner;
  readonly #room: UnitRoom;
  #wasUsed = false;
  readonly #slots = new SlotTable();
  readonly #freeSlots: number[] = [];
  #slotCount = 0;
  #state = new Uint8Array(64);
  #unit = new Int32Array(64);
  #pins = new Int32Array(64);
  /** Ready units without pins, least recently used first. */
  readonly #idle = new OldestFirst();
  #loadingBytes = 0;
  #readyBytes = 0;
  #evictedBytes = 0;
  #pinnedUnits = 0;
  #isStarved = false;
  /** The range that was refused last with a part of it there. */
  #part: readonly [first: number, last: number] | null = null;

  /** @param unitBytes as `evenUnit` makes them @param capacityBytes what one torrent may hold when there is plenty */
  constructor(geometry: Geometry, unitBytes: number, capacityBytes: number, owner: UnitOwner, room: UnitRoom) {
    this.#geometry = geometry;
    this.#room = room;
    this.unitBytes = unitBytes;
    this.capacityBytes = Math.max(capacityBytes, UNITS_AT_LEAST * unitBytes);
    this.#unitsPerPiece = Math.ceil(geometry.pieceLengthBytes / unitBytes);
    this.#owner = owner;
  }

  /** Units that may be evicted and not yet given back before loading has to wait. */
  get evictedLimit(): number {
    return Math.floor((this.capacityBytes * EVICTED_SHARE) / this.unitBytes);
  }

  /** Units that may be resident now, with what other torrents hold. */
  get count(): number {
    return Math.min(Math.floor(this.capacityBytes / this.unitBytes), Math.max(LEAST_UNITS, this.#room.reachUnits));
  }

  get lengthBytes(): number {
    return this.unitBytes;
  }

  /** True when something was refused since room last came. */
  get isStarved(): boolean {
    return this.#isStarved;
  }

  get pinnedUnits(): number {
    return this.#pinnedUnits;
  }

  /** Loading, ready, and evicted but not given back yet. */
  get residentBytes(): number {
    return this.#loadingBytes + this.#readyBytes + this.#evictedBytes;
  }

  pin(piece: PieceIndex, begin: number, length: number): PinOutcome {
    const first = this.#unitAt(piece, begin);
    const last = this.#unitAt(piece, begin + length - 1);
    if (!this.#areReady(first, last)) {
      const outcome = this.#want(first, last, LOADING_SHARE);
      if (outcome !== 'ready') return outcome;
      // The last of them may have pushed out the first: the caller comes again at once.
      if (!this.#areReady(first, last)) {
        this.#isStarved = true;
        this.#wake();
        return 'loading';
      }
    }
    if (first === this.#part?.[0]) this.#part = null;
    for (let unit = first; unit <= last; unit++) {
      const slot = this.#slots.of(unit);
      if (this.#pins[slot]!++ > 0) continue;
      this.#pinnedUnits++;
      this.#idle.remove(slot);
    }
    this.#wasUsed = true;
    return 'ready';
  }

  #areReady(first: number, last: number): boolean {
    for (let unit = first; unit <= last; unit++) {
      const slot = this.#slots.of(unit);
      if (slot === NO_SLOT || this.#state[slot] !== READY) return false;
    }
    return true;
  }

  unpin(piece: PieceIndex, begin: number, length: number): void {
    const last = this.#unitAt(piece, begin + length - 1);
    for (let unit = this.#unitAt(piece, begin); unit <= last; unit++) {
      const slot = this.#slots.of(unit);
      if (slot === NO_SLOT || this.#pins[slot]! <= 0)
        throw new Error(`unpin of a range that is not pinned: piece ${piece}`);
      if (--this.#pins[slot]! > 0) continue;
      this.#pinnedUnits--;
      this.#idle.add(slot);
      this.#trim(0);
      this.#room.unitIsFree();
      this.#wake();
    }
  }

  /** Lets the least recently used go until so many bytes were. */
  shrink(bytes: number): void {
    for (let left = bytes; left > 0 && this.#idle.oldest !== NO_SLOT; left -= this.unitBytes) this.#evictOldest();
  }

  /** Something was pinned since this was asked last. */
  takeUsed(): boolean {
    const wasUsed = this.#wasUsed;
    this.#wasUsed = false;
    return wasUsed;
  }

  readAhead(piece: PieceIndex, begin: number, length: number): void {
    const wasStarved = this.#isStarved;
    this.#want(this.#unitAt(piece, begin), this.#unitAt(piece, begin + length - 1), READ_AHEAD_SHARE);
    this.#isStarved = wasStarved;
  }

  /** The slot of a resident unit, and where in it this byte lies: for owners whose memory is by slot. */
  slotAt(piece: PieceIndex, begin: number): number {
    return this.#slots.of(this.#unitAt(piece, begin));
  }

  /** The owner has room again for what it refused. */
  retry(): void {
    this.#wake();
  }

  /** The owner finished, or failed, to load. */
  loaded(slot: number, isGood: boolean): void {
    this.#loadingBytes -= this.unitBytes;
    if (isGood) this.#becomeReady(slot);
    else {
      this.#free(slot);
      this.#room.giveUnit();
    }
    this.#wake();
  }

  /** True when an evicted unit is still to be let go; from now on it can not be had back before `released`. */
  beginRelease(slot: number): boolean {
    if (this.#state[slot] !== EVICTED) return false;
    this.#state[slot] = RELEASING;
    return true;
  }

  released(slot: number): void {
    this.#evictedBytes -= this.unitBytes;
    this.#free(slot);
    this.#room.unitLeft();
    this.#wake();
  }

  /** The memory of a piece that was written is present already: it becomes ready units, newest of all. */
  adopt(piece: PieceIndex): void {
    const first = piece * this.#unitsPerPiece;
    const last = this.#unitAt(piece, this.#geometry.pieceLength(piece) - 1);
    for (let unit = first; unit <= last; unit++) {
      if (this.#slots.of(unit) !== NO_SLOT) continue;
      this.#becomeReady(this.#allocate(unit, READY));
      this.#room.adoptUnit();
    }
    this.#trim(0);
  }

  /** Forgets the units of a piece that will be written. False: some are in use or on their way. */
  forget(piece: PieceIndex): boolean {
    const slots: number[] = [];
    const last = this.#unitAt(piece, this.#geometry.pieceLength(piece) - 1);
    for (let unit = piece * this.#unitsPerPiece; unit <= last; unit++) {
      const slot = this.#slots.of(unit);
      if (slot === NO_SLOT) continue;
      if ((this.#state[slot] !== READY && this.#state[slot] !== EVICTED) || this.#pins[slot]! > 0) return false;
      slots.push(slot);
    }
    for (const slot of slots) {
      if (this.#state[slot] === READY) {
        this.#idle.remove(slot);
        this.#readyBytes -= this.unitBytes;
        this.#room.giveUnit();
      } else {
        this.#evictedBytes -= this.unitBytes;
        this.#room.unitLeft();
      }
      this.#owner.forgotten(slot);
      this.#free(slot);
    }
    return true;
  }

  /** True when the unit at this byte has a slot, so that its pages must stay. */
  isKnown(piece: PieceIndex, begin: number): boolean {
    return this.#slots.of(this.#unitAt(piece, begin)) !== NO_SLOT;
  }

  pieceOf(slot: number): PieceIndex {
    return Math.floor(this.#unit[slot]! / this.#unitsPerPiece) as PieceIndex;
  }

  beginOf(slot: number): number {
    return (this.#unit[slot]! % this.#unitsPerPiece) * this.unitBytes;
  }

  lengthOf(slot: number): number {
    return Math.min(this.unitBytes, this.#geometry.pieceLength(this.pieceOf(slot)) - this.beginOf(slot));
  }

  /** For tests: throws when the books do not balance. */
  checkInvariants(): void {
    const sums = [0, 0, 0, 0, 0];
    let pinned = 0;
    for (let slot = 0; slot < this.#slotCount; slot++) {
      const state = this.#state[slot]!;
      if (state !== FREE) sums[state]! += this.unitBytes;
      if (state !== FREE && this.#slots.of(this.#unit[slot]!) !== slot) throw new Error(`slot ${slot} is lost`);
      if (this.#pins[slot]! > 0) pinned++;
      if (this.#pins[slot]! !== 0 && state !== READY) throw new Error(`slot ${slot} is pinned and not ready`);
    }
    const isBalanced =
      sums[LOADING] === this.#loadingBytes &&
      sums[READY] === this.#readyBytes &&
      sums[EVICTED]! + sums[RELEASING]! === this.#evictedBytes &&
      pinned === this.#pinnedUnits;
    if (!isBalanced) throw new Error('resident bytes do not add up');
  }

  #unitAt(piece: PieceIndex, begin: number): number {
    return piece * this.#unitsPerPiece + Math.floor(begin / this.unitBytes);
  }

  /** Starts loading what is missing of these units. `ready`: nothing is. */
  #want(first: number, last: number, loadingShare: number): PinOutcome {
    let outcome: PinOutcome = 'ready';
    // What is there must not be pushed out by what is missing.
    for (let unit = first; unit <= last; unit++) this.#touch(this.#slots.of(unit));
    let part = this.#part;
    this.#part = null;
    const kept = this.#takeOut(first, last);
    for (let unit = first; unit <= last && outcome !== 'full'; unit++) {
      const slot = this.#slots.of(unit);
      const state = slot === NO_SLOT ? FREE : this.#state[slot];
      if (state === READY) continue;
      const isComing = state === LOADING || (state === FREE && this.#load(unit, loadingShare));
      if (!isComing) {
        this.#isStarved = true;
        outcome = 'full';
        if (kept.length > 0) part = [first, last];
      } else if (this.#state[this.#slots.of(unit)] !== READY) outcome = 'loading';
    }
    for (const slot of kept) this.#idle.add(slot);
    this.#part = part;
    return outcome;
  }

  /** Takes those of a range that nobody uses out of the line of those that may go. */
  #takeOut(first: number, last: number): number[] {
    const slots: number[] = [];
    for (let unit = first; unit <= last; unit++) {
      const slot = this.#slots.of(unit);
      if (slot === NO_SLOT || this.#state[slot] !== READY || this.#pins[slot] !== 0) continue;
      this.#idle.remove(slot);
      slots.push(slot);
    }
    return slots;
  }

  #touch(slot: number): void {
    if (slot === NO_SLOT) return;
    if (this.#state[slot] === EVICTED) {
      this.#evictedBytes -= this.unitBytes;
      this.#room.unitStays();
      this.#becomeReady(slot);
    } else if (this.#state[slot] === READY && this.#pins[slot] === 0) {
      this.#idle.remove(slot);
      this.#idle.add(slot);
    }
  }

  #load(unit: number, loadingShare: number): boolean {
    const slot = this.#allocate(unit, LOADING);
    const bytes = this.unitBytes;
    const hasRoom =
      (this.#loadingBytes === 0 || this.#loadingBytes + bytes <= this.count * bytes * loadingShare) &&
      this.#evictedBytes <= this.capacityBytes * EVICTED_SHARE - bytes &&
      this.#trim(bytes) &&
      this.#room.takeUnit();
    const loading = hasRoom && this.#owner.load(slot, this.pieceOf(slot), this.beginOf(slot), this.lengthOf(slot));
    if (loading === 'there') this.#becomeReady(slot);
    else if (loading) this.#loadingBytes += bytes;
    else {
      this.#free(slot);
      if (hasRoom) this.#room.giveUnit();
    }
    return loading !== false;
  }

  #becomeReady(slot: number): void {
    this.#readyBytes += this.unitBytes;
    this.#state[slot] = READY;
    this.#idle.add(slot);
  }

  /** Lets the least recently used go until `wanted` more bytes fit. False: pins and loads hold too much. */
  #trim(wanted: number): boolean {
    while (this.#loadingBytes + this.#readyBytes + wanted > this.capacityBytes && this.#idle.oldest !== NO_SLOT)
      this.#evictOldest();
    return this.#loadingBytes + this.#readyBytes + wanted <= this.capacityBytes;
  }

  #evictOldest(): void {
    // Whoever waits for the rest of a range would have its part read again and again: it goes last.
    if (this.#part !== null) for (const slot of this.#takeOut(...this.#part)) this.#idle.add(slot);
    const slot = this.#idle.oldest;
    this.#idle.remove(slot);
    this.#readyBytes -= this.unitBytes;
    if (this.#owner.evict(slot)) {
      this.#free(slot);
      this.#room.giveUnit();
    } else {
      this.#state[slot] = EVICTED;
      this.#evictedBytes += this.unitBytes;
      this.#room.unitLeaves();
    }
  }

  #wake(): void {
    if (!this.#isStarved) return;
    this.#isStarved = false;
    this.#owner.roomCame();
  }

  #allocate(unit: number, state: number): number {
    const slot = this.#freeSlots.pop() ?? this.#slotCount++;
    if (slot >= this.#state.length) this.#grow();
    this.#slots.set(unit, slot);
    this.#unit[slot] = unit;
    this.#state[slot] = state;
    this.#pins[slot] = 0;
    return slot;
  }

  #free(slot: number): void {
    this.#slots.set(this.#unit[slot]!, NO_SLOT);
    this.#state[slot] = FREE;
    this.#freeSlots.push(slot);
  }

  #grow(): void {
    const length = this.#state.length * 2;
    const state = new Uint8Array(length);
    state.set(this.#state);
    this.#state = state;
    this.#unit = grown(this.#unit, length);
    this.#pins = grown(this.#pins, length);
    this.#idle.grow(length);
  }
}
