/**
 * Drives the pool over the pieces of files on disk: for `create` (digests wanted) and for the hash check (digests
 * compared). Whole pieces travel in batches of 16 MiB; workers open, read and hash.
 *
 * Invariants: no more than OPEN_FILES are open, however many files a torrent has; never more jobs than the pool has
 * room for, and never so many that a download on the same pool starves.
 */
import { webcrypto } from 'node:crypto';
import { close, constants, fstatSync, open, read } from 'node:fs';
import { promisify } from 'node:util';
import { fromSystemError, HaulError } from '../errors.js';
import { type Geometry, PIECE_HASH_BYTES, type PieceIndex, pieceHash } from '../metainfo/geometry.js';
import { FileLayout, type FileSegment } from '../metainfo/layout.js';
import type { FileEntry } from '../metainfo/metainfo.js';
import { systemError } from '../native/errno.js';
import type { FileIdentity, WorkPool } from '../work/port.js';
import { aborted, submit } from '../work/submit.js';
import { type Trouble, troubleOf } from '../work/trouble.js';

const MIB = 1024 * 1024;
/** Sixteen pieces of the most usual length: as many as the widest way of hashing has lanes. */
const BATCH_BYTES = 16 * MIB;
/** Of longer pieces there are so many in a batch, */
const COMPANY = 4;
/** while they are together no longer than this: it keeps a worker busy for some 10 ms. */
const COMPANY_BYTES = 32 * MIB;
/** Files of one batch. A piece with more is put together on this side: see `#digestCrowded`. */
const BATCH_FILES = 256;
/** Half of what a process may usually have open at the least (1,024). */
const OPEN_FILES = 512;
/** One hashing, one waiting in the worker, one on its way. */
const BATCHES_PER_THREAD = 3;
const CROWD = 64;
/** Trouble of the process or the pool: no use in looking for the piece at fault. */
const NOT_OF_A_FILE = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ECANCELED']);
/** A FIFO that took the place of a file must not block the open. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

const openFile = promisify(open);
const closeFile = promisify(close);

export interface DigestTask {
  readonly pool: WorkPool;
  readonly geometry: Geometry;
  readonly files: readonly FileEntry[];
  /** Where the pieces lie; default: `files` and nothing else. */
  readonly layout?: FileLayout | undefined;
  /** Where file number `file` is on disk. Not asked for what is not stored (padding), which reads as zeros. */
  readonly pathOf: (file: number) => string;
  /**
   * The file that must be there, when it has been looked at before; null: any. Trouble with the piece when it is
   * another one.
   */
  readonly identityOf?: ((file: number) => FileIdentity | null) | undefined;
  /** Pieces to hash; the others are not read. */
  readonly wants: (piece: PieceIndex) => boolean;
  /**
   * Called once for each wanted piece, in any order: its SHA-1, or why it could not be read (a file of it cannot be
   * opened, ends too early, or fails). The digest is valid during the call. What it throws ends the task.
   */
  readonly onPiece: (piece: PieceIndex, digest: Uint8Array | HaulError) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws HaulError ABORTED, IO (no descriptors, pool closed), and whatever `onPiece` throws. All descriptors are
 * closed when the promise settles.
 */
export function digestFiles(task: DigestTask): Promise<void> {
  return new DigestRun(task).run();
}

interface Batch {
  readonly first: number;
  pieceCount: number;
  lengthBytes: number;
  readonly segments: FileSegment[];
}

class DigestRun {
  readonly #task: DigestTask;
  readonly #layout: FileLayout;
  /** Batches that failed, cut into single pieces to find the one at fault. */
  readonly #again: Batch[] = [];
  #inFlight = 0;
  #openFiles = 0;
  #failure: unknown = null;
  #wake: (() => void) | null = null;

  constructor(task: DigestTask) {
    this.#task = task;
    this.#layout = task.layout ?? new FileLayout(task);
  }

