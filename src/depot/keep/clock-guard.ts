/**
 * Whether the time of day may be believed, when what it says would delete. A clock that was set years ahead (a dead
 * battery, a wrong server, a mistake) must not empty the depot: while time of day and elapsed time disagree, or the
 * time since the last run is implausible, nothing goes by age or idleness. When they have agreed for an hour without a
 * break the new time is taken to be right: somebody had that hour to see the warning and set the clock.
 *
 * A machine that slept looks like a clock that jumped; it waits its hour, and that is all.
 */

/** Steps of NTP are smaller, and a tick that comes late is on both clocks. */
export const STEP_MS_MAX = 2 * 60_000;
/** Longer away is not impossible, only worth an hour of doubt. */
export const ABSENCE_MS_MAX = 14 * 24 * 3_600_000;
/** So long both must agree. */
export const CONFIRM_MS = 3_600_000;

export interface Clocks {
  /** Time of day, milliseconds since 1970. */
  readonly wallMs: number;
  /** Since any moment; never goes back. */
  readonly elapsedMs: number;
}

export type ClockDoubt =
  /** Time of day moved by so much more (or less) than time went by. */
  | { readonly kind: 'jump'; readonly byMs: number; readonly sinceElapsedMs: number }
  /** So long nobody was here, or less than nothing. */
  | { readonly kind: 'absence'; readonly byMs: number; readonly sinceElapsedMs: number };

export class ClockGuard {
  #last: Clocks | null = null;
  #doubt: ClockDoubt | null = null;
  /** When the time was believed last. */
  #sure: Clocks;

  /** @param lastWallMs time of day when it was last known to be right, in an earlier run; null: never */
  constructor(lastWallMs: number | null, now: Clocks) {
    this.#last = now;
    this.#sure = now;
    if (lastWallMs === null) return;
    const byMs = now.wallMs - lastWallMs;
    if (byMs <= ABSENCE_MS_MAX && byMs >= -STEP_MS_MAX) return;
    this.#doubt = { kind: 'absence', byMs, sinceElapsedMs: now.elapsedMs };
    this.#sure = { ...now, wallMs: lastWallMs };
  }

  /** Null: the time may be believed. */
  get doubt(): ClockDoubt | null {
    return this.#doubt;
  }

  /** Milliseconds until it is believed if nothing more happens; 0: it is. */
  leftMs(now: Clocks): number {
    if (this.#doubt === null) return 0;
    return Math.max(0, this.#doubt.sinceElapsedMs + CONFIRM_MS - now.elapsedMs);
  }

  /**
   * A time of day for what is kept: one that is behind what is known would have names go before their time. Ahead of it
   * they only stay longer.
   */
  nowMs(now: Clocks): number {
    const sureMs = this.#sure.wallMs + (now.elapsedMs - this.#sure.elapsedMs);
    return now.wallMs >= sureMs - STEP_MS_MAX ? now.wallMs : sureMs;
  }

  /** To be told at least every few minutes. Returns whether the time may be believed. */
  look(now: Clocks): boolean {
    const last = this.#last;
    this.#last = now;
    if (last !== null) {
      const byMs = now.wallMs - last.wallMs - (now.elapsedMs - last.elapsedMs);
      // `NaN` is no agreement.
      if (!(Math.abs(byMs) <= STEP_MS_MAX)) {
        this.#doubt = { kind: 'jump', byMs, sinceElapsedMs: now.elapsedMs };
      } else if (this.#doubt !== null && this.leftMs(now) === 0) {
        this.#doubt = null;
      }
    }
    if (this.#doubt === null) this.#sure = now;
    return this.#doubt === null;
  }
}
