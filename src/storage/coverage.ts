/**
 * Which parts of new files must have space behind them: what was reserved, and the pieces that were written. A file
 * with fewer blocks has lost data. What is written is never reserved: that would fill a hole with zeros, and hide it.
 *
 *   file | reserved, or written .......... |     | written |      | written |      |
 *        0                            doneBytes    (beyond it: otherBytes in all)
 */
import { Bitfield } from '../metainfo/bitfield.js';
import type { Geometry, PieceIndex } from '../metainfo/geometry.js';
import type { FileLayout, FileSegment } from '../metainfo/layout.js';
import type { Unreserved } from './make-files.js';

/** Some 2 ms of a worker on a machine of 2020. */
const CHUNK_BYTES = 4 * 1024 * 1024;
/** As many as a job takes of files, too. */
const GAPS_PER_CHUNK = 64;

interface Row extends Unreserved {
  doneBytes: number;
  otherBytes: number;
}

/** The next part of a file: what is written of it already is left out. */
export interface Chunk {
  readonly file: number;
  readonly endBytes: number;
  readonly gaps: readonly FileSegment[];
}

export class Coverage {
  readonly #layout: Pick<FileLayout, 'segments'>;
  readonly #geometry: Geometry;
  readonly #beginOf: (file: number) => number;
  readonly #rows: readonly Row[];
  readonly #rowOf: ReadonlyMap<number, Row>;
  readonly #written: Bitfield;
  #next = 0;

  /**
   * @param beginOf where a file begins in the torrent
   * @param unreserved not the part file, and nothing that was there before: of that we do not know what is written
   */
  constructor(
    layout: Pick<FileLayout, 'segments'>,
    geometry: Geometry,
    beginOf: (file: number) => number,
    unreserved: readonly Unreserved[],
  ) {
    this.#layout = layout;
    this.#geometry = geometry;
    this.#beginOf = beginOf;
    const inOrder = [...unreserved].sort((a, b) => a.file - b.file);
    this.#rows = inOrder.map((each) => ({ ...each, doneBytes: each.reservedBytes, otherBytes: 0 }));
    this.#rowOf = new Map(this.#rows.map((row) => [row.file, row]));
    this.#written = new Bitfield(this.#rows.length === 0 ? 0 : geometry.pieceCount);
  }

  /** So much of the file has space behind it, at least; 0 where that is not followed here. */
  leastBytes(file: number): number {
    const row = this.#rowOf.get(file);
    return row === undefined ? 0 : row.doneBytes + row.otherBytes;
  }

  /** Of all files, what has no space behind it yet. */
  get leftBytes(): number {
    return this.#rows.reduce((sum, { lengthBytes, doneBytes, otherBytes }) => {
      return sum + lengthBytes - doneBytes - otherBytes;
    }, 0);
  }

  written(piece: PieceIndex): void {
    if (this.#rows.length === 0 || !this.#written.set(piece)) return;
    const segments = this.#layout.segments(this.#geometry.pieceBegin(piece), this.#geometry.pieceLength(piece));
    for (const { file, beginBytes, lengthBytes, isStored } of segments) {
      const row = this.#rowOf.get(file);
      if (row === undefined || !isStored) continue;
      row.otherBytes += Math.max(0, beginBytes + lengthBytes - Math.max(beginBytes, row.doneBytes));
    }
  }

  /** Null: all of it is reserved, or written. */
  next(): Chunk | null {
    for (let row = this.#rows[this.#next]; row !== undefined; row = this.#rows[++this.#next]) {
      while (row.doneBytes < row.lengthBytes) {
        const windowEnd = Math.min(row.doneBytes + CHUNK_BYTES, row.lengthBytes);
        const all = this.#gaps(row, windowEnd);
        const gaps = all.slice(0, GAPS_PER_CHUNK);
        const endBytes = all[GAPS_PER_CHUNK]?.beginBytes ?? windowEnd;
        const chunk = { file: row.file, endBytes, gaps };
        if (gaps.length > 0) return chunk;
        this.reserved(chunk);
      }
    }
    return null;
  }

  /** What `next` gave. */
  reserved({ file, endBytes }: Chunk): void {
    const row = this.#rowOf.get(file)!;
    const gapBytes = this.#gaps(row, endBytes).reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    row.otherBytes -= endBytes - row.doneBytes - gapBytes;
    row.doneBytes = endBytes;
  }

  /** What is not written of [doneBytes, endBytes). */
  #gaps({ file, doneBytes }: Row, endBytes: number): FileSegment[] {
    const fileBegin = this.#beginOf(file);
    const gaps: FileSegment[] = [];
    let beginBytes = doneBytes;
    for (let at = doneBytes; at < endBytes; ) {
      const piece = this.#geometry.pieceAt(fileBegin + at);
      const pieceEnd = Math.min(endBytes, this.#geometry.pieceEnd(piece) - fileBegin);
      if (this.#written.has(piece)) {
        if (beginBytes < at) gaps.push({ file, beginBytes, lengthBytes: at - beginBytes, isStored: true });
        beginBytes = pieceEnd;
      }
      at = pieceEnd;
    }
    if (beginBytes < endBytes) gaps.push({ file, beginBytes, lengthBytes: endBytes - beginBytes, isStored: true });
    return gaps;
  }
}
