/**
 * Bytes on their way into the store. Short ones are held; longer ones go to a file of tmp/, a megabyte at a time, while
 * a thread hashes what is there already. At most two gathered writes are in memory, less when many uploads share the
 * allowance.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, open, statfs, unlink } from 'node:fs/promises';
import { choosePieceLength } from '../../content/create.js';
import { fromSystemError, HaulError } from '../../errors.js';
import { systemError } from '../../native/errno.js';
import { fileSystemOf } from '../../native/file-systems.js';
import { fallocate, isSupported } from '../../native/mmap-io.js';
import { forceFile } from '../../storage/force.js';
import { explainNoSpace } from '../../storage/no-space.js';
import { whenRoom } from '../../storage/patience.js';
import { stampOf } from '../../storage/stamp-files.js';
import type { FileStamp } from '../../work/file-stamp.js';
import type { DiskThread } from '../disk-threads.js';
import { DEPOT_LIMITS } from '../limits.js';
import { CANNOT_LINK, isOneOf } from './codes.js';
import { SMALL_BYTES } from './layout.js';
import type { BlobUpload, FinishedUpload, UploadOptions } from './port.js';

const MIB = 1024 * 1024;
/** One call of writev: fewer cost more, longer ones do not get faster. */
const GATHER_BYTES = MIB;
const GATHER_CHUNKS = 512;
/** So many chunks that are shorter than so many bytes are copied together. */
const CRUMBS = 128;
const CRUMB_BYTES = 512;
/** A message to the thread for each. */
const HASH_STEP_BYTES = 8 * MIB;
/** Of a file that lay there already: it is not read as it comes. */
const HASH_MOST_BYTES = 64 * MIB;
const MODE = 0o444;
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** A file system that has no fallocate tells when it is full later on. */
const CANNOT_RESERVE = ['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL'];
const RESERVE_BYTES = 32 * MIB;

/** What uploads of a store share. */
export interface Uploads {
  heldBytes: number;
  /** Bytes of files in tmp/. */
  fileBytes: number;
  /** Files are forced to the device when they are whole. */
  readonly isForced: boolean;
  /** Rejects where so many more would fill the disk. */
  claim(lengthBytes: number): Promise<void>;
}

export class FolderUpload implements BlobUpload {
  readonly #number: number;
  readonly #options: UploadOptions;
  readonly #shared: Uploads;
  readonly #thread: () => DiskThread;
  /** Where its file is, if it has one. */
  readonly path: string;
  #handle: FileHandle | null = null;
  #hasFile = false;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #acceptedBytes = 0;
  /** In the file. */
  #fileBytes = 0;
  #toldBytes = 0;
  #hashedBytes = 0;
  #hashing: DiskThread | null = null;
  #writing: Promise<void> | null = null;
  #reserving: Promise<void> | null = null;
  #failure: HaulError | null = null;
  #onHashed: (() => void) | null = null;
  /** Told once when it is over. */
  onOver: () => void = () => {};
  #state: 'open' | 'finished' | 'over' = 'open';
  #finished: (FinishedUpload & { readonly stamp: FileStamp | null }) | null = null;

  /** @param thread one that hashes, asked for when there is a file */
  constructor(number: number, path: string, options: UploadOptions, shared: Uploads, thread: () => DiskThread) {
    this.#number = number;
    this.path = path;
    this.#options = options;
    this.#shared = shared;
    this.#thread = thread;
  }

  get writtenBytes(): number {
    return this.#acceptedBytes;
  }

  /** What can be read of its file. */
  get storedBytes(): number {
    return this.#fileBytes;
  }

