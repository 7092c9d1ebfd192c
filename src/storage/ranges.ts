/**
 * A torrent range as memory ranges of work jobs; its windows are held by the caller. Pad bytes have windowAddress 0.
 */
import type { MemoryRange } from '../work/port.js';
import { type ExtentTable, NO_WINDOW } from './extents.js';
import type { Windows } from './windows.js';

export function memoryRanges(extents: ExtentTable, windows: Windows, begin: number, length: number): MemoryRange[] {
  const ranges: MemoryRange[] = [];
  let offset = begin;
  for (let extent = extents.find(begin); offset < begin + length; extent++) {
    const inside = offset - extents.begin[extent]!;
    const lengthBytes = Math.min(begin + length - offset, extents.lengthBytes[extent]! - inside);
    const window = extents.window[extent]!;
    ranges.push(
      window === NO_WINDOW
        ? { windowAddress: 0, windowBytes: 0, beginBytes: 0, lengthBytes }
        : {
            windowAddress: windows.address(window),
            windowBytes: extents.windowBytes[window]!,
            beginBytes: extents.windowBegin[extent]! + inside,
            lengthBytes,
          },
    );
    offset += lengthBytes;
  }
  return ranges;
}

/**
 * The whole pages of a torrent range that may be given back: a page shared with a neighbouring range of the same file
 * goes only with `keepsBefore` or `keepsAfter` false. Files begin on pages of their own, so their ends are never
 * shared.
 */
export function pageRanges(
  extents: ExtentTable,
  windows: Windows,
  range: {
    readonly begin: number;
    readonly length: number;
    readonly keepsBefore: boolean;
    readonly keepsAfter: boolean;
  },
  pageBytes: number,
): MemoryRange[] {
  const { begin, length, keepsBefore, keepsAfter } = range;
  const pages: MemoryRange[] = [];
  const parts = memoryRanges(extents, windows, begin, length);
  parts.forEach((part, index) => {
    if (part.windowAddress === 0) return;
    const end = part.beginBytes + part.lengthBytes;
    const isFirst = index === 0 && keepsBefore;
    const isLast = index === parts.length - 1 && keepsAfter;
    const from = isFirst ? ceilTo(part.beginBytes, pageBytes) : part.beginBytes - (part.beginBytes % pageBytes);
    const to = isLast ? end - (end % pageBytes) : ceilTo(end, pageBytes);
    if (to > from) pages.push({ ...part, beginBytes: from, lengthBytes: to - from });
  });
  return pages;
}

function ceilTo(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
