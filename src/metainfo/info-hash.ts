/** The info-hashes of BEP 3 and 52; the one place of metainfo reading that needs `node:crypto`. */
import { createHash } from 'node:crypto';
import { HaulError } from '../errors.js';
import type { Metainfo } from './metainfo.js';

/** SHA-1 over the original bytes of an info dictionary, 20 bytes. */
export function infoHashOf(infoBytes: Uint8Array): Buffer {
  return createHash('sha1').update(infoBytes).digest();
}

/**
 * @param expected hexadecimal: 40 digits are SHA-1 of the info dictionary, 64 are SHA-256 of it (BEP 52, of a hybrid)
 * @throws HaulError MISMATCH
 */
export function checkInfoHash({ infoBytes, infoHashHex, name }: Metainfo, expected: string): void {
  const isVersion1 = expected.length === 40;
  const found = isVersion1
    ? infoHashOf(infoBytes).toString('hex')
    : createHash('sha256').update(infoBytes).digest('hex');
  // What is announced to peers is the hash that the torrent says it has: it must be the same.
  if (found === expected && (!isVersion1 || infoHashHex === expected)) return;
  const message = `${name}: this is another torrent than was asked for: its info-hash is ${found}, not ${expected}`;
  throw new HaulError('MISMATCH', message, { infoHash: found, expected });
}
