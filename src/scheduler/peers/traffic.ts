/** Bytes given to us and taken from us: totals, and rolling rates per peer and over all peers. */
import { RollingRates } from './rate.js';
import { grown } from './slot-rows.js';

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
  /** Bytes per peer since it joined. */
  #took: Float64Array;
  #gave: Float64Array;
  wastedBytes = 0;
  /** One row each: all peers. */
  readonly #givenByAll = new RollingRates(1);
  readonly #takenByAll = new RollingRates(1);
  #downloadedBytes = 0;
  #uploadedBytes = 0;

  constructor(rows: number) {
    this.given = new RollingRates(rows);
    this.taken = new RollingRates(rows);
    this.#took = new Float64Array(rows);
    this.#gave = new Float64Array(rows);
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.given.grow(rows);
    this.taken.grow(rows);
    this.#took = grown(this.#took, rows);
    this.#gave = grown(this.#gave, rows);
  }

  joined(slot: number, nowMs: number): void {
    this.given.reset(slot, nowMs);
    this.taken.reset(slot, nowMs);
    this.#took[slot] = 0;
    this.#gave[slot] = 0;
  }

  gave(slot: number, bytes: number, nowMs: number): void {
    this.#downloadedBytes += bytes;
    this.#gave[slot]! += bytes;
    this.given.add(slot, bytes, nowMs);
    this.#givenByAll.add(0, bytes, nowMs);
  }

  took(slot: number, bytes: number, nowMs: number): void {
    this.#uploadedBytes += bytes;
    this.#took[slot]! += bytes;
    this.taken.add(slot, bytes, nowMs);
    this.#takenByAll.add(0, bytes, nowMs);
  }

  /** Bytes per second, rolling average; `null`: of all peers. */
  downloadRate(slot: number | null, nowMs: number): number {
    return slot === null ? this.#givenByAll.average(0, nowMs) : this.given.average(slot, nowMs);
  }

  uploadRate(slot: number | null, nowMs: number): number {
    return slot === null ? this.#takenByAll.average(0, nowMs) : this.taken.average(slot, nowMs);
  }

  tookBytes(slot: number): number {
    return this.#took[slot]!;
  }

  gaveBytes(slot: number): number {
    return this.#gave[slot]!;
  }

  get uploadedBytes(): number {
    return this.#uploadedBytes;
  }

  get totals(): TrafficTotals {
    return {
      downloadedBytes: this.#downloadedBytes,
      uploadedBytes: this.#uploadedBytes,
      wastedBytes: this.wastedBytes,
    };
  }
}
