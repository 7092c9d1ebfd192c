/**
 * A depot leaves the last bytes of a disk alone: with them its catalogue is mended and names are removed, which makes
 * room again. The disk is asked now and then, and at each time when there is little left.
 */
import { statfs } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../../errors.js';
import { DEPOT_LIMITS } from '../limits.js';

const SHARE_MIN = 0.05;
/** The answer of the disk holds so long, unless it says that there is little. */
const FRESH_MS = 1_000;
const LITTLE = 64;

/** @throws HaulError of the file system */
export async function spaceOf(folder: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch (error) {
    throw fromSystemError(error, 'look at', folder);
  }
}

export class Room {
  readonly #folder: string;
  readonly #now: () => number;
  #askedMs = -Infinity;
  #asking: Promise<void> | null = null;
  #freeBytes = 0;
  #minBytes = DEPOT_LIMITS.freeBytes;

  /** @param now milliseconds that only go on */
  constructor(folder: string, now: () => number = () => performance.now()) {
    this.#folder = folder;
    this.#now = now;
  }

  /** So many more bytes are about to be written. @throws HaulError NO_SPACE */
  async claim(lengthBytes: number): Promise<void> {
    const isKnown = this.#now() - this.#askedMs < FRESH_MS && this.#freeBytes - lengthBytes > LITTLE * this.#minBytes;
    if (!isKnown) {
      // Those of one moment go on together.
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = null;
      });
      await this.#asking;
    }
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
    this.#minBytes = Math.min(DEPOT_LIMITS.freeBytes, Math.floor(blocks * bsize * SHARE_MIN));
  }
}
