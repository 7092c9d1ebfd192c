/**
 * Rate limits as token buckets that may go into debt: a read or a block is taken whole, and what was too much is waited
 * out. So the average holds exactly however large one read is. Refilled by the engine's throttle timer, which runs only
 * while a limit is set. Invariant: tokens never exceed BURST_MS worth of the rate.
 */
import { BLOCK_LENGTH_BYTES } from '../config.js';

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

/** What passes through one or more limits (the engine's and a torrent's), in one direction. */
export class Throttle {
  readonly limits: readonly RateLimit[];
  /** Of the lowest limit; infinite without one. */
  readonly bytesPerSec: number;
  /**
   * The most that one read should take: what a refill brings, so that nobody is in debt for long. (Reads of 1 MiB at 10
   * MB/s made single seconds uneven by 6 %.) A block at least; infinite without a limit.
   */
  readonly readBytes: number;
  /** Who waits for tokens, first come first served; who took more than a block in its last turn lets others pass. */
  readonly #waiting: Waiting[] = [];

  constructor(limits: readonly RateLimit[]) {
    this.limits = limits;
    this.bytesPerSec = Math.min(...limits.map((limit) => limit.bytesPerSec));
    this.readBytes = Math.max(BLOCK_LENGTH_BYTES, Math.floor((this.bytesPerSec * REFILL_MS) / 1000));
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
    this.#waiting.push({ wake, aheadBytes: Math.max(0, tookBytes - BLOCK_LENGTH_BYTES) });
  }

  /** After the limits were refilled. Returns whether somebody was woken. */
  wakeSome(): boolean {
    if (this.#waiting.length === 0 || this.isDry) return false;
    let tokens = Number.POSITIVE_INFINITY;
    for (const limit of this.limits) tokens = Math.min(tokens, limit.tokens);
    let count = Math.min(this.#waiting.length, Math.ceil(tokens / WAKE_BYTES));
    // Who finds the bucket dry again waits behind the others.
    for (; count > 0 && !this.isDry; count--) this.#next()();
    return true;
  }

  /** Turns are blocks: whoever took sixteen at once is passed by fifteen turns of each other one that waits. */
  #next(): () => void {
    for (let passes = this.#waiting.length * MOST_PASSES; ; passes--) {
      const first = this.#waiting.shift()!;
      if (first.aheadBytes === 0 || this.#waiting.length === 0 || passes <= 0) return first.wake;
      first.aheadBytes = Math.max(0, first.aheadBytes - BLOCK_LENGTH_BYTES);
      this.#waiting.push(first);
    }
  }
}

/** Of all who have no limit: nobody ever waits at it. */
const UNLIMITED = new Throttle([]);

function throttle(limits: readonly RateLimit[]): Throttle {
  return limits.length === 0 ? UNLIMITED : new Throttle(limits);
}

/** The throttles of one torrent. */
export interface TorrentThrottles {
  readonly downloads: Throttle;
  readonly uploads: Throttle;
}

/** Bytes per second; undefined: unlimited. */
export interface RateOptions {
  readonly downloadBytesPerSec?: number | undefined;
  readonly uploadBytesPerSec?: number | undefined;
}

/**
 * All limits of an engine: its own, shared by its torrents, and each torrent's. Its timer runs only while there is one.
 */
export class Limits {
  readonly #now: () => number;
  readonly #engine: { readonly down: RateLimit[]; readonly up: RateLimit[] };
  readonly #limits = new Set<RateLimit>();
  readonly #throttles = new Set<Throttle>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: RateOptions, now: () => number) {
    this.#now = now;
    this.#engine = { down: this.#make(options.downloadBytesPerSec), up: this.#make(options.uploadBytesPerSec) };
  }

  forTorrent(options: RateOptions): TorrentThrottles {
    const downloads = throttle([...this.#engine.down, ...this.#make(options.downloadBytesPerSec)]);
    const uploads = throttle([...this.#engine.up, ...this.#make(options.uploadBytesPerSec)]);
    for (const each of [downloads, uploads]) if (each.isLimited) this.#throttles.add(each);
    if (this.#limits.size > 0) this.#timer ??= setInterval(() => this.refill(), REFILL_MS);
    return { downloads, uploads };
  }

  forget({ downloads, uploads }: TorrentThrottles): void {
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
