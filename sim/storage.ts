/**
 * Virtual storage and hash pool of one host, behind the storage port: pieces open late, may be refused or abandoned;
 * what a block holds is one number.
 * Invariant: a piece is open here exactly while the scheduler has it open.
 */
import { BLOCK_LENGTH_BYTES } from '../src/config.js';
import { HaulError } from '../src/errors.js';
import type { Geometry, PieceIndex } from '../src/metainfo/geometry.js';
import type { Storage, StorageReads } from '../src/storage/port.js';
import type { ResidentUnits } from '../src/storage/units.js';
import { VirtualMemory, type VirtualMemoryOptions } from './memory.js';

export const GOOD = 1;
const DIGEST_BYTES = 20;

/** Bytes of blocks that move as calls: at the begin of each block is the number that stands for what it holds. */
export const NUMBERED_BYTES = Buffer.alloc(256 * 1024);

/** What a block must contain where bytes move: a little of everything, different everywhere. */
export function byteAt(piece: number, offset: number): number {
  return (Math.imul(piece + 1, 0x9e3779b1) + Math.imul(offset, 0x85ebca6b)) >>> 24;
}

export interface VirtualStorageOptions {
  readonly geometry: Geometry;
  readonly mostPieces: number;
  readonly random: () => number;
  readonly memory?: VirtualMemoryOptions | undefined;
  /** Share of opens that are refused, or end in trouble. */
  readonly refusals: number;
  readonly abandons: number;
  readonly onRefused: () => void;
  /** All blocks of the piece are stored; its hash is looked at later. */
  readonly onWhole: (piece: PieceIndex) => void;
  /** Let `opened` and `hashed` of the piece happen when their time has come. */
  readonly planOpened: (piece: PieceIndex) => void;
  readonly planHashed: (piece: PieceIndex) => void;
  /** Calls at the same time, after this event. */
  readonly soon: (call: () => void) => void;
}

interface OpenPiece {
  /** Of each block: 0 nothing, GOOD, or anything else for what is corrupt. */
  readonly contents: Int32Array;
  /** Of blocks that are arriving in parts. */
  readonly coming: Int32Array;
  isReady: boolean;
  onOpened: ((error: HaulError | null) => void) | null;
  onHashed: ((outcome: boolean | HaulError) => void) | null;
}

export class VirtualStorage implements Storage {
  readonly files = { read: async (_file: number, _beginBytes: number, target: Uint8Array) => void target.fill(0) };
  readonly kind = 'mapped';
  readonly isBehind = false;
  /** Null: there is always enough for `mostPieces`, and all that is read is resident. */
  readonly memory: VirtualMemory | null;
  readonly reads: StorageReads;
  readonly suspects = [];
  onRoom: (() => void) | null = null;
  onPiecesWanted: (() => void) | null = null;
  onReadable: (() => void) | null = null;
  onError: ((error: HaulError) => void) | null = null;
  readonly #options: VirtualStorageOptions;
  readonly #geometry: Geometry;
  readonly #open = new Map<number, OpenPiece>();

