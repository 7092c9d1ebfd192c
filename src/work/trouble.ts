/**
 * How `digest-pieces` says that a piece could not be read, in the 20 bytes that a digest has: twelve zeros, which no
 * SHA-1 anyone has seen begins with, then errno and the number of the file in the job's list.
 */
import { errnoName } from '../native/errno.js';
import { DIGEST_BYTES } from './job.js';

const ZERO_BYTES = 12;

export interface Trouble {
  /** 'ENODATA': the file ends too early. */
  readonly errno: string;
  readonly file: number;
}

export function encodeTrouble(errno: number, file: number): Buffer {
  const bytes = Buffer.alloc(DIGEST_BYTES);
  bytes.writeUInt32LE(errno, ZERO_BYTES);
  bytes.writeUInt32LE(file, ZERO_BYTES + 4);
  return bytes;
}

/** Null for a digest. */
export function troubleOf(digest: Uint8Array): Trouble | null {
  for (let i = 0; i < ZERO_BYTES; i++) if (digest[i] !== 0) return null;
  const bytes = Buffer.from(digest.buffer, digest.byteOffset, DIGEST_BYTES);
  return { errno: errnoName(bytes.readUInt32LE(ZERO_BYTES)), file: bytes.readUInt32LE(ZERO_BYTES + 4) };
}
