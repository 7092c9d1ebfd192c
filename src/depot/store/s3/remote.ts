/**
 * Blobs in the bucket: how long they are, the hashes of their pieces, and their bytes, chunk by chunk, each verified
 * before anybody sees it.
 */
import { createHash } from 'node:crypto';
import { choosePieceLength } from '../../../content/create.js';
import { HaulError } from '../../../errors.js';
import { Geometry, PIECE_HASH_BYTES } from '../../../metainfo/geometry.js';
import { DiskThread } from '../../disk-threads.js';
import type { BlobPart, BlobStat, PartSource, VerifyOptions } from '../port.js';
import { Buffers } from './buffers.js';
import type { FetchChunk } from './chunks.js';
import { fetchRange } from './fetch-range.js';
import { blobKey, piecesKey } from './layout.js';
import { S3_LIMITS } from './limits.js';
import type { Objects } from './objects.js';
import { encodePieces, parsePieces, type WholeRecord } from './records.js';
import type { Times } from './sdk.js';
import { Turns } from './turns.js';

const HASH_STEP_BYTES = 1024 * 1024;

interface Wanted extends BlobPart {
  readonly lengthBytes: number;
}

/** Of a chunk, in the cache. */
export function keyOf({ sha256, begin, end }: BlobPart): string {
  return `${sha256}/${begin}-${end}`;
}

export class RemoteBlobs {
  readonly #objects: Objects;
  readonly #times: Times;
  readonly #turns = new Turns(S3_LIMITS.chunksAtOnce);
  /**
   * Of chunks that another depot is asked to bring, and of those that are ours to bring, which others may wait for:
   * each has turns of its own, else two depots could wait for each other's turns.
   */
  readonly #turnsPassedOn = new Turns(S3_LIMITS.partsAsked);
  readonly #turnsOfOurs = new Turns(S3_LIMITS.partsAsked);
  #others: PartSource | null = null;
  /** Chunks that come from the bucket. */
  readonly #coming = new Set<string>();
  /** Bytes that were good, since the start. */
  fromStore = 0;
  fromDepots = 0;
  readonly #buffers = new Buffers();
  readonly #hashers = Array.from({ length: S3_LIMITS.hashThreads }, () => new DiskThread());
  readonly #lengths = new Map<string, number>();
  /** The latest used last. */
  readonly #records = new Map<string, WholeRecord>();
  #recordBytes = 0;
  /** Found to be other bytes than they are called after: whoever publishes them again mends them. */
  readonly bad = new Set<string>();

  constructor(objects: Objects, times: Times) {
    this.#objects = objects;
    this.#times = times;
  }

  async stat(sha256: string): Promise<BlobStat | null> {
    const lengthBytes = await this.#objects.head(blobKey(sha256));
    if (lengthBytes === null) {
      this.forget(sha256);
      return null;
    }
    this.there(sha256, lengthBytes);
    return { sha256, lengthBytes };
  }

  /** As far as is known; the bucket is asked where nothing is. @throws HaulError NOT_FOUND */
  async lengthOf(sha256: string): Promise<number> {
    const known = this.#lengths.get(sha256);
    if (known !== undefined) return known;
    const found = await this.stat(sha256);
    if (found === null) throw gone(sha256);
    return found.lengthBytes;
  }

