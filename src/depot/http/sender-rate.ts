/**
 * How fast a body comes, by the time that was spent waiting for its sender: what we are slow with does not count. That
 * of the last whole window, or of one that goes on for longer. Pure: time comes as arguments.
 */
export class SenderRate {
  readonly #windowMs: number;
  #bytes = 0;
  #waitedMs = 0;
  /** Null: we are not waiting. */
  #sinceMs: number | null = null;
  /** Before the first window is over nothing can be said. */
  #bytesPerSec = Number.POSITIVE_INFINITY;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  wait(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  got(nowMs: number, bytes: number): void {
    this.#waitedMs = this.#waitedUntil(nowMs);
    this.#sinceMs = null;
    this.#bytes += bytes;
    if (this.#waitedMs < this.#windowMs) return;
    this.#bytesPerSec = (this.#bytes * 1000) / this.#waitedMs;
    this.#bytes = 0;
    this.#waitedMs = 0;
  }

  bytesPerSec(nowMs: number): number {
    const waitedMs = this.#waitedUntil(nowMs);
    return waitedMs < this.#windowMs ? this.#bytesPerSec : (this.#bytes * 1000) / waitedMs;
  }

  #waitedUntil(nowMs: number): number {
    return this.#waitedMs + (this.#sinceMs === null ? 0 : Math.max(0, nowMs - this.#sinceMs));
  }
}
