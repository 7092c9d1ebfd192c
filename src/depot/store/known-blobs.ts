/**
 * Which files are the blobs they are called. A long one is known by its stamp, as the record beside it says; one that
 * is not known (restored from a backup, touched) is hashed once. A short one is hashed whenever it is read.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { choosePieceLength } from '../../content/create.js';
import { fromSystemError, HaulError } from '../../errors.js';
import { whenRoom } from '../../storage/patience.js';
import { stampOf } from '../../storage/stamp-files.js';
import { type FileStamp, isUnchanged } from '../../work/file-stamp.js';
import type { Digests } from '../disk-threads.js';
import { readOwnText } from '../read-own.js';
import { isOneOf, isUnreadable } from './codes.js';
import { type Layout, SMALL_BYTES } from './layout.js';
import { type Nearness, nearnessOf, type OpenFile, openNow, readNow, stampOfOpen } from './near.js';
import { changed, type Opened } from './reading.js';
import { type BlobRecord, encodeRecord, parseRecord } from './sidecar.js';
import { piecesOfSmall } from './upload.js';

export const READ_FLAGS: number = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const STAMPS_MAX = 10_000;

export interface Verifier {
  /** In a thread. */
  digest(path: string, lengthBytes: number): Promise<Digests>;
  /** The record beside the blob is to be this text. */
  keep(sha256: string, text: string): Promise<unknown>;
}

export class KnownBlobs {
  readonly #layout: Layout;
  /** Null: nobody has looked. */
  #nearness: Nearness | null = null;
  readonly #verifier: Verifier;
  /** Of files that were found to be what they are called, the latest used last. */
  readonly #stamps = new Map<string, FileStamp>();
  /** Files that were hashed and are not: they are not hashed again. */
  readonly #bad = new Map<string, FileStamp>();
  /** The disk did not give all of them: their stamps alone say nothing. */
  readonly #doubted = new Set<string>();
  readonly #verifying = new Map<string, Promise<BlobRecord>>();

  constructor(layout: Layout, verifier: Verifier) {
    this.#layout = layout;
    this.#verifier = verifier;
  }

  /** @param stamp of a long one */
  committed(sha256: string, stamp: FileStamp | null): void {
    if (stamp !== null) this.#remember(sha256, stamp);
    this.#bad.delete(sha256);
    this.#doubted.delete(sha256);
  }

  forget(sha256: string): void {
    this.#stamps.delete(sha256);
    this.#bad.delete(sha256);
    this.#doubted.delete(sha256);
  }

