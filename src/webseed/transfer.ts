/**
 * One run of a web seed on its way: the requests of HTTP for its parts, file by file, and the blocks that their bytes
 * make. A block is handed over when all of it is here, never before: a server that sends a byte a second keeps nobody
 * from fetching the block elsewhere.
 */
import { BLOCK_LENGTH_BYTES } from '../config.js';
import type { Geometry } from '../metainfo/geometry.js';
import type { FileLayout, FileSegment } from '../metainfo/layout.js';
import type { MovedPlace, RangeFailure, RangeGet, RangeSink } from '../net/range-get.js';
import type { Run } from './run-queue.js';

export interface TransferOwner {
  readonly geometry: Geometry;
  /** Whole blocks of one piece that are handed over at once, at most. */
  readonly blocksAtOnce: number;
  readonly layout: FileLayout;
  /** A request for bytes of one file. */
  open(segment: FileSegment, sink: RangeSink): RangeGet;
  onMoved(segment: FileSegment, place: MovedPlace): void;
  /** Bytes came, of whatever they are a part. */
  onBytes(bytes: number): void;
  /** Whole blocks in a row of one piece. False: nothing more is taken. */
  onBlocks(offset: number, source: Buffer, start: number, end: number): boolean;
  /** The block at this offset cannot be handed over yet: nothing is read before `resume`. */
  mustWait(offset: number): boolean;
  /** Whether the file that begins there is to be asked for, now that the one before it has ended. */
  goesOn(offset: number): boolean;
  /** What was read at once is dealt with. */
  onReadEnd(): void;
  onDone(transfer: Transfer): void;
  onFailed(transfer: Transfer, failure: RangeFailure): void;
}

const ZEROS = Buffer.alloc(BLOCK_LENGTH_BYTES);
/** Of padding in one turn of the event loop: who makes a torrent says how much there is of it. */
const PAD_TURN_BYTES = 4 * 1024 * 1024;

export class Transfer implements RangeSink {
  /** Torrent offset of the next block that is not handed over. */
  at: number;
  readonly end: number;
  readonly #owner: TransferOwner;
  readonly #segments: readonly FileSegment[];
  #next = 0;
  /** Of the segment under way, and how much of it has come. */
  #cameBytes = 0;
  #request: RangeGet | null = null;
  /** The block that has begun, and how much of it is here. */
  #block: Buffer | null = null;
  #held = 0;
  #isOver = false;
  /** What was read, of a block that has to wait. */
  #rest: Buffer | null = null;
  /** And nothing comes behind it. */
  #isEnded = false;
  /** Bytes of the first file that lie before the first block. */
  #skipBytes: number;
  /** A long padding goes on in the next turn. */
  #isStartDue = false;

  /** @param from where what is asked for begins, at or before the first block */
  constructor(owner: TransferOwner, { begin, end }: Run, from: number = begin) {
    this.#owner = owner;
    this.at = begin;
    this.end = end;
    this.#segments = owner.layout.segments(from, end - from);
    this.#skipBytes = begin - from;
  }

  get leftBytes(): number {
    return this.end - this.at;
  }

