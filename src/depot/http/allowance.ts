/**
 * What one answer may send by now, where there is a limit. The next part is asked for while the last one is on its way,
 * so that whoever takes its bytes stands in the queue when its turn comes. Who has taken all of them stays there until
 * a tenth of a second is allowed: a timer that is late brings more than one part.
 */
import type { ShareGate } from '../../rates-api.js';

/** In parts of what a hundredth of a second brings. */
const PARTS_AHEAD = 10;

export class Allowance {
  readonly #gate: ShareGate;
  /** Not asked for yet. */
  #leftBytes: number;
  /** Allowed, and not sent. */
  #bytes = 0;
  #isAsking = false;
  /** There is no limit. */
  #isFree = false;
  /** For who waits until some may be sent, and has not sent them yet. */
  #wake: (() => void) | null = null;

  /** @param lengthBytes of all that will be sent */
  constructor(gate: ShareGate, lengthBytes: number) {
    this.#gate = gate;
    this.#leftBytes = lengthBytes;
  }

  get bytes(): number {
    return this.#isFree ? Number.POSITIVE_INFINITY : this.#bytes;
  }

  /** Null: some may be sent; else resolves when that is so, or the limit is gone. */
  more(mostBytes: number): Promise<void> | null {
    this.#isFree = this.#gate.readBytes === Number.POSITIVE_INFINITY;
    if (this.#isFree) return null;
    if (this.#bytes === 0) this.#ask(mostBytes);
    if (this.#bytes > 0) return null;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  sent(bytes: number, mostBytes: number): void {
    if (this.#isFree) this.#leftBytes -= bytes;
    if (this.#isFree) return;
    this.#bytes -= bytes;
    this.#wake = null;
    if (this.#bytes === 0 && this.#leftBytes > 0) this.#ask(mostBytes);
  }

  /** Nothing more is sent. */
  end(): void {
    this.#gate.end(this.#bytes);
  }

  #ask(mostBytes: number): void {
    if (this.#isAsking) return;
    const { readBytes } = this.#gate;
    const bytes = Math.min(mostBytes, readBytes, Math.max(1, this.#leftBytes));
    this.#leftBytes -= bytes;
    this.#isAsking = true;
    const isAllowed = this.#gate.ask(bytes, () => {
      this.#allowed(bytes);
      const isHungry = this.#wake !== null && this.#leftBytes > 0;
      if (isHungry && this.#bytes < PARTS_AHEAD * readBytes) this.#ask(mostBytes);
      this.#wake?.();
    });
    if (isAllowed) this.#allowed(bytes);
  }

  #allowed(bytes: number): void {
    this.#isAsking = false;
    this.#bytes += bytes;
  }
}
