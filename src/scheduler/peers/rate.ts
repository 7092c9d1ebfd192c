/**
 * Rolling byte rates: a window of 20 one-second buckets per row, so that adding is O(1) and a gap costs at most one
 * turn of the ring.
 */
import { grown } from './slot-rows.js';

export const RATE_WINDOW_SECONDS = 20;

export class RollingRates {
  #buckets: Float64Array;
  #sums: Float64Array;
  /** The second that the newest bucket of a row stands for. */
  #seconds: Float64Array;
  #startsMs: Float64Array;

  constructor(rowCount: number) {
    this.#buckets = new Float64Array(rowCount * RATE_WINDOW_SECONDS);
    this.#sums = new Float64Array(rowCount);
    this.#seconds = new Float64Array(rowCount);
    this.#startsMs = new Float64Array(rowCount);
  }

  /** There are `rowCount` rows from now on. */
  grow(rowCount: number): void {
    this.#buckets = grown(this.#buckets, rowCount * RATE_WINDOW_SECONDS);
    this.#sums = grown(this.#sums, rowCount);
    this.#seconds = grown(this.#seconds, rowCount);
    this.#startsMs = grown(this.#startsMs, rowCount);
  }

  /** Empties a row; its window begins now. */
  reset(row: number, nowMs: number): void {
    const begin = row * RATE_WINDOW_SECONDS;
    this.#buckets.fill(0, begin, begin + RATE_WINDOW_SECONDS);
    this.#sums[row] = 0;
    this.#seconds[row] = Math.floor(nowMs / 1000);
    this.#startsMs[row] = nowMs;
  }

  add(row: number, bytes: number, nowMs: number): void {
    this.#advance(row, nowMs);
    const index = row * RATE_WINDOW_SECONDS + (this.#seconds[row]! % RATE_WINDOW_SECONDS);
    this.#buckets[index]! += bytes;
    this.#sums[row]! += bytes;
  }

  /** Bytes per second over the window, or over the row's life when that is shorter (but never less than a second). */
  average(row: number, nowMs: number): number {
    this.#advance(row, nowMs);
    const windowBeginMs = (this.#seconds[row]! - RATE_WINDOW_SECONDS + 1) * 1000;
    const spanMs = nowMs - Math.max(windowBeginMs, this.#startsMs[row]!);
    return this.#sums[row]! / Math.max(1, spanMs / 1000);
  }

  /** Bytes of the last whole second before this one. */
  lastSecond(row: number, nowMs: number): number {
    this.#advance(row, nowMs);
    const previous = this.#seconds[row]! + RATE_WINDOW_SECONDS - 1;
    return this.#buckets[row * RATE_WINDOW_SECONDS + (previous % RATE_WINDOW_SECONDS)]!;
  }

  /** Bytes of so many whole seconds before this one; fewer than the window has. */
  lastSeconds(row: number, count: number, nowMs: number): number {
    this.#advance(row, nowMs);
    let bytes = 0;
    for (let back = 1; back <= count; back++) {
      const second = this.#seconds[row]! + RATE_WINDOW_SECONDS - back;
      bytes += this.#buckets[row * RATE_WINDOW_SECONDS + (second % RATE_WINDOW_SECONDS)]!;
    }
    return bytes;
  }

  /** A clock that steps back is taken as standing still. */
  #advance(row: number, nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    const last = this.#seconds[row]!;
    if (second <= last) return;
    const steps = Math.min(second - last, RATE_WINDOW_SECONDS);
    const begin = row * RATE_WINDOW_SECONDS;
    for (let step = 1; step <= steps; step++) {
      const index = begin + ((last + step) % RATE_WINDOW_SECONDS);
      this.#sums[row]! -= this.#buckets[index]!;
      this.#buckets[index] = 0;
    }
    this.#seconds[row] = second;
  }
}
