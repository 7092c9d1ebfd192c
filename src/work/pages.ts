/** Ranges of memory and the pages they lie in. */
import * as mmap from '../native/mmap-io.js';
import type { MemoryRange } from './port.js';

/** The page-aligned hull of a range: what madvise wants. */
export function pagesOf(range: MemoryRange): { address: number; lengthBytes: number } {
  const page = mmap.pageSize();
  const begin = range.windowAddress + range.beginBytes;
  const address = begin - (begin % page);
  return { address, lengthBytes: begin + range.lengthBytes - address };
}
