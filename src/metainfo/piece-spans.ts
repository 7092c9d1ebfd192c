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
    const last = Math.floor((entry.beginBytes + entry.lengthBytes - 1) / geometry.pieceLengthBytes);
    for (let piece = Math.floor(entry.beginBytes / geometry.pieceLengthBytes); piece <= last; piece++)
      pieces.set(piece);
  });
  return pieces;
}
