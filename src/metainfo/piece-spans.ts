/** Which pieces touch which files, without a list for each piece. */
import { Bitfield } from './bitfield.js';
import type { Metainfo } from './metainfo.js';

/** The pieces with at least one byte in a file that `isWanted`. */
export function piecesTouching(
  { files, geometry }: Pick<Metainfo, 'files' | 'geometry'>,
  isWanted: (file: number) => boolean,
): Bitfield {
  const pieces = new Bitfield(geometry.pieceCount);
  files.forEach((entry, file) => {
    if (entry.lengthBytes === 0 || entry.isPad || !isWanted(file)) return;
    const { first, end } = geometry.piecesIn(entry.beginBytes, entry.lengthBytes);
    for (let piece: number = first; piece < end; piece++) pieces.set(piece);
  });
  return pieces;
}

interface Span {
  readonly first: number;
  /** The piece behind the last one. */
  readonly end: number;
}

export function hasAny(pieces: Bitfield, { first, end }: Span): boolean {
  for (let piece = first; piece < end; piece++) if (pieces.has(piece)) return true;
  return false;
}

export function hasAll(pieces: Bitfield, { first, end }: Span): boolean {
  for (let piece = first; piece < end; piece++) if (!pieces.has(piece)) return false;
  return true;
}
