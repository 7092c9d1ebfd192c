/**
 * Where the bytes of a torrent lie in its files. Pure arithmetic, shared by every storage and by the hash check.
 * Torrent offsets run through all files in order, pad files (BEP 47) included; a piece may span many files.
 *
 *   files    | a .............. | b, skipped ........................ | c ............. |
 *   pieces   | 0      | 1 (wanted)     | 2      | 3      | 4 (wanted)         | 5      |
 *   stored   | a                | part file | nowhere     | part file | c               |
 *
 * A skipped file is nowhere, but pieces at its borders are wanted for its neighbours and must be whole to be verified
 * and served: what they hold of skipped files lies in one part file of our own, beside the data.
 */
import type { Geometry } from './geometry.js';
import type { FileEntry, Metainfo } from './metainfo.js';
import type { Selection } from './selection.js';
import { stateName } from './state-names.js';

/**
 * Each run of bytes in the part file begins on a page, for it may be mapped. Where pages are larger it is not mapped.
 */
export const PART_ALIGN_BYTES = 4096;

export interface FileSegment {
  /** Index into the torrent's file list; `partFile` for the part file. */
  readonly file: number;
  /** Offset inside the file. */
  readonly beginBytes: number;
  readonly lengthBytes: number;
  /** False: padding, or bytes of a skipped file that no wanted piece holds. */
  readonly isStored: boolean;
}

/** A segment and where it begins in the torrent. */
export interface Stretch extends FileSegment {
  readonly torrentBegin: number;
}

/** The name of a torrent's part file in the output folder. */
export function partFileName({ infoHashHex }: Pick<Metainfo, 'infoHashHex'>): string {
  return stateName(infoHashHex, 'parts');
}

export class FileLayout {
  readonly files: readonly FileEntry[];
  /** All bytes of the torrent, in order. */
  readonly stretches: readonly Stretch[];
  /** The number under which the part file goes. */
  readonly partFile: number;
  /** 0: there is no part file. */
  readonly partFileBytes: number;
  readonly #begins: Float64Array;

  /** @param selection null: every file is stored. */
  constructor({ files, geometry }: Pick<Metainfo, 'files' | 'geometry'>, selection: Selection | null = null) {
    this.files = files;
    this.partFile = files.length;
    const plan = new Plan(this.partFile, geometry);
    files.forEach((file, index) => {
      if (file.lengthBytes === 0) return;
      if (selection?.isSkipped(index) === true) plan.skip(index, file, selection);
      else plan.add(file.beginBytes, index, 0, file.lengthBytes, !file.isPad);
    });
    this.stretches = plan.stretches;
    this.partFileBytes = plan.partFileBytes;
    this.#begins = Float64Array.from(this.stretches, ({ torrentBegin }) => torrentBegin);
  }

  fileLength(file: number): number {
    return file === this.partFile ? this.partFileBytes : this.files[file]!.lengthBytes;
  }

  /** The segments of torrent range [begin, begin + length), in order. The range must lie inside the torrent. */
  segments(begin: number, length: number): FileSegment[] {
    const segments: FileSegment[] = [];
    let at = this.#find(begin);
    let position = begin;
    const end = begin + length;
    while (position < end) {
      const stretch = this.stretches[at];
      if (stretch === undefined) throw new RangeError(`range ${begin}+${length} lies outside the torrent`);
      const { file, torrentBegin, isStored } = stretch;
      const inside = position - torrentBegin;
      const lengthBytes = Math.min(end - position, stretch.lengthBytes - inside);
      segments.push({ file, beginBytes: stretch.beginBytes + inside, lengthBytes, isStored });
      position += lengthBytes;
      at++;
    }
    return segments;
  }

  /** Index of the stretch that holds this torrent offset: binary search. */
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

class Plan {
  readonly stretches: Stretch[] = [];
  partFileBytes = 0;
  readonly #partFile: number;
  readonly #geometry: Geometry;

  constructor(partFile: number, geometry: Geometry) {
    this.#partFile = partFile;
    this.#geometry = geometry;
  }

  add(torrentBegin: number, file: number, beginBytes: number, lengthBytes: number, isStored: boolean): void {
    this.stretches.push({ torrentBegin, file, beginBytes, lengthBytes, isStored });
  }

  /** Only its first and its last piece can be wanted: those between are its own. */
  skip(index: number, file: FileEntry, selection: Selection): void {
    const end = file.beginBytes + file.lengthBytes;
    const first = this.#geometry.pieceAt(file.beginBytes);
    const last = this.#geometry.pieceAt(end - 1);
    const headEnd = selection.isWanted(first) ? Math.min(end, this.#geometry.pieceEnd(first)) : file.beginBytes;
    const tailBegin = last > first && selection.isWanted(last) ? this.#geometry.pieceBegin(last) : end;
    this.#keep(file.beginBytes, headEnd);
    if (tailBegin > headEnd) this.add(headEnd, index, headEnd - file.beginBytes, tailBegin - headEnd, false);
    this.#keep(tailBegin, end);
  }

  /** Appends torrent range [begin, end) to the part file. */
  #keep(begin: number, end: number): void {
    if (end <= begin) return;
    const last = this.stretches.at(-1);
    // A run that goes on, from one skipped file into the next or from one piece into the next, stays one stretch.
    if (last?.file === this.#partFile) {
      this.stretches[this.stretches.length - 1] = { ...last, lengthBytes: last.lengthBytes + end - begin };
      this.partFileBytes += end - begin;
      return;
    }
    const at = Math.ceil(this.partFileBytes / PART_ALIGN_BYTES) * PART_ALIGN_BYTES;
    this.add(begin, this.#partFile, at, end - begin, true);
    this.partFileBytes = at + end - begin;
  }
}
