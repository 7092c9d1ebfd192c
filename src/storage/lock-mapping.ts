/**
 * Keeps a flock(2) without a descriptor. The lock belongs to the open file, which a mapping keeps open as well: with
 * thousands of seeds the descriptors are for files and connections. The mapping is never touched.
 */
import { statfs } from 'node:fs/promises';
import { fileSystemOf } from '../native/file-systems.js';
import * as mmap from '../native/mmap-io.js';
import { mapLimit } from './map-budget.js';

/** Of the mappings a process may have so many are for locks: what the storages leave is twice that. */
const SHARE = 0.5;

let limit: number | null = null;
let count = 0;

export class LockMapping {
  #address: number;

  /**
   * Null: the descriptor has to stay. A file system above another one (overlayfs) maps the file of the lower one, and a
   * lock that was put on its own would be gone.
   * @param isOpen asked before it is mapped: the number of a descriptor that was closed meanwhile may be another file's
   */
  static async of(path: string, fd: number, isOpen: () => boolean): Promise<LockMapping | null> {
    if (!mmap.isSupported()) return null;
    const volume = await statfs(path).catch(() => null);
    if (volume === null || fileSystemOf(volume.type).kind !== 'mapped') return null;
    if (!isOpen()) return null;
    limit ??= Math.floor(mapLimit() * SHARE);
    if (count >= limit) return null;
    try {
      const address = mmap.map(mmap.pageSize(), mmap.PROT_NONE, mmap.MAP_PRIVATE, fd);
      count++;
      return new LockMapping(address);
    } catch {
      return null;
    }
  }

  private constructor(address: number) {
    this.#address = address;
  }

  /** Idempotent. */
  close(): void {
    if (this.#address === 0) return;
    mmap.unmap(this.#address, mmap.pageSize());
    this.#address = 0;
    count--;
  }
}