  /** Reading it failed. Bytes that come again for it take its place, unless all of it can be read then. */
  doubt(sha256: string): void {
    this.#doubted.add(sha256);
    if (this.#doubted.size > STAMPS_MAX) this.#doubted.delete(this.#doubted.keys().next().value!);
  }

  /** Whether it is there, and need not be written again. */
  async isGood(sha256: string): Promise<boolean> {
    try {
      if (this.#doubted.has(sha256)) await this.#readAgain(sha256);
      else await this.trusted(sha256);
      return true;
    } catch (error) {
      if (isUnreadable(error) || (HaulError.is(error) && error.code === 'NOT_FOUND')) return false;
      throw error;
    }
  }

  async #readAgain(sha256: string): Promise<void> {
    const { handle, stamp } = await this.#openFile(sha256);
    await handle.close();
    await this.#verify(sha256, stamp);
    this.#doubted.delete(sha256);
  }

  /** The file, open, and its stamp: of a long one it is known to be that of what was committed. */
  async open(sha256: string): Promise<Opened> {
    const opened = await this.#openFile(sha256);
    try {
      if (opened.stamp.sizeBytes > SMALL_BYTES && !isUnchanged(opened.stamp, this.#stamps.get(sha256))) {
        const { stamp } = await this.#known(sha256, opened.stamp);
        if (!isUnchanged(opened.stamp, stamp)) throw changed(sha256);
      }
      return opened;
    } catch (error) {
      await opened.handle.close();
      throw error;
    }
  }

  async #openFile(sha256: string): Promise<Opened> {
    const place = this.#layout.blob(sha256);
    this.#nearness ??= await nearnessOf(this.#layout.blobs);
    const nearness = this.#nearness;
    let handle: OpenFile;
    try {
      // Of one that was here a moment ago the kernel knows the place still.
      const isNear = nearness !== 'far' && this.#stamps.has(sha256);
      handle = await whenRoom(async () => (isNear ? openNow(place, READ_FLAGS) : open(place, READ_FLAGS)));
    } catch (error) {
      // A link in the place of the blob.
      if (isOneOf(error, ['ELOOP', 'EMLINK', 'ENXIO'])) throw changed(sha256);
      throw fromSystemError(error, 'open', place);
    }
    let isGiven = false;
    try {
      const stamp = await stampOfOpen(handle.fd, nearness);
      if (stamp.sizeBytes < 0) throw changed(sha256);
      isGiven = true;
      return { handle, stamp, nearness };
    } finally {
      if (!isGiven) await handle.close();
    }
  }

  async readSmall({ handle, stamp, nearness }: Opened, sha256: string): Promise<Buffer> {
    try {
      const bytes = Buffer.alloc(stamp.sizeBytes);
      const readBytes = readNow(handle.fd, bytes, 0, nearness);
      const isRead =
        readBytes === bytes.length || (await handle.read(bytes, 0, bytes.length, 0)).bytesRead === bytes.length;
      if (!isRead || createHash('sha256').update(bytes).digest('hex') !== sha256) {
        throw changed(sha256);
      }
      return bytes;
    } catch (error) {
      throw fromSystemError(error, 'read', this.#layout.blob(sha256));
    } finally {
      await handle.close();
    }
  }

  /** What is known of a blob whose file is good now. @throws HaulError NOT_FOUND, BAD_DATA */
  async trusted(sha256: string): Promise<BlobRecord> {
    const opened = await this.#openFile(sha256);
    const { stamp } = opened;
    if (stamp.sizeBytes > SMALL_BYTES) {
      await opened.handle.close();
      return this.#known(sha256, stamp);
    }
    const bytes = await this.readSmall(opened, sha256);
    const lengthBytes = bytes.length;
    if (lengthBytes === 0) return { lengthBytes, pieces: null, pieceLengthBytes: null, stamp };
    const pieceLengthBytes = choosePieceLength(lengthBytes);
    return { lengthBytes, pieces: new Uint8Array(piecesOfSmall(bytes)), pieceLengthBytes, stamp };
  }

  /** The record beside a long blob if it is about this very file; else the file is hashed. */
  async #known(sha256: string, now: FileStamp): Promise<BlobRecord> {
    const text = await readOwnText(this.#layout.sidecar(sha256)).catch(() => '');
    const record = parseRecord(text);
    if (record !== null && isUnchanged(now, record.stamp)) {
      this.#remember(sha256, now);
      return record;
    }
    if (isUnchanged(now, this.#bad.get(sha256))) throw changed(sha256);
    const running = this.#verifying.get(sha256) ?? this.#verify(sha256, now);
    this.#verifying.set(sha256, running);
    return running.finally(() => this.#verifying.delete(sha256));
  }

  /** A file that no record knows: restored from a backup, or tampered with. */
  async #verify(sha256: string, stamp: FileStamp): Promise<BlobRecord> {
    const [path, lengthBytes] = [this.#layout.blob(sha256), stamp.sizeBytes];
    const pieceLengthBytes = choosePieceLength(lengthBytes);
    const digests = await this.#verifier.digest(path, lengthBytes);
    const after = stampOf(await lstat(path, { bigint: true }));
    if (digests.sha256 !== sha256 || digests.inode !== stamp.inode || !isUnchanged(after, stamp)) {
      if (isUnchanged(after, stamp)) this.#condemn(sha256, stamp);
      throw changed(sha256);
    }
    const record = { lengthBytes, pieces: digests.pieces, pieceLengthBytes, stamp };
    this.#remember(sha256, stamp);
    // On a full disk, or one that is read-only, it is hashed again after a restart, and that is all.
    await this.#verifier.keep(sha256, encodeRecord(record)).catch(() => {});
    return record;
  }

  #remember(sha256: string, stamp: FileStamp): void {
    this.#stamps.delete(sha256);
    this.#stamps.set(sha256, stamp);
    if (this.#stamps.size > STAMPS_MAX) this.#stamps.delete(this.#stamps.keys().next().value!);
  }

  #condemn(sha256: string, stamp: FileStamp): void {
    this.#bad.set(sha256, stamp);
    if (this.#bad.size > STAMPS_MAX) this.#bad.delete(this.#bad.keys().next().value!);
  }
}
