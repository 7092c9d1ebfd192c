/** What is noted beside a blob, of rows that name it: believed after checks, as what others can write. Pure. */
import { blobInfoHash } from './blob-info.js';
import type { ArtifactRow } from './catalogue/port.js';
import { rowFromJson } from './catalogue/row.js';
import { fileNameOf, fullName } from './names.js';
import type { BlobStat, PieceRecord } from './store/port.js';

/** @returns the row that was noted under this name, or why it cannot be believed */
export function notedRow(name: string, text: string, blob: BlobStat, sidecar: PieceRecord): ArtifactRow | string {
  const row = rowFromJson(text);
  if (typeof row === 'string') return row;
  if (row.name !== name) return 'a row has another name';
  const [, space = '', path = ''] = /^([^/]*)\/(.*)$/s.exec(name) ?? [];
  try {
    if (space !== 'artifacts' && space !== 'cas' && space !== 'ac') return 'a row has a name of no kind';
    fullName(space, path);
  } catch (error) {
    return (error as Error).message;
  }
  if (row.sha256 !== blob.sha256 || row.lengthBytes !== blob.lengthBytes) return 'a row is of another blob';
  return { ...row, infoHash: row.infoHash === null ? null : infoHashIn(name, sidecar) };
}

/** Of the torrent that the blob has under this name. */
export function infoHashIn(name: string, { lengthBytes, pieces, pieceLengthBytes }: PieceRecord): string | null {
  if (pieces === null || pieceLengthBytes === null) return null;
  return blobInfoHash(fileNameOf(name), { lengthBytes, pieces, pieceLengthBytes });
}
