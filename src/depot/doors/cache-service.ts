/**
 * The Actions cache behind its two protocols: entries that never change, found by key or by how a key begins, newest
 * first. An entry is an artifact; what is on its way in lies in a folder of our own, which is emptied at start.
 */
import { randomInt } from 'node:crypto';
import { mkdir, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError, HaulError } from '../../errors.js';
import type { ArtifactRow } from '../catalogue/port.js';
import type { PublishRequest } from '../publish-port.js';
import { type CacheKey, entryName, keyOf } from './cache-names.js';
import { CacheUpload } from './cache-upload.js';
import { CACHE_LIMITS } from './limits.js';
import { StagedFile } from './staging.js';

/** What the door needs of the depot, or of the agent before it. */
export interface CacheStore {
  find(name: string): Promise<ArtifactRow | null>;
  /** Of the entries whose keys begin so the one that was made last, among `CACHE_LIMITS.lookedNames` names. */
  newest(entry: CacheKey): Promise<ArtifactRow | null>;
  /**
   * What a lookup that failed finds all the same, without those who were asked: an entry under the first key, or the
   * newest whose key begins as one of the keys does, in their order. Null: nothing, or they did answer.
   */
  without?(failure: unknown, entries: readonly CacheKey[]): ArtifactRow | null;
  /** Rejects with FILE_EXISTS where the name is taken. */
  publish(request: PublishRequest): Promise<unknown>;
}

export interface CacheServiceOptions {
  readonly store: CacheStore;
  /** Ours alone; made when it is missing. */
  readonly folder: string;
  /** Milliseconds that only go on. */
  readonly monotonic: () => number;
}

const PART = /^\d{1,15}\.part$/;

export interface FoundEntry {
  readonly key: string;
  readonly row: ArtifactRow;
}

/** Of an entry that was committed here, for who asks again since the answer was lost. */
export interface Committed {
  readonly id: number;
  readonly name: string;
  readonly lengthBytes: number;
}

/** 47 bits: clients hold them as a number. By chance, so that one of before a restart names nobody else's upload. */
const IDS = 2 ** 47;

export class CacheService {
  readonly #options: CacheServiceOptions;
  readonly #uploads = new Map<number, CacheUpload>();
  /** Names that are reserved. */
  readonly #reserved = new Map<string, CacheUpload>();
  /** Entries that are being opened, by name. */
  readonly #opening = new Set<string>();
  /** The latest at the end. */
  readonly #committed: Committed[] = [];

  private constructor(options: CacheServiceOptions) {
    this.#options = options;
  }

