/**
 * Space that is set aside: on a disk that is full to the last byte, or has no inode left, LevelDB can neither write
 * what is removed nor be opened anew. The files are given up then, and made again when there is room.
 */
import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { fallocate, isSupported } from '../../native/mmap-io.js';
import { DEPOT_LIMITS } from '../limits.js';

/** What LevelDB writes to be opened anew. */
export const REOPEN_BYTES: number = 6 * 1024 * 1024;
const BALLAST_BYTES = DEPOT_LIMITS.ballastBytes;
/** Files that LevelDB makes when it is opened: tables of its log, a log, a manifest, and what names it. */
const SPARE_FILES = 8;
/** It takes no space that somebody else is about to need. */
const FREE_BYTES_MIN = 3 * BALLAST_BYTES;
const FREE_FILES_MIN = 4 * SPARE_FILES;

export class Ballast {
  readonly #file: string;
  readonly #spares: readonly string[];
  #isLaid = false;

  /** @param folder of the catalogue */
  constructor(folder: string) {
    this.#file = join(folder, 'ballast');
    this.#spares = Array.from({ length: SPARE_FILES }, (_, index) => `${this.#file}.${index}`);
  }

  get isLaid(): boolean {
    return this.#isLaid;
  }

  /** Never rejects: without it a full disk is harder to mend, and that is all. */
  async lay(): Promise<void> {
    if (this.#isLaid) return;
    try {
      const known = await stat(this.#file).catch(() => null);
      const last = await stat(this.#spares.at(-1)!).catch(() => null);
      if (known?.size === BALLAST_BYTES && last !== null) this.#isLaid = true;
      else if (await hasRoom(this.#file)) await this.#make(known?.size === BALLAST_BYTES);
    } catch {
      await this.#remove().catch(() => {});
    }
  }

  async #make(isThere: boolean): Promise<void> {
    if (!isThere) await this.#makeFile();
    for (const file of this.#spares) await (await open(file, 'w', 0o600)).close();
    this.#isLaid = true;
  }

  async #makeFile(): Promise<void> {
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
    } finally {
      await handle.close();
    }
  }

  /** @returns whether there was one */
  async drop(): Promise<boolean> {
    this.#isLaid = false;
    const known = await stat(this.#file).catch(() => null);
    if (known === null) return false;
    await this.#remove();
    return true;
  }

  async #remove(): Promise<void> {
    for (const file of [this.#file, ...this.#spares]) await rm(file, { force: true });
  }
}

async function hasRoom(file: string): Promise<boolean> {
  const { bavail, bsize, files, ffree } = await statfs(join(file, '..'));
  // None in all: a file system that does not count them.
  return bavail * bsize >= FREE_BYTES_MIN && (files === 0 || ffree >= FREE_FILES_MIN);
}
