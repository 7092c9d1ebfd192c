/**
 * Wrong tokens and passkeys of each address: after so many within a window nothing secret from there is looked at until
 * the window is over, the right one neither, so that nobody can try on. Pure. Bounded: the oldest window goes first.
 */
import { DEPOT_HTTP_LIMITS } from './limits.js';

interface Window {
  readonly sinceMs: number;
  wrong: number;
}

export class Guesses {
  /** By group of addresses, the oldest first. */
  readonly #windows = new Map<string, Window>();
  readonly #now: () => number;

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Seconds until it may try again, or null: it may. */
  waitSeconds(group: string): number | null {
    const window = this.#windows.get(group);
    if (window === undefined || window.wrong < DEPOT_HTTP_LIMITS.guesses) return null;
    const leftMs = window.sinceMs + DEPOT_HTTP_LIMITS.guessesMs - this.#now();
    return leftMs > 0 ? Math.ceil(leftMs / 1000) : null;
  }

  wrong(group: string): void {
    const nowMs = this.#now();
    const window = this.#windows.get(group);
    if (window !== undefined && nowMs - window.sinceMs < DEPOT_HTTP_LIMITS.guessesMs) {
      window.wrong++;
      return;
    }
    this.#windows.delete(group);
    if (this.#windows.size >= DEPOT_HTTP_LIMITS.guessers)
      for (const oldest of this.#windows.keys()) {
        this.#windows.delete(oldest);
        break;
      }
    this.#windows.set(group, { sinceMs: nowMs, wrong: 1 });
  }
}
