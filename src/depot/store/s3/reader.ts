/**
 * Bytes of blobs, from wherever they are: whole in the cache, as chunks there, at another depot, in the bucket. For
 * readers of ours, and for other depots.
 */
import { HaulError } from '../../../errors.js';
import type { FolderStore } from '../folders.js';
import type { BlobPart, ByteRange } from '../port.js';
import { type Opened, readInto, readSlices } from '../reading.js';
import type { CacheRoom } from './cache-room.js';
import type { Chunks } from './chunks.js';
import { checked } from './layout.js';
import { S3_LIMITS } from './limits.js';
import { gone, keyOf, type RemoteBlobs } from './remote.js';

export interface ReaderParts {
  readonly remote: RemoteBlobs;
  /** Whole blobs, and uploads on their way. */
  readonly cache: FolderStore;
  readonly room: CacheRoom;
  readonly chunks: Chunks;
}

export class BlobReader {
  readonly #parts: ReaderParts;
  /** Bytes that other depots took. */
  toDepots = 0;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  async *read(sha256: string, { begin, end }: ByteRange): AsyncGenerator<Uint8Array> {
    if (!(Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && begin <= end))
      throw new HaulError('BAD_ARGUMENT', `no range of bytes: ${begin} to ${end}`, { option: 'range' });
    const lengthBytes = await this.#parts.remote.lengthOf(checked(sha256));
    if (end > lengthBytes)
      throw new HaulError('BAD_ARGUMENT', `the blob ${sha256} ends before byte ${end}`, { option: 'range' });
    let at = begin;
    for await (const slice of this.#readWhole(sha256, { begin, end })) {
      yield slice;
      at += slice.length;
    }
    if (at < end) yield* this.#readChunks(sha256, lengthBytes, { begin: at, end });
  }

  /** As much as the copy in the cache gives, if there is one. */
  async *#readWhole(sha256: string, range: ByteRange): AsyncGenerator<Uint8Array> {
    const { room, cache } = this.#parts;
    if (!room.has(sha256)) return;
    const release = room.use(sha256);
    try {
      yield* cache.read(sha256, range);
    } catch (error) {
      if (!isLost(error)) throw error;
      await this.drop(sha256);
    } finally {
      release();
    }
  }

  async *#readChunks(sha256: string, lengthBytes: number, { begin, end }: ByteRange): AsyncGenerator<Uint8Array> {
    const { remote, chunks } = this.#parts;
    const parts = await remote.chunks({ sha256, begin, end }, lengthBytes, false);
    for (const [index, part] of parts.entries()) {
      const opening = chunks.open(keyOf(part), remote.fetching(part, lengthBytes, true));
      for (const next of parts.slice(index + 1, index + 1 + S3_LIMITS.chunksAhead))
        chunks.bring(keyOf(next), remote.fetching(next, lengthBytes, true)).catch(() => {});
      const { release, ...opened } = await opening;
      const range = { begin: Math.max(begin, part.begin) - part.begin, end: Math.min(end, part.end) - part.begin };
      try {
        yield* readSlices(opened, range, sha256);
      } finally {
        release();
      }
    }
  }

  /**
   * For an engine, which asks all over the blob. Of one that is longer than the cache no more is fetched than is asked
   * for: the rest would be gone before somebody wants it.
   */
  async fill(sha256: string, begin: number, target: Uint8Array, signal: AbortSignal): Promise<void> {
    const { remote, room, chunks } = this.#parts;
    const end = begin + target.length;
    const lengthBytes = await untilAborted(remote.lengthOf(sha256), signal);
    let at = begin;
    for await (const slice of this.#readWhole(sha256, { begin, end })) {
      target.set(slice, at - begin);
      at += slice.length;
    }
    if (at === end) return;
    const isShort = lengthBytes > room.maxBytes;
    for (const part of await untilAborted(remote.chunks({ sha256, begin: at, end }, lengthBytes, isShort), signal)) {
      const opening = chunks.open(keyOf(part), remote.fetching(part, lengthBytes, true));
      const opened = await untilAborted(opening, signal).catch((error: unknown) => {
        // It may come all the same.
        opening.then(letGo, () => {});
        throw error;
      });
      try {
        const to = target.subarray(at - begin, Math.min(end, part.end) - begin);
        await readInto(opened, at - part.begin, to, sha256);
        at += to.length;
      } finally {
        await letGo(opened);
      }
    }
  }

  /** See `StoreElsewhere`. What is on its way from another depot is not here: two would wait for each other. */
  give(part: BlobPart, mayFetch: boolean): AsyncIterable<Uint8Array> | null {
    const { remote, room, chunks } = this.#parts;
    const key = keyOf(part);
    const isHere = room.has(part.sha256) || chunks.has(key) || remote.isComing(key);
    return isHere || mayFetch ? this.#give(part) : null;
  }

  async *#give(part: BlobPart): AsyncGenerator<Uint8Array> {
    const { sha256, begin, end } = part;
    const { remote, chunks } = this.#parts;
    const lengthBytes = await remote.lengthOf(sha256);
    if (end > lengthBytes || !(await remote.isPart(part, lengthBytes))) throw gone(sha256);
    let at = begin;
    for await (const slice of this.#readWhole(sha256, part)) {
      at += slice.length;
      this.toDepots += slice.length;
      yield slice;
    }
    if (at === end) return;
    const { release, ...opened } = await chunks.open(keyOf(part), remote.fetching(part, lengthBytes, false));
    try {
      for await (const slice of readSlices(opened, { begin: at - begin, end: end - begin }, sha256)) {
        this.toDepots += slice.length;
        yield slice;
      }
    } finally {
      release();
    }
  }

  /** The copy in the cache is not what it was, or no more wanted. */
  async drop(sha256: string): Promise<void> {
    this.#parts.room.forget(sha256);
    await this.#parts.cache.remove(sha256).catch(() => {});
  }

  async dropChunks(sha256: string): Promise<void> {
    await this.#parts.chunks.forgetAll(`${sha256}/`);
  }
}

async function letGo({ handle, release }: Opened & { readonly release: () => void }): Promise<void> {
  release();
  await handle.close();
}

/** What it resolves with, unless the signal comes first. @throws HaulError ABORTED */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new HaulError('ABORTED', 'nobody waits for it any more'));
  });
  aborted.catch(() => {});
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', stop));
}

/** The copy in the cache is not what it was. */
export function isLost(error: unknown): boolean {
  return HaulError.is(error) && (error.code === 'NOT_FOUND' || error.code === 'BAD_DATA');
}
