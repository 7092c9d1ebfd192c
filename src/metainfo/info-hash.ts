/** The info-hash of BEP 3; the one place of metainfo reading that needs `node:crypto`. */
import { createHash } from 'node:crypto';

/** SHA-1 over the original bytes of an info dictionary, 20 bytes. */
export function infoHashOf(infoBytes: Uint8Array): Buffer {
  return createHash('sha1').update(infoBytes).digest();
}
