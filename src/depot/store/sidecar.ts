/**
 * What lies beside a blob, as text: a record of which file it is and of the hashes of its pieces, and lines of who
 * names it. Both may be damaged, or somebody else's: what cannot be read is not there.
 */
import { createHash } from 'node:crypto';
import { Geometry, PIECE_HASH_BYTES } from '../../metainfo/geometry.js';
import type { FileStamp } from '../../work/file-stamp.js';

const FORMAT = 1;

export interface BlobRecord {
  readonly lengthBytes: number;
  readonly pieceLengthBytes: number | null;
  readonly pieces: Uint8Array | null;
  /** The file that was hashed. */
  readonly stamp: FileStamp;
}

export function encodeRecord({ lengthBytes, pieceLengthBytes, pieces, stamp }: BlobRecord): string {
  const { device, inode, birthNs, mtimeNs } = stamp;
  const content = JSON.stringify({
    format: FORMAT,
    lengthBytes,
    pieceLengthBytes,
    pieces: pieces === null ? null : Buffer.from(pieces).toString('base64'),
    stamp: [device, inode, birthNs, mtimeNs].map(String),
  });
  return `${content}\n${checksum(content)}\n`;
}

/** Null: it is none of ours, or damaged. */
export function parseRecord(text: string): BlobRecord | null {
  const [content = '', sum] = text.split('\n');
  if (sum !== checksum(content)) return null;
  try {
    const { format, lengthBytes, pieceLengthBytes, pieces, stamp } = JSON.parse(content);
    if (format !== FORMAT) return null;
    const [device, inode, birthNs, mtimeNs] = (stamp as string[]).map(BigInt) as [bigint, bigint, bigint, bigint];
    const hashes = pieces === null ? null : new Uint8Array(Buffer.from(pieces, 'base64'));
    if (hashes !== null && hashes.length !== piecesBytes(lengthBytes, pieceLengthBytes)) return null;
    const known = { device, inode, birthNs, mtimeNs, sizeBytes: lengthBytes };
    return { lengthBytes, pieceLengthBytes, pieces: hashes, stamp: known };
  } catch {
    return null;
  }
}

function piecesBytes(lengthBytes: number, pieceLengthBytes: number): number {
  return new Geometry(lengthBytes, pieceLengthBytes).pieceCount * PIECE_HASH_BYTES;
}

function checksum(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}

/**
 * One word about a name, for the file of lines.
 * @param name null: about all names; the blob is gone
 * @param row null: it does not point there any more
 */
export function encodeNote(sha256: string, name: string | null, row: string | null): string {
  return JSON.stringify([sha256, name, row]);
}

/** By blob, by name: the rows of a file of lines. */
export function parseNotes(text: string): Map<string, Map<string, string>> {
  const notes = new Map<string, Map<string, string>>();
  for (const line of text.split('\n')) {
    const note = parseNote(line);
    if (note === null) continue;
    const [sha256, name, row] = note;
    const names = (name === null ? undefined : notes.get(sha256)) ?? new Map<string, string>();
    notes.set(sha256, names);
    if (name === null) continue;
    if (row === null) names.delete(name);
    else names.set(name, row);
  }
  return notes;
}

function parseNote(line: string): [string, string | null, string | null] | null {
  if (line === '') return null;
  try {
    const [sha256, name, row] = JSON.parse(line);
    const isName = typeof name === 'string' || (name === null && row === null);
    const isNote = typeof sha256 === 'string' && isName && (row === null || typeof row === 'string');
    return isNote ? [sha256, name, row] : null;
  } catch {
    return null;
  }
}
