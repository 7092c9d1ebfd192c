/** When a rate limit keeps one connection from being read, and for how long it did. */
import { performance } from 'node:perf_hooks';
import type { Throttle } from './throttle.js';

export class ReadLimit {
  /** What is read counts against this; null: against nothing yet. */
  throttle: Throttle | null = null;
  /** The limit is reached: nothing is read. */
  isReached = false;
  readonly #readOn: () => void;
  /** When it last began to keep us from reading, or last ceased to. */
  #turnMs = 0;
  /** How long it did since last asked, up to then. */
  #heldMs = 0;

  /** @param readOn called when something may be read again */
  constructor(readOn: () => void) {
    this.#readOn = readOn;
  }

  /** The most that one read should take. */
  get mostBytes(): number {
    return this.throttle === null ? Number.POSITIVE_INFINITY : this.throttle.readBytes;
  }

  /** So much was read. Only where there is a limit. */
  count(throttle: Throttle, lengthBytes: number, nowMs: number): void {
    throttle.take(lengthBytes);
    if (!throttle.isDry || this.isReached) return;
    this.isReached = true;
    this.#turnMs = nowMs;
    throttle.wait(() => {
      const wokenMs = performance.now();
      this.isReached = false;
      this.#heldMs += wokenMs - this.#turnMs;
      this.#turnMs = wokenMs;
      this.#readOn();
    });
  }

  /** How long we have read, or would have, and nothing came since `lastReadMs`. */
  silentMs(lastReadMs: number, nowMs: number): number {
    return this.isReached ? 0 : nowMs - Math.max(lastReadMs, this.#turnMs);
  }

  /** How long it kept us from reading since last asked. */
  takeHeldMs(nowMs: number): number {
    let heldMs = this.#heldMs;
    this.#heldMs = 0;
    if (!this.isReached) return heldMs;
    heldMs += Math.max(0, nowMs - this.#turnMs);
    this.#turnMs = Math.max(nowMs, this.#turnMs);
    return heldMs;
  }
}
