/**
 * Which peers pass on what they get, as a seed sees it: a piece that one peer alone has should soon be at a second one. Who stalls, or is banned
 * by the others for corrupt blocks, takes as fast as anybody, and what it took first is lost to the swarm until it leaves a seed once more.
 *
 * What "soon" is the swarm says itself: some times the mean of what it took lately. While nothing was passed on nobody is judged.
 * O(1) per HAVE. It must not know who is served; a bitfield is no news and is not counted.
 */
import type { Availability } from './availability.js';

/** Shorter delays are not worth a slot: the piece may wait for a round of the keeper's choker. */
const LEAST_MS = 10_000;
const MEAN_TIMES = 4;
/** Weight of the latest delay in the mean. */
const GAIN = 1 / 16;
const NOBODY = -1;

export class Outlets {
  readonly #availability: Availability;
  /** The only peer that has the piece. */
  readonly #keeper: Int32Array;
  /** By slot: pieces it alone has and since when, oldest first. */
  readonly #kept: (Map<number, number> | undefined)[] = [];
  /** From the first copy to the second; NaN before the first time. */
  #meanMs = Number.NaN;

  constructor(pieceCount: number, availability: Availability) {
    this.#availability = availability;
    this.#keeper = new Int32Array(pieceCount).fill(NOBODY);
  }

  /** The peer got one piece, which is counted in the availability. */
  had(slot: number, piece: number, nowMs: number): void {
    const keeper = this.#keeper[piece]!;
    if (keeper !== NOBODY) {
      if (keeper === slot) return;
      this.#passedOn(nowMs - this.#kept[keeper]!.get(piece)!);
      this.#kept[keeper]!.delete(piece);
      this.#keeper[piece] = NOBODY;
    } else if (this.#availability.copies(piece) - this.#availability.seedCount === 1) {
      this.#keeper[piece] = slot;
      this.#kept[slot] ??= new Map();
      this.#kept[slot].set(piece, nowMs);
    }
  }

  left(slot: number): void {
    for (const piece of this.#kept[slot]?.keys() ?? []) this.#keeper[piece] = NOBODY;
    this.#kept[slot] = undefined;
  }

  /** It does not pass on what it got: others come first. */
  isHeldBack(slot: number, nowMs: number): boolean {
    for (const sinceMs of this.#kept[slot]?.values() ?? []) {
      return nowMs - sinceMs >= Math.max(LEAST_MS, MEAN_TIMES * this.#meanMs);
    }
    return false;
  }

  #passedOn(delayMs: number): void {
    this.#meanMs = Number.isNaN(this.#meanMs) ? delayMs : this.#meanMs + (delayMs - this.#meanMs) * GAIN;
  }
}
