/**
 * Makes pages present while no worker is there yet: a thread of libuv waits in the system call. A worker takes a tenth
 * of a second to load, on a busy machine more, and the first blocks of a transfer would wait for it on both sides.
 */
import { constants } from 'node:os';
import { errnoOf } from '../native/errno.js';
import * as mmap from '../native/mmap-io.js';
import { pagesOf } from './pages.js';
import type { WorkJob } from './port.js';

/** As in the worker: each step holds the lock of the memory map. */
const STEP_BYTES = 1024 * 1024;

/** A job of the only kind that is done here. */
export type PopulateJob = Extract<WorkJob, { kind: 'populate' }>;

/** Resolves with 0, or the errno; null: this kernel cannot (before Linux 5.14), a worker can. Never rejects. */
export async function populateEarly({ ranges, forWriting }: PopulateJob): Promise<number | null> {
  const advice = forWriting ? mmap.MADV_POPULATE_WRITE : mmap.MADV_POPULATE_READ;
  try {
    for (const range of ranges) {
      const { address, lengthBytes } = pagesOf(range);
      for (let at = 0; at < lengthBytes; at += STEP_BYTES) {
        const stepBytes = Math.min(STEP_BYTES, lengthBytes - at);
        // The device is asked for the whole step at once.
        if (!forWriting) await mmap.adviseLater(address + at, stepBytes, mmap.MADV_WILLNEED);
        const errno = await mmap.adviseLater(address + at, stepBytes, advice);
        if (errno === constants.errno.EINVAL) return null;
        if (errno !== 0) return errno;
      }
    }
    return 0;
  } catch (error) {
    return errnoOf(error);
  }
}
