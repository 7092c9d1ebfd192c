/**
 * Space that is set aside: on a disk that is full to the last byte LevelDB can neither write what is removed nor be
 * opened anew. The file is given up then, and made again when there is room.
 */
import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { fallocate, isSupported } from '../../native/mmap-io.js';
import { DEPOT_LIMITS } from '../limits.js';

/** What LevelDB writes to be opened anew. */
export const REOPEN_BYTES: number = 6 * 1024 * 1024;
const BALLAST_BYTES = DEPOT_LIMITS.ballastBytes;
/** It takes no space that somebody else is about to need. */
const FREE_BYTES_MIN = 3 * BALLAST_BYTES;

export class Ballast {
  readonly #file: string;
  #isLaid = false;

  /** @param folder of the catalogue */
  constructor(folder: string) {
    this.#file = join(folder, 'ballast');
  }

  get isLaid(): boolean {
    return this.#isLaid;
  }

  /** Never rejects: without it a full disk is harder to mend, and that is all. */
  async lay(): Promise<void> {
    if (this.#isLaid) return;
    try {
      const known = await stat(this.#file).catch(() => null);
      if (known?.size === BALLAST_BYTES) this.#isLaid = true;
      else if (await hasRoom(this.#file)) await this.#make();
    } catch {
      await rm(this.#file, { force: true }).catch(() => {});
    }
  }

  async #make(): Promise<void> {
    await rm(this.#file, { force: true });
    const handle = await open(this.#file, 'wx', 0o600);
    try {
      const isReserved =
        isSupported() &&
        (await fallocate(handle.fd, 0, BALLAST_BYTES).then(
          () => true,
          () => false,
        ));
      if (!isReserved) await handle.write(Buffer.alloc(BALLAST_BYTES));
      this.#isLaid = true;
    } finally {
      await handle.close();
    }
  }

  /** @returns whether there was one */
  async drop(): Promise<boolean> {
    this.#isLaid = false;
    const known = await stat(this.#file).catch(() => null);
    if (known === null) return false;
    await rm(this.#file, { force: true });
    return true;
  }
}

async function hasRoom(file: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(join(file, '..'));
  return bavail * bsize >= FREE_BYTES_MIN;
}