  there(sha256: string, lengthBytes: number): void {
    this.#lengths.delete(sha256);
    this.#lengths.set(sha256, lengthBytes);
    if (this.#lengths.size > S3_LIMITS.lengths) this.#lengths.delete(this.#lengths.keys().next().value!);
  }

  forget(sha256: string): void {
    this.#lengths.delete(sha256);
    const record = this.#records.get(sha256);
    if (record === undefined) return;
    this.#records.delete(sha256);
    this.#recordBytes -= record.pieces.length;
  }

  /** Hashes of pieces are there before the blob is. */
  async keepRecord(sha256: string, record: WholeRecord): Promise<void> {
    await this.#objects.put(piecesKey(sha256), encodePieces(sha256, record), false);
    this.#remember(sha256, record);
  }

  /** Null: the blob is one chunk, and is known by its SHA-256. One that is lost is made anew: that reads all of it. */
  async record(sha256: string, lengthBytes: number): Promise<WholeRecord | null> {
    const known = this.#records.get(sha256);
    if (known !== undefined) {
      this.#remember(sha256, known);
      return known;
    }
    const bytes = await this.#objects.getShort(piecesKey(sha256));
    const found = bytes === null ? null : parsePieces(bytes.toString('latin1'), sha256, lengthBytes);
    if (found !== null) this.#remember(sha256, found);
    if (found !== null || lengthBytes <= S3_LIMITS.chunkBytes) return found;
    const made = await this.#hash(sha256, lengthBytes);
    if (made === null) throw this.#condemn(sha256);
    await this.keepRecord(sha256, made).catch(() => {});
    this.#remember(sha256, made);
    return made;
  }

  /** Those that hold the part. @param isShort as short as they can be */
  async chunks({ sha256, begin, end }: BlobPart, lengthBytes: number, isShort: boolean): Promise<BlobPart[]> {
    const leastBytes = isShort ? S3_LIMITS.shortChunkBytes : S3_LIMITS.chunkBytes;
    const step = Math.max(leastBytes, await this.#pieceLength(sha256, lengthBytes));
    const found: BlobPart[] = [];
    for (let at = Math.floor(begin / step) * step; at < end; at += step)
      found.push({ sha256, begin: at, end: Math.min(at + step, lengthBytes) });
    return found;
  }

  /** Whether it can be verified, and is no longer than a chunk is. */
  async isPart({ sha256, begin, end }: BlobPart, lengthBytes: number): Promise<boolean> {
    const length = await this.#pieceLength(sha256, lengthBytes);
    if (length === 0) return begin === 0 && end === lengthBytes;
    const isWhole = begin % length === 0 && (end % length === 0 || end === lengthBytes);
    return isWhole && end - begin <= Math.max(S3_LIMITS.chunkBytes, length);
  }

  /** 0: it is one chunk. */
  async #pieceLength(sha256: string, lengthBytes: number): Promise<number> {
    if (lengthBytes <= S3_LIMITS.chunkBytes) return 0;
    return (await this.record(sha256, lengthBytes))?.pieceLengthBytes ?? 0;
  }

  asksFirst(others: PartSource): void {
    this.#others = others;
  }

  /** Whether it is on its way from the bucket. */
  isComing(key: string): boolean {
    return this.#coming.has(key);
  }

  /**
   * What brings it: gives the bytes to `use`, who has them until it resolves.
   * @param isOurs false: another depot asked
   * @throws HaulError NOT_FOUND, BAD_DATA, NETWORK
   */
  fetching(part: BlobPart, lengthBytes: number, isOurs: boolean): FetchChunk {
    return async (use) => {
      if (await this.#fromDepots({ ...part, lengthBytes }, isOurs, use)) return;
      const key = keyOf(part);
      this.#coming.add(key);
      try {
        await this.#raw({ ...part, lengthBytes }, async (bytes) => {
          this.fromStore += bytes.length;
          if (!(await this.#isGood({ ...part, lengthBytes }, bytes))) throw this.#condemn(part.sha256);
          await use(bytes);
        });
      } finally {
        this.#coming.delete(key);
      }
    };
  }

  async #fromDepots(wanted: Wanted, isOurs: boolean, use: (bytes: Buffer) => Promise<void>): Promise<boolean> {
    const others = this.#others;
    if (others === null || wanted.end === wanted.begin) return false;
    const mayPassOn = isOurs && !(await others.isOurs(wanted));
    return (mayPassOn ? this.#turnsPassedOn : this.#turnsOfOurs).run(async () => {
      const bytes = this.#buffers.take(wanted.end - wanted.begin);
      const isThere = await others.bring(wanted, mayPassOn, bytes, (given) => this.#isGood(wanted, given));
      if (isThere) {
        this.fromDepots += bytes.length;
        await use(bytes);
      }
      this.#buffers.giveBack(bytes);
      return isThere;
    });
  }

  async #isGood({ sha256, lengthBytes, begin, end }: Wanted, bytes: Buffer): Promise<boolean> {
    const isWhole = begin === 0 && end === lengthBytes;
    const record = isWhole ? null : await this.record(sha256, lengthBytes);
    const found = await this.#digest(bytes, record?.pieceLengthBytes ?? null);
    return found.equals(record === null ? Buffer.from(sha256, 'hex') : hashesOf(record, begin, end));
  }

