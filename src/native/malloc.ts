/** Settings of the C library's allocator, which Node.js does not reach. Of the whole process: not for a library. */
import { createRequire } from 'node:module';

/** mallopt(3), of glibc's malloc.h. */
const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
const M_ARENA_MAX = -8;

/**
 * Two arenas instead of eight for each core, memory given back from 128 KiB on at the end of a heap, blocks from 64 KiB
 * on as mappings of their own: what Node's threads took and freed does not stay with the process. By default these
 * bounds grow with what is freed, to 32 MiB. Where the C library has no such call (musl) nothing changes.
 */
export function boundHeaps(): void {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const mallopt = koffi.load(null).func('int mallopt(int param, int value)') as (
      param: number,
      value: number,
    ) => number;
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
  } catch {
    // No koffi or no mallopt: the heap is as it is.
  }
}

/** What is free goes back to the system, wherever it lies in the heaps. In another thread. Never rejects. */
export async function trimHeaps(): Promise<void> {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const trim = koffi.load(null).func('int malloc_trim(size_t pad)') as unknown as {
      async(pad: number, done: (error: unknown) => void): void;
    };
    await new Promise((resolve) => trim.async(0, resolve));
  } catch {
    // As above.
  }
}
