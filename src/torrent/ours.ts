/** Which of the files that are there belong to this torrent, so that a download may change them. */
import type { Bitfield } from '../metainfo/bitfield.js';
import type { Metainfo } from '../metainfo/metainfo.js';

/**
 * Ours is what our own record knows, and what holds a whole piece of this torrent: an earlier version of an image, or
 * what another client left. A file that holds no piece alone counts when all pieces that it shares in are good, for
 * then nothing of it changes: of a shared piece a few bytes may be its own, and a hostile torrent could guess them.
 * @param recorded by file, what the resume record knows
 * @param have verified pieces
 */
export function isFileOurs({ files, geometry }: Metainfo, recorded: Bitfield, have: Bitfield, file: number): boolean {
  const { beginBytes, lengthBytes } = files[file]!;
  // What is in a file that should be empty came from somebody else.
  if (lengthBytes === 0) return false;
  if (recorded.has(file)) return true;
  const { pieceLengthBytes } = geometry;
  const endBytes = beginBytes + lengthBytes;
  const firstWhole = Math.ceil(beginBytes / pieceLengthBytes);
  const isLast = endBytes === geometry.lengthBytes;
  const endWhole = isLast ? geometry.pieceCount : Math.floor(endBytes / pieceLengthBytes);
  if (firstWhole < endWhole) return hasAny(have, firstWhole, endWhole);
  return isFileFinished({ files, geometry }, have, file);
}

/** Every piece that it shares in is good. */
export function isFileFinished(
  { files, geometry }: Pick<Metainfo, 'files' | 'geometry'>,
  have: Bitfield,
  file: number,
): boolean {
  const { beginBytes, lengthBytes } = files[file]!;
  const { pieceLengthBytes } = geometry;
  return hasAll(
    have,
    Math.floor(beginBytes / pieceLengthBytes),
    Math.ceil((beginBytes + lengthBytes) / pieceLengthBytes),
  );
}

function hasAny(have: Bitfield, first: number, end: number): boolean {
  for (let piece = first; piece < end; piece++) if (have.has(piece)) return true;
  return false;
}

function hasAll(have: Bitfield, first: number, end: number): boolean {
  for (let piece = first; piece < end; piece++) if (!have.has(piece)) return false;
  return true;
}
