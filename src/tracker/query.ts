/**
 * Query strings of announce and scrape (BEP 3, 23, 48), read strictly. Pure. Values are raw bytes, not UTF-8: they are
 * kept as Latin-1 strings, one character per byte, which also are the keys of the swarms. `+` is a plus: this is no
 * form. `ip` is ignored: an address that a stranger may choose turns a tracker into a weapon against that address.
 */
import { isZone, ZONE_RULE } from '../net/zone.js';

export type AnnounceEventWord = '' | 'started' | 'stopped' | 'completed';

export interface AnnounceQuery {
  /** 20 characters, one per byte. */
  infoHash: string;
  /** 20 characters, one per byte. */
  peerId: string;
  /** 0: does not listen. */
  port: number;
  isSeed: boolean;
  event: AnnounceEventWord;
  /** −1: not given. */
  numwant: number;
  /** BEP 23; the default here, since every client of this century asks for it. */
  isCompact: boolean;
  noPeerId: boolean;
  /** The reply has room for peers of the asker's own family only (BEP 15). */
  isOneFamily?: boolean;
  /** Ours alone: where the peer is (`net/zone.ts`). Absent: not said. */
  zone?: string;
}

const HASH_CHARS = 20;
/** Digits of 2^63: the largest number that makes sense as a byte count. */
const DIGITS_MAX = 19;
/** Hashes of one scrape; more do not fit the request line anyway. */
export const SCRAPE_HASHES_MAX = 100;

/** An announce, or the text of a failure reason. @param query what follows the `?`. */
export function parseAnnounce(query: string): AnnounceQuery | string {
  const result: AnnounceQuery = {
    infoHash: '',
    peerId: '',
    port: -1,
    isSeed: false,
    event: '',
    numwant: -1,
    isCompact: true,
    noPeerId: false,
  };
  for (let begin = 0; begin < query.length; ) {
    const ampersand = query.indexOf('&', begin);
    const end = ampersand < 0 ? query.length : ampersand;
    const equals = query.indexOf('=', begin);
    if (equals >= 0 && equals < end) {
      const failure = setParameter(result, query, begin, equals, end);
      if (failure !== null) return failure;
    }
    begin = end + 1;
  }
  if (result.infoHash === '') return 'info_hash is missing';
  if (result.peerId === '') return 'peer_id is missing';
  if (result.port < 0) return 'port is missing';
  return result;
}

/** The info-hashes of a scrape, or the text of a failure reason. A scrape of everything is refused: it has no bound. */
export function parseScrape(query: string): string[] | string {
  const hashes: string[] = [];
  for (const part of query.split('&', SCRAPE_HASHES_MAX + 1)) {
    if (!part.startsWith('info_hash=')) continue;
    const hash = unescapeHash(part, 'info_hash='.length, part.length);
    if (hash === null) return 'info_hash must be 20 bytes, percent-encoded';
    if (hashes.length === SCRAPE_HASHES_MAX) return `more than ${SCRAPE_HASHES_MAX} info-hashes in one scrape`;
    hashes.push(hash);
  }
  return hashes.length === 0 ? 'info_hash is missing' : hashes;
}

/**
 * Null, or what is wrong with the parameter [begin, equals) = (equals, end). Unknown ones are ignored, as BEP 3 leaves
 * room for them. Names are compared in place: a string for each would cost more than all the rest.
 */
