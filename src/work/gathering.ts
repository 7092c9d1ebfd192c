/**
 * Whether pieces that wait for their hash are sent to a worker now, or wait for company: many at once are hashed far
 * faster than one after the other. Owns times of arrival only. Must not know: the pool, threads, clocks.
 * Invariant: no piece waits longer than PATIENCE_MS for company, and none waits when the one before it came longer ago
 * than that: a slow swarm, or large pieces.
 */

/** Of a download of 800 MB/s four pieces of 1 MiB come in this time. */
const PATIENCE_MS = 5;

export class Gathering {
  readonly company: number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #isBrisk = false;
  /** When the first of those that wait came. */
  #sinceMs = 0;

  /** @param company so many at once are hashed about as fast as any number; 1: none ever waits */
  constructor(company: number) {
    this.company = company;
  }

  /** @param waiting pieces that wait, with this one */
  arrived(nowMs: number, waiting: number): void {
    this.#isBrisk = nowMs - this.#lastMs < PATIENCE_MS;
    this.#lastMs = nowMs;
    if (waiting === 1) this.#sinceMs = nowMs;
  }

  /** Milliseconds for which those that wait may go on waiting; 0: they go now. */
  patienceMs(nowMs: number, waiting: number): number {
    if (waiting >= this.company || !this.#isBrisk) return 0;
    return Math.max(0, this.#sinceMs + PATIENCE_MS - nowMs);
  }
}
