/**
 * Buffers of one length, used again: new ones of some megabytes cost a fault for each page, and the collector works
 * after each. Those are in shared memory, so that a thread can hash what is in them.
 */
import { S3_LIMITS } from './limits.js';

export class Buffers {
  readonly #lengthBytes: number;
  readonly #spareMax: number;
  readonly #spare: Buffer[] = [];

  constructor(lengthBytes: number = S3_LIMITS.chunkBytes, spareMax: number = S3_LIMITS.spareBuffers) {
    this.#lengthBytes = lengthBytes;
    this.#spareMax = spareMax;
  }

  /** Longer ones are made for the occasion. */
  take(lengthBytes: number): Buffer {
    if (lengthBytes > this.#lengthBytes) return Buffer.from(new SharedArrayBuffer(lengthBytes));
    const whole = this.#spare.pop() ?? Buffer.from(new SharedArrayBuffer(this.#lengthBytes));
    return whole.subarray(0, lengthBytes);
  }

  /** Nobody reads or writes it any more. */
  giveBack({ buffer }: Buffer): void {
    if (buffer.byteLength !== this.#lengthBytes || this.#spare.length >= this.#spareMax) return;
    this.#spare.push(Buffer.from(buffer));
  }
}
