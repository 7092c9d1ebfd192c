/**
 * Rate limits as token buckets that may go into debt: a read or a block is taken whole, and what was too much is waited
 * out. So the average holds exactly however large one read is. Refilled by the engine's throttle timer, which runs only
 * while a limit is set. Invariant: tokens never exceed BURST_MS worth of the rate.
 */

import { BLOCK_LENGTH_BYTES } from '../config.js';
import type { RateGate, RateLimits } from '../torrent-api.js';
import { changedRates, type RateOptions } from './rates.js';

/** Tokens kept for a late timer: a tenth of a second, 1 % of the 10 s over which a limit must hold. */
const BURST_MS = 100;
const REFILL_MS = 10;
/**
 * Links woken per refill: one for each of these many bytes of tokens. A woken link reads at most one receive buffer.
 */
const WAKE_BYTES = 256 * 1024;

export class RateLimit {
  readonly bytesPerSec: number;
  #tokens: number;
  #lastMs: number;

  /** @param bytesPerSec > 0, bytes per second. */
  constructor(bytesPerSec: number, nowMs: number) {
    this.bytesPerSec = bytesPerSec;
    this.#tokens = 0;
    this.#lastMs = nowMs;
  }

  /** Bytes that may pass now; negative while a debt is waited out. */
  get tokens(): number {
    return this.#tokens;
  }

  take(bytes: number): void {
    this.#tokens -= bytes;
  }

  refill(nowMs: number): void {
    const most = (this.bytesPerSec * BURST_MS) / 1000;
    this.#tokens = Math.min(most, this.#tokens + (this.bytesPerSec * (nowMs - this.#lastMs)) / 1000);
    this.#lastMs = nowMs;
  }
}

/** More of it is forgiven: a turn is a run of 16 blocks at most, and what else was there. */
const MOST_PASSES = 32;

interface Waiting {
  readonly wake: () => void;
  /** Taken in its last turn beyond a block. */
  aheadBytes: number;
}

const NO_LIMITS: readonly RateLimit[] = [];

/** What passes through one or more limits (the engine's and a torrent's), in one direction. */
export class Throttle {
  limits: readonly RateLimit[] = NO_LIMITS;
  /** Of the lowest limit; infinite without one. */
  bytesPerSec = Number.POSITIVE_INFINITY;
  /**
   * The most that one read should take: what a refill brings, so that nobody is in debt for long. (Reads of 1 MiB at 10
   * MB/s made single seconds uneven by 6 %.) A block at least; infinite without a limit.
   */
  readBytes = Number.POSITIVE_INFINITY;
  /** Who waits for tokens, first come first served; who took more than a block in its last turn lets others pass. */
  #waiting: Waiting[] | null = null;

  constructor(limits: readonly RateLimit[]) {
    this.become(limits);
  }

  /** Others from now on. Debts of the ones before are forgotten, and who waited for them goes on. */
  become(limits: readonly RateLimit[]): void {
    this.limits = limits;
    this.bytesPerSec = Math.min(...limits.map((limit) => limit.bytesPerSec));
    this.readBytes = Math.max(BLOCK_LENGTH_BYTES, Math.floor((this.bytesPerSec * REFILL_MS) / 1000));
    // With limits they are woken by the next refill.
    const waiting = limits.length > 0 ? null : this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    for (const { wake } of waiting) wake();
  }

  get isLimited(): boolean {
    return this.limits.length > 0;
  }

  /** Nothing may pass until the next refill. */
  get isDry(): boolean {
    for (const limit of this.limits) if (limit.tokens <= 0) return true;
    return false;
  }

  take(bytes: number): void {
    for (const limit of this.limits) limit.take(bytes);
  }

  /** Calls back, once, when something may pass. @param tookBytes in the turn that ends */
  wait(wake: () => void, tookBytes = 0): void {
    this.#waiting ??= [];
    this.#waiting.push({ wake, aheadBytes: Math.max(0, tookBytes - BLOCK_LENGTH_BYTES) });
  }

  /** After the limits were refilled. Returns whether somebody was woken. */
  wakeSome(): boolean {
    const waiting = this.#waiting;
    if (waiting === null || waiting.length === 0 || this.isDry) return false;
    let tokens = Number.POSITIVE_INFINITY;
    for (const limit of this.limits) tokens = Math.min(tokens, limit.tokens);
    let count = Math.min(waiting.length, Math.ceil(tokens / WAKE_BYTES));
    // Who finds the bucket dry again waits behind the others.
    for (; count > 0 && !this.isDry; count--) nextOf(waiting)();
    return true;
  }
}

/** Turns are blocks: whoever took sixteen at once is passed by fifteen turns of each other one that waits. */
function nextOf(waiting: Waiting[]): () => void {
  for (let passes = waiting.length * MOST_PASSES; ; passes--) {
    const first = waiting.shift()!;
    if (first.aheadBytes === 0 || waiting.length === 0 || passes <= 0) return first.wake;
    first.aheadBytes = Math.max(0, first.aheadBytes - BLOCK_LENGTH_BYTES);
    waiting.push(first);
  }
}

