/** Hashes of pieces as an object beside the blob. Whatever cannot be believed is not there. */
import { createHash } from 'node:crypto';
import { choosePieceLength } from '../../../content/create.js';
import { Geometry, PIECE_HASH_BYTES } from '../../../metainfo/geometry.js';
import type { PieceRecord } from '../port.js';

const FORMAT = 1;

export type WholeRecord = PieceRecord & { readonly pieces: Uint8Array; readonly pieceLengthBytes: number };

export function encodePieces(sha256: string, { lengthBytes, pieceLengthBytes, pieces }: WholeRecord): Buffer {
  const hashes = Buffer.from(pieces).toString('base64');
  const content = JSON.stringify({ format: FORMAT, sha256, lengthBytes, pieceLengthBytes, pieces: hashes });
  return Buffer.from(`${content}\n${checksum(content)}\n`);
}

/** Null: it is none of ours, damaged, or about another blob. */
export function parsePieces(text: string, sha256: string, lengthBytes: number): WholeRecord | null {
  const [content = '', sum] = text.split('\n');
  if (sum !== checksum(content)) return null;
  try {
    const said = JSON.parse(content);
    if (said.format !== FORMAT || said.sha256 !== sha256 || said.lengthBytes !== lengthBytes) return null;
    const { pieceLengthBytes } = said;
    const pieces = new Uint8Array(Buffer.from(said.pieces, 'base64'));
    const { pieceCount } = new Geometry(lengthBytes, pieceLengthBytes);
    return pieces.length === pieceCount * PIECE_HASH_BYTES ? { lengthBytes, pieceLengthBytes, pieces } : null;
  } catch {
    return null;
  }
}

function checksum(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** Of one that is in memory. */
export async function piecesOf(bytes: Buffer): Promise<PieceRecord> {
  const pieceLengthBytes = choosePieceLength(bytes.length);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceLengthBytes) {
    const piece = bytes.subarray(at, at + pieceLengthBytes);
    pieces.push(Buffer.from(await crypto.subtle.digest('SHA-1', piece)));
  }
  return { lengthBytes: bytes.length, pieces: new Uint8Array(Buffer.concat(pieces)), pieceLengthBytes };
}
