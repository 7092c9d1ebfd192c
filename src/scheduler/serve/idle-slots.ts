/**
 * Which of the peers that a seed has unchoked leave their slot unused. Their slots do not count: others are unchoked
 * beside them, so that readers who take a byte now and then cannot keep the seed's uplink idle. Who had a slot and did
 * not use it stands behind those who had none.
 *
 * A peer uses its slot when it takes a sixteenth of what its share of the uplink would be, by the best second of the
 * last minute or so; and at least a little. Where we are slow to send ourselves, nobody is to blame.
 */
import { grown } from '../peers/slot-rows.js';

/** What a peer takes is looked at over so many whole seconds; before that it is given time. */
export const LOOK_SECONDS = 2;
const LEAST_BYTES_PER_SEC = 1024;
const LEAST_SHARE = 1 / 16;
/** With less than this share of its best second the uplink is idle. */
const QUIET_SHARE = 1 / 4;
/** The best second is forgotten by half in some 45 s. */
const FADE_PER_SECOND = 1 - 1 / 64;

export class IdleSlots {
  readonly #slots: number;
  /** 1: unchoked, and does not use it. */
  #isIdle = new Uint8Array(0);
  /** 1: it left a slot unused, and has not used one since. */
  #hasWasted = new Uint8Array(0);
  #count = 0;
  #bestBytesPerSec = 0;
  #lastBytesPerSec = 0;
  #uploadedBytes = 0;
  #secondMs = Number.NEGATIVE_INFINITY;

  constructor(slots: number) {
    this.#slots = slots;
  }

  grow(rows: number): void {
    this.#isIdle = grown(this.#isIdle, rows);
    this.#hasWasted = grown(this.#hasWasted, rows);
  }

  /** Unchoked peers that do not use their slots. */
  get count(): number {
    return this.#count;
  }

  /** For tests: the most there were. Who is tried beside them may stay to the end of the round. */
  most = 0;

  isIdle(slot: number): boolean {
    return this.#isIdle[slot] !== 0;
  }

  hasWasted(slot: number): boolean {
    return this.#hasWasted[slot] !== 0;
  }

  joined(slot: number): void {
    this.#isIdle[slot] = 0;
    this.#hasWasted[slot] = 0;
  }

  /**
   * How many may be unchoked besides those that are idle: while the uplink is, as many more as have left their slots
   * unused.
   */
  get limit(): number {
    return this.#slots + (this.#lastBytesPerSec <= this.#bestBytesPerSec * QUIET_SHARE ? this.#count : 0);
  }

  /** Who left a slot unused does not count until it uses this one. */
  unchoked(slot: number): void {
    this.#isIdle[slot] = this.#hasWasted[slot]!;
    this.#count += this.#isIdle[slot]!;
    this.most = Math.max(this.most, this.#count);
  }

  /** The peer is choked or gone. */
  choked(slot: number): void {
    this.#count -= this.#isIdle[slot]!;
    this.#isIdle[slot] = 0;
  }

  /** True once a second: what was uploaded since then is taken note of. @param uploadedBytes to all peers, ever. */
  secondPassed(uploadedBytes: number, nowMs: number): boolean {
    const passedMs = nowMs - this.#secondMs;
    if (passedMs < 1000) return false;
    const bytesPerSec =
      passedMs === Number.POSITIVE_INFINITY ? 0 : ((uploadedBytes - this.#uploadedBytes) * 1000) / passedMs;
    this.#lastBytesPerSec = bytesPerSec;
    this.#bestBytesPerSec = Math.max(bytesPerSec, this.#bestBytesPerSec * FADE_PER_SECOND);
    this.#uploadedBytes = uploadedBytes;
    this.#secondMs = nowMs;
    return true;
  }

  /** Looks at an unchoked peer. @param tookBytes in the last `LOOK_SECONDS`. True: it uses its slot again. */
  look(slot: number, tookBytes: number): boolean {
    const share = (this.#bestBytesPerSec / this.#slots) * LEAST_SHARE;
    const isIdle = tookBytes < LOOK_SECONDS * Math.max(LEAST_BYTES_PER_SEC, share) ? 1 : 0;
    const wasIdle = this.#isIdle[slot]!;
    this.#isIdle[slot] = isIdle;
    this.#hasWasted[slot] = isIdle;
    this.#count += isIdle - wasIdle;
    this.most = Math.max(this.most, this.#count);
    return isIdle < wasIdle;
  }
}
