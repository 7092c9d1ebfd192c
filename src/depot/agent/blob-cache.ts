/**
 * The blobs of a cache: which are here, when they were used, which go next. Invariant: bytes leave only from a file
 * that nobody has touched since it was verified, or that was hashed again a moment ago.
 */
import type { BigIntStats } from 'node:fs';
import { open, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { HaulError } from '../../errors.js';
import type { Log } from '../../log.js';
import { stampOf } from '../../storage/stamp-files.js';
import type { FileStamp } from '../../work/file-stamp.js';
import { readOwnText } from '../read-own.js';
import { READ_FLAGS } from '../store/known-blobs.js';
import { type BlobRecord, decodeRecord, encodeRecord, isUntouched } from './blob-record.js';
import { type CacheFolder, heldBytes } from './cache-folder.js';
import { fileSha256 } from './file-sha.js';
import { AGENT_LIMITS } from './limits.js';
import { readAtMost, type WholeFile } from './local-read.js';

export interface CachedBlob {
  readonly sha256: string;
  /** What it takes of the cache. */
  lengthBytes: number;
  /** Null: a short one, or a part of one. */
  record: BlobRecord | null;
  readonly kind: 'small' | 'whole' | 'part';
  /** Milliseconds since 1970. */
  usedMs: number;
  /** Who reads it, fetches it, gives it away. */
  users: number;
}

/** Space that is spoken for. */
export interface Reservation {
  readonly blob: CachedBlob;
  /** Something of it may be on disk from before. */
  readonly wasHere: boolean;
  /** Resolves when the disk has room for it, and nothing of before is in its place. Handled. */
  readonly room: Promise<void>;
}

export interface BlobCacheOptions {
  readonly folder: CacheFolder;
  /** What it may hold. */
  readonly cacheBytes: number;
  readonly log: Log;
  readonly wallClockMs: () => number;
  /** It is not here any more. */
  readonly onGone: (blob: CachedBlob) => void;
  /** A peer takes from it. */
  readonly isBusy: (blob: CachedBlob) => boolean;
  /**
   * When what is evicted for a fetch goes, where the disk has room for both: a gigabyte keeps a processor busy for
   * 40 ms, and somebody waits for the first byte. Default: after 100 ms, or when the signal fires.
   */
  readonly calm?: (signal: AbortSignal) => Promise<void>;
}

export class BlobCache {
  readonly folder: CacheFolder;
  readonly #options: BlobCacheOptions;
  readonly #blobs = new Map<string, CachedBlob>();
  /** On their way out of the folder. */
  readonly #leaving = new Map<string, Promise<void>>();
  #usedBytes = 0;
  /** What waits with removing waits no longer. */
  readonly #closing = new AbortController();
  evicted = 0;

  constructor(options: BlobCacheOptions) {
    this.#options = options;
    this.folder = options.folder;
  }

  get count(): number {
    return this.#blobs.size;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get cacheBytes(): number {
    return this.#options.cacheBytes;
  }

  get blobs(): Iterable<CachedBlob> {
    return this.#blobs.values();
  }

  find(sha256: string): CachedBlob | null {
    return this.#blobs.get(sha256) ?? null;
  }

  /** Whether all of it is here, or a part, or nothing. */
  held(sha256: string): 'whole' | 'part' | null {
    const kind = this.#blobs.get(sha256)?.kind ?? null;
    return kind === 'small' ? 'whole' : kind;
  }

  /** What is on disk. Whatever is neither whole nor worth going on with is removed. */
  async load(): Promise<void> {
    const { folder } = this;
    for await (const sha256 of folder.list('small')) {
      const status = await stat(folder.small(sha256)).catch(() => null);
      if (status?.isFile() === true && status.size <= AGENT_LIMITS.smallBytes)
        this.#add({ sha256, lengthBytes: status.size, record: null, kind: 'small', usedMs: status.mtimeMs, users: 0 });
      else await folder.remove(sha256);
    }
    for await (const sha256 of folder.list('blobs')) {
      const blob = await this.#look(sha256);
      if (blob === null) await folder.remove(sha256);
      else {
        await folder.sweepData(sha256, blob.record?.fileName ?? null);
        this.#add(blob);
      }
    }
    await this.makeRoom(0);
  }

  async #look(sha256: string): Promise<CachedBlob | null> {
    const { folder } = this;
    const text = await readOwnText(folder.record(sha256)).catch(() => null);
    const record = text === null ? null : decodeRecord(text, sha256);
    if (record !== null) {
      const [data, used] = await Promise.all([
        stat(this.path(record)).catch(() => null),
        stat(folder.record(sha256)).catch(() => null),
      ]);
      if (data?.isFile() === true && data.size === record.lengthBytes && used !== null)
        return { sha256, lengthBytes: data.size, record, kind: 'whole', usedMs: used.mtimeMs, users: 0 };
      return null;
    }
    const torrent = await stat(folder.torrent(sha256)).catch(() => null);
    if (torrent?.isFile() !== true || !(await folder.hasOwnData(sha256))) return null;
    if (this.#options.wallClockMs() - torrent.mtimeMs > AGENT_LIMITS.partAgeMs) return null;
    return {
      sha256,
      lengthBytes: await heldBytes(folder.data(sha256)),
      record: null,
      kind: 'part',
      usedMs: torrent.mtimeMs,
      users: 0,
    };
  }

  path({ sha256, fileName }: Pick<BlobRecord, 'sha256' | 'fileName'>): string {
    return join(this.folder.data(sha256), fileName);
  }

  // ---- what comes and goes ----

  /** A fetch begins: the space is spoken for. @throws HaulError NO_SPACE: all that is here is in use */
  reserve(sha256: string, lengthBytes: number): Reservation {
    // Nothing goes for what cannot have room all the same.
    if (this.#heldBytes(sha256) + lengthBytes > this.#options.cacheBytes) throw noRoom(lengthBytes);
    const before = this.#blobs.get(sha256);
    const usedMs = this.#options.wallClockMs();
    const blob: CachedBlob = { sha256, lengthBytes, record: null, kind: 'part', usedMs, users: 1 };
    this.#add(blob);
    const hasRoom = this.#hasRoom();
    const { calm = soon } = this.#options;
    const isTime = hasRoom.then((has) => (has ? calm(this.#closing.signal) : undefined));
    const made = this.makeRoom(0, isTime);
    if (this.#usedBytes > this.#options.cacheBytes) {
      this.#forget(blob);
      throw noRoom(lengthBytes);
    }
    const gone = this.#gone(sha256);
    const room = hasRoom.then(async (has) => {
      if (!has) await made;
      await gone;
    });
    room.catch(() => {});
    return { blob, wasHere: before !== undefined, room };
  }

  /** The disk has room for all that is under way, also while nothing has gone for it yet. Never rejects. */
  async #hasRoom(): Promise<boolean> {
    const freeBytes = await this.folder.freeBytes();
    let comingBytes = SPARE_BYTES;
    for (const { kind, users, lengthBytes } of this.#blobs.values())
      if (kind === 'part' && users > 0) comingBytes += lengthBytes;
    return freeBytes >= comingBytes;
  }

  /** Resolves when nothing is being removed any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    while (this.#leaving.size > 0) await Promise.all(this.#leaving.values());
  }

  /** Files of before that are just being removed would take new ones with them. */
  async #gone(sha256: string): Promise<void> {
    await this.#leaving.get(sha256);
  }

  /** Of blobs that are in use, but for this one. */
  #heldBytes(sha256: string): number {
    let bytes = 0;
    for (const blob of this.#blobs.values()) {
      if (blob.sha256 !== sha256 && (blob.users > 0 || this.#options.isBusy(blob))) bytes += blob.lengthBytes;
    }
    return bytes;
  }

  /** The fetch is over before its end: what came stays. */
  async leavePart(blob: CachedBlob): Promise<void> {
    // Until that is known all of it is counted: others would be given the room else.
    const lengthBytes = await heldBytes(this.folder.data(blob.sha256));
    if (this.#blobs.get(blob.sha256) === blob) this.#usedBytes += lengthBytes - blob.lengthBytes;
    blob.lengthBytes = lengthBytes;
    blob.users--;
    if (this.#usedBytes > this.#options.cacheBytes) void this.makeRoom(0);
  }

  /** It is whole and verified. In use: whoever settles it has it until it is released. @throws HaulError */
  async settle(part: CachedBlob, facts: Pick<BlobRecord, 'infoHash' | 'fileName'>): Promise<CachedBlob> {
    const { sha256, lengthBytes } = part;
    const path = this.path({ sha256, ...facts });
    const record = { sha256, lengthBytes, ...facts, stamp: stampOf(await stat(path, { bigint: true })) };
    if (record.stamp.sizeBytes !== lengthBytes) throw new HaulError('BAD_DATA', `${path} is not what was fetched`);
    await this.folder.replace(this.folder.record(sha256), encodeRecord(record));
    await this.folder.sweepData(sha256, facts.fileName);
    const blob: CachedBlob = { ...part, record, kind: 'whole', usedMs: this.#options.wallClockMs(), users: 1 };
    this.#add(blob);
    return blob;
  }

  /** @throws HaulError */
  async addSmall(sha256: string, bytes: Uint8Array): Promise<void> {
    if (bytes.length > this.#options.cacheBytes) return;
    await this.#gone(sha256);
    await this.folder.writeSmall(sha256, bytes);
    const usedMs = this.#options.wallClockMs();
    this.#add({ sha256, lengthBytes: bytes.length, record: null, kind: 'small', usedMs, users: 0 });
    await this.makeRoom(0);
  }

  /** Its bytes are bad, or not wanted: nothing of it stays. */
  async drop(blob: CachedBlob): Promise<void> {
    await this.#drop(blob, null);
  }

  /** Counted as gone at once; its files go after others. Never rejects. */
  #drop(blob: CachedBlob, after: Promise<void> | null): Promise<void> {
    const { sha256 } = blob;
    // What came after it has its folder.
    if (this.#blobs.get(sha256) !== blob) return Promise.resolve();
    this.#forget(blob);
    const remove = (): Promise<void> => {
      this.#options.onGone(blob);
      return this.folder.remove(sha256);
    };
    const before = after ?? this.#leaving.get(sha256);
    const leaving = (before === undefined ? remove() : before.then(remove)).finally(() => {
      if (this.#leaving.get(sha256) === leaving) this.#leaving.delete(sha256);
    });
    this.#leaving.set(sha256, leaving);
    return leaving;
  }

  hold(blob: CachedBlob): void {
    blob.users++;
  }

  release(blob: CachedBlob): void {
    blob.users--;
    const nowMs = this.#options.wallClockMs();
    // What is used all the time need not say so each time.
    if (nowMs - blob.usedMs > USED_STEP_MS && this.#blobs.get(blob.sha256) === blob) {
      const path = blob.kind === 'small' ? this.folder.small(blob.sha256) : this.folder.record(blob.sha256);
      utimes(path, nowMs / 1000, nowMs / 1000).catch(() => {});
    }
    blob.usedMs = nowMs;
    if (this.#blobs.get(blob.sha256) === blob) {
      this.#blobs.delete(blob.sha256);
      this.#blobs.set(blob.sha256, blob);
    }
    if (this.#usedBytes > this.#options.cacheBytes) void this.makeRoom(0);
  }

  /**
   * The one used longest ago goes first, until so many bytes fit; nothing that is in use. Counted as gone at once;
   * resolves when it is.
   * @param after nothing is removed before that
   */
  async makeRoom(bytes: number, after: Promise<void> | null = null): Promise<void> {
    const { cacheBytes, log } = this.#options;
    if (this.#usedBytes + bytes <= cacheBytes) return;
    const low = cacheBytes * AGENT_LIMITS.lowMark;
    const idle = [...this.#blobs.values()].filter(({ users }) => users === 0).sort((a, b) => a.usedMs - b.usedMs);
    // One after the other: a thousand at once would keep all else waiting for the disk.
    let leaving = after;
    for (const blob of idle) {
      if (this.#usedBytes + bytes <= low) break;
      if (this.#options.isBusy(blob)) continue;
      this.evicted++;
      log('info', `${blob.sha256} leaves the cache`, { sha256: blob.sha256, lengthBytes: blob.lengthBytes });
      leaving = this.#drop(blob, leaving);
    }
    await leaving;
  }

  /** In the place of what is known of it so far. */
  #add(blob: CachedBlob): void {
    const before = this.#blobs.get(blob.sha256);
    if (before !== undefined) this.#forget(before);
    this.#blobs.set(blob.sha256, blob);
    this.#usedBytes += blob.lengthBytes;
  }

  #forget(blob: CachedBlob): void {
    if (this.#blobs.delete(blob.sha256)) this.#usedBytes -= blob.lengthBytes;
  }

  // ---- bytes ----

  /** A short blob, hashed now; null: it is not what it was, and gone. */
  async readSmall(blob: CachedBlob, hashOf: (bytes: Uint8Array) => string): Promise<Buffer | null> {
    const bytes = await readAtMost(this.folder.small(blob.sha256), blob.lengthBytes).catch(() => null);
    if (bytes !== null && bytes.length === blob.lengthBytes && hashOf(bytes) === blob.sha256) return bytes;
    this.#sayBad(blob);
    await this.drop(blob);
    return null;
  }

  /**
   * The file of a whole blob, open, and as it was verified; null: it is not, and gone. Hashed again where somebody has
   * touched it: a hard link to it is a touch, too.
   */
  async openWhole(blob: CachedBlob): Promise<WholeFile | null> {
    const { record } = blob;
    const handle = await open(this.path(record!), READ_FLAGS).catch(() => null);
    if (handle === null) {
      this.#sayBad(blob);
      await this.drop(blob);
      return null;
    }
    try {
      const now = stampOf(await handle.stat({ bigint: true }));
      if (isUntouched(now, record!.stamp)) return { handle, stamp: now };
      if (now.sizeBytes === record!.lengthBytes && (await this.#isGood(blob, now))) return { handle, stamp: now };
      this.#sayBad(blob);
    } catch {
      this.#sayBad(blob);
    }
    await handle.close();
    await this.drop(blob);
    return null;
  }

  async #isGood(blob: CachedBlob, before: FileStamp): Promise<boolean> {
    const path = this.path(blob.record!);
    // Who writes at once again may leave it with the same time: clocks of file systems have steps.
    await setTimeout(CLOCK_STEP_MS);
    if ((await fileSha256(path, blob.lengthBytes)) !== blob.sha256) return false;
    const after = await stat(path, { bigint: true }).then((status: BigIntStats) => stampOf(status));
    if (!isUntouched(after, before)) return false;
    const record = { ...blob.record!, stamp: after };
    await this.folder.replace(this.folder.record(blob.sha256), encodeRecord(record));
    blob.record = record;
    return true;
  }

  #sayBad({ sha256 }: CachedBlob): void {
    const text = `the cached blob ${sha256} was changed by somebody else: it is fetched again`;
    this.#options.log('warn', text, { code: 'CACHE_CHANGED', sha256 });
  }
}

const EVICT_AFTER_MS = 100;

const soon = (signal: AbortSignal): Promise<void> => setTimeout(EVICT_AFTER_MS, undefined, { signal }).catch(() => {});

/** Of the disk, for records, torrents and others. */
const SPARE_BYTES = 64 * 1024 * 1024;
/** A tick of the kernel is 4 or 10 ms. */
const CLOCK_STEP_MS = 20;
/** A use is written down when the last one that was is so long ago. */
const USED_STEP_MS = 60_000;

function noRoom(lengthBytes: number): HaulError {
  return new HaulError('NO_SPACE', `the cache has no room for ${lengthBytes} bytes: what is in it is in use`);
}
