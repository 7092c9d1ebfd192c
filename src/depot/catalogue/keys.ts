/**
 * The keys of the catalogue in LevelDB. A key is one letter, a part of fixed width, and
 * the name at the end, so that no name can be taken for another key:
 *
 *   n <name>                     the row
 *   b <sha256>                   how many names the blob has, and its length
 *   i <info-hash> <name>         torrents
 *   e <expiresMs, 16 digits> <name>    what goes by age: not pinned, with a time
 *   u <usedMs, 16 digits> <name>       what goes by idleness: not pinned
 *   p <sha256> <mark, 16 digits> <name>   notes that may not agree with the row; no value
 *   v                            version of all this
 *   t                            counts of all rows
 *
 * LevelDB orders keys by their bytes; so are names then, in UTF-8.
 */
import type { ArtifactRow, NoteMark } from './port.js';
import { ROW_NAME_BYTES_MAX } from './row.js';

export const VERSION_KEY = 'v';
export const COUNTS_KEY = 't';
/** What this code writes and reads. */
export const CATALOGUE_VERSION = 1;

const TIME_DIGITS = 16;
const HASH_DIGITS = 40;
const SHA256_DIGITS = 64;
const MARK_DIGITS = 16;
const MARK_KEY = /^p[0-9a-f]{80}./s;
/** More than any name has: behind all keys that begin with what stands before it. */
const BEHIND_ALL = '\u{10ffff}'.repeat(Math.ceil(ROW_NAME_BYTES_MAX / 4) + 1);

export function rowKey(name: string): string {
  return `n${name}`;
}

export function blobKey(sha256: string): string {
  return `b${sha256}`;
}

export function markKey({ mark, sha256, name }: NoteMark): string {
  return `p${sha256}${mark}${name}`;
}

/** Null: the key is none of a mark. */
export function markInKey(key: string): NoteMark | null {
  if (!MARK_KEY.test(key)) return null;
  const [sha256End, markEnd] = [1 + SHA256_DIGITS, 1 + SHA256_DIGITS + MARK_DIGITS];
  return { mark: key.slice(sha256End, markEnd), sha256: key.slice(1, sha256End), name: key.slice(markEnd) };
}

function time(ms: number): string {
  return String(ms).padStart(TIME_DIGITS, '0');
}

/** The keys, without a value, by which a row is found. */
export function indexKeys(row: ArtifactRow): string[] {
  const keys: string[] = [];
  if (row.infoHash !== null) keys.push(`i${row.infoHash}${row.name}`);
  if (row.isPinned) return keys;
  keys.push(useKey(row));
  if (row.expiresMs !== null) keys.push(ageKey(row));
  return keys;
}

export function useKey({ usedMs, name }: ArtifactRow): string {
  return `u${time(usedMs)}${name}`;
}

/** A row that never goes by age is behind all that do. */
export function ageKey({ expiresMs, name }: ArtifactRow): string {
  return `e${time(expiresMs ?? Number.MAX_SAFE_INTEGER)}${name}`;
}

/** The name in a key of `i`, `e` or `u`. */
export function nameInKey(key: string): string {
  return key.slice(1 + (key.startsWith('i') ? HASH_DIGITS : TIME_DIGITS));
}

export function infoHashInKey(key: string): string {
  return key.slice(1, 1 + HASH_DIGITS);
}

export interface KeyRange {
  readonly gte?: string;
  readonly gt?: string;
  readonly lt: string;
}

/** All keys that begin with this. */
export function keysFrom(prefix: string): KeyRange {
  return { gte: prefix, lt: prefix + BEHIND_ALL };
}

/** Keys of `e` before a time, which may be any number. */
export function keysBefore(nowMs: number): KeyRange {
  const bound = nowMs > Number.MAX_SAFE_INTEGER ? BEHIND_ALL : time(Math.max(0, Math.ceil(nowMs)));
  return { gte: 'e', lt: `e${bound}` };
}

/** Of these keys those behind that one; null: all. */
export function behind(range: KeyRange, key: string | null): KeyRange {
  return key === null ? range : { gt: key, lt: range.lt };
}

/** Rows that begin with `prefix` and come behind the name `after`. */
export function rowsBehind(prefix: string, after: string | null): KeyRange {
  const range = keysFrom(rowKey(prefix));
  if (after === null) return range;
  const key = rowKey(after);
  return Buffer.compare(Buffer.from(key), Buffer.from(range.gte!)) < 0 ? range : { gt: key, lt: range.lt };
}
