/**
 * The DHT as a source of peers of one torrent: looks for them and announces ours, every quarter of an hour, and every
 * minute while there are too few. Pure: it owns no timer and no socket.
 */
import type { AnnounceFigures } from '../discovery/announce.js';
import type { PeerSource, PeerSourceOwner } from '../discovery/source.js';
import type { Address } from '../net/address.js';
import { DHT_LIMITS } from './limits.js';
import type { Found } from './search.js';

/** Until somebody answers: soon after the start, then less and less often. */
const RETRY_FIRST_MS = 1_000;

export interface DhtSourceOptions {
  /** 20 bytes. */
  readonly infoHash: Buffer;
  readonly owner: PeerSourceOwner;
  readonly now: () => number;
  readonly search: (
    infoHash: Buffer,
    port: number | null,
    onPeers: (peers: readonly Address[]) => void,
    onDone: (found: Found) => void,
  ) => { cancel(): void };
  /** Who announces it to us is found without a search. Returns what ends that. */
  readonly watch: (infoHash: Buffer, onPeers: (peers: readonly Address[]) => void) => () => void;
  readonly onFound: (found: Found) => void;
}

export class DhtSource implements PeerSource {
  readonly foundBy = 'dht';
  readonly #options: DhtSourceOptions;
  #unwatch: (() => void) | null = null;
  #figures: (() => AnnounceFigures) | null = null;
  #search: { cancel(): void } | null = null;
  #searchedAtMs = Number.NEGATIVE_INFINITY;
  /** Nobody has answered; doubled each time. Null: somebody did. */
  #retryMs: number | null = null;

  constructor(options: DhtSourceOptions) {
    this.#options = options;
  }

  start(nowMs: number, figures: () => AnnounceFigures): void {
    this.#figures = figures;
    const { infoHash, owner, watch } = this.#options;
    this.#unwatch = watch(infoHash, (peers) => owner.onPeers(peers));
    this.tick(nowMs);
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#dueAtMs(this.#figures?.().isHungry === true)) this.#begin(nowMs);
  }

  /** Of a seed: it is not hungry. */
  get dueAtMs(): number {
    return this.#dueAtMs(false);
  }

  async stop(): Promise<void> {
    // What is announced is forgotten by itself: there is nobody to say goodbye to.
    this.#unwatch?.();
    this.#search?.cancel();
    this.#search = null;
    this.#figures = null;
  }

  #dueAtMs(isHungry: boolean): number {
    if (this.#search !== null || this.#figures === null) return Number.POSITIVE_INFINITY;
    const pauseMs = isHungry ? DHT_LIMITS.hungryAnnounceMs : DHT_LIMITS.announceMs;
    return this.#searchedAtMs + (this.#retryMs ?? pauseMs);
  }

  #begin(nowMs: number): void {
    const { infoHash, owner, search } = this.#options;
    const { port } = this.#figures!();
    this.#searchedAtMs = nowMs;
    let isDone = false;
    const begun = search(
      infoHash,
      port === 0 ? null : port,
      (peers) => {
        if (this.#figures !== null) owner.onPeers(peers);
      },
      (found) => {
        isDone = true;
        this.#done(found);
      },
    );
    if (!isDone) this.#search = begun;
  }

  #done(found: Found): void {
    this.#search = null;
    this.#searchedAtMs = this.#options.now();
    const before = this.#retryMs ?? RETRY_FIRST_MS / 2;
    this.#retryMs = found.nodes > 0 ? null : Math.min(DHT_LIMITS.hungryAnnounceMs, before * 2);
    if (found.nodes > 0) this.#options.onFound(found);
  }
}
