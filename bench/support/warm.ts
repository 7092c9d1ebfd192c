/**
 * Memory that a virtual machine has not used for a while may have gone back to its host (free page reporting): the first touch of
 * such a page then costs ten times a store, and a bench measures the host. So before a run as much memory as it will need is touched
 * and freed; the kernel hands out what was freed last first.
 */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';

const SHARED_MEMORY = '/dev/shm';
const STEP = Buffer.alloc(4 * 2 ** 20);
/** For the processes themselves and the kernel's buffers. */
const EXTRA_BYTES = 512 * 2 ** 20;
/** A smoke run has no figure worth it. */
const LEAST_BYTES = 256 * 2 ** 20;

function availableBytes(): number {
  const [, kib = '0'] = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** Makes ready the memory for a copy of that length. Where there is no /dev/shm nothing happens. */
export function warmMemory(copyBytes: number): void {
  if (copyBytes < LEAST_BYTES || !existsSync(SHARED_MEMORY)) return;
  const bytes = Math.min(copyBytes + EXTRA_BYTES, availableBytes() * 0.8);
  const file = path.join(SHARED_MEMORY, `swarmhaul-warm-${process.pid}`);
  const descriptor = openSync(file, 'w');
  try {
    for (let written = 0; written < bytes; ) written += writeSync(descriptor, STEP);
  } catch (error) {
    // A small /dev/shm warms what it can.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(descriptor);
    rmSync(file, { force: true });
  }
}
