/**
 * A file that a process keeps locked in a folder of its own, and by which it knows that the folder's path still leads
 * there: a disk can be unmounted under a process that runs, and another one mounted over it.
 */
import { type BigIntStats, constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../errors.js';
import { LOCK_EX, loadFlock } from '../native/flock.js';
import { passOver } from './store/codes.js';

const FLAGS = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export class HeldLock {
  readonly #folder: string;
  readonly #file: string;
  readonly #device: bigint;
  readonly #inode: bigint;
  #looking: Promise<void> | null = null;

  private constructor(folder: string, file: string, { dev, ino }: BigIntStats) {
    this.#folder = folder;
    this.#file = file;
    this.#device = dev;
    this.#inode = ino;
  }

  /** @param file in it, which this process has locked. @throws what the file system says */
  static async of(folder: string, file: string): Promise<HeldLock> {
    return new HeldLock(folder, file, await lstat(file, { bigint: true }));
  }

  /**
   * Those of one moment share a look.
   * @throws HaulError IO: what is at the folder's path now is not that folder, or cannot be looked at
   */
  check(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const now = await lstat(this.#file, { bigint: true })
      .catch(passOver('ENOENT'))
      .catch((error: unknown) => {
        throw fromSystemError(error, 'look at', this.#file);
      });
    if (now !== null && now.dev === this.#device && now.ino === this.#inode) return;
    if (now !== null && (await this.#isLocked())) return;
    const message =
      `${this.#folder} is not the folder that was opened: it was unmounted or moved, or something is mounted over ` +
      'it; bring it back, or start anew';
    throw new HaulError('IO', message, { where: this.#folder });
  }

  /** Numbers of files may change where no disk keeps them: what is locked there is ours all the same. */
  async #isLocked(): Promise<boolean> {
    const handle = await open(this.#file, FLAGS).catch(() => null);
    try {
      return handle !== null && loadFlock()?.(handle.fd, LOCK_EX) !== 'locked';
    } finally {
      await handle?.close();
    }
  }
}
