/** preadv2(2) with RWF_NOWAIT, which Node.js does not have: what is in the page cache, without waiting for a device. */
import { createRequire } from 'node:module';
import { endianness } from 'node:os';

const RWF_NOWAIT = 8;

type Preadv2 = (fd: number, vectors: BigUint64Array, count: number, at: number, flags: number) => number;

interface Native {
  readonly preadv2: Preadv2;
  readonly addressOf: (bytes: Uint8Array) => bigint;
}

let loaded: Native | null | undefined;

/** Null: this libc has none, or koffi has no binary for this machine. A vector is an address and a length. */
function load(): Native | null {
  if (process.platform !== 'linux' || endianness() !== 'LE' || !/64$/.test(process.arch)) return null;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const prototype = 'int64_t preadv2(int fd, const void *vectors, int count, int64_t at, int flags)';
    const preadv2 = koffi.load(null).func(prototype) as Preadv2;
    return { preadv2, addressOf: (bytes) => BigInt(koffi.address(bytes)) };
  } catch {
    return null;
  }
}

/**
 * Reads what is in memory of so many bytes from this place on, on the calling thread. Returns how many there were, from
 * the first one on; 0: none, the file ends, or this file system does not say.
 */
export function readCached(fd: number, target: Uint8Array, at: number): number {
  if (loaded === undefined) loaded = load();
  if (loaded === null || target.length === 0) return 0;
  const vectors = new BigUint64Array([loaded.addressOf(target), BigInt(target.length)]);
  return Math.max(0, Number(loaded.preadv2(fd, vectors, 1, at, RWF_NOWAIT)));
}
