/**
 * Where each file of a torrent lies in mapped windows. Pure arithmetic over flat arrays.
 *
 *   torrent   | file 0 ............................ | 1 | 2 | pad | 3 ......
 *   extents   | 0          | 1          | 2         | 3 | 4 |  5  | 6 ......
 *   windows   | window 0   | window 1   | window 2               | window 3
 *
 * A window is one stretch of address space and one view per thread. A large file takes several; small files share one,
 * each at its own page, because a view and a system call per tiny file would cost more than its bytes.
 * Invariant: extents are in torrent order and cover it; an extent begins on a page of its window and of its file.
 */
import type { FileLayout, Stretch } from '../metainfo/layout.js';

/** The window of an extent that is not stored: a pad file (BEP 47), or bytes that are not wanted. */
export const NO_WINDOW = -1;

/** Files mapped into one window: bounds the time the main thread spends on opening them in a row (8 µs each). */
const EXTENTS_PER_WINDOW = 64;

export class ExtentTable {
  /** Torrent offset of each extent. */
  readonly begin: Float64Array;
  readonly lengthBytes: Float64Array;
  /** Index of the extent's file in the torrent. */
  readonly file: Int32Array;
  readonly fileBegin: Float64Array;
  /** Window of the extent, or NO_WINDOW. */
  readonly window: Int32Array;
  /** Offset of the extent inside its window. */
  readonly windowBegin: Float64Array;
  readonly extentCount: number;
  /** Bytes of address space of each window, whole pages. */
  readonly windowBytes: readonly number[];
  /** First extent of each window; those of window w end before the first of w + 1. */
  readonly windowFirst: readonly number[];
  #last = 0;

  /** @param windowBytes largest window, a multiple of `pageBytes`. */
  constructor(layout: FileLayout, windowBytes: number, pageBytes: number) {
    const plan = new Plan(windowBytes, pageBytes);
    for (const stretch of layout.stretches) plan.add(stretch);
    this.begin = Float64Array.from(plan.begin);
    this.lengthBytes = Float64Array.from(plan.lengthBytes);
    this.file = Int32Array.from(plan.file);
    this.fileBegin = Float64Array.from(plan.fileBegin);
    this.window = Int32Array.from(plan.window);
    this.windowBegin = Float64Array.from(plan.windowBegin);
    this.extentCount = plan.begin.length;
    this.windowBytes = plan.windowBytes;
    this.windowFirst = plan.windowFirst;
  }

  get windowCount(): number {
    return this.windowBytes.length;
  }

  /** The extent that holds this torrent offset. Blocks come in order mostly: the last answer is tried first. */
  find(offset: number): number {
    const last = this.#last;
    if (offset >= this.begin[last]! && offset < this.begin[last]! + this.lengthBytes[last]!) return last;
    let low = 0;
    let high = this.extentCount - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.begin[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    this.#last = low;
    return low;
  }

  /** The windows of the range, each once, in order. */
  windowsIn(offset: number, lengthBytes: number): number[] {
    const windows: number[] = [];
    const last = this.find(offset + lengthBytes - 1);
    for (let extent = this.find(offset); extent <= last; extent++) {
      const window = this.window[extent]!;
      if (window !== NO_WINDOW && windows.at(-1) !== window) windows.push(window);
    }
    return windows;
  }
}

class Plan {
  readonly begin: number[] = [];
  readonly lengthBytes: number[] = [];
  readonly file: number[] = [];
  readonly fileBegin: number[] = [];
  readonly window: number[] = [];
  readonly windowBegin: number[] = [];
  readonly windowBytes: number[] = [];
  readonly windowFirst: number[] = [];
  readonly #limitBytes: number;
  readonly #pageBytes: number;

  constructor(limitBytes: number, pageBytes: number) {
    this.#limitBytes = limitBytes;
    this.#pageBytes = pageBytes;
  }

  add({ file, torrentBegin, beginBytes, lengthBytes, isStored }: Stretch): void {
    if (!isStored) {
      this.#add(file, torrentBegin, beginBytes, lengthBytes, NO_WINDOW, 0);
      return;
    }
    for (let at = 0; at < lengthBytes; ) {
      const window = this.#windowWithRoom();
      const used = this.windowBytes[window]!;
      const part = Math.min(lengthBytes - at, this.#limitBytes - used);
      this.#add(file, torrentBegin + at, beginBytes + at, part, window, used);
      this.windowBytes[window] = used + Math.ceil(part / this.#pageBytes) * this.#pageBytes;
      at += part;
    }
  }

  #windowWithRoom(): number {
    const last = this.windowBytes.length - 1;
    const isFull =
      last < 0 ||
      this.windowBytes[last]! >= this.#limitBytes ||
      this.begin.length - this.windowFirst[last]! >= EXTENTS_PER_WINDOW;
    if (!isFull) return last;
    this.windowBytes.push(0);
    this.windowFirst.push(this.begin.length);
    return last + 1;
  }

  #add(file: number, begin: number, fileBegin: number, length: number, window: number, windowBegin: number): void {
    this.begin.push(begin);
    this.lengthBytes.push(length);
    this.file.push(file);
    this.fileBegin.push(fileBegin);
    this.window.push(window);
    this.windowBegin.push(windowBegin);
  }
}
