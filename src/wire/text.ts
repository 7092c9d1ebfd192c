/** Text that came from a peer, made safe to print on a terminal and in a log line. */

/**
 * Controls, format characters (bidirectional overrides, zero width), lone surrogates, unassigned, private use,
 * separators but the space.
 */
const UNPRINTABLE = /(?! )[\p{C}\p{Z}]/gu;

/** Replaces what is not printable by '?' and cuts to `maxChars` characters (code points). */
export function printable(text: string, maxChars: number): string {
  // Cut in UTF-16 units first so that the work is bounded by the limit, not by the peer; then never through a pair.
  const head = text.slice(0, maxChars * 2).replace(UNPRINTABLE, '?');
  return Array.from(head).slice(0, maxChars).join('').trim();
}
