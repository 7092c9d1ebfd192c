/** Conditions and ranges of a request (RFC 9110, 13 and 14) and digests (RFC 9530). Pure. */
import type { ByteRange } from '../store/port.js';

/** Strong: other bytes, another tag. */
export function etagOf(sha256: string): string {
  return `"${sha256}"`;
}

export type HeaderValue = string | undefined;

/** The tags of a list, weak ones with their `W/`; null: it is "*"; undefined: it is no such list. */
function tagsOf(value: string): readonly string[] | null | undefined {
  const text = value.trim();
  if (text === '*') return null;
  const tags: string[] = [];
  const item = /\s*((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)/y;
  let at = 0;
  while (at < text.length) {
    item.lastIndex = at;
    const found = item.exec(text);
    if (found === null) return undefined;
    tags.push(found[1]!);
    at = item.lastIndex;
  }
  return tags;
}

/** `If-Match`: whether the request may go on. @param etag of what is there now; null: nothing is */
export function isMatch(value: HeaderValue, etag: string | null): boolean {
  if (value === undefined) return true;
  const tags = tagsOf(value);
  if (tags === undefined) return false;
  return etag !== null && (tags === null || tags.includes(etag));
}

/** `If-None-Match`: whether the request may go on; weak comparison. */
export function isNoneMatch(value: HeaderValue, etag: string | null): boolean {
  if (value === undefined || etag === null) return true;
  const tags = tagsOf(value);
  if (tags === undefined) return true;
  return tags !== null && !tags.some((tag) => tag.replace(/^W\//, '') === etag);
}

/**
 * The range that is answered. Null: all of it (no range, one that is not understood, several, or `If-Range` names other
 * bytes); 'none': no byte of it is there.
 */
export function rangeOf(
  range: HeaderValue,
  ifRange: HeaderValue,
  etag: string,
  lengthBytes: number,
): ByteRange | null | 'none' {
  // Several ranges are not taken apart at all: a hundred thousand of them cost nothing.
  const match = /^bytes=[\t ]*(\d{0,16})-(\d{0,16})[\t ]*$/i.exec(range ?? '');
  if (match === null || (ifRange !== undefined && ifRange.trim() !== etag)) return null;
  const [, first, last] = match as unknown as [string, string, string];
  if (first === '') {
    if (last === '') return null;
    const count = Math.min(lengthBytes, Number(last));
    return count === 0 ? 'none' : { begin: lengthBytes - count, end: lengthBytes };
  }
  if (last !== '' && Number(last) < Number(first)) return null;
  if (Number(first) >= lengthBytes) return 'none';
  return { begin: Number(first), end: last === '' ? lengthBytes : Math.min(lengthBytes, Number(last) + 1) };
}

const HEX64 = /^[0-9a-f]{64}$/i;
const BASE64_32 = /^[A-Za-z0-9+/]{43}=$/;

/** The value of `Repr-Digest` for these bytes. */
export function reprDigest(sha256: string): string {
  return `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;
}

/**
 * The SHA-256 that a request says its body has, in lower-case hexadecimal; null: it says none. What is put is whole and
 * not encoded, so that `Repr-Digest` and `Content-Digest` mean the same. Other algorithms beside
 * it are not looked at (RFC 9530 lets a receiver do so); with no SHA-256 among them nothing is promised.
 * @returns an object when what it says cannot be read
 */
export function statedSha256(
  digestFields: readonly HeaderValue[],
  checksum: HeaderValue,
): string | null | { readonly why: string } {
  const stated = new Set<string>();
  if (checksum !== undefined) {
    if (!HEX64.test(checksum.trim())) return { why: 'X-Checksum-Sha256 is not 64 hexadecimal digits' };
    stated.add(checksum.trim().toLowerCase());
  }
  for (const item of digestFields.flatMap((field) => field?.split(',') ?? [])) {
    const member = /^[\t ]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):[\t ]*$/.exec(item);
    if (member === null) return { why: 'a digest is "sha-256=:BASE64:" (RFC 9530)' };
    if (member[1] !== 'sha-256') continue;
    if (!BASE64_32.test(member[2]!)) return { why: 'the sha-256 of the digest is not 32 bytes in base64' };
    stated.add(Buffer.from(member[2]!, 'base64').toString('hex'));
  }
  if (stated.size > 1) return { why: 'the digests of the request contradict each other' };
  return [...stated][0] ?? null;
}