/** What passes beside torrents. */
class ThrottleGate implements RateGate {
  readonly #throttle: Throttle;

  constructor(throttle: Throttle) {
    this.#throttle = throttle;
  }

  get readBytes(): number {
    return this.#throttle.readBytes;
  }

  pass(bytes: number): Promise<void> | null {
    const throttle = this.#throttle;
    if (!throttle.isLimited) return null;
    throttle.take(bytes);
    if (!throttle.isDry) return null;
    return new Promise((resolve) => throttle.wait(resolve, bytes));
  }
}

/** The throttles of one torrent. */
export interface TorrentThrottles {
  readonly downloads: Throttle;
  readonly uploads: Throttle;
}

/**
 * All limits of an engine: its own, shared by its torrents, and each torrent's. Its timer runs only while there is one.
 */
export class Limits {
  readonly #now: () => number;
  #engine: { readonly down: RateLimit[]; readonly up: RateLimit[] };
  #shared: RateOptions;
  /** What each torrent asked for. */
  readonly #torrents = new Map<TorrentThrottles, RateOptions>();
  readonly #limits = new Set<RateLimit>();
  readonly #throttles = new Set<Throttle>();
  #timer: NodeJS.Timeout | null = null;
  #gates: TorrentThrottles | null = null;

  constructor(options: RateOptions, now: () => number) {
    this.#now = now;
    this.#shared = options;
    this.#engine = { down: this.#make(options.downloadBytesPerSec), up: this.#make(options.uploadBytesPerSec) };
  }

  forTorrent(options: RateOptions): TorrentThrottles {
    const throttles = { downloads: new Throttle(NO_LIMITS), uploads: new Throttle(NO_LIMITS) };
    this.set(throttles, options);
    return throttles;
  }

  /** For what is no torrent. */
  gates(): { readonly downloads: RateGate; readonly uploads: RateGate } {
    this.#gates ??= this.forTorrent({});
    const { downloads, uploads } = this.#gates;
    return { downloads: new ThrottleGate(downloads), uploads: new ThrottleGate(uploads) };
  }

  /** The limits of a torrent are others from now on. */
  set(throttles: TorrentThrottles, options: RateOptions): void {
    this.forget(throttles);
    this.#torrents.set(throttles, options);
    const { downloads, uploads } = throttles;
    downloads.become([...this.#engine.down, ...this.#make(options.downloadBytesPerSec)]);
    uploads.become([...this.#engine.up, ...this.#make(options.uploadBytesPerSec)]);
    for (const throttle of [downloads, uploads]) if (throttle.isLimited) this.#throttles.add(throttle);
    if (this.#throttles.size > 0) this.#timer ??= setInterval(() => this.refill(), REFILL_MS);
  }

  /** The limits that all torrents share are others from now on. */
  setShared(changes: RateLimits): void {
    const options = changedRates(this.#shared, changes);
    this.#shared = options;
    for (const limit of [...this.#engine.down, ...this.#engine.up]) this.#limits.delete(limit);
    this.#engine = { down: this.#make(options.downloadBytesPerSec), up: this.#make(options.uploadBytesPerSec) };
    for (const [throttles, own] of [...this.#torrents]) this.set(throttles, own);
  }

  /** The torrent is over: whoever waits goes on, and finds that out. */
  end(throttles: TorrentThrottles): void {
    this.forget(throttles);
    throttles.downloads.become(NO_LIMITS);
    throttles.uploads.become(NO_LIMITS);
  }

  forget(throttles: TorrentThrottles): void {
    this.#torrents.delete(throttles);
    const { downloads, uploads } = throttles;
    const shared = [...this.#engine.down, ...this.#engine.up];
    for (const throttle of [downloads, uploads]) {
      this.#throttles.delete(throttle);
      for (const limit of throttle.limits) if (!shared.includes(limit)) this.#limits.delete(limit);
    }
    if (this.#throttles.size === 0) this.close();
  }

  refill(): void {
    const nowMs = this.#now();
    for (const limit of this.#limits) limit.refill(nowMs);
    let first: Throttle | null = null;
    for (const throttle of this.#throttles) if (throttle.wakeSome()) first ??= throttle;
    if (first === null) return;
    // It may have taken all there was of a shared limit: next time it comes after the others.
    this.#throttles.delete(first);
    this.#throttles.add(first);
  }

  /** The engine closes: who waits at a gate goes on. */
  closeGates(): void {
    if (this.#gates !== null) this.end(this.#gates);
    this.close();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #make(bytesPerSec: number | undefined): RateLimit[] {
    if (bytesPerSec === undefined) return [];
    const limit = new RateLimit(bytesPerSec, this.#now());
    this.#limits.add(limit);
    return [limit];
  }
}
