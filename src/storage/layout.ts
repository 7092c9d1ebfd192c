/**
 * Where the bytes of a torrent lie in its files. Pure arithmetic, shared by every storage and by the hash check.
 * Torrent offsets run through all files in order, pad files (BEP 47) included; a piece may span many files.
 */
import type { FileEntry } from '../metainfo/metainfo.js';

export interface FileSegment {
  /** Index into the torrent's file list. */
  readonly file: number;
  /** Offset inside the file. */
  readonly beginBytes: number;
  readonly lengthBytes: number;
}

export class FileLayout {
  readonly files: readonly FileEntry[];
  /** Indices of files that hold at least one byte, by torrent offset; and those offsets. */
  readonly #solid: number[] = [];
  readonly #begins: number[] = [];

  constructor(files: readonly FileEntry[]) {
    this.files = files;
    files.forEach((file, index) => {
      if (file.lengthBytes === 0) return;
      this.#solid.push(index);
      this.#begins.push(file.beginBytes);
    });
  }

  /** The segments of torrent range [begin, begin + length), in order. The range must lie inside the torrent. */
  segments(begin: number, length: number): FileSegment[] {
    const segments: FileSegment[] = [];
    let at = this.#find(begin);
    let position = begin;
    const end = begin + length;
    while (position < end) {
      const file = this.#solid[at];
      if (file === undefined) throw new RangeError(`range ${begin}+${length} lies outside the torrent`);
      const entry = this.files[file]!;
      const lengthBytes = Math.min(end, entry.beginBytes + entry.lengthBytes) - position;
      segments.push({ file, beginBytes: position - entry.beginBytes, lengthBytes });
      position += lengthBytes;
      at++;
    }
    return segments;
  }

  /** Position in the list of solid files of the one that holds this torrent offset: binary search. */
  #find(offset: number): number {
    let low = 0;
    let high = this.#begins.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#begins[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
