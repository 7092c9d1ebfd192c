/**
 * Memory that a virtual machine has not used for two seconds may go back to its host (free page reporting): the next
 * touch of such a page costs ten times a store, and a bench would measure the host. So as much memory as the runs will
 * need is touched once and freed again, except for a page here and there: only whole free blocks of 2 MiB are given
 * back, and there are none left.
 */
import { closeSync, existsSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';

const SHARED_MEMORY = '/dev/shm';
const STEP_BYTES = 4 * 2 ** 20;
/**
 * One page of each so many bytes stays: 0.2 % of the memory. Free blocks of 1 MiB are still there for file systems that
 * like long ones.
 */
const FENCE_BYTES = 2 * 2 ** 20;
const PAGE_BYTES = 4096;
/** For the processes themselves and the kernel's buffers. */
const EXTRA_BYTES = 512 * 2 ** 20;
/** A smoke run has no figure worth it. */
const LEAST_BYTES = 256 * 2 ** 20;
/** fallocate(2): FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE. */
const PUNCH_HOLE = 3;

export function availableBytes(): number {
  const [, kib = '0'] = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** Bytes written: a small /dev/shm takes what it can. */
function fill(descriptor: number, bytes: number): number {
  const step = Buffer.alloc(STEP_BYTES);
  let written = 0;
  try {
    while (written < bytes) written += writeSync(descriptor, step);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  return written;
}

/** Makes ready the memory for a copy of that length. Call the result when the runs are over. */
export function warmForCopy(copyBytes: number): () => void {
  return copyBytes < LEAST_BYTES ? () => {} : warmMemory(Math.min(copyBytes + EXTRA_BYTES, availableBytes() * 0.8));
}

/** Where there is no /dev/shm nothing happens. */
export function warmMemory(wantedBytes: number): () => void {
  if (!existsSync(SHARED_MEMORY)) return () => {};
  const file = path.join(SHARED_MEMORY, `swarmhaul-warm-${process.pid}`);
  const descriptor = openSync(file, 'w');
  // The pages belong to the descriptor now: nothing stays behind however this ends.
  unlinkSync(file);
  const bytes = fill(descriptor, wantedBytes);
  const punch = koffi.load(null).func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
  for (let at = 0; at < bytes; at += FENCE_BYTES) {
    punch(descriptor, PUNCH_HOLE, at + PAGE_BYTES, FENCE_BYTES - PAGE_BYTES);
  }
  return () => closeSync(descriptor);
}
