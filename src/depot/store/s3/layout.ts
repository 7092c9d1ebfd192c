/**
 * Names of objects below the prefix:
 *
 *   depot.json                      says that the prefix is a depot's, and whose
 *   blobs/ab/<sha256>               the bytes
 *   pieces/ab/<sha256>              hashes of pieces, before the blob is there
 *   names/ab/<sha256>/<of name>     one for each name of a blob, before the blob has it: the row
 */
import { createHash } from 'node:crypto';
import { HaulError } from '../../../errors.js';
import { isSha256 } from '../layout.js';

export const MARK = 'depot.json';
/** Of which catalogue it is, where depots share one. */
export const CATALOGUE = 'catalogue';
export const BLOBS = 'blobs/';

export function blobKey(sha256: string): string {
  return `${BLOBS}${sha256.slice(0, 2)}/${sha256}`;
}

export function piecesKey(sha256: string): string {
  return `pieces/${sha256.slice(0, 2)}/${sha256}`;
}

export function namesPrefix(sha256: string): string {
  return `names/${sha256.slice(0, 2)}/${sha256}/`;
}

/** Names are longer than keys may be, and hold anything. */
export function nameKey(sha256: string, name: string): string {
  return namesPrefix(sha256) + createHash('sha256').update(name).digest('hex');
}

/** Null: it is no blob's. */
export function blobOfKey(key: string): string | null {
  const sha256 = key.slice(key.lastIndexOf('/') + 1);
  return isSha256(sha256) && key === blobKey(sha256) ? sha256 : null;
}

/** @throws HaulError BAD_ARGUMENT */
export function checked(sha256: string): string {
  if (isSha256(sha256)) return sha256;
  throw new HaulError('BAD_ARGUMENT', 'a blob is named by 64 lower-case hexadecimal digits', { option: 'sha256' });
}
