/**
 * Magnet links (BEP 9, and 53 for `so`): read and written. Pure.
 *
 *   magnet:?xt=urn:btih:HASH&dn=NAME&tr=TRACKER&ws=WEB-SEED&x.pe=HOST:PORT&so=0,2,4-6
 *
 * A link comes from anywhere. What decides about the torrent (`xt`, `so`) must be right; of the rest, what cannot be
 * used is left out with a warning. `dn` is a hint for people: no file is named by it.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import type { FilePriority } from '../metainfo/selection.js';
import { isTrackerUrl, isWebSeedUrl } from '../metainfo/urls.js';
import { type Address, formatAddress, isDialable, parseAddress } from '../net/address.js';

/** Files by their place in the torrent's list, from 0, both ends included. */
export interface FileRange {
  readonly first: number;
  readonly last: number;
}

/** A magnet link as `parseMagnet` reads it. */
export interface Magnet {
  /** 20 bytes. */
  readonly infoHash: Buffer;
  readonly infoHashHex: string;
  /** `dn`: what somebody calls it; printable, at most 255 characters. The torrent may have another name. */
  readonly displayName: string | null;
  /** `tr`, in order, each once. */
  readonly trackers: readonly string[];
  /** `ws` (BEP 19). */
  readonly webSeeds: readonly string[];
  /** `x.pe`: addresses or host names. */
  readonly peers: readonly Address[];
  /** `so` (BEP 53): the files that are wanted, ascending and apart; null: all. */
  readonly selectOnly: readonly FileRange[] | null;
  /** What was left out, one line each. */
  readonly warnings: readonly string[];
}

const HEAD = /^magnet:\?/i;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const NAME_CHARACTERS = 255;
const SHOWN_CHARACTERS = 60;

/** Whether a text means to be a magnet link; `parseMagnet` says whether it is one. */
export function isMagnet(text: string): boolean {
  return /^magnet:/i.test(text);
}

/** @throws HaulError BAD_ARGUMENT with what is wrong, LIMIT: it is too long */
export function parseMagnet(text: string): Magnet {
  if (text.length > LIMITS.magnetCharacters) {
    const facts = { limit: LIMITS.magnetCharacters };
    throw new HaulError('LIMIT', `the magnet link has ${text.length} characters, more than ${facts.limit}`, facts);
  }
  const link = text.trim();
  if (!HEAD.test(link)) throw bad("it does not begin with 'magnet:?'");
  const reader = new MagnetReader();
  for (const part of link.slice(link.indexOf('?') + 1).split('&')) {
    const equals = part.indexOf('=');
    if (equals <= 0) continue;
    // From HTML '&' comes as '&amp;'; several of one kind may be numbered: xt.1, tr.2.
    const name = part
      .slice(0, equals)
      .replace(/^amp;/i, '')
      .replace(/\.\d+$/, '')
      .toLowerCase();
    reader.take(name, part.slice(equals + 1));
  }
  return reader.result();
}

class MagnetReader {
  #infoHash: Buffer | null = null;
  #hasVersion2 = false;
  #hasTopic = false;
  #displayName: string | null = null;
  readonly #trackers = new Set<string>();
  readonly #webSeeds = new Set<string>();
  readonly #peers = new Map<string, Address>();
  #selectOnly: FileRange[] | null = null;
  readonly #warnings: string[] = [];
  /** Kinds of which more came than are kept. */
  readonly #full = new Set<string>();

  take(name: string, raw: string): void {
    if (name === 'xt') this.#topic(raw);
    else if (name === 'so') this.#selectOnly = [...(this.#selectOnly ?? []), ...parseRanges(decoded(raw) ?? raw)];
    else if (name === 'dn') this.#displayName ??= nameOf(raw);
    else if (name === 'tr') this.#url(raw, 'tracker', this.#trackers, LIMITS.magnetTrackers, isTrackerUrl);
    else if (name === 'ws') this.#url(raw, 'web seed', this.#webSeeds, LIMITS.magnetWebSeeds, isWebSeedUrl);
    else if (name === 'x.pe') this.#peer(raw);
  }

