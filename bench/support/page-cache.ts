/** What of a file is in the page cache, and how to get it out (Linux). The file must be ours and mapped by nobody. */
import { closeSync, fdatasyncSync, fstatSync, openSync } from 'node:fs';
import koffi from 'koffi';
import * as mmap from '../../src/native/mmap-io.js';

const POSIX_FADV_DONTNEED = 4;

/** Writes the file out and drops its pages. @throws when the kernel refuses */
export function dropFromCache(file: string): void {
  const advise = koffi.load(null).func('int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)');
  const fd = openSync(file, 'r');
  try {
    fdatasyncSync(fd); // A page that is not on the device yet would stay.
    const errno = advise(fd, 0, 0, POSIX_FADV_DONTNEED) as number;
    if (errno !== 0) throw new Error(`posix_fadvise: errno ${errno}`);
  } finally {
    closeSync(fd);
  }
}

/** Share of the file's pages that are in memory, in percent. */
export function residentPercent(file: string): number {
  const fd = openSync(file, 'r');
  try {
    const lengthBytes = fstatSync(fd).size;
    const address = mmap.map(lengthBytes, mmap.PROT_READ, mmap.MAP_SHARED, fd);
    try {
      const { present, absent } = mmap.incore(address, lengthBytes);
      return (100 * present) / (present + absent);
    } finally {
      mmap.unmap(address, lengthBytes);
    }
  } finally {
    closeSync(fd);
  }
}
