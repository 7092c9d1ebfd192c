/** Bytes given to us and taken from us: totals, and rolling rates per peer and over all peers. */
import { RollingRates } from './rate.js';

export interface TrafficTotals {
  /** Bytes of stored blocks. */
  readonly downloadedBytes: number;
  readonly uploadedBytes: number;
  /** Bytes received and thrown away: duplicates and unrequested blocks. */
  readonly wastedBytes: number;
}

export class Traffic {
  readonly given: RollingRates;
  readonly taken: RollingRates;
  wastedBytes = 0;
  readonly #allRow: number;
  #downloadedBytes = 0;
  #uploadedBytes = 0;

  constructor(maxSlots: number) {
    this.given = new RollingRates(maxSlots + 1);
    this.taken = new RollingRates(maxSlots + 1);
    this.#allRow = maxSlots;
  }

  joined(slot: number, nowMs: number): void {
    this.given.reset(slot, nowMs);
    this.taken.reset(slot, nowMs);
  }

  gave(slot: number, bytes: number, nowMs: number): void {
    this.#downloadedBytes += bytes;
    this.given.add(slot, bytes, nowMs);
    this.given.add(this.#allRow, bytes, nowMs);
  }

  took(slot: number, bytes: number, nowMs: number): void {
    this.#uploadedBytes += bytes;
    this.taken.add(slot, bytes, nowMs);
    this.taken.add(this.#allRow, bytes, nowMs);
  }

  /** Bytes per second, rolling average; `null`: of all peers. */
  downloadRate(slot: number | null, nowMs: number): number {
    return this.given.average(slot ?? this.#allRow, nowMs);
  }

  uploadRate(slot: number | null, nowMs: number): number {
    return this.taken.average(slot ?? this.#allRow, nowMs);
  }

  get totals(): TrafficTotals {
    return {
      downloadedBytes: this.#downloadedBytes,
      uploadedBytes: this.#uploadedBytes,
      wastedBytes: this.wastedBytes,
    };
  }
}
