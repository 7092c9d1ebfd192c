/**
 * Blobs as requests want them: from the cache, or from the one fetch that is under way for all who ask. Owns the
 * fetches. Invariant: of a blob there is at most one fetch, and none begins before the one of before has ended.
 *
 * A fetch that nobody reads any more goes on where half of it or more is here; else it is stopped, and what came stays
 * for the next who asks.
 */
import { createHash } from 'node:crypto';
import { rename } from 'node:fs/promises';
import type { Engine } from '../../api.js';
import { HaulError } from '../../errors.js';
import type { Log } from '../../log.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { Problem } from '../http/problems.js';
import type { ByteRange } from '../store/port.js';
import type { BlobCache, CachedBlob } from './blob-cache.js';
import type { DepotPort } from './depot-port.js';
import type { Offer } from './directory.js';
import { type Fetch, type FetchedBytes, since, sum } from './fetch.js';
import { isUnkept, restOf } from './go-on.js';
import { isShort } from './http-stream.js';
import { AGENT_LIMITS } from './limits.js';
import { isStill, readAndClose, readLocal, type WholeFile } from './local-read.js';
import { PlainFetch } from './plain-fetch.js';
import { type ReadThroughOptions, readThrough } from './read-through.js';
import type { Seeds } from './seeds.js';
import { SwarmFetch } from './swarm-fetch.js';
import { Turns } from './turns.js';

export interface FetchesOptions {
  readonly cache: BlobCache;
  readonly engine: Engine;
  readonly client: DepotPort;
  readonly seeds: Seeds;
  readonly log: Log;
  readonly now: () => number;
  /** How many others have or want a torrent, as its tracker says. May reject. */
  readonly others: (metainfo: Metainfo) => Promise<number>;
  readonly onFetch: (fetch: Fetch, change: 'begun' | 'done' | 'failed', reason: string) => void;
}

/** Somebody reads a blob. */
export interface Reading {
  readonly slices: AsyncIterable<Uint8Array>;
  /** What came since it is read; null: it was here. */
  readonly bytes: () => FetchedBytes | null;
}

const NONE: FetchedBytes = { peers: 0, webSeed: 0 };

/** A fetch, and what it had when somebody began to read it. */
interface Joined {
  readonly fetch: Fetch;
  readonly before: FetchedBytes;
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** For the torrent, and notes beside a blob. */
const SPARE_BYTES = 2 ** 20;

export class Fetches {
  readonly #options: FetchesOptions;
  readonly #fetches = new Map<string, Fetch>();
  /** What they have become, as long as somebody reads them. */
  readonly #held = new Map<Fetch, CachedBlob>();
  readonly #starting = new Map<string, Promise<Fetch>>();
  /** Blobs that come into the cache by another way. */
  readonly #adopting = new Map<string, Promise<void>>();
  readonly #turns = new Turns(AGENT_LIMITS.fetches);
  readonly #throughs = new Turns(AGENT_LIMITS.throughs);
  /** Answers that were passed through, or gone on with so. */
  unkept = 0;
  #isClosed = false;

  constructor(options: FetchesOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#fetches.size;
  }

  get all(): Iterable<Fetch> {
    return this.#fetches.values();
  }

