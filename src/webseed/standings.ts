/**
 * What became of the web seeds of a torrent, over all its sessions: who was caught is not used again because the
 * torrent was paused or checked meanwhile, and who failed is not asked sooner.
 */
import { LIMITS } from '../config.js';
import type { RangeFailure } from '../net/range-get.js';

export class Standing {
  /** In a row. */
  failures = 0;
  /** Why it is not used, one phrase; empty: it is, or was not tried. */
  message = '';
  /** Not before that; Infinity: never again. */
  dueMs = Number.NEGATIVE_INFINITY;
  isBanned = false;
  /** It knows no ranges, as was seen then; null: it does. */
  wholeSinceMs: number | null = null;

  get isWhole(): boolean {
    return this.wholeSinceMs !== null;
  }

  /** It gave whole files for a while: another server of the same name, or a mended one, may know ranges. */
  asksForParts(): void {
    this.wholeSinceMs = null;
    this.dueMs = Number.NEGATIVE_INFINITY;
  }

  /** @param hasMoved it was asked where its files had moved to @returns whether it is banned for that */
  failed(failure: RangeFailure | null, hasGiven: boolean, hasMoved: boolean, reason: string, nowMs: number): boolean {
    this.failures = hasGiven ? 1 : this.failures + 1;
    this.message = reason;
    const { isWhole } = this;
    // It may be another server of the same name that knows ranges.
    this.wholeSinceMs = null;
    if (failure?.kind === 'no-ranges' && !isWhole) {
      this.wholeSinceMs = nowMs;
      this.dueMs = Number.NEGATIVE_INFINITY;
    } else if (failure?.kind === 'lies') this.ban(reason);
    else this.dueMs = nowMs + pauseMs(failure, this.failures, hasMoved);
    return this.isBanned;
  }

  ban(reason: string): void {
    this.isBanned = true;
    this.dueMs = Number.POSITIVE_INFINITY;
    this.message = reason;
  }
}

export class Standings {
  readonly #standings = new Map<string, Standing>();

  of(url: string): Standing {
    const standing = this.#standings.get(url) ?? new Standing();
    this.#standings.set(url, standing);
    return standing;
  }
}

function pauseMs(failure: RangeFailure | null, failures: number, hasMoved: boolean): number {
  if (failure?.kind === 'absent' && !hasMoved) return LIMITS.webSeedRetryMaxMs;
  const pause = Math.min(LIMITS.webSeedRetryMaxMs, LIMITS.webSeedRetryMs * 2 ** Math.min(20, failures - 1));
  return Math.max(pause, failure?.retryAfterMs ?? 0);
}