  /** After `finish`. The stamp is that of its file. */
  get finished(): FinishedUpload & { readonly stamp: FileStamp | null } {
    if (this.#finished === null || this.#state !== 'finished')
      throw new HaulError('CLOSED', 'the upload is not finished');
    return this.#finished;
  }

  /** The bytes, where there is no file. */
  get bytes(): Buffer | null {
    return this.#hasFile ? null : Buffer.concat(this.#held);
  }

  /**
   * Asks for the space of one that is known to be long. Where that takes as long as to write it (memory is cleared),
   * a part at a time, while bytes come.
   */
  async begin(): Promise<true> {
    const { lengthBytes } = this.#options;
    await this.#shared.claim(lengthBytes ?? SMALL_BYTES);
    if (lengthBytes === null || lengthBytes <= SMALL_BYTES) return true;
    await this.#open();
    try {
      const { type, bavail, bsize } = await statfs(this.path);
      if (!isSupported()) return true;
      if (fileSystemOf(type).hasNoDevice !== true) await this.#reserve(0, lengthBytes);
      else if (bavail * bsize < lengthBytes) throw systemError('ENOSPC', 'fallocate');
      else this.#reserving = this.#reserveAll(lengthBytes);
      return true;
    } catch (error) {
      throw await this.#fail(error, 'reserve');
    }
  }

  /**
   * Instead of `begin` and `write`: its bytes are those of a file that is there, and gets a second name here. False: it
   * cannot have one, or is short, and lies elsewhere in another way.
   */
  async adopt(file: string): Promise<boolean> {
    try {
      await link(file, this.path);
      this.#hasFile = true;
      this.#handle = await whenRoom(() => open(this.path, constants.O_RDONLY | constants.O_NOFOLLOW));
      const status = await this.#handle.stat();
      if (!status.isFile()) throw new Error('it is no file');
      if (status.size <= SMALL_BYTES) return false;
      await this.#handle.chmod(MODE);
      this.#fileBytes = status.size;
      this.#acceptedBytes = status.size;
      this.#shared.fileBytes += status.size;
    } catch (error) {
      if (!this.#hasFile && isOneOf(error, CANNOT_LINK)) return false;
      throw await this.#fail(error, 'take over');
    }
    this.#beginHashing();
    return true;
  }

  /** Never rejects. */
  async #reserveAll(lengthBytes: number): Promise<void> {
    try {
      for (let at = 0; at < lengthBytes && this.#state === 'open'; at += RESERVE_BYTES) {
        await this.#reserve(at, Math.min(RESERVE_BYTES, lengthBytes - at));
      }
    } catch (error) {
      await this.#fail(error, 'reserve');
    }
  }

  async #reserve(at: number, lengthBytes: number): Promise<void> {
    try {
      await fallocate(this.#handle!.fd, at, lengthBytes);
    } catch (error) {
      if (!isOneOf(error, CANNOT_RESERVE)) throw error;
    }
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#check();
    if (chunk.length === 0) return;
    const announced = this.#options.lengthBytes ?? Number.POSITIVE_INFINITY;
    if (this.#acceptedBytes + chunk.length > announced) throw mismatch(announced, 'more');
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    this.#shared.heldBytes += chunk.length;
    this.#acceptedBytes += chunk.length;
    // Each is a view of a buffer that may be far longer.
    if (this.#held.length >= CRUMBS && this.#heldBytes < CRUMBS * CRUMB_BYTES) this.#held = [Buffer.concat(this.#held)];
    if (!this.#hasFile && this.#heldBytes <= SMALL_BYTES) return;
    const isScarce = this.#shared.heldBytes > DEPOT_LIMITS.heldBytes / 2;
    if (!isScarce && this.#heldBytes < GATHER_BYTES && this.#held.length < GATHER_CHUNKS) return;
    await this.#writing;
    this.#check();
    this.#writing = this.#flush();
    if (isScarce) await this.#writing;
    while (this.#fileBytes - this.#hashedBytes > DEPOT_LIMITS.hashLagBytes && this.#failure === null) {
      await new Promise<void>((resolve) => (this.#onHashed = resolve));
    }
    this.#check();
  }

  async finish(): Promise<FinishedUpload> {
    this.#check();
    const { lengthBytes } = this.#options;
    if (lengthBytes !== null && this.#acceptedBytes < lengthBytes) throw mismatch(lengthBytes, 'fewer');
    if (lengthBytes !== null && this.#acceptedBytes > lengthBytes) throw mismatch(lengthBytes, 'more');
    await this.#writing;
    await this.#reserving;
    this.#check();
    const isHeld = !this.#hasFile && this.#heldBytes <= SMALL_BYTES;
    if (!isHeld) await this.#flush();
    await this.#hashMost();
    this.#check();
    this.#finished = isHeld ? this.#finishHeld() : await this.#finishFile();
    this.#state = 'finished';
    return this.#finished;
  }

  async abort(): Promise<void> {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#failure ??= new HaulError('ABORTED', 'the upload was given up');
    await this.#close();
    if (this.#hasFile) await unlink(this.path).catch(() => {});
  }

  /** Its file, if it has one, has got another name: it is left alone. */
  async settled(): Promise<void> {
    this.#state = 'over';
    await this.#close();
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#state !== 'open') throw new HaulError('CLOSED', 'the upload is over');
  }

  async #close(): Promise<void> {
    this.onOver();
    this.#onHashed?.();
    await this.#writing;
    await this.#reserving;
    this.#hashing?.endHash(this.#number);
    this.#hashing = null;
    this.#shared.heldBytes -= this.#heldBytes;
    this.#heldBytes = 0;
    this.#held = [];
    this.#shared.fileBytes -= this.#fileBytes;
    this.#fileBytes = 0;
    await this.#handle?.close().catch(() => {});
    this.#handle = null;
  }

  async #open(): Promise<void> {
    try {
      this.#handle = await whenRoom(() => open(this.path, FLAGS, MODE));
      this.#hasFile = true;
      if (this.#state === 'over') {
        // It was given up meanwhile, and nobody looks here again.
        await this.#handle.close();
        await unlink(this.path);
        throw this.#failure!;
      }
    } catch (error) {
      throw await this.#fail(error, 'create');
    }
    this.#beginHashing();
  }

  #beginHashing(): void {
    const hashing = this.#thread();
    this.#hashing = hashing;
    hashing.beginHash(this.#number, {
      path: this.path,
      onDone: (hashedBytes) => {
        this.#hashedBytes = hashedBytes;
        this.#onHashed?.();
      },
      onFailure: (error) => {
        this.#failure ??= error;
        this.#onHashed?.();
      },
    });
  }

  /** What was not hashed while it came is, in steps: others have that thread, too, and it can be given up. */
  async #hashMost(): Promise<void> {
    while (this.#fileBytes - this.#toldBytes > HASH_MOST_BYTES && this.#failure === null) {
      this.#toldBytes += HASH_MOST_BYTES;
      this.#hashing!.hash(this.#number, this.path, this.#toldBytes, this.#pieceLengthBytes);
      while (this.#hashedBytes < this.#toldBytes && this.#failure === null)
        await new Promise<void>((resolve) => (this.#onHashed = resolve));
    }
  }

  /** Never rejects: what fails is told by the next call. */
  async #flush(): Promise<void> {
    if (this.#heldBytes === 0) return;
    const [chunks, bytes] = [this.#held, this.#heldBytes];
    this.#held = [];
    this.#heldBytes = 0;
    try {
      if (this.#options.lengthBytes === null) await this.#shared.claim(bytes);
      if (this.#handle === null) await this.#open();
      await writeAll(this.#handle!, chunks, this.#fileBytes);
      this.#fileBytes += bytes;
      this.#shared.fileBytes += bytes;
      if (this.#fileBytes - this.#toldBytes >= HASH_STEP_BYTES) {
        this.#toldBytes = this.#fileBytes;
        this.#hashing!.hash(this.#number, this.path, this.#toldBytes, this.#pieceLengthBytes);
      }
    } catch (error) {
      await this.#fail(error, 'write');
    } finally {
      this.#shared.heldBytes -= bytes;
    }
  }

  /** Null: not known yet, or there are to be none. */
  get #pieceLengthBytes(): number | null {
    return pieceLengthOf(this.#options, this.#options.lengthBytes ?? 0);
  }

  #finishHeld(): FinishedUpload & { readonly stamp: null } {
    const hash = createHash('sha256');
    for (const chunk of this.#held) hash.update(chunk);
    const lengthBytes = this.#acceptedBytes;
    const pieceLengthBytes = pieceLengthOf(this.#options, lengthBytes);
    const pieces = pieceLengthBytes === null ? null : new Uint8Array(piecesOfSmall(Buffer.concat(this.#held)));
    return { sha256: hash.digest('hex'), lengthBytes, pieces, pieceLengthBytes, stamp: null };
  }

  async #finishFile(): Promise<FinishedUpload & { readonly stamp: FileStamp }> {
    const [handle, lengthBytes] = [this.#handle!, this.#fileBytes];
    const pieceLengthBytes = pieceLengthOf(this.#options, lengthBytes);
    try {
      const hashed = this.#hashing!.digest(this.#number, this.path, lengthBytes, pieceLengthBytes);
      const [digests] = await Promise.all([hashed, this.#shared.isForced ? forceFile(handle) : null]);
      const stamp = stampOf(await handle.stat({ bigint: true }));
      if (digests.inode !== stamp.inode || stamp.sizeBytes !== lengthBytes) throw new Error('it is another file now');
      return { sha256: digests.sha256, lengthBytes, pieces: digests.pieces, pieceLengthBytes, stamp };
    } catch (error) {
      throw await this.#fail(error, 'finish');
    }
  }

  async #fail(error: unknown, operation: string): Promise<HaulError> {
    this.#failure ??= explainNoSpace(fromSystemError(error, operation, this.path), this.path);
    return this.#failure;
  }
}

function mismatch(announced: number, what: string): HaulError {
  return new HaulError('MISMATCH', `${what} bytes came than the ${announced} that were announced`, { announced });
}

/** Of one that is held: a single piece, as the shortest are longer. */
export function piecesOfSmall(bytes: Uint8Array): Buffer {
  return createHash('sha1').update(bytes).digest();
}

function pieceLengthOf({ piecesFromBytes }: UploadOptions, lengthBytes: number): number | null {
  return lengthBytes >= piecesFromBytes && lengthBytes > 0 ? choosePieceLength(lengthBytes) : null;
}

async function writeAll(handle: FileHandle, chunks: Uint8Array[], position: number): Promise<void> {
  let rest = chunks;
  for (let at = position; rest.length > 0; ) {
    let { bytesWritten } = await handle.writev(rest, at);
    if (bytesWritten === 0) throw new Error('nothing was written');
    at += bytesWritten;
    while (rest.length > 0 && bytesWritten >= rest[0]!.length) bytesWritten -= rest.shift()!.length;
    if (bytesWritten > 0) rest = [rest[0]!.subarray(bytesWritten), ...rest.slice(1)];
  }
}
