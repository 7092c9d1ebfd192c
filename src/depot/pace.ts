/**
 * The least rate of a body that is received: who sends less for a while is given up. Only time that was spent waiting
 * for the sender counts. Pure: time comes as arguments.
 */

export interface PaceRule {
  /** Below it for `windowMs` of waiting: too slow. */
  readonly bytesPerSec: number;
  readonly windowMs: number;
}

export class Pace {
  readonly #rule: PaceRule;
  #bytes = 0;
  #waitedMs = 0;
  /** Null: we are not waiting. */
  #sinceMs: number | null = null;

  constructor(rule: PaceRule) {
    this.#rule = rule;
  }

  wait(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /** @returns false: too slow */
  got(nowMs: number, bytes: number): boolean {
    this.#waitedMs += this.#sinceMs === null ? 0 : Math.max(0, nowMs - this.#sinceMs);
    this.#sinceMs = null;
    this.#bytes += bytes;
    if (this.#waitedMs < this.#rule.windowMs) return true;
    const isEnough = this.#bytes * 1000 >= this.#rule.bytesPerSec * this.#waitedMs;
    this.#bytes = 0;
    this.#waitedMs = 0;
    return isEnough;
  }

  /** While we wait: false when it is too slow already. */
  isAlive(nowMs: number): boolean {
    if (this.#sinceMs === null) return true;
    const waitedMs = this.#waitedMs + Math.max(0, nowMs - this.#sinceMs);
    if (waitedMs < this.#rule.windowMs) return true;
    // However much came before: a whole window without a byte is too slow.
    return nowMs - this.#sinceMs < this.#rule.windowMs && this.#bytes * 1000 >= this.#rule.bytesPerSec * waitedMs;
  }
}
