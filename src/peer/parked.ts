/**
 * What a peer has sent behind its handshake while that is still being answered. Bounded; one copy of its own, for the
 * buffer of the socket is everybody's.
 */
import { LIMITS } from '../config.js';

const FIRST_BYTES = 1024;

export class ParkedBytes {
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** False: that is more than may be kept. */
  add(source: Buffer, start: number, end: number): boolean {
    const length = this.#length + end - start;
    if (length > LIMITS.parkedBytes) return false;
    if (length > this.#buffer.length) {
      const longer = Buffer.allocUnsafe(Math.max(length, 2 * this.#buffer.length, FIRST_BYTES));
      this.#buffer.copy(longer, 0, 0, this.#length);
      this.#buffer = longer;
    }
    source.copy(this.#buffer, this.#length, start, end);
    this.#length = length;
    return true;
  }
}
