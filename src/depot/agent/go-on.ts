/**
 * Readers of a fetch that the disk has no room for any more, or that cannot write for another reason: they go on from
 * where they are with bytes that are passed on and kept nowhere. What a reader has got may be unverified, where its
 * last bytes wait for the digest of the whole: then the digest goes on from there, too.
 */
import type { Hash } from 'node:crypto';
import { type ErrorCode, HaulError } from '../../errors.js';
import type { ByteRange } from '../store/port.js';
import { type ReadThroughOptions, readRest, readThrough } from './read-through.js';

/** The begin of a blob as it was given away: so many bytes, and the SHA-256 of them, which can be gone on with. */
export interface Given {
  readonly lengthBytes: number;
  readonly hash: Hash;
}

/**
 * What is known of the bytes that readers have got. 'verified': they are right, all of them; null: nobody knows, so
 * that no answer may come to its end with them.
 */
export type GivenAway = Given | 'verified' | null;

const UNKEPT: ReadonlySet<ErrorCode> = new Set(['NO_SPACE', 'READ_ONLY', 'NO_PERMISSION', 'IO']);

/**
 * It is the cache that cannot be written to, whatever the file system says of it: the depot is not to blame, and is
 * asked for the rest.
 */
export function isUnkept(error: unknown): error is HaulError {
  return error instanceof HaulError && (UNKEPT.has(error.code) || error.facts.errno !== undefined);
}

/**
 * The rest of a range.
 * @param at where the reader is: what is before has left
 * @param givenAway of a range up to the last byte, of which something has left
 * @returns null: it cannot be gone on with
 */
export async function restOf(
  options: ReadThroughOptions,
  { begin, end }: ByteRange,
  at: number,
  givenAway: () => Promise<GivenAway>,
): Promise<AsyncIterable<Uint8Array> | null> {
  const rest = { begin: at, end };
  // Of a range that ends before, nothing leaves that is not verified.
  if (at === begin || end < options.row.lengthBytes) return readThrough(options, rest);
  const given = await givenAway();
  // A reader that is not as far as that would miss what lies between.
  if (given === null || (given !== 'verified' && at < given.lengthBytes)) return null;
  return given === 'verified' ? readThrough(options, rest) : readRest(options, rest, given);
}