  constructor(options: VirtualStorageOptions) {
    this.#options = options;
    this.#geometry = options.geometry;
    this.memory = options.memory === undefined ? null : new VirtualMemory(options.memory, this);
    this.reads = readsOf(this.memory?.units ?? null, this.#geometry.pieceLengthBytes);
  }

  // ---- for the books ----

  get openCount(): number {
    return this.#open.size;
  }

  isReady(piece: PieceIndex): boolean {
    return this.#open.get(piece)?.isReady === true;
  }

  content(piece: PieceIndex, block: number): number {
    return this.#open.get(piece)?.contents[block] ?? 0;
  }

  // ---- pieces ----

  get mostPieces(): number {
    const { mostPieces } = this.#options;
    return this.memory === null ? mostPieces : Math.min(mostPieces, this.memory.share.mostPieces);
  }

  get roomPieces(): number {
    const room = this.#options.mostPieces - this.#open.size;
    return this.memory === null ? room : Math.min(room, this.memory.share.roomPieces);
  }

  get isShortOfMemory(): boolean {
    return this.memory?.share.isShortOfPieces ?? false;
  }

  openPiece(piece: PieceIndex, done: (error: HaulError | null) => void): boolean {
    if (this.#open.has(piece)) throw new Error(`piece ${piece} is opened twice`);
    const isRefused = this.#options.random() < this.#options.refusals;
    if (isRefused || this.memory?.takePiece(piece) === false) {
      this.#options.onRefused();
      return false;
    }
    const blocks = this.#geometry.blockCount(piece);
    const contents = new Int32Array(blocks);
    const coming = new Int32Array(blocks);
    this.#open.set(piece, { contents, coming, isReady: false, onOpened: done, onHashed: null });
    this.#options.planOpened(piece);
    return true;
  }

  /** As a worker would say. */
  opened(piece: PieceIndex): void {
    const entry = this.#open.get(piece);
    const done = entry?.onOpened;
    if (entry === undefined || !done) return;
    entry.onOpened = null;
    if (this.#options.random() < this.#options.abandons) {
      this.#open.delete(piece);
      this.memory?.givePiece();
      done(new HaulError('IO', 'the disk does not answer', { errno: 'EIO' }));
      return;
    }
    entry.isReady = true;
    done(null);
  }

  fillPiece(_piece: PieceIndex, done: (error: HaulError | null) => void): void {
    this.#options.soon(() => done(null));
  }

  async keepUnfinished(): Promise<void> {}

  store(piece: PieceIndex, begin: number, source: Buffer, start: number, end: number): void {
    const entry = this.#open.get(piece);
    if (entry?.isReady !== true) throw new Error(`a block of piece ${piece} is stored, which is not ready`);
    const isNumbered = source === NUMBERED_BYTES;
    for (let at = start; at < end; ) {
      const offset = begin + at - start;
      const block = Math.floor(offset / BLOCK_LENGTH_BYTES);
      const blockBegin = block * BLOCK_LENGTH_BYTES;
      const blockEnd = Math.min(blockBegin + BLOCK_LENGTH_BYTES, this.#geometry.pieceLength(piece));
      const part = Math.min(end - at, blockEnd - offset);
      if (offset === blockBegin) entry.coming[block] = GOOD;
      if (isNumbered) entry.coming[block] = source.readInt32LE(at);
      else this.#compare(entry, piece, block, offset, source, at, part);
      if (offset + part === blockEnd) entry.contents[block] = entry.coming[block]!;
      at += part;
    }
  }

  #compare(
    { coming }: OpenPiece,
    piece: number,
    block: number,
    offset: number,
    source: Buffer,
    at: number,
    part: number,
  ): void {
    for (let index = 0; index < part; index++) {
      const difference = source[at + index]! ^ byteAt(piece, offset + index);
      if (difference !== 0) coming[block] = 2 + difference * 0x10000 + ((offset + index) & 0xffff);
    }
  }

  verifyPiece(piece: PieceIndex, done: (outcome: boolean | HaulError) => void): void {
    const entry = this.#open.get(piece)!;
    if (entry.contents.includes(0)) throw new Error(`piece ${piece} is not whole`);
    entry.onHashed = done;
    this.#options.planHashed(piece);
    this.#options.onWhole(piece);
  }

  /** As a worker would say. */
  hashed(piece: PieceIndex): void {
    const entry = this.#open.get(piece)!;
    const done = entry.onHashed!;
    entry.onHashed = null;
    done(isGood(entry));
  }

  /** 20 bytes per block, equal for equal content. A bad piece is to come again. */
  digestBlocks(piece: PieceIndex, done: (digests: Uint8Array | HaulError) => void): void {
    const entry = this.#open.get(piece)!;
    const digests = new Uint8Array(entry.contents.length * DIGEST_BYTES);
    const view = new DataView(digests.buffer);
    entry.contents.forEach((content, block) => {
      view.setInt32(block * DIGEST_BYTES, content);
    });
    this.#options.soon(() => {
      if (!isGood(entry)) entry.contents.fill(0);
      done(digests);
    });
  }

  closePiece(piece: PieceIndex): void {
    const entry = this.#open.get(piece);
    if (entry === undefined) throw new Error(`piece ${piece} is closed and was not open`);
    this.#open.delete(piece);
    this.memory?.givePiece();
    if (entry.isReady) this.memory?.units.adopt(piece);
  }

  // ---- what a disk is asked beside ----

  async prepare(): Promise<void> {}

  async sync(): Promise<readonly PieceIndex[]> {
    return [];
  }

  async inspect(): Promise<never> {
    throw new Error('nothing is cut off here');
  }

  freeHeldWrites(): void {}

  async glance(): Promise<null> {
    return null;
  }

  acquit(): void {}

  hasOtherWriter(): boolean {
    return false;
  }

  async close(): Promise<void> {}
}

function isGood({ contents }: OpenPiece): boolean {
  return contents.every((content) => content === GOOD);
}

/** @param units null: all that is read is resident */
function readsOf(units: ResidentUnits | null, lengthBytes: number): StorageReads {
  const all = { lengthBytes, count: Number.POSITIVE_INFINITY, residentBytes: Number.POSITIVE_INFINITY };
  return {
    units: units ?? all,
    get pinnedUnits() {
      return units?.pinnedUnits ?? 0;
    },
    pin: (piece, begin, length) => units?.pin(piece, begin, length) ?? 'ready',
    readAhead: (piece, begin, length) => units?.readAhead(piece, begin, length),
    slices: () => {},
    unpin: (piece, begin, length) => units?.unpin(piece, begin, length),
  };
}
