/**
 * Pieces of ours that a peer says are bad: each is hashed once more, in the pool, one after another. Pure but for the check it is given.
 * What a peer can make us do is one hash a second, of pieces that we have, and of one piece once a minute.
 */
import type { PieceIndex } from '../metainfo/geometry.js';

/** A piece that was checked is not checked again for this long. */
export const CHECK_AGAIN_MS = 60_000;
/** Time between two checks. */
export const CHECK_GAP_MS = 1_000;
/** Reports waiting; more are dropped, and made again by whoever still gets bad copies. */
export const WAITING_MAX = 64;

export interface SpotCheckOptions {
  /** Hashes one piece on disk. Rejects when it cannot be read: that is no verdict. */
  readonly check: (piece: PieceIndex) => Promise<boolean>;
  /** Called once for each piece that is bad. */
  readonly onBad: (piece: PieceIndex) => void;
}

export class SpotChecks {
  readonly #options: SpotCheckOptions;
  readonly #waiting = new Set<PieceIndex>();
  /** When each piece was checked, oldest first. */
  readonly #checkedMs = new Map<PieceIndex, number>();
  #lastMs = Number.NEGATIVE_INFINITY;
  #isBusy = false;

  constructor(options: SpotCheckOptions) {
    this.#options = options;
  }

  /** Somebody says that this piece, which we have, is bad. */
  report(piece: PieceIndex): void {
    if (this.#waiting.size < WAITING_MAX && !this.#checkedMs.has(piece)) this.#waiting.add(piece);
  }

  /** Once a second. Resolves when the check that it started, if any, is over. */
  async tick(nowMs: number): Promise<void> {
    for (const [piece, checkedMs] of this.#checkedMs) {
      if (nowMs - checkedMs < CHECK_AGAIN_MS) break;
      this.#checkedMs.delete(piece);
    }
    const [piece] = this.#waiting;
    if (piece === undefined || this.#isBusy || nowMs - this.#lastMs < CHECK_GAP_MS) return;
    this.#waiting.delete(piece);
    this.#checkedMs.set(piece, nowMs);
    this.#lastMs = nowMs;
    this.#isBusy = true;
    try {
      if (!(await this.#options.check(piece))) this.#options.onBad(piece);
    } catch {
      // It could not be read, or we are stopping: whoever serves it next will meet the same trouble and say so.
    } finally {
      this.#isBusy = false;
    }
  }
}
