/**
 * Pieces of ours that a peer says are bad: each is hashed once more, in the pool, one after another. Pure but for the
 * check it is given. What a peer can make us do is one hash a second, of pieces that we have, and of one piece once a
 * minute.
 */
import type { PieceIndex } from '../metainfo/geometry.js';

/** A piece that was checked is not checked again for this long. */
export const CHECK_AGAIN_MS = 60_000;
/** Time between two checks. */
export const CHECK_GAP_MS = 1_000;
/** Reports waiting; more are dropped, and made again by whoever still gets bad copies. */
export const WAITING_MAX = 64;
/** And of one host, so that a liar does not keep the line full. */
export const WAITING_MAX_PER_HOST = 8;

export interface SpotCheckOptions {
  /** Hashes one piece on disk. Rejects when it cannot be read: that is no verdict. */
  readonly check: (piece: PieceIndex) => Promise<boolean>;
  /** Called once for each piece that is bad. */
  readonly onBad: (piece: PieceIndex) => void;
}

export class SpotChecks {
  readonly #options: SpotCheckOptions;
  /** By piece, who said so, in the order in which they are checked. */
  readonly #waiting = new Map<PieceIndex, string>();
  /** When each piece was checked, oldest first. */
  readonly #checkedMs = new Map<PieceIndex, number>();
  #lastMs = Number.NEGATIVE_INFINITY;
  #isBusy = false;

  constructor(options: SpotCheckOptions) {
    this.#options = options;
  }

  /** No check is under way or waits. */
  get isIdle(): boolean {
    return !this.#isBusy && this.#waiting.size === 0;
  }

  /** Somebody of that host (or group of hosts) says that this piece, which we have, is bad. */
  report(piece: PieceIndex, host: string): void {
    if (this.#waiting.size >= WAITING_MAX || this.#checkedMs.has(piece) || this.#waiting.has(piece)) return;
    let ofHost = 0;
    for (const other of this.#waiting.values()) if (other === host) ofHost++;
    if (ofHost < WAITING_MAX_PER_HOST) this.#waiting.set(piece, host);
  }

  /** Once a second. Resolves when the check that it started, if any, is over. */
  async tick(nowMs: number): Promise<void> {
    for (const [piece, checkedMs] of this.#checkedMs) {
      if (nowMs - checkedMs < CHECK_AGAIN_MS) break;
      this.#checkedMs.delete(piece);
    }
    const [piece] = this.#waiting.keys();
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
