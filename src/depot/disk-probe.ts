/**
 * Whether something can be written where a depot or an agent keeps its files: a file is made and removed again. Free
 * bytes do not tell of a disk that fails, of inodes that are used up, or of a folder that became somebody else's.
 */
import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';

const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const TEXTS: Readonly<Record<string, string>> = {
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk has no room for another file: its inodes are used up, or it is full',
  EDQUOT: 'the quota of the disk is used up',
  EACCES: 'its folder may not be written to',
  EPERM: 'its folder may not be written to',
  ENOENT: 'its folder is not there: it was unmounted or removed',
};

export class DiskProbe {
  readonly #file: string;
  #looking: Promise<string> | null = null;

  /** @param file is made and removed; what a killed process leaves of it is swept by whoever starts there */
  constructor(file: string) {
    this.#file = file;
  }

  /** '', or what is wrong, for people. Those of one moment share a look. Never rejects. */
  look(): Promise<string> {
    this.#looking ??= this.#try().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #try(): Promise<string> {
    try {
      const handle = await open(this.#file, FLAGS, 0o600);
      try {
        await handle.write('x');
      } finally {
        await handle.close();
      }
      await rm(this.#file);
      return '';
    } catch (error) {
      const code = String((error as NodeJS.ErrnoException).code);
      // The file may be there.
      await rm(this.#file, { force: true }).catch(() => {});
      return TEXTS[code] ?? `the disk fails (${code})`;
    }
  }
}
