/** How far each file is, worked out when asked. Pure. */
import type { FileProgress } from '../api.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { FileEntry, Metainfo } from '../metainfo/metainfo.js';
import type { FilePriority } from '../metainfo/selection.js';

/**
 * @param have verified pieces; null: nothing is known yet
 * @param priorities one for each file; null: all normal
 */
export function fileProgress(
  metainfo: Metainfo,
  have: Bitfield | null,
  priorities: readonly FilePriority[] | null,
): FileProgress[] {
  return metainfo.files.map((file, index) => {
    const verifiedBytes = have === null ? 0 : verifiedIn(metainfo, file, have);
    return {
      path: file.path,
      lengthBytes: file.lengthBytes,
      verifiedBytes,
      priority: priorities?.[index] ?? 'normal',
      isComplete: have !== null && verifiedBytes === file.lengthBytes,
    };
  });
}

function verifiedIn({ geometry }: Metainfo, { beginBytes, lengthBytes }: FileEntry, have: Bitfield): number {
  if (lengthBytes === 0) return 0;
  const endBytes = beginBytes + lengthBytes;
  const last = Math.floor((endBytes - 1) / geometry.pieceLengthBytes);
  let bytes = 0;
  for (let piece = Math.floor(beginBytes / geometry.pieceLengthBytes); piece <= last; piece++) {
    if (!have.has(piece)) continue;
    const begin = geometry.pieceBegin(piece as PieceIndex);
    bytes += Math.min(endBytes, begin + geometry.pieceLength(piece as PieceIndex)) - Math.max(beginBytes, begin);
  }
  return bytes;
}