  start(): void {
    for (; this.#next < this.#segments.length && !this.#isOver; this.#next++) {
      const segment = this.#segments[this.#next]!;
      if (segment.isStored) {
        this.#ask(segment);
        return;
      }
      if (!this.#pad(segment.lengthBytes)) return;
      this.#cameBytes = 0;
    }
    if (!this.#isOver) this.#finish();
  }

  pause(): void {
    this.#request?.pause();
  }

  resume(): void {
    const rest = this.#rest;
    this.#rest = null;
    if (rest !== null) this.#take(rest);
    if (this.#isOver) return;
    this.#owner.onReadEnd();
    if (this.#rest !== null) return;
    if (this.#isEnded) {
      this.#isEnded = false;
      this.onEnd();
    } else if (this.#request !== null) this.#request.resume();
    else this.#startSoon();
  }

  abort(): void {
    this.#isOver = true;
    this.#request?.abort();
    this.#request = null;
  }

  #ask({ file, beginBytes, lengthBytes, isStored }: FileSegment): void {
    const came = this.#cameBytes;
    const rest = { file, beginBytes: beginBytes + came, lengthBytes: lengthBytes - came, isStored };
    this.#request = this.#owner.open(rest, this);
    this.#request.start();
  }

  #finish(): void {
    this.#isOver = true;
    this.#request = null;
    this.#owner.onDone(this);
  }

  /** BEP 47: padding is on no server. False: the rest of it comes later. */
  #pad(lengthBytes: number): boolean {
    const turnEnds = this.#cameBytes + PAD_TURN_BYTES;
    while (this.#cameBytes < lengthBytes) {
      if (this.#cameBytes >= turnEnds) {
        this.#startSoon();
        return false;
      }
      const bytes = Math.min(ZEROS.length, lengthBytes - this.#cameBytes);
      this.#cameBytes += bytes;
      this.#take(ZEROS.subarray(0, bytes));
      if (this.#isOver) return false;
      if (this.#rest !== null) break;
    }
    this.#owner.onReadEnd();
    return this.#rest === null;
  }

  #startSoon(): void {
    if (this.#isStartDue) return;
    this.#isStartDue = true;
    setImmediate(() => {
      this.#isStartDue = false;
      if (!this.#isOver && this.#rest === null) this.start();
    });
  }

  // ---- RangeSink ----

  onBytes(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#cameBytes += bytes.length;
    this.#owner.onBytes(bytes.length);
    this.#take(bytes);
    if (!this.#isOver) this.#owner.onReadEnd();
  }

  onEnd(): void {
    if (this.#isOver) return;
    if (this.#rest !== null) {
      this.#isEnded = true;
      return;
    }
    const segment = this.#segments[this.#next]!;
    // A server may send less than it was asked for.
    if (this.#cameBytes < segment.lengthBytes) {
      this.#ask(segment);
      return;
    }
    this.#cameBytes = 0;
    this.#next++;
    this.#request = null;
    // A block that has begun is there and in the next file.
    if (this.#held === 0 && this.#skipBytes === 0 && !this.#owner.goesOn(this.at)) this.#finish();
    else this.start();
  }

  onFailed(failure: RangeFailure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#request = null;
    this.#owner.onFailed(this, failure);
  }

  onMoved(place: MovedPlace): void {
    if (!this.#isOver) this.#owner.onMoved(this.#segments[this.#next]!, place);
  }

  // ---- blocks ----

  #take(bytes: Buffer): void {
    let from = Math.min(this.#skipBytes, bytes.length);
    this.#skipBytes -= from;
    while (from < bytes.length && !this.#isOver) {
      if (this.#held === 0 && this.#owner.mustWait(this.at)) {
        this.#rest = Buffer.from(bytes.subarray(from));
        this.#request?.pause();
        return;
      }
      const whole = this.#held > 0 ? 0 : this.#wholeBlocks(bytes.length - from);
      if (whole > 0) {
        this.#deliver(bytes, from, from + whole);
        from += whole;
      } else from += this.#hold(bytes, from);
    }
  }

  /** Bytes of the whole blocks in a row, of one piece, with which so many bytes begin. */
  #wholeBlocks(bytes: number): number {
    const { geometry, blocksAtOnce } = this.#owner;
    const left = geometry.pieceEnd(geometry.pieceAt(this.at)) - this.at;
    if (bytes >= left && left <= blocksAtOnce * BLOCK_LENGTH_BYTES) return left;
    return Math.min(Math.floor(Math.min(bytes, left) / BLOCK_LENGTH_BYTES), blocksAtOnce) * BLOCK_LENGTH_BYTES;
  }

  /** Keeps bytes of a block that is not all here. Returns how many. */
  #hold(bytes: Buffer, from: number): number {
    const { geometry } = this.#owner;
    const length = Math.min(BLOCK_LENGTH_BYTES, geometry.pieceEnd(geometry.pieceAt(this.at)) - this.at);
    const count = Math.min(length - this.#held, bytes.length - from);
    this.#block ??= Buffer.allocUnsafe(BLOCK_LENGTH_BYTES);
    bytes.copy(this.#block, this.#held, from, from + count);
    this.#held += count;
    if (this.#held === length) {
      this.#held = 0;
      this.#deliver(this.#block, 0, length);
    }
    return count;
  }

  #deliver(source: Buffer, start: number, end: number): void {
    const offset = this.at;
    this.at += end - start;
    if (!this.#owner.onBlocks(offset, source, start, end)) this.abort();
  }
}