  /** @throws HaulError IO and others of the file system */
  static async open(options: CacheServiceOptions): Promise<CacheService> {
    const { folder } = options;
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // What an end without warning left; nothing else that may lie there.
      for (const name of await readdir(folder)) if (PART.test(name)) await unlink(join(folder, name));
    } catch (error) {
      throw fromSystemError(error, 'keep uploads in', folder);
    }
    return new CacheService(options);
  }

  get uploads(): number {
    return this.#uploads.size;
  }

  /**
   * The first key, then what each of them begins.
   * @param wholeKey false: the first one is no more than a beginning, either
   * @throws HaulError BAD_ARGUMENT, LIMIT
   */
  async lookup(keys: readonly string[], version: string, wholeKey = true): Promise<FoundEntry | null> {
    if (keys.length === 0 || keys.length > CACHE_LIMITS.keys)
      throw new HaulError('BAD_ARGUMENT', `a lookup has 1 to ${CACHE_LIMITS.keys} keys`);
    try {
      return await this.#find(keys, version, wholeKey);
    } catch (error) {
      const entries = keys.map((key) => ({ key, version }));
      const found = foundOf(this.#options.store.without?.(error, entries) ?? null);
      if (found === null) throw error;
      return found;
    }
  }

  async #find(keys: readonly string[], version: string, wholeKey: boolean): Promise<FoundEntry | null> {
    const { store } = this.#options;
    const exact = wholeKey ? await store.find(entryName({ key: keys[0]!, version })) : null;
    if (exact !== null) return { key: keys[0]!, row: exact };
    for (const key of keys) {
      const found = foundOf(await store.newest({ key, version }));
      if (found !== null) return found;
    }
    return null;
  }

  /** @throws HaulError FILE_EXISTS: it is there, or on its way; BAD_ARGUMENT, LIMIT, SYSTEM_LIMIT, NO_SPACE */
  async reserve(entry: CacheKey, lengthBytes: number | null): Promise<CacheUpload> {
    const name = entryName(entry);
    if ((lengthBytes ?? 0) > CACHE_LIMITS.entryBytes)
      throw new HaulError('LIMIT', `an entry has at most ${CACHE_LIMITS.entryBytes} bytes`);
    this.sweep();
    if (this.#reserved.has(name) || this.#opening.has(name)) throw isReserved();
    if (this.#uploads.size + this.#opening.size >= CACHE_LIMITS.uploads)
      throw new HaulError('SYSTEM_LIMIT', 'too many entries are on their way');
    this.#opening.add(name);
    try {
      if ((await this.#options.store.find(name)) !== null) throw isThere();
      const id = randomInt(1, IDS);
      const file = await StagedFile.open(join(this.#options.folder, `${id}.part`));
      const { monotonic } = this.#options;
      const upload = new CacheUpload(id, { ...entry, name }, { file, monotonic, room: (bytes) => this.#room(bytes) });
      this.#uploads.set(id, upload);
      this.#reserved.set(name, upload);
      return upload;
    } finally {
      this.#opening.delete(name);
    }
  }

  upload(id: number): CacheUpload | null {
    return this.#uploads.get(id) ?? null;
  }

  /** Null: it was not committed here, or long ago. */
  committed(of: { readonly id: number } | CacheKey): Committed | null {
    const name = 'id' in of ? null : entryName(of);
    return this.#committed.findLast((done) => ('id' in of ? done.id === of.id : done.name === name)) ?? null;
  }

  reserved(entry: CacheKey): CacheUpload | null {
    return this.#reserved.get(entryName(entry)) ?? null;
  }

  /**
   * The entry is there from now on. @throws HaulError MISMATCH: its parts are not these bytes, and it stays reserved;
   * FILE_EXISTS, and all of `publish`
   */
  async commit(upload: CacheUpload, lengthBytes: number, signal: AbortSignal): Promise<void> {
    const { name } = upload;
    const body = upload.take(lengthBytes);
    const fixed = { sha256: null, contentType: null, retentionDays: null, overwrite: false, onlyIfNew: true };
    try {
      await upload.commit(() => this.#options.store.publish({ ...fixed, name, lengthBytes, body, signal }));
    } catch (error) {
      // Another way led there first: this one leads nowhere any more.
      if ((error as { code?: unknown }).code === 'FILE_EXISTS') await this.#drop(upload);
      throw error;
    }
    this.#committed.push({ id: upload.id, name, lengthBytes });
    if (this.#committed.length > CACHE_LIMITS.uploads) this.#committed.shift();
    await this.#drop(upload);
  }

  /** Once in a while: what was interrupted goes. */
  sweep(): void {
    const beforeMs = this.#options.monotonic() - CACHE_LIMITS.idleMs;
    for (const upload of this.#uploads.values())
      if (!upload.isBusy && upload.usedMs < beforeMs) void this.#drop(upload);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#uploads.values()].map((upload) => this.#drop(upload)));
  }

  #drop(upload: CacheUpload): Promise<void> {
    this.#uploads.delete(upload.id);
    this.#reserved.delete(upload.name);
    return upload.remove();
  }

  #room(bytes: number): void {
    let staged = bytes;
    for (const upload of this.#uploads.values()) staged += upload.stagedBytes;
    if (staged > CACHE_LIMITS.stagedBytes) throw new HaulError('NO_SPACE', 'too much is on its way');
  }
}

function isThere(): HaulError {
  return new HaulError('FILE_EXISTS', 'an entry with this key and version is there, and entries never change');
}

function foundOf(row: ArtifactRow | null): FoundEntry | null {
  const key = row === null ? null : keyOf(row.name);
  return row === null || key === null ? null : { key, row };
}

function isReserved(): HaulError {
  return new HaulError('FILE_EXISTS', 'an entry with this key and version is on its way');
}
