/**
 * A depot leaves the last bytes of a disk alone: with them its catalogue is mended and names are removed, which makes
 * room again. The disk is asked now and then, and at each time when there is little left.
 */
import { statfs } from 'node:fs/promises';
import { HaulError } from '../../errors.js';

/** Free bytes below which nothing is taken in. Of a small file system a twentieth. */
export const FREE_BYTES_MIN: number = 16 * 1024 * 1024;
const SHARE_MIN = 1 / 20;
/** The answer of the disk holds so long, unless it says that there is little. */
const FRESH_MS = 1_000;
const LITTLE = 64;

export class Room {
  readonly #folder: string;
  readonly #now: () => number;
  #askedMs = -Infinity;
  #freeBytes = 0;
  #minBytes = FREE_BYTES_MIN;

  /** @param now milliseconds that only go on */
  constructor(folder: string, now: () => number = () => performance.now()) {
    this.#folder = folder;
    this.#now = now;
  }

  /** So many more bytes are about to be written. @throws HaulError NO_SPACE */
  async claim(lengthBytes: number): Promise<void> {
    const isKnown = this.#now() - this.#askedMs < FRESH_MS && this.#freeBytes - lengthBytes > LITTLE * this.#minBytes;
    if (!isKnown) await this.#ask();
    this.#freeBytes -= lengthBytes;
    if (this.#freeBytes >= this.#minBytes) return;
    this.#askedMs = -Infinity;
    const message = `no space left for ${lengthBytes} bytes: the last ${this.#minBytes} of the disk are left alone`;
    throw new HaulError('NO_SPACE', message, { where: this.#folder });
  }

  async #ask(): Promise<void> {
    const { bavail, blocks, bsize } = await statfs(this.#folder);
    this.#askedMs = this.#now();
    this.#freeBytes = bavail * bsize;
    this.#minBytes = Math.min(FREE_BYTES_MIN, Math.floor(blocks * bsize * SHARE_MIN));
  }
}