function setParameter(result: AnnounceQuery, query: string, begin: number, equals: number, end: number): string | null {
  const isNamed = (name: string): boolean => equals - begin === name.length && query.startsWith(name, begin);
  const at = equals + 1;
  switch (equals - begin) {
    case 'port'.length:
      if (isNamed('port')) return setPort(result, wholeNumber(query, at, end));
      if (isNamed('left')) return setLeft(result, wholeNumber(query, at, end));
      return isNamed('zone') ? setZone(result, query.slice(at, end)) : null;
    case 'event'.length:
      return isNamed('event') ? setEvent(result, query.slice(at, end)) : null;
    case 'peer_id'.length:
      if (isNamed('peer_id')) {
        if (result.peerId !== '') return 'peer_id is given twice';
        const id = unescapeHash(query, at, end);
        if (id === null) return 'peer_id must be 20 bytes, percent-encoded';
        result.peerId = id;
      } else if (isNamed('compact')) result.isCompact = !isZero(query, at, end);
      else if (isNamed('numwant')) return setNumwant(result, query, at, end);
      return null;
    case 'info_hash'.length: {
      if (!isNamed('info_hash')) return null;
      if (result.infoHash !== '') return 'info_hash is given twice';
      const hash = unescapeHash(query, at, end);
      if (hash === null) return 'info_hash must be 20 bytes, percent-encoded';
      result.infoHash = hash;
      return null;
    }
    case 'uploaded'.length:
      return isNamed('uploaded') ? checkBytes('uploaded', query, at, end) : null;
    case 'downloaded'.length:
      if (isNamed('no_peer_id')) result.noPeerId = !isZero(query, at, end);
      return isNamed('downloaded') ? checkBytes('downloaded', query, at, end) : null;
    default:
      return null;
  }
}

function setPort(result: AnnounceQuery, port: number | null): string | null {
  if (port === null || port > 65535) return 'port must be 0 to 65535';
  result.port = port;
  return null;
}

function setLeft(result: AnnounceQuery, left: number | null): string | null {
  if (left === null) return 'left must be a number of bytes';
  result.isSeed = left === 0;
  return null;
}

function setNumwant(result: AnnounceQuery, query: string, at: number, end: number): string | null {
  // −1 is how some clients say "as you like".
  const isOpen = at === end || (end - at === 2 && query.startsWith('-1', at));
  const numwant = isOpen ? -1 : wholeNumber(query, at, end);
  if (numwant === null) return 'numwant must be a number';
  result.numwant = numwant;
  return null;
}

function setEvent(result: AnnounceQuery, value: string): string | null {
  if (value === 'started' || value === 'stopped' || value === 'completed') result.event = value;
  // BEP 21 `paused`, and `empty` or nothing from old clients, are regular announces.
  else if (value !== '' && value !== 'paused' && value !== 'empty')
    return 'event must be started, stopped or completed';
  return null;
}

function setZone(result: AnnounceQuery, value: string): string | null {
  if (result.zone !== undefined) return 'zone is given twice';
  // The one character of a zone that some would escape.
  const zone = value.replace(/%2f/gi, '/');
  if (!isZone(zone)) return `zone ${ZONE_RULE}`;
  result.zone = zone;
  return null;
}

function checkBytes(name: string, query: string, at: number, end: number): string | null {
  return wholeNumber(query, at, end) === null ? `${name} must be a number of bytes` : null;
}

function isZero(query: string, at: number, end: number): boolean {
  return end - at === 1 && query.charCodeAt(at) === 0x30;
}

function wholeNumber(text: string, begin: number, end: number): number | null {
  if (begin === end || end - begin > DIGITS_MAX) return null;
  let number = 0;
  for (let i = begin; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return null;
    number = number * 10 + digit;
  }
  return number;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Reused: one string is made of all of them at the end. */
const codes: number[] = new Array(HASH_CHARS).fill(0);

/** Percent-decoding of 20 bytes to one character each. Null for a broken escape or another number of bytes. */
function unescapeHash(text: string, begin: number, end: number): string | null {
  let count = 0;
  for (let i = begin; i < end; i++) {
    let code = text.charCodeAt(i);
    if (code === 0x25) {
      const high = i + 2 < end ? hexDigit(text.charCodeAt(i + 1)) : -1;
      const low = hexDigit(text.charCodeAt(i + 2));
      if (high < 0 || low < 0) return null;
      code = (high << 4) | low;
      i += 2;
    }
    if (code > 0xff || count === HASH_CHARS) return null;
    codes[count++] = code;
  }
  return count === HASH_CHARS ? String.fromCharCode(...codes) : null;
}
