/**
 * Pieces open for writing and the state of each of their blocks. Only open pieces have block state; records are
 * recycled.
 *
 *   piece:  (not open) -> OPENING -> READY -> VERIFYING -> (not open), and VERIFYING -> READY when the hash is bad
 *   block:  MISSING <-> REQUESTED -> ARRIVING -> STORED; back to MISSING when requests go back or the piece is bad
 *
 * Invariant: per record, missing + requested + arriving + stored = blocks of the piece; a READY record is in the list
 * of servable records exactly while it has missing blocks. Who was asked for a block is the ledger's business
 * (ledger.ts).
 */
import { Bitfield } from '../../metainfo/bitfield.js';
import type { Geometry, PeerSlot, PieceIndex } from '../../metainfo/geometry.js';
import type { UnfinishedPiece } from '../../metainfo/unfinished.js';
import { grown } from '../peers/slot-rows.js';
import { SlotSet } from '../peers/slot-set.js';

export const OPENING = 1;
export const READY = 2;
export const VERIFYING = 3;

export const MISSING = 0;
export const REQUESTED = 1;
export const ARRIVING = 2;
export const STORED = 3;

const NOT_OPEN = -1;
/** Records whose blocks have room when the first piece is opened. */
const FIRST_RECORDS = 4;

/** Tables with a row for each block of a record. */
export interface BlockTables {
  /** Blocks may be up to `blocks` from now on. */
  growBlocks(blocks: number): void;
}

export class OpenPieces {
  readonly geometry: Geometry;
  readonly capacity: number;
  /** Records in use. */
  readonly records: SlotSet;
  readonly pieceOf: Int32Array;
  readonly phase: Uint8Array;
  readonly blockCount: Int32Array;
  /** Blocks per record and state: `counts[record * 4 + state]`. */
  readonly counts: Int32Array;
  /**
   * State per block: `record * blocksPerPiece + block`. As long as the most pieces that were ever open need: one among
   * many torrents has few open, and may have a hundred.
   */
  state = new Uint8Array(0);
  /** Who sends or sent an ARRIVING or STORED block. */
  sender = new Int32Array(0);
  /** Missing blocks of OPENING and READY records. */
  supplyBlocks = 0;
  /** Missing blocks of READY records. */
  readyBlocks = 0;
  readonly #recordOf: Int32Array;
  readonly #free: Int32Array;
  #freeCount: number;
  /** No block before the cursor is missing. */
  readonly #cursor: Int32Array;
  /** The servable list, oldest first. Index `capacity` is its head and tail. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** They have a row for each block that `state` has. */
  readonly #tables: BlockTables;

  /** @param missingPieces pieces that may ever be opened: of a complete torrent none, and no table is needed. */
  constructor(geometry: Geometry, openPieces: number, missingPieces: number, tables: BlockTables) {
    this.geometry = geometry;
    this.#tables = tables;
    this.capacity = Math.min(openPieces, missingPieces);
    this.records = new SlotSet(this.capacity);
    this.pieceOf = new Int32Array(this.capacity).fill(-1);
    this.phase = new Uint8Array(this.capacity);
    this.blockCount = new Int32Array(this.capacity);
    this.counts = new Int32Array(this.capacity * 4);
    this.#recordOf = new Int32Array(geometry.pieceCount).fill(NOT_OPEN);
    this.#free = Int32Array.from({ length: this.capacity }, (_, index) => this.capacity - 1 - index);
    this.#freeCount = this.capacity;
    this.#cursor = new Int32Array(this.capacity);
    this.#next = new Int32Array(this.capacity + 1).fill(-1);
    this.#previous = new Int32Array(this.capacity + 1).fill(-1);
    this.#next[this.capacity] = this.#previous[this.capacity] = this.capacity;
  }

  get count(): number {
    return this.records.size;
  }

  /** Record of an open piece, or -1. */
  recordOf(piece: number): number {
    return this.#recordOf[piece]!;
  }

  /** Index of a block in `state` and `sender`. */
  indexOf(record: number, block: number): number {
    return record * this.geometry.blocksPerPiece + block;
  }

  recordAt(index: number): number {
    return Math.floor(index / this.geometry.blocksPerPiece);
  }

  missing(record: number): number {
    return this.counts[record * 4 + MISSING]!;
  }

  stored(record: number): number {
    return this.counts[record * 4 + STORED]!;
  }

  requested(record: number): number {
    return this.counts[record * 4 + REQUESTED]!;
  }

  arriving(record: number): number {
    return this.counts[record * 4 + ARRIVING]!;
  }

