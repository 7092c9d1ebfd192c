/** Hashes that somebody wrote down, to know a torrent or a file by: text in, lower-case hexadecimal out. Pure. */

/** 40 hexadecimal digits or 32 of base32 (version 1), or 64 (version 2, BEP 52). Null: it is none of them. */
export function parseInfoHash(text: string): string | null {
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(text)) return text.toLowerCase();
  return /^[a-z2-7]{32}$/i.test(text) ? hexOfBase32(text.toUpperCase()) : null;
}

/** 64 hexadecimal digits. Null: it is no SHA-256. */
export function parseSha256(text: string): string | null {
  return /^[0-9a-f]{64}$/i.test(text) ? text.toLowerCase() : null;
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** 32 digits of 5 bits are 40 of 4 (RFC 4648). */
function hexOfBase32(digits: string): string {
  let bits = '';
  for (const digit of digits) bits += BASE32.indexOf(digit).toString(2).padStart(5, '0');
  return bits.replace(/.{4}/g, (four) => Number.parseInt(four, 2).toString(16));
}