  result(): Magnet {
    const infoHash = this.#infoHash;
    if (infoHash === null) throw bad(this.#noHash());
    return {
      infoHash,
      infoHashHex: infoHash.toString('hex'),
      displayName: this.#displayName,
      trackers: [...this.#trackers],
      webSeeds: [...this.#webSeeds],
      peers: [...this.#peers.values()],
      selectOnly: this.#selectOnly === null ? null : merged(this.#selectOnly),
      warnings: this.#warnings,
    };
  }

  #noHash(): string {
    if (this.#hasVersion2) return 'it names a version 2 torrent alone (urn:btmh), which is not supported yet';
    if (this.#hasTopic) return 'its xt is no BitTorrent hash (urn:btih:…)';
    return 'it has no xt, which says what torrent it is (xt=urn:btih:…)';
  }

  #topic(raw: string): void {
    const topic = decoded(raw) ?? raw;
    this.#hasTopic = true;
    if (/^urn:btmh:/i.test(topic)) this.#hasVersion2 = true;
    const match = /^urn:btih:(.*)$/is.exec(topic);
    if (match === null) return;
    const hash = parseHash(match[1]!);
    if (hash === null) {
      throw bad(`its hash is neither 40 hexadecimal digits nor 32 letters of base32: ${shown(match[1]!)}`);
    }
    if (this.#infoHash !== null && !this.#infoHash.equals(hash)) throw bad('it names two torrents');
    this.#infoHash = hash;
  }

  #url(raw: string, what: string, found: Set<string>, most: number, isUsable: (url: string) => boolean): void {
    if (found.size >= most) {
      this.#tooMany(what, most);
      return;
    }
    const url = decoded(raw)?.trim();
    if (url === '') return;
    if (url === undefined || !isUsable(url)) this.#warn(`a ${what} is ignored: not a URL this program can use`);
    else found.add(url);
  }

  #peer(raw: string): void {
    if (this.#peers.size >= LIMITS.magnetPeers) {
      this.#tooMany('peer', LIMITS.magnetPeers);
      return;
    }
    const address = parseAddress(decoded(raw) ?? '');
    if (address === null || !isDialable(address)) this.#warn('a peer is ignored: not HOST:PORT');
    else this.#peers.set(formatAddress(address), address);
  }

  #tooMany(what: string, most: number): void {
    if (this.#full.has(what)) return;
    this.#full.add(what);
    this.#warnings.push(`more than ${most} of kind ${what}; the rest is ignored`);
  }

  /** The same trouble is told once: a link may have it thousands of times. */
  #warn(line: string): void {
    if (!this.#warnings.includes(line)) this.#warnings.push(line);
  }
}

/** Null: it is not percent-encoded UTF-8. */
function decoded(raw: string): string | null {
  try {
    return decodeURIComponent(raw);
  } catch {
    return null;
  }
}

function nameOf(raw: string): string | null {
  const text = decoded(raw.slice(0, 9 * NAME_CHARACTERS).replaceAll('+', ' ')) ?? raw;
  const name = [...text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '').trim()].slice(0, NAME_CHARACTERS).join('');
  return name === '' ? null : name;
}

function parseHash(text: string): Buffer | null {
  if (/^[0-9a-f]{40}$/i.test(text)) return Buffer.from(text, 'hex');
  return /^[a-z2-7]{32}$/i.test(text) ? fromBase32(text.toLowerCase()) : null;
}

/** 8 letters of 5 bits are 5 bytes. */
function fromBase32(text: string): Buffer {
  const bytes = Buffer.alloc((text.length * 5) / 8);
  let bits = 0;
  let count = 0;
  let at = 0;
  for (const letter of text) {
    bits = (bits << 5) | BASE32.indexOf(letter);
    count += 5;
    if (count < 8) continue;
    count -= 8;
    bytes[at++] = bits >> count;
    bits &= (1 << count) - 1;
  }
  return bytes;
}

/** BEP 53: places and ranges of places. They are never written out: one may name four thousand million. */
function parseRanges(text: string): FileRange[] {
  return text.split(',').map((part) => {
    const match = /^\s*(\d{1,15})(?:-(\d{1,15}))?\s*$/.exec(part);
    if (match === null) throw bad(`so must be numbers and ranges such as 0,2,4-6, not ${shown(part)}`);
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (last < first) throw bad(`so has a range that ends before it begins: ${shown(part)}`);
    return { first, last };
  });
}

/** Ascending, and none touches the next. */
function merged(ranges: readonly FileRange[]): FileRange[] {
  const result: FileRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = result.at(-1);
    if (before !== undefined && range.first <= before.last + 1) {
      result[result.length - 1] = { first: before.first, last: Math.max(before.last, range.last) };
    } else result.push(range);
  }
  return result;
}

/**
 * The priority of each file by `so`: those that it names are wanted, the others skipped.
 * @param ranges of a `Magnet` @throws HaulError BAD_ARGUMENT: the torrent has none of them
 */
export function selectedBy(ranges: readonly FileRange[], fileCount: number): FilePriority[] {
  const priorities = new Array<FilePriority>(fileCount).fill('skip');
  for (const { first, last } of ranges) priorities.fill('normal', Math.min(first, fileCount), last + 1);
  if (priorities.includes('normal')) return priorities;
  throw bad(`so names none of the files of the torrent, which has ${fileCount}`);
}

/** What `formatMagnet` writes. */
export interface MagnetFields {
  readonly infoHash: Uint8Array;
  readonly displayName?: string | null;
  readonly trackers?: readonly string[];
  readonly webSeeds?: readonly string[];
  readonly peers?: readonly Address[];
}

/** A magnet link that every client reads: the hash in hexadecimal first, then name, trackers, web seeds, peers. */
export function formatMagnet(fields: MagnetFields): string {
  const parts = [`xt=urn:btih:${Buffer.from(fields.infoHash).toString('hex')}`];
  const add = (name: string, value: string): void => void parts.push(`${name}=${encodeURIComponent(value)}`);
  // Half of a character pair cannot be encoded.
  if (fields.displayName != null) add('dn', Buffer.from(fields.displayName).toString());
  for (const url of fields.trackers ?? []) add('tr', url);
  for (const url of fields.webSeeds ?? []) add('ws', url);
  for (const address of fields.peers ?? []) parts.push(`x.pe=${formatAddress(address)}`);
  return `magnet:?${parts.join('&')}`;
}

function shown(text: string): string {
  const head = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD').slice(0, SHOWN_CHARACTERS);
  return `'${head}${text.length > SHOWN_CHARACTERS ? '…' : ''}'`;
}

function bad(what: string): HaulError {
  return new HaulError('BAD_ARGUMENT', `bad magnet link: ${what}`);
}
