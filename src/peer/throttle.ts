/**
 * Rate limits as token buckets that may go into debt: a read or a block is taken whole, and what was too much is waited
 * out. So the average holds exactly however large one read is. Refilled by the timer of `limits.ts`, which runs only
 * while a limit is set. Invariant: tokens never exceed BURST_MS worth of the rate.
 */

import { BLOCK_LENGTH_BYTES, LIMITS } from '../config.js';
import { type Sharer, Turns } from './turns.js';

/** Tokens kept for a late timer: a tenth of a second, 1 % of the 10 s over which a limit must hold. */
const BURST_MS = 100;
export const REFILL_MS = 10;
/** What a link that is woken reads at most: one receive buffer. */
const WAKE_BYTES = 256 * 1024;

export class RateLimit {
  readonly bytesPerSec: number;
  #tokens: number;
  #lastMs: number;
  /** Of the tokens: for those that were woken since the last refill, and take them when they read. */
  promisedBytes = 0;

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
    this.promisedBytes = 0;
  }
}

/** What a refill of these brings, a block at least; infinite without a limit. */
export function refillBytes(bytesPerSec: number): number {
  return Math.max(BLOCK_LENGTH_BYTES, Math.floor((bytesPerSec * REFILL_MS) / 1000));
}

/** Nobody else is to be woken before the next refill. */
export function areSpent(limits: readonly RateLimit[]): boolean {
  for (const { tokens, promisedBytes } of limits) if (tokens <= promisedBytes) return true;
  return false;
}

/** More of it is forgiven: a turn is a run of 16 blocks at most, and what else was there. */
const MOST_PASSES = 32;

/** Somebody's place in the queue of a throttle. */
export interface Waiting {
  readonly wake: () => void;
  /** Taken in its last turn beyond a block. */
  aheadBytes: number;
}

const NO_LIMITS: readonly RateLimit[] = [];

/** What passes through one or more limits (the engine's and a torrent's), in one direction. */
export class Throttle implements Sharer {
  limits: readonly RateLimit[] = NO_LIMITS;
  /** Of the lowest limit; infinite without one. */
  bytesPerSec = Number.POSITIVE_INFINITY;
  /**
   * The most that one read should take: what a refill brings, so that nobody is in debt for long. (Reads of 1 MiB at 10
   * MB/s made single seconds uneven by 6 %.) A block at least; infinite without a limit.
   */
  readBytes = Number.POSITIVE_INFINITY;
  creditBytes = 0;
  /** More credit is never owed: what one may take at once when nobody waits is no debt to those that come later. */
  #mostDebtBytes = 0;
  /** Who waits for tokens, first come first served; who took more than a block in its last turn lets others pass. */
  #waiting: Waiting[] | null = null;
  readonly #turns: Turns;

  /** @param turns of all that share a limit */
  constructor(limits: readonly RateLimit[], turns = new Turns(false)) {
    this.#turns = turns;
    this.become(limits);
  }

  /** Others from now on. Debts of the ones before are forgotten, and who waited for them goes on. */
  become(limits: readonly RateLimit[]): void {
    this.limits = limits;
    this.bytesPerSec = Math.min(...limits.map((limit) => limit.bytesPerSec));
    this.readBytes = refillBytes(this.bytesPerSec);
    this.#mostDebtBytes = (this.bytesPerSec * BURST_MS) / 1000 + LIMITS.runBytes;
    this.creditBytes = 0;
    // With limits they are woken by the next refill.
    const waiting = limits.length > 0 ? null : this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    this.#turns.leave(this);
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

  get isSpent(): boolean {
    return areSpent(this.limits);
  }

  get hasWaiting(): boolean {
    return this.#waiting !== null && this.#waiting.length > 0;
  }

  take(bytes: number): void {
    if (this.limits.length === 0) return;
    for (const limit of this.limits) limit.take(bytes);
    this.creditBytes = Math.max(this.creditBytes - bytes, -this.#mostDebtBytes);
  }

  /** Calls back, once, when something may pass. @param tookBytes in the turn that ends */
  wait(wake: () => void, tookBytes = 0): Waiting {
    this.#waiting ??= [];
    const waiting = { wake, aheadBytes: Math.max(0, tookBytes - BLOCK_LENGTH_BYTES) };
    this.#waiting.push(waiting);
    this.#turns.enter(this);
    return waiting;
  }

  /** Who waits does so no longer. */
  unwait(waiting: Waiting): void {
    const at = this.#waiting?.indexOf(waiting) ?? -1;
    if (at < 0) return;
    this.#waiting!.splice(at, 1);
    if (!this.hasWaiting) this.#turns.leave(this);
  }

  wakeNext(): boolean {
    const waiting = this.#waiting ?? [];
    if (this.#turns.takesLater) {
      for (const limit of this.limits) limit.promisedBytes += Math.min(WAKE_BYTES, this.readBytes);
      nextOf(waiting)();
      return true;
    }
    const { creditBytes } = this;
    for (let left = waiting.length; left > 0 && waiting.length > 0; left--) {
      nextOf(waiting)();
      if (this.creditBytes !== creditBytes) return true;
    }
    return false;
  }
}

/** Turns are blocks: whoever took sixteen at once is passed by fifteen turns of each other one that waits. */
function nextOf(waiting: Waiting[]): () => void {
  for (let passes = waiting.length * MOST_PASSES; ; passes--) {
    const first = waiting.shift()!;
    if (first.aheadBytes < BLOCK_LENGTH_BYTES || waiting.length === 0 || passes <= 0) return first.wake;
    first.aheadBytes -= BLOCK_LENGTH_BYTES;
    waiting.push(first);
  }
}