  /** Reads and hashes all of it. @throws HaulError NOT_FOUND */
  async verify(sha256: string, options: VerifyOptions): Promise<boolean> {
    const found = await this.stat(sha256);
    if (found === null) throw gone(sha256);
    if ((await this.#hash(sha256, found.lengthBytes, options)) !== null) return true;
    this.#condemn(sha256);
    return false;
  }

  #raw<T>({ sha256, lengthBytes, begin, end }: Wanted, use: (bytes: Buffer) => Promise<T>): Promise<T> {
    return this.#turns.run(async () => {
      const bytes = this.#buffers.take(end - begin);
      const range = { name: blobKey(sha256), begin, end };
      const isThere = begin === end || (await fetchRange(this.#objects, range, bytes, this.#times));
      if (isThere) {
        const outcome = await use(bytes);
        this.#buffers.giveBack(bytes);
        return outcome;
      }
      // It is not there, or not as it was: which of the two?
      this.forget(sha256);
      const now = await this.stat(sha256);
      if (now === null) throw gone(sha256);
      if (now.lengthBytes !== lengthBytes) throw this.#condemn(sha256);
      throw this.#objects.trouble(new Error('no range'), 'read', sha256);
    });
  }

  /** SHA-1 of pieces, or SHA-256 of all, in a thread. */
  async #digest(bytes: Buffer, pieceLengthBytes: number | null): Promise<Buffer> {
    const thread = this.#hashers.reduce((least, one) => (one.load < least.load ? one : least));
    return Buffer.from(await thread.digestMemory(bytes, pieceLengthBytes));
  }

  async close(): Promise<void> {
    await Promise.all(this.#hashers.map((thread) => thread.close()));
  }

  /** Null: it is not what it is called. */
  async #hash(sha256: string, lengthBytes: number, options: VerifyOptions = {}): Promise<WholeRecord | null> {
    const pieceLengthBytes = choosePieceLength(lengthBytes);
    const step = Math.max(S3_LIMITS.chunkBytes, pieceLengthBytes);
    const whole = createHash('sha256');
    const pieces: Buffer[] = [];
    for (let begin = 0; begin < lengthBytes; begin += step) {
      if (options.signal?.aborted === true) throw new HaulError('ABORTED', `hash ${sha256}: it was stopped`);
      const end = Math.min(begin + step, lengthBytes);
      const isThere = await this.#raw({ sha256, lengthBytes, begin, end }, async (bytes) => {
        pieces.push(await this.#digest(bytes, pieceLengthBytes));
        await updateSlowly(whole, bytes);
        return true;
      }).catch((error: unknown) => {
        if (HaulError.is(error) && error.code === 'BAD_DATA') return false;
        throw error;
      });
      if (!isThere) return null;
      options.onHashed?.(end - begin);
    }
    if (whole.digest('hex') !== sha256) return null;
    return { lengthBytes, pieceLengthBytes, pieces: new Uint8Array(Buffer.concat(pieces)) };
  }

  #condemn(sha256: string): HaulError {
    this.bad.add(sha256);
    this.forget(sha256);
    return new HaulError('BAD_DATA', `the blob ${sha256} was changed in the bucket`, { sha256 });
  }

  #remember(sha256: string, record: WholeRecord): void {
    this.#recordBytes += record.pieces.length - (this.#records.get(sha256)?.pieces.length ?? 0);
    this.#records.delete(sha256);
    this.#records.set(sha256, record);
    for (const [oldest, { pieces }] of this.#records) {
      if (this.#recordBytes <= S3_LIMITS.recordsBytes || oldest === sha256) break;
      this.#records.delete(oldest);
      this.#recordBytes -= pieces.length;
    }
  }
}

export function gone(sha256: string): HaulError {
  return new HaulError('NOT_FOUND', `the blob ${sha256} is not there`, { sha256 });
}

/** A step at a time, so that others get their turn. */
async function updateSlowly(hash: ReturnType<typeof createHash>, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += HASH_STEP_BYTES) {
    hash.update(bytes.subarray(at, at + HASH_STEP_BYTES));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function hashesOf({ lengthBytes, pieces, pieceLengthBytes }: WholeRecord, begin: number, end: number): Uint8Array {
  const range = new Geometry(lengthBytes, pieceLengthBytes).piecesIn(begin, end - begin);
  return pieces.subarray(range.first * PIECE_HASH_BYTES, range.end * PIECE_HASH_BYTES);
}
