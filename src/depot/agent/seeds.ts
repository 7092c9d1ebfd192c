/**
 * What is cached is given to others: each whole blob that has a torrent is a row in the engine, woken when a peer comes
 * for it, asleep again when nobody takes from it. The torrent of a fetch that has ended goes the same way.
 */

import type { Engine, Torrent, WokenTorrent } from '../../api.js';
import type { HaulError } from '../../errors.js';
import type { Log } from '../../log.js';
import { parseTorrent } from '../../metainfo/torrent.js';
import { readOwnFile } from '../read-own.js';
import type { BlobCache, CachedBlob } from './blob-cache.js';
import type { Tiers } from './depot-port.js';
import { AGENT_LIMITS } from './limits.js';
import type { Presence } from './presence.js';

export interface SeedsOptions {
  readonly engine: Engine;
  readonly cache: BlobCache;
  readonly log: Log;
  readonly now: () => number;
  /** Who tells the tracker of what sleeps. */
  readonly presence: Presence;
  /** The tracker to ask first comes first. */
  readonly inOrder: (tiers: Tiers) => Tiers;
}

interface Fetched {
  readonly torrent: Torrent;
  idleSinceMs: number;
}

export class Seeds {
  readonly #options: SeedsOptions;
  /** By info-hash: torrents of fetches, which go to sleep by us. */
  readonly #fetched = new Map<string, Fetched>();
  /** As the depot named them last; null: it has not yet. */
  #trackers: readonly (readonly string[])[] | null = null;

  /** Whole ones, by info-hash. */
  readonly #blobs = new Map<string, CachedBlob>();

  constructor(options: SeedsOptions) {
    this.#options = options;
    options.engine.on('added', (torrent) => {
      torrent.on('warning', (error) => this.#troubled(torrent, error));
    });
  }

  /** The disk does not give a piece: it is thrown away, and fetched anew by whoever wants it. */
  #troubled({ metainfo }: Torrent, { facts, message }: HaulError): void {
    const blob = this.#blobs.get(metainfo.infoHashHex);
    if (blob === undefined || facts.errno !== 'EIO') return;
    const { cache, log } = this.#options;
    log('warn', `the cached blob ${blob.sha256}: ${message}; it is fetched anew`, { code: 'CACHE_UNREAD' });
    void cache.drop(blob);
  }

  /** Where blobs are announced that were cached before this agent has asked for a torrent. */
  async knownTrackers(): Promise<readonly (readonly string[])[]> {
    if (this.#trackers !== null) return this.#trackers;
    for (const { sha256, record } of this.#options.cache.blobs) {
      if (record?.infoHash == null) continue;
      const bytes = await readOwnFile(this.#options.cache.folder.torrent(sha256)).catch(() => null);
      if (bytes !== null) return parseTorrent(bytes).trackers;
    }
    return [];
  }

  /** Other trackers, or another passkey, hold for all that is woken from now on. */
  set trackers(tiers: readonly (readonly string[])[]) {
    this.#trackers = tiers;
  }

  get trackers(): readonly (readonly string[])[] | null {
    return this.#trackers;
  }

  /**
   * A whole blob is here.
   * @param torrent the one that it was fetched with; null: none. 'fresh': none, and the tracker hears of it now
   */
  add(blob: CachedBlob, torrent: Torrent | 'fresh' | null): void {
    const infoHash = blob.record?.infoHash ?? null;
    if (infoHash === null) return;
    this.#blobs.set(infoHash, blob);
    this.#options.engine.registerDormant(infoHash, () => this.#wake(blob, infoHash));
    this.#options.presence.add(infoHash);
    if (torrent === 'fresh') void this.#options.engine.wake(infoHash).catch(() => {});
    else if (torrent !== null) this.#fetched.set(infoHash, { torrent, idleSinceMs: this.#options.now() });
  }

  /** It leaves the cache. */
  async remove(blob: CachedBlob): Promise<void> {
    const infoHash = blob.record?.infoHash ?? null;
    if (infoHash === null) return;
    const { engine } = this.#options;
    if (this.#blobs.get(infoHash) === blob) this.#blobs.delete(infoHash);
    engine.forgetDormant(infoHash);
    this.#options.presence.remove(infoHash);
    this.#fetched.delete(infoHash);
    const torrent = engine.get(infoHash);
    if (torrent !== null) await engine.remove(torrent).catch(() => {});
  }

  /** Somebody takes from it, or may at once. */
  isBusy({ record }: CachedBlob): boolean {
    const torrent = record?.infoHash == null ? null : this.#options.engine.get(record.infoHash);
    return (torrent?.stats().peers ?? 0) > 0;
  }

  /** Once a second or so. */
  tick(): void {
    const nowMs = this.#options.now();
    for (const [infoHash, fetched] of this.#fetched) {
      const { state, peers } = fetched.torrent.stats();
      if (state === 'stopped' || state === 'failed') this.#fetched.delete(infoHash);
      else if (peers > 0 || state !== 'seeding') fetched.idleSinceMs = nowMs;
      else if (nowMs - fetched.idleSinceMs >= AGENT_LIMITS.sleepMs) {
        this.#fetched.delete(infoHash);
        void this.#options.engine.remove(fetched.torrent).catch(() => {});
      }
    }
  }

  async #wake(blob: CachedBlob, infoHash: string): Promise<WokenTorrent | null> {
    const { cache } = this.#options;
    if (cache.find(blob.sha256) !== blob) return null;
    // It is not evicted while it is looked at.
    cache.hold(blob);
    const bytes = await readOwnFile(cache.folder.torrent(blob.sha256)).catch(() => null);
    const file = bytes === null ? null : await cache.openWhole(blob);
    cache.release(blob);
    await file?.handle.close();
    if (bytes === null || file === null) return null;
    const metainfo = parseTorrent(bytes);
    if (metainfo.infoHashHex !== infoHash) return null;
    const trackers = this.#options.inOrder(this.#trackers ?? metainfo.trackers);
    const output = cache.folder.data(blob.sha256);
    const { stamp } = blob.record!;
    return {
      metainfo,
      options: { output, mode: 'seed', trustData: true, hashed: [stamp], trackers },
      sleepAfterMs: AGENT_LIMITS.sleepMs,
    };
  }
}
