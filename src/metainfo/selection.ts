/**
 * Which files of a torrent are wanted, and how much; and what that means for its pieces. Pure arithmetic.
 *
 *   files    | a: normal | b: skip ......... | c: high  |
 *   pieces   |  2   |  2   |  0   |  0   |  3   |  3   |
 *
 * A piece has the highest priority of the files it touches, so the borders of a skipped file may be wanted for its
 * neighbours. Padding (BEP 47) has no priority of its own.
 */
import { HaulError } from '../errors.js';
import { Bitfield } from './bitfield.js';
import type { Geometry, PieceIndex } from './geometry.js';
import type { FileEntry, Metainfo } from './metainfo.js';

const NAMES = ['skip', 'low', 'normal', 'high'] as const;
const SKIP = 0;
const NORMAL = 2;
const OPTION = { option: 'priorities' };

/** How much a file is wanted. */
export type FilePriority = (typeof NAMES)[number];

/**
 * One for each entry of `Metainfo.files` (padding included, where it means nothing), or a function that is asked for
 * each.
 */
export type FilePriorities = readonly FilePriority[] | ((file: FileEntry, index: number) => FilePriority);

export class Selection {
  /** By piece: 0 skip, 1 low, 2 normal, 3 high. */
  readonly pieces: Uint8Array;
  /** By file; padding is never among them. */
  readonly skippedFiles: Bitfield;
  readonly wantedPieces: number;
  /** Bytes of the wanted pieces. */
  readonly wantedBytes: number;
  readonly #files: readonly FileEntry[];
  readonly #geometry: Geometry;

  /** @param levels by file: 0 skip, 1 low, 2 normal, 3 high */
  private constructor(metainfo: Metainfo, levels: Uint8Array) {
    const { files, geometry } = metainfo;
    this.#files = files;
    this.#geometry = geometry;
    this.skippedFiles = new Bitfield(files.length);
    this.pieces = new Uint8Array(geometry.pieceCount);
    const touched = new Bitfield(geometry.pieceCount);
    files.forEach((file, index) => {
      if (file.isPad) return;
      const level = levels[index]!;
      if (level === SKIP) this.skippedFiles.set(index);
      this.#eachPiece(index, (piece) => {
        touched.set(piece);
        if (level > this.pieces[piece]!) this.pieces[piece] = level;
      });
    });
    let wantedPieces = 0;
    let wantedBytes = 0;
    for (let piece = 0; piece < this.pieces.length; piece++) {
      // Nothing but padding: part of the whole, and of nothing less.
      if (this.isWhole && !touched.has(piece)) this.pieces[piece] = NORMAL;
      if (this.pieces[piece] === SKIP) continue;
      wantedPieces++;
      wantedBytes += geometry.pieceLength(piece as PieceIndex);
    }
    this.wantedPieces = wantedPieces;
    this.wantedBytes = wantedBytes;
  }

  /** @throws HaulError BAD_ARGUMENT: not one known priority for each file, or no file is wanted */
  static of(metainfo: Metainfo, priorities: FilePriorities): Selection {
    const { files, name } = metainfo;
    const isList = typeof priorities !== 'function';
    if (isList && (!Array.isArray(priorities) || priorities.length !== files.length)) {
      const given = Array.isArray(priorities) ? `${priorities.length} are given` : 'this is no list';
      throw new HaulError(
        'BAD_ARGUMENT',
        `priorities of ${name}: one for each of its ${files.length} files, ${given}`,
        OPTION,
      );
    }
    const levels = Uint8Array.from(files, (file, index) => {
      if (file.isPad) return SKIP;
      const priority: unknown = isList ? priorities[index] : priorities(file, index);
      const level = NAMES.indexOf(priority as FilePriority);
      if (level >= 0) return level;
      const what = `priority of ${file.path.join('/')}: "${String(priority)}" is none of ${NAMES.join(', ')}`;
      throw new HaulError('BAD_ARGUMENT', what, { ...OPTION, file: index });
    });
    if (files.every((file, index) => file.isPad || levels[index] === SKIP)) {
      throw new HaulError(
        'BAD_ARGUMENT',
        `priorities of ${name}: every file is skipped, nothing is left to download`,
        OPTION,
      );
    }
    return new Selection(metainfo, levels);
  }

  /** The selection that leaves these files out; what a resume record keeps. */
  static without(metainfo: Metainfo, skippedFiles: Bitfield): Selection {
    return new Selection(
      metainfo,
      Uint8Array.from(metainfo.files, (_, index) => (skippedFiles.has(index) ? SKIP : NORMAL)),
    );
  }

  /** No file is skipped. */
  get isWhole(): boolean {
    return this.skippedFiles.count === 0;
  }

  isSkipped(file: number): boolean {
    return this.skippedFiles.has(file);
  }

  isWanted(piece: number): boolean {
    return this.pieces[piece] !== SKIP;
  }

  /** The wanted pieces that hold bytes of skipped files. */
  borders(): Bitfield {
    const borders = new Bitfield(this.pieces.length);
    this.#files.forEach((_, index) => {
      if (!this.isSkipped(index)) return;
      this.#eachPiece(index, (piece) => {
        if (this.isWanted(piece)) borders.set(piece);
      });
    });
    return borders;
  }

  #eachPiece(file: number, visit: (piece: number) => void): void {
    const { beginBytes, lengthBytes } = this.#files[file]!;
    const { first, end } = this.#geometry.piecesIn(beginBytes, lengthBytes);
    for (let piece: number = first; piece < end; piece++) visit(piece);
  }
}

/** The one file with content of its own that is wanted; -1: there are several. @param selection null: all are wanted */
export function onlyFile({ files }: Metainfo, selection: Selection | null): number {
  let only = -1;
  for (const [index, { isPad, symlinkPath }] of files.entries()) {
    if (isPad || symlinkPath !== null || selection?.isSkipped(index) === true) continue;
    if (only >= 0) return -1;
    only = index;
  }
  return only;
}
