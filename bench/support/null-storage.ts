/**
 * Storage that keeps nothing: what is stored is thrown away, every piece is good, and zeros are served. It takes disk,
 * page cache, prefault and hash out of a run, so that what is left is sockets, protocol and scheduling. Only for the
 * bench.
 */
import { LIMITS } from '../../src/config.js';
import type { HaulError } from '../../src/errors.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import type { FilesNow } from '../../src/storage/identities.js';
import type { Storage, StorageReads } from '../../src/storage/port.js';
import { ABSENT } from '../../src/work/file-stamp.js';

/** As many as the real storages keep open of 1 MiB pieces. */
const OPEN_PIECES = 96;
/** Slices of this are served; as large as the largest request. */
const ZEROS = Buffer.alloc(LIMITS.runBytes);

export class NullStorage implements Storage {
  readonly files = { read: async (_file: number, _beginBytes: number, target: Uint8Array) => void target.fill(0) };
  readonly kind = 'mapped';
  readonly isBehind = false;
  readonly mostPieces = OPEN_PIECES;
  onRoom: (() => void) | null = null;
  onPiecesWanted: (() => void) | null = null;
  readonly isShortOfMemory = false;
  onReadable: (() => void) | null = null;
  onError: ((error: HaulError) => void) | null = null;
  /** Thrown away so far. */
  storedBytes = 0;
  readonly #open = new Set<PieceIndex>();
  readonly #fileCount: number;
  #unsynced: PieceIndex[] = [];

  /** @param fileCount of the torrent, the part file not counted */
  constructor(fileCount: number) {
    this.#fileCount = fileCount;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  get roomPieces(): number {
    return OPEN_PIECES - this.#open.size;
  }

  openPiece(piece: PieceIndex, done: (error: HaulError | null) => void): boolean {
    if (this.roomPieces < 1 || this.#open.has(piece)) return false;
    this.#open.add(piece);
    setImmediate(done, null);
    return true;
  }

  fillPiece(_piece: PieceIndex, done: (error: HaulError | null) => void): void {
    setImmediate(done, null);
  }

  keepUnfinished(): Promise<void> {
    return Promise.resolve();
  }

  store(_piece: PieceIndex, _begin: number, _source: Buffer, start: number, end: number): void {
    this.storedBytes += end - start;
  }

  verifyPiece(piece: PieceIndex, done: (outcome: boolean | HaulError) => void): void {
    this.#unsynced.push(piece);
    setImmediate(done, true);
  }

  digestBlocks(_piece: PieceIndex, _done: (digests: Uint8Array | HaulError) => void): void {
    throw new Error('nothing is kept that could be digested');
  }

  closePiece(piece: PieceIndex): void {
    this.#open.delete(piece);
  }

  readonly reads: StorageReads = {
    pin: () => 'ready',
    readAhead: () => {},
    slices: (_piece, _begin, length, out) => void out.push(ZEROS.subarray(0, length)),
    unpin: () => {},
    units: { lengthBytes: 1024 * 1024, count: OPEN_PIECES, residentBytes: 0 },
    pinnedUnits: 0,
  };

  sync(): Promise<readonly PieceIndex[]> {
    const pieces = this.#unsynced;
    this.#unsynced = [];
    return Promise.resolve(pieces);
  }

  inspect(): Promise<FilesNow> {
    // No file is there, so a record claims nothing.
    return Promise.resolve({ stamps: Array.from({ length: this.#fileCount + 1 }, () => ABSENT), trouble: null });
  }

  freeHeldWrites(): void {}

  glance(): Promise<null> {
    return Promise.resolve(null);
  }

  get suspects(): readonly never[] {
    return [];
  }

  acquit(): void {}

  hasOtherWriter(): boolean {
    return false;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
