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
  const endBytes = beginBytes + lengthBytes;
  const { first, end } = geometry.piecesIn(beginBytes, lengthBytes);
  let bytes = 0;
  for (let index: number = first; index < end; index++) {
    const piece = index as PieceIndex;
    if (!have.has(piece)) continue;
    bytes += Math.min(endBytes, geometry.pieceEnd(piece)) - Math.max(beginBytes, geometry.pieceBegin(piece));
  }
  return bytes;
}
