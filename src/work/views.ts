/** Views of mapped memory in a worker: one per window, kept, because making one costs up to half a millisecond. */
import { view } from '../native/mmap-io.js';
import type { MemoryRange } from './port.js';

/**
 * Views kept before the least recently used is dropped. Dropping frees nothing but the object: a view does not own its
 * memory.
 */
const VIEW_COUNT = 256;
const ZEROS = Buffer.alloc(1024 * 1024);

/** Insertion order is use order: a used view is taken out and put back. */
const views = new Map<number, ArrayBuffer>();

function windowView(address: number, lengthBytes: number): ArrayBuffer {
  const known = views.get(address);
  views.delete(address);
  // An address that was unmapped and mapped again with the same length is the same view: it names memory, not a
  // mapping.
  const buffer = known !== undefined && known.byteLength === lengthBytes ? known : view(address, lengthBytes);
  views.set(address, buffer);
  if (views.size > VIEW_COUNT) views.delete(views.keys().next().value!);
  return buffer;
}

/** @throws RangeError */
export function checkRange({ beginBytes, lengthBytes, windowBytes }: MemoryRange): void {
  if (beginBytes + lengthBytes > windowBytes) throw new RangeError('range leaves its window');
}

/** @throws RangeError */
export function viewOf(range: MemoryRange): Buffer {
  checkRange(range);
  return Buffer.from(windowView(range.windowAddress, range.windowBytes), range.beginBytes, range.lengthBytes);
}

/** Up to 1 MiB of zero bytes: what a pad file (BEP 47) holds. */
export function zeros(lengthBytes: number): Buffer {
  return ZEROS.subarray(0, lengthBytes);
}
