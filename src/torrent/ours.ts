/** Which of the files that are there belong to this torrent, so that a download may change them. */
import type { Bitfield } from '../metainfo/bitfield.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { hasAll, hasAny } from '../metainfo/piece-spans.js';

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
  const whole = geometry.wholePiecesIn(beginBytes, lengthBytes);
  if (whole.first < whole.end) return hasAny(have, whole);
  return isFileFinished({ files, geometry }, have, file);
}

/** Every piece that it shares in is good. */
export function isFileFinished(
  { files, geometry }: Pick<Metainfo, 'files' | 'geometry'>,
  have: Bitfield,
  file: number,
): boolean {
  const { beginBytes, lengthBytes } = files[file]!;
  if (lengthBytes > 0) return hasAll(have, geometry.piecesIn(beginBytes, lengthBytes));
  // An empty one is as good as the piece it lies in; between two it lies in none.
  const piece = geometry.pieceAt(beginBytes);
  return beginBytes === geometry.pieceBegin(piece) || have.has(piece);
}