  open(piece: number): number {
    if (this.#freeCount === 0 || this.#recordOf[piece] !== NOT_OPEN) throw new Error(`cannot open piece ${piece}`);
    const record = this.#free[--this.#freeCount]!;
    this.#include(record);
    const blocks = this.geometry.blockCount(piece as PieceIndex);
    this.#recordOf[piece] = record;
    this.records.add(record);
    this.pieceOf[record] = piece;
    this.phase[record] = OPENING;
    this.blockCount[record] = blocks;
    this.#clear(record);
    this.supplyBlocks += blocks;
    return record;
  }

  /** Free records are taken in order, those that were used before first. */
  #include(record: number): void {
    const { blocksPerPiece } = this.geometry;
    if ((record + 1) * blocksPerPiece <= this.state.length) return;
    const records = Math.min(this.capacity, Math.max(FIRST_RECORDS, 2 ** Math.ceil(Math.log2(record + 1))));
    this.state = grown(this.state, records * blocksPerPiece);
    this.sender = grown(this.sender, records * blocksPerPiece, -1);
    this.#tables.growBlocks(records * blocksPerPiece);
  }

  ready(record: number): void {
    this.phase[record] = READY;
    this.readyBlocks += this.missing(record);
    if (this.missing(record) > 0) this.#link(record, this.#previous[this.capacity]!);
  }

  verifying(record: number): void {
    this.phase[record] = VERIFYING;
  }

  /** A bad piece: every block is missing again. Returns who sent them. */
  restart(record: number): PeerSlot[] {
    const senders = this.senders(record);
    this.#clear(record);
    this.supplyBlocks += this.blockCount[record]!;
    this.ready(record);
    return senders;
  }

  /** The record's requests are already out of the ledger. */
  close(record: number): void {
    const missing = this.missing(record);
    if (this.phase[record] !== VERIFYING) this.supplyBlocks -= missing;
    if (this.phase[record] === READY) {
      this.readyBlocks -= missing;
      if (missing > 0) this.#unlink(record);
    }
    this.#recordOf[this.pieceOf[record]!] = NOT_OPEN;
    this.pieceOf[record] = -1;
    this.phase[record] = 0;
    this.records.delete(record);
    this.#free[this.#freeCount++] = record;
  }

