/**
 * Storage as a torrent sees it. Two implementations: mapped memory and positional reads and writes.
 * A piece is opened (its range is made ready in a worker), blocks are stored, it is verified in place, then closed.
 * Invariant: the main thread never touches memory that a worker has not made present, or that is not in the page cache.
 */
import type { HaulError } from '../errors.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';
import type { FilesNow } from './identities.js';
import type { Suspect } from './other-writers.js';

/** How data is written: through mapped memory, or gathered and written whole by workers. */
export type StorageKind = 'mapped' | 'positional';

/**
 * `loading`: a worker is reading ahead, `onReadable` follows. `full`: no room now, `onReadable` follows when there is.
 */
export type PinOutcome = 'ready' | 'loading' | 'full';

export interface PrepareRequest {
  readonly forWriting: boolean;
  /**
   * By file: what is there is the torrent's and may be changed, also cut to its length. Any other file with something
   * in it is refused. Default: all are.
   */
  readonly isOurs?: (file: number) => boolean;
  /** By file: all its pieces are good, nothing will be written to it. Default: none is. */
  readonly isFinished?: (file: number) => boolean;
  /**
   * A file that has another name outside the torrent (a hard link) gets bytes of its own before it is written to.
   * Default: it is refused.
   */
  readonly isOverwriting?: boolean;
  readonly signal?: AbortSignal;
}

/** What is in memory of verified pieces, for serving. The path of a block. */
export interface StorageReads {
  /** Asks that a range of a verified piece be resident for reading. On 'ready' the range is pinned until `unpin`. */
  pin(piece: PieceIndex, begin: number, length: number): PinOutcome;
  /** Like `pin` but only starts the read-ahead. */
  readAhead(piece: PieceIndex, begin: number, length: number): void;
  /** Appends the memory of a pinned range to `out`: one slice for each file it touches. */
  slices(piece: PieceIndex, begin: number, length: number, out: Buffer[]): void;
  unpin(piece: PieceIndex, begin: number, length: number): void;
  /**
   * Ranges become resident for reading in units of so many bytes, counted from the begin of their piece; at most
   * `count` at once. `residentBytes`: of those that are, or are on their way in or out.
   */
  readonly units: { readonly lengthBytes: number; readonly count: number; readonly residentBytes: number };
  /** Units that are pinned now. */
  readonly pinnedUnits: number;
}

export interface Storage {
  readonly kind: StorageKind;

  /** For whoever reads along, beside all pins and budgets of the swarm. */
  readonly files: {
    /**
     * Fills all of it from the file in use, whatever is there: of verified pieces what was verified.
     * @throws HaulError CLOSED, BAD_DATA (it was cut off), trouble of the disk
     */
    read(file: number, beginBytes: number, target: Uint8Array): Promise<void>;
  };

  /**
   * Makes folders and files, checks what stands in the way, reserves the space. Must resolve before any other call.
   * `forWriting: false` opens existing files only and checks their lengths.
   * @throws HaulError FILE_EXISTS, NO_SPACE, NO_PERMISSION, NOT_A_DIRECTORY, NOT_FOUND, BAD_DATA, IO
   */
  prepare(request: PrepareRequest): Promise<void>;

  /**
   * How many pieces `openPiece` would accept now. Room in memory, in the pool and on the device; an input to the
   * scheduler.
   */
  readonly roomPieces: number;
  /** Most pieces that are ever open at once, as things are: other torrents share the memory. Two at least. */
  readonly mostPieces: number;
  /** The device is behind: no piece is opened until it has caught up, then `onRoom` follows. */
  readonly isBehind: boolean;
  /**
   * `openPiece` may be tried again, though nothing was closed: the device has caught up, or another torrent gave memory
   * back.
   */
  onRoom: (() => void) | null;
  /** Two pieces at most are open, and more would be if other torrents did not hold the memory. */
  readonly isShortOfMemory: boolean;
  /** Other torrents wait for memory: pieces that are open and of no use now are to be closed. */
  onPiecesWanted: (() => void) | null;

  /**
   * Starts making the range of a piece ready for `store`. False: no room, nothing happened. `done` is never called
   * synchronously.
   */
  openPiece(piece: PieceIndex, done: (error: HaulError | null) => void): boolean;

  /** Brings what the files hold of an open, ready piece to where `store` puts blocks; before the first `store`. */
  fillPiece(piece: PieceIndex, done: (error: HaulError | null) => void): void;
  /**
   * Puts blocks of open, ready pieces into the files, to be forced to the device by the next `sync`. Nothing is stored
   * meanwhile.
   * @throws HaulError
   */
  keepUnfinished(pieces: readonly UnfinishedPiece[]): Promise<void>;

  /** Copies source[start, end) to `begin` of an open, ready piece. The path of a block: no allocation, no fault. */
  store(piece: PieceIndex, begin: number, source: Buffer, start: number, end: number): void;

  /**
   * Hashes an open piece in a worker, and where the implementation needs it writes it out when good. `good: false`
   * leaves it open.
   */
  verifyPiece(piece: PieceIndex, done: (outcome: boolean | HaulError) => void): void;

  /**
   * SHA-1 of each block of an open piece, 20 bytes each: to tell which blocks of a bad piece differ from the good copy.
   */
  digestBlocks(piece: PieceIndex, done: (digests: Uint8Array | HaulError) => void): void;

  /** Gives an open piece up, after it verified good or when the download stops. */
  closePiece(piece: PieceIndex): void;

  /** From `prepare` on. */
  readonly reads: StorageReads;
  /**
   * Called when something that was 'loading' or 'full' may now be asked for again, or failed (then `onError` came
   * first).
   */
  onReadable: (() => void) | null;
  /** Trouble outside any call that has a `done`: a failed read-ahead and the like. */
  onError: ((error: HaulError) => void) | null;

  /**
   * Forces all pieces closed as good before this call to the device. Resolves with them; at most one sync at a time.
   */
  sync(): Promise<readonly PieceIndex[]>;

  /** Looks at every stored file under its own name: is it still the one in use, and whole? */
  inspect(): Promise<FilesNow>;
  /**
   * The same for the next `count` files only; after the last comes the first again. Resolves with what is wrong with
   * one of them.
   */
  glance(count: number): Promise<HaulError | null>;
  /** Once a second: writes that wait for a moment without any wait no longer when the device keeps one of them. */
  freeHeldWrites(): void;

  /**
   * Files that another program may have written into since `prepare`, where a storage can tell; the part file is one
   * above the last.
   */
  readonly suspects: readonly Suspect[];
  /** They were hashed after they had been taken from `suspects`, and are good. */
  acquit(suspects: readonly Suspect[]): void;
  /**
   * True: another program wrote where the blocks of this open piece lie, so a bad hash proves nothing against who sent
   * them.
   */
  hasOtherWriter(piece: PieceIndex): boolean;

  /** Waits for work under way, unmaps, closes files. Pins must be gone. */
  close(): Promise<void>;
}
