/**
 * One peer as a line of text, for a table that several trackers share. Pure; hostile when read: whoever can write there
 * can write anything.
 *
 *     word    kind  base64url(compact address (6 or 18)  peer id (20))  [' '  zone]
 *     kind    s seed   l leech   x stopped; its zone is the name of the tracker that was told so
 *
 * Two words of one address differ in kind, peer id or zone, so a table keyed by words may hold several: the newest
 * counts. 36 characters without a zone (IPv4): Redis keeps small sets of words of up to 64 without an index.
 */
import { isZone, ZONE_CHARS_MAX } from '../../net/zone.js';

export type WordKind = 'seed' | 'leech' | 'stopped';

export interface PeerWord {
  readonly kind: WordKind;
  /** 6 or 18 bytes. */
  readonly compact: Uint8Array;
  /** 20 Latin-1 characters. */
  readonly peerId: string;
  /** '' for none. */
  readonly zone: string;
}

const ID_BYTES = 20;
const BODY_BYTES_4 = 6 + ID_BYTES;
const BODY_BYTES_6 = 18 + ID_BYTES;
const BODY_CHARS_4 = Math.ceil((BODY_BYTES_4 * 4) / 3);
const BODY_CHARS_6 = Math.ceil((BODY_BYTES_6 * 4) / 3);
/** Longer text is no word; nothing is read of it. */
export const WORD_CHARS_MAX: number = 1 + BODY_CHARS_6 + 1 + ZONE_CHARS_MAX;

const LETTERS: Readonly<Record<WordKind, string>> = { seed: 's', leech: 'l', stopped: 'x' };
const KINDS: ReadonlyMap<string, WordKind> = new Map([
  ['s', 'seed'],
  ['l', 'leech'],
  ['x', 'stopped'],
]);

/** Reused: nothing of it stays. */
const scratch = Buffer.alloc(BODY_BYTES_6);

/** @param compact 6 or 18 bytes. @param peerId 20 Latin-1 characters. @param zone '' for none */
export function encodeWord(kind: WordKind, compact: Uint8Array, peerId: string, zone: string): string {
  scratch.set(compact);
  scratch.write(peerId, compact.length, ID_BYTES, 'latin1');
  const body = scratch.toString('base64url', 0, compact.length + ID_BYTES);
  return zone === '' ? LETTERS[kind] + body : `${LETTERS[kind]}${body} ${zone}`;
}

/** Null: it is none, or of an address that no peer has. */
export function parseWord(text: string): PeerWord | null {
  if (text.length > WORD_CHARS_MAX) return null;
  const kind = KINDS.get(text.charAt(0));
  if (kind === undefined) return null;
  const space = text.indexOf(' ');
  const end = space < 0 ? text.length : space;
  const chars = end - 1;
  if (chars !== BODY_CHARS_4 && chars !== BODY_CHARS_6) return null;
  const zone = space < 0 ? '' : text.slice(space + 1);
  if (space >= 0 && !isZone(zone)) return null;
  const body = text.slice(1, end);
  const bytes = Buffer.from(body, 'base64url');
  // Only one text stands for these bytes: else one peer would have many words.
  if (bytes.toString('base64url') !== body) return null;
  const width = bytes.length - ID_BYTES;
  if (!isDialable(bytes, width)) return null;
  return {
    kind,
    compact: new Uint8Array(bytes.subarray(0, width)),
    peerId: bytes.toString('latin1', width),
    zone,
  };
}

/** No port 0, no address that means nobody, everybody or many. */
function isDialable(bytes: Buffer, width: number): boolean {
  if (bytes[width - 2] === 0 && bytes[width - 1] === 0) return false;
  if (width === 6) return bytes[0] !== 0 && bytes[0]! < 224;
  if (bytes[0] === 0xff) return false;
  for (let at = 0; at < 15; at++) if (bytes[at] !== 0) return !isMapped(bytes);
  return bytes[15]! > 0;
}

/** An IPv4 address in the clothes of IPv6: it has a word of its own. */
function isMapped(bytes: Buffer): boolean {
  for (let at = 0; at < 10; at++) if (bytes[at] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}