  /** Moves a block of a READY record to another state. */
  move(record: number, block: number, to: number): void {
    const index = this.indexOf(record, block);
    const from = this.state[index]!;
    if (from === to) return;
    this.state[index] = to;
    this.counts[record * 4 + from]!--;
    this.counts[record * 4 + to]!++;
    if (from === MISSING) {
      this.supplyBlocks--;
      this.readyBlocks--;
      if (this.missing(record) === 0) this.#unlink(record);
    } else if (to === MISSING) {
      this.supplyBlocks++;
      this.readyBlocks++;
      if (block < this.#cursor[record]!) this.#cursor[record] = block;
      // A piece that comes back is the one nearest to its end: it goes first.
      if (this.missing(record) === 1) this.#link(record, this.capacity);
    }
  }

  /** Blocks in a row that were REQUESTED are STORED. @param begin index of the first one */
  storeRun(record: number, begin: number, count: number, slot: number): void {
    for (let index = begin; index < begin + count; index++) {
      this.state[index] = STORED;
      this.sender[index] = slot;
    }
    this.counts[record * 4 + REQUESTED]! -= count;
    this.counts[record * 4 + STORED]! += count;
  }

  /** Blocks of a READY record that are here from an earlier run: nobody here sent them. */
  restore(record: number, blocks: Bitfield): void {
    for (let block = 0; block < this.blockCount[record]!; block++)
      if (blocks.has(block)) this.move(record, block, STORED);
  }

  /** READY pieces with something stored. Not those in verification: their blocks may be known to be bad. */
  unfinished(): UnfinishedPiece[] {
    const pieces: UnfinishedPiece[] = [];
    for (let place = 0; place < this.records.size; place++) {
      const record = this.records.at(place);
      if (this.phase[record] !== READY || this.stored(record) === 0) continue;
      const blocks = new Bitfield(this.blockCount[record]!);
      for (let block = 0; block < blocks.bitCount; block++)
        if (this.state[this.indexOf(record, block)] === STORED) blocks.set(block);
      pieces.push({ piece: this.pieceOf[record] as PieceIndex, blocks });
    }
    return pieces;
  }

  /** Who sent blocks of the record, each once. */
  senders(record: number): PeerSlot[] {
    const begin = this.indexOf(record, 0);
    const senders = new Set(this.sender.subarray(begin, begin + this.blockCount[record]!));
    senders.delete(-1);
    return [...senders] as PeerSlot[];
  }

  /** The slot has a new owner, who must not be blamed for what the last one sent. */
  forgetSender(slot: number): void {
    for (let place = 0; place < this.records.size; place++) {
      const begin = this.indexOf(this.records.at(place), 0);
      const end = begin + this.blockCount[this.records.at(place)]!;
      for (let index = begin; index < end; index++) if (this.sender[index] === slot) this.sender[index] = -1;
    }
  }

  /** First servable record, or -1: read `nextServable` before changing the one at hand. */
  firstServable(): number {
    const record = this.#next[this.capacity]!;
    return record === this.capacity ? -1 : record;
  }

  nextServable(record: number): number {
    const next = this.#next[record]!;
    return next === this.capacity ? -1 : next;
  }

  /** First missing block; there must be one. */
  firstMissing(record: number): number {
    const begin = record * this.geometry.blocksPerPiece;
    let block = this.#cursor[record]!;
    while (this.state[begin + block] !== MISSING) block++;
    this.#cursor[record] = block;
    return block;
  }

  /**
   * Blocks in a row from this missing one on that one request may name: a power of two up to `most`, at a multiple of
   * itself, all missing; cut short only by the end of the piece.
   */
  missingRun(record: number, block: number, most: number): number {
    const begin = record * this.geometry.blocksPerPiece;
    const end = this.blockCount[record]!;
    let count = block === 0 ? most : Math.min(most, block & -block);
    for (let next = block + 1; next < Math.min(block + count, end); next++) {
      if (this.state[begin + next] === MISSING) continue;
      while (next < block + count) count >>= 1;
    }
    return Math.min(count, end - block);
  }

  /** From a random block on: the first missing ones are what others are asked for next. */
  anyMissing(record: number, random: () => number): number {
    const blocks = this.blockCount[record]!;
    let block = Math.floor(random() * blocks);
    while (this.state[this.indexOf(record, block)] !== MISSING) block = (block + 1) % blocks;
    return block;
  }

  #clear(record: number): void {
    const begin = record * this.geometry.blocksPerPiece;
    const blocks = this.blockCount[record]!;
    this.state.fill(MISSING, begin, begin + blocks);
    this.sender.fill(-1, begin, begin + blocks);
    this.counts.fill(0, record * 4, record * 4 + 4);
    this.counts[record * 4 + MISSING] = blocks;
    this.#cursor[record] = 0;
  }

  #link(record: number, after: number): void {
    const next = this.#next[after]!;
    this.#next[after] = record;
    this.#previous[record] = after;
    this.#next[record] = next;
    this.#previous[next] = record;
  }

  #unlink(record: number): void {
    const next = this.#next[record]!;
    const previous = this.#previous[record]!;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#next[record] = this.#previous[record] = -1;
  }

  /** Throws when counts, states and the servable list disagree. For tests. */
  checkInvariants(): void {
    const linked = new Set<number>();
    for (let record = this.firstServable(); record >= 0; record = this.nextServable(record)) linked.add(record);
    let supply = 0;
    let ready = 0;
    for (let place = 0; place < this.records.size; place++) {
      const record = this.records.at(place);
      const counts = [0, 0, 0, 0];
      for (let block = 0; block < this.blockCount[record]!; block++) {
        const state = this.state[this.indexOf(record, block)]!;
        counts[state]!++;
        if (state === MISSING && block < this.#cursor[record]!)
          throw new Error('a missing block lies before the cursor');
      }
      const kept = [...this.counts.subarray(record * 4, record * 4 + 4)];
      if (counts.join() !== kept.join()) throw new Error(`record ${record}: counts ${kept} but states ${counts}`);
      if (this.#recordOf[this.pieceOf[record]!] !== record) throw new Error(`record ${record} lost its piece`);
      const isServable = this.phase[record] === READY && counts[MISSING]! > 0;
      if (linked.has(record) !== isServable) throw new Error(`record ${record}: servable list is wrong`);
      linked.delete(record);
      if (this.phase[record] !== VERIFYING) supply += counts[MISSING]!;
      else if (counts[STORED] !== this.blockCount[record]) throw new Error('verifying a piece that is not stored');
      if (this.phase[record] === READY) ready += counts[MISSING]!;
    }
    if (linked.size > 0) throw new Error('a closed record is in the servable list');
    if (supply !== this.supplyBlocks || ready !== this.readyBlocks)
      throw new Error('supply and ready counts are wrong');
  }
}
