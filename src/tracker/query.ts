/**
 * Query strings of announce and scrape (BEP 3, 23, 48), read strictly. Pure. Values are raw bytes, not UTF-8: they are kept
 * as Latin-1 strings, one character per byte, which also are the keys of the swarms. `+` is a plus: this is no form.
 * `ip` is ignored: an address that a stranger may choose turns a tracker into a weapon against that address.
 */

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
      const failure = setParameter(result, query.slice(begin, equals), query.slice(equals + 1, end));
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
    const hash = unescapeBytes(part.slice('info_hash='.length));
    if (hash?.length !== HASH_CHARS) return 'info_hash must be 20 bytes, percent-encoded';
    if (hashes.length === SCRAPE_HASHES_MAX) return `more than ${SCRAPE_HASHES_MAX} info-hashes in one scrape`;
    hashes.push(hash);
  }
  return hashes.length === 0 ? 'info_hash is missing' : hashes;
}

/** Null, or what is wrong with this parameter. Unknown ones are ignored, as BEP 3 leaves room for them. */
function setParameter(result: AnnounceQuery, name: string, value: string): string | null {
  switch (name) {
    case 'info_hash': {
      if (result.infoHash !== '') return 'info_hash is given twice';
      const hash = unescapeBytes(value);
      if (hash?.length !== HASH_CHARS) return 'info_hash must be 20 bytes, percent-encoded';
      result.infoHash = hash;
      return null;
    }
    case 'peer_id': {
      if (result.peerId !== '') return 'peer_id is given twice';
      const id = unescapeBytes(value);
      if (id?.length !== HASH_CHARS) return 'peer_id must be 20 bytes, percent-encoded';
      result.peerId = id;
      return null;
    }
    case 'port': {
      const port = wholeNumber(value);
      if (port === null || port > 65535) return 'port must be 0 to 65535';
      result.port = port;
      return null;
    }
    case 'left': {
      const left = wholeNumber(value);
      if (left === null) return 'left must be a number of bytes';
      result.isSeed = left === 0;
      return null;
    }
    case 'uploaded':
    case 'downloaded':
      return wholeNumber(value) === null ? `${name} must be a number of bytes` : null;
    case 'numwant': {
      // −1 is how some clients say "as you like".
      const numwant = value === '-1' || value === '' ? -1 : wholeNumber(value);
      if (numwant === null) return 'numwant must be a number';
      result.numwant = numwant;
      return null;
    }
    case 'event':
      return setEvent(result, value);
    case 'compact':
      result.isCompact = value !== '0';
      return null;
    case 'no_peer_id':
      result.noPeerId = value !== '0';
      return null;
    default:
      return null;
  }
}

function setEvent(result: AnnounceQuery, value: string): string | null {
  if (value === 'started' || value === 'stopped' || value === 'completed') result.event = value;
  // BEP 21 `paused`, and `empty` or nothing from old clients, are regular announces.
  else if (value !== '' && value !== 'paused' && value !== 'empty')
    return 'event must be started, stopped or completed';
  return null;
}

function wholeNumber(value: string): number | null {
  if (value.length === 0 || value.length > DIGITS_MAX) return null;
  let number = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
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

/** Percent-decoding to one character per byte. Null for a broken escape or too many bytes. */
function unescapeBytes(value: string): string | null {
  if (value.length > HASH_CHARS * 3) return null;
  let bytes = '';
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code > 0xff) return null;
    if (code !== 0x25) {
      bytes += String.fromCharCode(code);
      continue;
    }
    const high = hexDigit(value.charCodeAt(i + 1));
    const low = hexDigit(value.charCodeAt(i + 2));
    if (high < 0 || low < 0) return null;
    bytes += String.fromCharCode((high << 4) | low);
    i += 2;
  }
  return bytes;
}