  async run(): Promise<void> {
    const fresh = this.#plan();
    for (;;) {
      if (this.#task.signal?.aborted) this.#failure ??= aborted();
      const batch = this.#failure !== null ? undefined : (this.#again.pop() ?? fresh.next().value);
      if (batch === undefined) {
        if (this.#inFlight === 0) break;
        await this.#change();
        continue;
      }
      while (!this.#hasPlaceFor(batch)) await this.#change();
      this.#inFlight++;
      this.#openFiles += slotsOf(batch);
      void this.#perform(batch);
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #hasPlaceFor(batch: Batch): boolean {
    if (this.#inFlight === 0) return true;
    if (this.#openFiles + slotsOf(batch) > OPEN_FILES) return false;
    return this.#inFlight < BATCHES_PER_THREAD * this.#task.pool.threadCount;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  /** Runs of wanted pieces, cut at BATCH_BYTES and BATCH_FILES. */
  *#plan(): Generator<Batch, undefined> {
    const { geometry, wants } = this.#task;
    let batch: Batch | null = null;
    for (let index = 0; index < geometry.pieceCount; index++) {
      const piece = index as PieceIndex;
      if (!wants(piece)) {
        if (batch !== null) yield batch;
        batch = null;
        continue;
      }
      const next = this.#single(piece);
      if (batch !== null && !fits(batch, next)) {
        yield batch;
        batch = null;
      }
      if (batch === null) batch = next;
      else join(batch, next);
    }
    if (batch !== null) yield batch;
    return undefined;
  }

  #single(piece: PieceIndex): Batch {
    const { geometry } = this.#task;
    const lengthBytes = geometry.pieceLength(piece);
    const segments = this.#layout.segments(geometry.pieceBegin(piece), lengthBytes);
    return { first: piece, pieceCount: 1, lengthBytes, segments };
  }

  /** Never rejects. */
  async #perform(batch: Batch): Promise<void> {
    let digests: Uint8Array | null = null;
    try {
      digests = await (isCrowded(batch) ? this.#digestCrowded(batch) : this.#digestInPool(batch));
    } catch (error) {
      this.#fail(batch, error);
    }
    try {
      if (digests !== null) this.#deliver(batch, digests);
    } catch (error) {
      this.#failure ??= error;
    }
    this.#inFlight--;
    this.#openFiles -= slotsOf(batch);
    this.#wake?.();
  }

  #deliver(batch: Batch, digests: Uint8Array): void {
    for (let i = 0; i < batch.pieceCount && this.#failure === null; i++) {
      const digest = pieceHash(digests, i);
      const trouble = troubleOf(digest);
      const piece = (batch.first + i) as PieceIndex;
      this.#task.onPiece(piece, trouble === null ? digest : this.#errorOf(batch, trouble));
    }
  }

  #fail(batch: Batch, error: unknown): void {
    if (this.#failure !== null) return;
    if (!isOfAFile(error)) {
      this.#failure = error;
    } else if (batch.pieceCount > 1) {
      for (let i = batch.pieceCount - 1; i >= 0; i--) this.#again.push(this.#single((batch.first + i) as PieceIndex));
    } else {
      try {
        this.#task.onPiece(batch.first as PieceIndex, error);
      } catch (thrown) {
        this.#failure = thrown;
      }
    }
  }

  async #digestInPool(batch: Batch): Promise<Uint8Array> {
    const { pool, geometry, pathOf, identityOf, signal } = this.#task;
    const files = batch.segments.map(({ file, isStored, beginBytes, lengthBytes }) => {
      if (!isStored) return { path: null, beginBytes, lengthBytes };
      return { path: pathOf(file), identity: identityOf?.(file) ?? null, beginBytes, lengthBytes };
    });
    const { pieceLengthBytes } = geometry;
    const result = await submit(pool, { kind: 'digest-pieces', files, pieceLengthBytes }, signal);
    if (!result.ok) {
      if (result.error !== undefined) throw result.error;
      const error = Object.assign(new Error(result.errno), { code: result.errno });
      throw fromSystemError(error, result.operation, this.#names(batch.segments));
    }
    if (result.bytes.length !== batch.pieceCount * PIECE_HASH_BYTES) throw new Error('wrong number of digests');
    return result.bytes;
  }

  /**
   * One piece of very many small files. A job would keep a worker from downloads for too long, so they are read here,
   * some at a time, and hashed on libuv's threads.
   */
  async #digestCrowded(batch: Batch): Promise<Uint8Array> {
    const bytes = new Uint8Array(batch.lengthBytes);
    const parts: { segment: FileSegment; target: Uint8Array }[] = [];
    let at = 0;
    for (const segment of batch.segments) {
      parts.push({ segment, target: bytes.subarray(at, at + segment.lengthBytes) });
      at += segment.lengthBytes;
    }
    for (let i = 0; i < parts.length; i += CROWD) {
      if (this.#task.signal?.aborted) throw aborted();
      const group = parts.slice(i, i + CROWD).filter(({ segment }) => segment.isStored);
      const outcomes = await Promise.allSettled(group.map(({ segment, target }) => this.#readInto(segment, target)));
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    }
    return new Uint8Array(await webcrypto.subtle.digest('SHA-1', bytes));
  }

  async #readInto(segment: FileSegment, target: Uint8Array): Promise<void> {
    const fd = await this.#open(segment);
    try {
      for (let at = 0; at < target.length; ) {
        const count = await readSome(fd, target.subarray(at), segment.beginBytes + at);
        if (count === 0) throw new HaulError('BAD_DATA', `read ${this.#task.pathOf(segment.file)}: it ends too early`);
        at += count;
      }
    } catch (error) {
      throw fromSystemError(error, 'read', this.#task.pathOf(segment.file));
    } finally {
      await closeFile(fd);
    }
  }

  async #open(segment: FileSegment): Promise<number> {
    const path = this.#task.pathOf(segment.file);
    const identity = this.#task.identityOf?.(segment.file) ?? null;
    let fd: number;
    try {
      fd = await openFile(path, OPEN_FLAGS);
    } catch (error) {
      throw fromSystemError(error, 'read', path);
    }
    if (identity === null || identity.inode === 0n) return fd;
    const { dev, ino } = fstatSync(fd, { bigint: true });
    if (dev === identity.device && ino === identity.inode) return fd;
    await closeFile(fd);
    throw replaced(path);
  }

  /** @throws when it is not the file's. */
  #errorOf(batch: Batch, { errno, file }: Trouble): HaulError {
    const path = this.#task.pathOf(batch.segments[file]!.file);
    if (errno === 'ENODATA') return new HaulError('BAD_DATA', `read ${path}: it ends too early`);
    // A network file system says it of itself, too.
    const isExpected = (this.#task.identityOf?.(batch.segments[file]!.file) ?? null) !== null;
    if (errno === 'ESTALE' && isExpected) return replaced(path);
    const error = fromSystemError(systemError(errno, 'read'), 'read', path);
    if (NOT_OF_A_FILE.has(errno)) throw error;
    return error;
  }

  #names(segments: readonly FileSegment[]): string {
    const real = segments.filter(({ isStored }) => isStored);
    if (real.length === 0) return 'padding';
    const first = this.#task.pathOf(real[0]!.file);
    return real.length === 1 ? first : `${first} or one of the next ${real.length - 1} files`;
  }
}

const readSome = (fd: number, target: Uint8Array, position: number) =>
  new Promise<number>((resolve, reject) => {
    read(fd, target, 0, target.length, position, (error, count) => (error === null ? resolve(count) : reject(error)));
  });

/** Not so: the process, the pool or whoever called is at fault. No use in looking for the piece. */
function isOfAFile(error: unknown): error is HaulError {
  if (!(error instanceof HaulError) || error.code === 'ABORTED' || error.code === 'POOL') return false;
  return !NOT_OF_A_FILE.has(String(error.facts.errno));
}

function replaced(path: string): HaulError {
  return new HaulError('BAD_DATA', `read ${path}: another file is in its place`, { path });
}

function isCrowded(batch: Batch): boolean {
  return batch.segments.length > BATCH_FILES;
}

/** Descriptors a batch may hold at once. */
function slotsOf(batch: Batch): number {
  return isCrowded(batch) ? CROWD : 1;
}

function fits(batch: Batch, next: Batch): boolean {
  const limit = batch.pieceCount < COMPANY ? COMPANY_BYTES : BATCH_BYTES;
  if (batch.lengthBytes + next.lengthBytes > limit) return false;
  return batch.segments.length + next.segments.length <= BATCH_FILES;
}

/** Appends the batch that follows at once; a file that goes on in it stays one segment, so that it is opened once. */
function join(batch: Batch, next: Batch): void {
  batch.pieceCount += next.pieceCount;
  batch.lengthBytes += next.lengthBytes;
  for (const segment of next.segments) {
    const last = batch.segments.at(-1)!;
    if (last.file === segment.file && last.beginBytes + last.lengthBytes === segment.beginBytes) {
      batch.segments[batch.segments.length - 1] = { ...last, lengthBytes: last.lengthBytes + segment.lengthBytes };
    } else batch.segments.push(segment);
  }
}
