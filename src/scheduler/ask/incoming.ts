/** The block that each peer is sending now: a row per slot. Kept by `Requests`. */
import { grown } from '../peers/slot-rows.js';

export class Incoming {
  /** An index into the tables of open pieces, or -1. */
  block = new Int32Array(0);
  sinceMs = new Float64Array(0);
  /** When it was asked for; NaN when that is forgotten. */
  askedMs = new Float64Array(0);

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.block = grown(this.block, rows, -1);
    this.sinceMs = grown(this.sinceMs, rows);
    this.askedMs = grown(this.askedMs, rows);
  }

  joined(slot: number): void {
    this.block[slot] = -1;
  }

  /** Its clocks stood still for a while. */
  shiftClocks(slot: number, ms: number, nowMs: number): void {
    this.sinceMs[slot] = Math.min(nowMs, this.sinceMs[slot]! + ms);
    this.askedMs[slot] = Math.min(nowMs, this.askedMs[slot]! + ms);
  }
}
