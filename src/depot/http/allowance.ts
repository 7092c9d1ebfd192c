/**
 * What one answer may send by now, where there is a limit. The next part is asked for while the last one is on its way:
 * so whoever takes its bytes stands in the queue when its turn comes, and nobody is sent ahead of others for being
 * quicker to ask.
 */
import type { ShareGate } from '../../rates-api.js';

export class Allowance {
  readonly #gate: ShareGate;
  /** Not asked for yet. */
  #leftBytes: number;
  /** Allowed, and not sent. */
  #bytes = 0;
  #asked: Promise<void> | null = null;
  /** There is no limit. */
  #isFree = false;

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
    return this.#bytes > 0 ? null : this.#asked;
  }

  sent(bytes: number, mostBytes: number): void {
    if (this.#isFree) this.#leftBytes -= bytes;
    if (this.#isFree) return;
    this.#bytes -= bytes;
    if (this.#bytes === 0 && this.#leftBytes > 0) this.#ask(mostBytes);
  }

  /** Nothing more is sent. */
  end(): void {
    this.#gate.end(this.#bytes);
  }

  #ask(mostBytes: number): void {
    if (this.#asked !== null) return;
    const bytes = Math.min(mostBytes, this.#gate.readBytes, Math.max(1, this.#leftBytes));
    this.#leftBytes -= bytes;
    const held = this.#gate.pass(bytes);
    if (held === null) this.#bytes += bytes;
    else
      this.#asked = held.then(() => {
        this.#asked = null;
        this.#bytes += bytes;
      });
  }
}
