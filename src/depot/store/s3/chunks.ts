/**
 * Chunks of blobs on the disk of the depot: each is fetched once, whoever asks for it meanwhile, verified before it is
 * written, and opened by its readers, who find it unchanged. Invariant: a file is in the table only when its bytes were
 * found to be the blob's.
 */
import { constants } from 'node:fs';
import { mkdir, open, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError, HaulError } from '../../../errors.js';
import { whenRoom } from '../../../storage/patience.js';
import { stampOf } from '../../../storage/stamp-files.js';
import { type FileStamp, isUnchanged } from '../../../work/file-stamp.js';
import type { Opened } from '../reading.js';
import type { CacheRoom } from './cache-room.js';

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Gives bytes that were fetched and verified to `use`, who has them until it resolves. */
export type FetchChunk = (use: (bytes: Buffer) => Promise<void>) => Promise<void>;

export class Chunks {
  readonly #folder: string;
  readonly #room: CacheRoom;
  readonly #files = new Map<string, { readonly file: string; readonly stamp: FileStamp }>();
  readonly #coming = new Map<string, Promise<void>>();
  #lastFile = 0;

  constructor(folder: string, room: CacheRoom) {
    this.#folder = folder;
    this.#room = room;
  }

  /** What an earlier process left is not known. */
  async prepare(): Promise<void> {
    try {
      await rm(this.#folder, { recursive: true, force: true });
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw fromSystemError(error, 'prepare', this.#folder);
    }
  }

  has(key: string): boolean {
    return this.#files.has(key);
  }

  /** Resolves when it is there. @throws HaulError */
  async bring(key: string, fetch: FetchChunk): Promise<void> {
    if (this.#files.has(key)) return;
    const coming = this.#coming.get(key) ?? this.#bring(key, fetch).finally(() => this.#coming.delete(key));
    this.#coming.set(key, coming);
    await coming;
  }

  /** In use until it is closed: `release` is called by whoever closes the file. */
  async open(key: string, fetch: FetchChunk): Promise<Opened & { readonly release: () => void }> {
    // One that was evicted or changed meanwhile is fetched again, not for ever.
    for (let attempt = 1; ; attempt++) {
      await this.bring(key, fetch);
      const opened = await this.#open(key);
      if (opened !== null) return opened;
      if (attempt >= 5) throw new HaulError('IO', `read ${this.#folder}: chunks vanish from the cache`);
    }
  }

  async forget(key: string): Promise<void> {
    this.#room.forget(key);
    await this.#remove(key);
  }

  async forgetAll(prefix: string): Promise<void> {
    for (const key of [...this.#files.keys()]) if (key.startsWith(prefix)) await this.forget(key);
  }

  async #open(key: string): Promise<(Opened & { readonly release: () => void }) | null> {
    const found = this.#files.get(key);
    if (found === undefined) return null;
    const { file, stamp } = found;
    const release = this.#room.use(key);
    try {
      const handle = await whenRoom(() => open(file, FLAGS));
      if (isUnchanged(stampOf(await handle.stat({ bigint: true })), stamp))
        return { handle, stamp, nearness: 'far', release };
      await handle.close();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        release();
        throw fromSystemError(error, 'read', file);
      }
    }
    release();
    await this.forget(key);
    return null;
  }

  #bring(key: string, fetch: FetchChunk): Promise<void> {
    return fetch(async (bytes) => {
      await this.#room.make(bytes.length);
      const file = join(this.#folder, String(++this.#lastFile));
      try {
        const stamp = await writeWhole(file, bytes);
        // All at once: who asks for it finds it whole, or waits.
        this.#files.set(key, { file, stamp });
        this.#room.add(key, bytes.length, () => this.#remove(key));
      } catch (error) {
        await unlink(file).catch(() => {});
        throw fromSystemError(error, 'write', file);
      }
    });
  }

  async #remove(key: string): Promise<void> {
    const found = this.#files.get(key);
    this.#files.delete(key);
    if (found !== undefined) await unlink(found.file).catch(() => {});
  }
}

async function writeWhole(file: string, bytes: Buffer): Promise<FileStamp> {
  const handle = await whenRoom(() => open(file, 'wx', 0o600));
  try {
    for (let done = 0; done < bytes.length; )
      done += (await handle.write(bytes, done, bytes.length - done, done)).bytesWritten;
    return stampOf(await handle.stat({ bigint: true }));
  } finally {
    await handle.close();
  }
}