  /**
   * The bytes of a row, from wherever.
   * @param offer where they are on their way already
   * @throws HaulError, DepotAway, DepotLies, Problem
   */
  async read(
    { row, offer }: { readonly row: ArtifactRow; readonly offer?: Offer },
    range: ByteRange,
    signal: AbortSignal,
  ): Promise<Reading> {
    const passed = { peers: 0, webSeed: 0 };
    const onBytes = (bytes: number): void => {
      passed.webSeed += bytes;
    };
    const options = { row, client: this.#options.client, signal, onBytes };
    for (;;) {
      await this.#adopting.get(row.sha256)?.catch(() => {});
      const local = await this.#local(options, range);
      if (local !== null) {
        offer?.drop();
        return { slices: local, bytes: () => (passed.webSeed === 0 ? null : { ...passed }) };
      }
      if (!this.#adopting.has(row.sha256)) break;
    }
    try {
      const { fetch, before } = await this.#fetchOf(row, offer ?? null, signal);
      offer?.drop();
      const slices = this.#from(fetch, range, options);
      return { slices, bytes: () => sum(since(fetch.bytes, before), passed) };
    } catch (error) {
      if (!isUnkept(error)) throw error;
    }
    offer?.drop();
    return { slices: this.#through(readThrough(options, range), signal), bytes: () => ({ ...passed }) };
  }

  /**
   * Puts a blob into the cache that came by another way. Whoever wants it meanwhile waits for that; where it is being
   * fetched already nothing is done. @throws what `keep` does
   */
  async adopt(sha256: string, keep: () => Promise<void>): Promise<void> {
    if (this.#isClosed || [this.#fetches, this.#starting, this.#adopting].some((map) => map.has(sha256))) return;
    const adopting = keep().finally(() => this.#adopting.delete(sha256));
    this.#adopting.set(sha256, adopting);
    await adopting;
  }

  /** What has no room in the cache is not kept, nor shared. */
  async *#through(slices: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    if (await this.#throughs.wait(signal, AGENT_LIMITS.turnMs)) yield* this.#inPlace(slices);
    else throw this.#noTurn(signal, 'too many blobs that the cache has no room for are fetched');
  }

  #noTurn({ aborted }: AbortSignal, text: string): Error {
    if (this.#isClosed) return new HaulError('CLOSED', 'the agent is being stopped');
    if (aborted) return new HaulError('ABORTED', 'nobody waits for it any more');
    return new Problem(503, 'BUSY', text, { 'retry-after': '1' });
  }

  async *#inPlace(slices: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.unkept++;
    try {
      yield* slices;
    } finally {
      this.#throughs.free();
    }
  }

  /** Once a second or so. */
  tick(): void {
    for (const fetch of this.#fetches.values()) fetch.tick();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#turns.close();
    this.#throughs.close();
    await Promise.allSettled([...this.#starting.values(), ...this.#adopting.values()]);
    await Promise.all([...this.#fetches.values()].map((fetch) => fetch.stop()));
  }

  // ---- what is here ----

  async #local(options: ReadThroughOptions, range: ByteRange): Promise<AsyncIterable<Uint8Array> | null> {
    const { cache } = this.#options;
    const { row } = options;
    const blob = cache.find(row.sha256);
    if (blob === null || blob.kind === 'part' || blob.lengthBytes !== row.lengthBytes) return null;
    cache.hold(blob);
    let isHandedOver = false;
    try {
      if (blob.kind === 'small') {
        const bytes = await cache.readSmall(blob, hashOf);
        return bytes === null ? null : slicesOf(bytes.subarray(range.begin, range.end));
      }
      const file = await cache.openWhole(blob);
      if (file === null) return null;
      isHandedOver = true;
      return readAndClose(this.#fromFile(file, blob, options, range), async () => {
        await file.handle.close();
        cache.release(blob);
      });
    } finally {
      if (!isHandedOver) cache.release(blob);
    }
  }

  /** What the disk of the cache does not give leaves the cache, and its rest is passed through. */
  async *#fromFile(
    file: WholeFile,
    blob: CachedBlob,
    options: ReadThroughOptions,
    range: ByteRange,
  ): AsyncGenerator<Uint8Array> {
    const { cache, log } = this.#options;
    let at = range.begin;
    try {
      for await (const slice of readLocal(file, range)) {
        at += slice.length;
        yield slice;
      }
      return;
    } catch (error) {
      if (!isUnkept(error)) throw error;
      log('warn', `the cached blob ${blob.sha256}: ${error.message}; it is fetched again`, { code: 'CACHE_UNREAD' });
      const isRight = await isStill(file);
      void cache.drop(blob);
      if (!isRight) throw error;
    }
    if (await this.#throughs.wait(options.signal)) yield* this.#inPlace(readThrough(options, { ...range, begin: at }));
  }

  // ---- what is not ----

  async #fetchOf(row: ArtifactRow, offer: Offer | null, signal: AbortSignal): Promise<Joined> {
    for (;;) {
      if (this.#isClosed) throw new HaulError('CLOSED', 'the agent is being stopped');
      const running = this.#fetches.get(row.sha256);
      if (running !== undefined) {
        running.users++;
        return { fetch: running, before: running.bytes };
      }
      const starting = this.#starting.get(row.sha256);
      if (starting === undefined) break;
      await starting.catch(() => {});
    }
    const starting = this.#start(row, offer, signal).finally(() => this.#starting.delete(row.sha256));
    this.#starting.set(row.sha256, starting);
    return { fetch: await starting, before: NONE };
  }

  /** With a user. */
  async #start(row: ArtifactRow, offer: Offer | null, signal: AbortSignal): Promise<Fetch> {
    // Its bytes would come meanwhile, and nobody takes them.
    if (!this.#turns.isFree) offer?.drop();
    if (!(await this.#turns.wait(signal, AGENT_LIMITS.turnMs)))
      throw this.#noTurn(signal, 'too many blobs are being fetched');
    const fetch = await (row.infoHash === null ? this.#plain(row, offer) : this.#swarm(row, offer)).catch((error) => {
      this.#turns.free();
      throw error;
    });
    fetch.users = 1;
    this.#fetches.set(row.sha256, fetch);
    this.#options.onFetch(fetch, 'begun', '');
    fetch.done.then(
      () => this.#ended(fetch, null),
      (error: unknown) => this.#ended(fetch, error),
    );
    return fetch;
  }

  #ended(fetch: Fetch, error: unknown): void {
    this.#turns.free();
    if (this.#fetches.get(fetch.row.sha256) === fetch) this.#fetches.delete(fetch.row.sha256);
    if (fetch.users === 0) this.#over(fetch);
    if (isUnkept(error)) this.#sayUnkept(error);
    const reason = error === null ? '' : error instanceof Error ? error.message : String(error);
    this.#options.onFetch(fetch, error === null ? 'done' : 'failed', reason);
  }

  async #swarm(row: ArtifactRow, offer: Offer | null): Promise<Fetch> {
    const { cache, engine, client, seeds, now, others } = this.#options;
    await this.#checkDisk(row);
    const reserved = cache.reserve(row.sha256, row.lengthBytes);
    const fetch: SwarmFetch = new SwarmFetch({
      row,
      reserved,
      opened: offer?.take() ?? null,
      cache,
      engine,
      client,
      now,
      others,
      onWhole: (whole, torrent) => {
        this.#held.set(fetch, whole);
        seeds.add(whole, torrent ?? 'fresh');
      },
      onTrackers: (tiers) => {
        seeds.trackers = tiers;
      },
    });
    return fetch;
  }

  /** @throws HaulError NO_SPACE */
  async #plain(row: ArtifactRow, offer: Offer | null): Promise<Fetch> {
    const { cache, client, now, engine } = this.#options;
    const gate = engine.gates.downloads;
    if (!isShort(row)) await this.#checkDisk(row);
    const reserved = isShort(row) ? null : cache.reserve(row.sha256, row.lengthBytes);
    const part = reserved?.blob ?? null;
    const temporary = cache.folder.temporary();
    const keep = async (bytes: Buffer | null): Promise<void> => {
      // What cannot be written was served all the same.
      const kept = bytes !== null ? cache.addSmall(row.sha256, bytes) : this.#keepLong(part!, temporary);
      await kept.catch((error: Error) => this.#sayUnkept(error));
    };
    const free = async (): Promise<void> => {
      // What has become of it is another one.
      if (part !== null) await cache.drop(part);
    };
    const opened = offer?.take() ?? null;
    const ready = reserved?.room ?? Promise.resolve();
    return new PlainFetch({ row, client, temporary, ready, opened, keep, free, now, gate });
  }

  /** Others may have filled the disk. What goes for it is free; what has begun goes on. @throws HaulError NO_SPACE */
  async #checkDisk({ name, sha256, lengthBytes }: ArtifactRow): Promise<void> {
    const { cache, log } = this.#options;
    if (cache.held(sha256) === 'part') return;
    const leavingBytes = Math.max(0, cache.usedBytes + lengthBytes - cache.cacheBytes);
    if ((await cache.folder.freeBytes()) + leavingBytes >= lengthBytes + SPARE_BYTES) return;
    const message = 'the disk of the cache has no room for what is fetched: it is passed on and not kept';
    log('warn', message, { code: 'NO_SPACE', name, lengthBytes });
    throw new HaulError('NO_SPACE', message, { lengthBytes });
  }

  /** A long blob without a torrent: it lies as one with a torrent does. */
  async #keepLong(part: CachedBlob, temporary: string): Promise<void> {
    const { cache } = this.#options;
    const { sha256 } = part;
    const fileName = 'blob';
    await cache.folder.make(sha256);
    await rename(temporary, cache.path({ sha256, fileName }));
    cache.release(await cache.settle(part, { infoHash: null, fileName }));
  }

  #sayUnkept(error: Error): void {
    this.#options.log('warn', `a blob that was fetched is not kept: ${error.message}`, { code: 'NOT_KEPT' });
  }

  /** Where the cache cannot be written to half way the rest is passed through: the client need not know. */
  async *#from(fetch: Fetch, range: ByteRange, options: ReadThroughOptions): AsyncGenerator<Uint8Array> {
    const { signal } = options;
    let at = range.begin;
    let rest: AsyncIterable<Uint8Array> | null = null;
    try {
      for await (const slice of fetch.read(range, signal)) {
        at += slice.length;
        yield slice;
      }
      return;
    } catch (error) {
      if (!isUnkept(error) || signal.aborted) throw error;
      rest = await restOf(options, range, at, () => fetch.givenAway());
      if (rest === null) throw error;
    } finally {
      this.#leave(fetch);
    }
    if (await this.#throughs.wait(signal)) yield* this.#inPlace(rest);
  }

  #leave(fetch: Fetch): void {
    fetch.users--;
    if (fetch.users > 0) return;
    const isUnderWay = this.#fetches.get(fetch.row.sha256) === fetch;
    if (!isUnderWay) this.#over(fetch);
    else if (fetch.share < AGENT_LIMITS.goesOnShare) this.#cancel(fetch);
  }

  #over(fetch: Fetch): void {
    fetch.leave();
    const blob = this.#held.get(fetch);
    this.#held.delete(fetch);
    if (blob !== undefined) this.#options.cache.release(blob);
  }

  /** Whoever asks for it meanwhile waits for its end, then begins anew. */
  #cancel(fetch: Fetch): void {
    const { sha256 } = fetch.row;
    this.#fetches.delete(sha256);
    const ending = fetch.stop().then((): never => {
      throw new HaulError('ABORTED', 'the fetch of before was stopped');
    });
    this.#starting.set(sha256, ending);
    ending.catch(() => this.#starting.delete(sha256));
  }
}

async function* slicesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
