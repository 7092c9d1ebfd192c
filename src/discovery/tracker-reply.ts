/** Reads the bencoded answers of HTTP trackers (BEP 3, 7, 23, 48). Pure; every byte is hostile. */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import { type BencodeDictionary, type BencodeValue, decodeChecked, keyName } from '../metainfo/bencode.js';
import {
  type Address,
  COMPACT4_BYTES,
  COMPACT6_BYTES,
  decodeCompact,
  decodeCompact6,
  ipText,
  isDialable,
  makeAddress,
} from '../net/address.js';
import { inRandomOrder } from '../random.js';
import { printable } from '../wire/text.js';
import type { AnnounceReply, ScrapeEntry } from './announce.js';

const TEXT_CHARS_MAX = 200;
/** A tracker id longer than this would not fit a request line any more. */
const TRACKER_ID_BYTES_MAX = 256;
const REPLY_DEPTH_MAX = 8;
const REPLY_TOKENS_MAX = 200_000;
const SECONDS_MAX = 2 ** 31;

/**
 * The dictionary in a body.
 * @throws HaulError TRACKER with `where` in front when it is none, or holds a `failure reason`.
 */
export function readReply(body: Uint8Array, where: string, url: string): BencodeDictionary {
  const value = decodeReply(body, where, url);
  const failure = failureReason(value);
  if (failure !== null) throw new HaulError('TRACKER', `${where}: refused: ${failure}`, { url, failure });
  return value;
}

/** The `failure reason` in a body, printable; null when there is none or the body is something else. */
export function peekFailure(body: Uint8Array): string | null {
  try {
    return failureReason(decodeReply(body, '', ''));
  } catch {
    return null;
  }
}

/**
 * The announce answer in a dictionary. `ownId` drops ourselves from a list of peers with ids.
 * @throws HaulError TRACKER
 */
export function readAnnounce(
  reply: BencodeDictionary,
  reading: PeerReading,
  where: string,
  url: string,
): AnnounceReply {
  const peers = readPeers(reply, reading);
  if (peers === null) throw new HaulError('TRACKER', `${where}: answered peers that cannot be read`, { url });
  const trackerId = reply.get('tracker id');
  return {
    intervalMs: milliseconds(reply.get('interval')),
    minIntervalMs: milliseconds(reply.get('min interval')),
    complete: count(reply.get('complete')),
    incomplete: count(reply.get('incomplete')),
    warning: text(reply.get('warning message')),
    trackerId: trackerId instanceof Uint8Array && trackerId.length <= TRACKER_ID_BYTES_MAX ? trackerId : null,
    externalIp: externalIp(reply.get('external ip')),
    peers,
  };
}

/** BEP 24: 4 or 16 bytes. */
function externalIp(value: BencodeValue | undefined): string | null {
  const isAddress = value instanceof Uint8Array && (value.length === 4 || value.length === 16);
  return isAddress ? ipText(value, 0, value.length) : null;
}

/**
 * BEP 48 `files` by info-hash in hex; asked-for hashes the tracker does not know are absent.
 * @throws HaulError TRACKER
 */
export function readScrape(
  reply: BencodeDictionary,
  infoHashes: readonly Uint8Array[],
  where: string,
  url: string,
): Map<string, ScrapeEntry> {
  const files = reply.get('files');
  if (!(files instanceof Map)) throw new HaulError('TRACKER', `${where}: answered a scrape without files`, { url });
  const entries = new Map<string, ScrapeEntry>();
  for (const infoHash of infoHashes) {
    const file = files.get(keyName(infoHash));
    if (!(file instanceof Map)) continue;
    entries.set(Buffer.from(infoHash).toString('hex'), {
      complete: count(file.get('complete')) ?? 0,
      downloaded: count(file.get('downloaded')) ?? 0,
      incomplete: count(file.get('incomplete')) ?? 0,
    });
  }
  return entries;
}

function decodeReply(body: Uint8Array, where: string, url: string): BencodeDictionary {
  if (body.length === 0) throw new HaulError('TRACKER', `${where}: answered nothing`, { url });
  if (looksLikeHtml(body)) throw new HaulError('TRACKER', `${where}: answered HTML, not a tracker reply`, { url });
  const limits = { depth: REPLY_DEPTH_MAX, tokens: REPLY_TOKENS_MAX, requireSortedKeys: false };
  let value: BencodeValue;
  try {
    value = decodeChecked(body, limits);
  } catch (error) {
    if (!(error instanceof HaulError)) throw error;
    throw new HaulError('TRACKER', `${where}: answered no tracker reply: ${error.message}`, { url }, error);
  }
  if (!(value instanceof Map)) throw new HaulError('TRACKER', `${where}: answered no dictionary`, { url });
  return value;
}

function looksLikeHtml(body: Uint8Array): boolean {
  const head = Buffer.from(body.subarray(0, 64)).toString('latin1');
  return /^(?:\xef\xbb\xbf)?\s*</.test(head);
}

function failureReason(reply: BencodeDictionary): string | null {
  const reason = reply.get('failure reason');
  return reason === undefined ? null : (text(reason) ?? 'no reason given');
}

function text(value: BencodeValue | undefined): string | null {
  if (!(value instanceof Uint8Array)) return null;
  // Four bytes per character at most: no need to decode a megabyte to show 200 characters.
  const head = Buffer.from(value.subarray(0, TEXT_CHARS_MAX * 4)).toString('utf8');
  const shown = printable(head, TEXT_CHARS_MAX);
  return shown === '' ? null : shown;
}

function count(value: BencodeValue | undefined): number | null {
  return typeof value === 'number' && value >= 0 ? value : null;
}

function milliseconds(value: BencodeValue | undefined): number | null {
  return typeof value === 'number' && value > 0 ? Math.min(value, SECONDS_MAX) * 1000 : null;
}

interface PeerReading {
  readonly ownId: Uint8Array;
  /** A generator of [0, 1). */
  readonly random: () => number;
}

/** The peers of a reply, of many a random sample of both families; null when a field has a form that no BEP knows. */
function readPeers(reply: BencodeDictionary, reading: PeerReading): Address[] | null {
  const peers = reply.get('peers') ?? [];
  const peers6 = reply.get('peers6') ?? [];
  const count = entryCount(peers, COMPACT4_BYTES);
  const count6 = entryCount(peers6, COMPACT6_BYTES);
  const limit = LIMITS.knownAddresses;
  const limit6 = count + count6 <= limit ? count6 : Math.ceil((limit * count6) / (count + count6));
  const list = readField(peers, decodeCompact, limit - limit6, reading);
  const list6 = readField(peers6, decodeCompact6, limit6, reading);
  return list === null || list6 === null ? null : [...list, ...list6];
}

function entryCount(field: BencodeValue, recordBytes: number): number {
  if (field instanceof Uint8Array) return Math.floor(field.length / recordBytes);
  return Array.isArray(field) ? field.length : 0;
}

function readField(
  field: BencodeValue,
  decode: typeof decodeCompact,
  limit: number,
  { ownId, random }: PeerReading,
): Address[] | null {
  if (field instanceof Uint8Array) return decode(field, limit, random);
  if (!Array.isArray(field)) return null;
  const items = field.length > limit ? inRandomOrder(field.length, random) : field.keys();
  const peers: Address[] = [];
  for (const index of items) {
    if (peers.length >= limit) break;
    const address = readPeer(field[index]!, ownId);
    if (address !== null) peers.push(address);
  }
  return peers;
}

/**
 * BEP 3's original form: a dictionary of `ip` (address or host name), `port` and `peer id`. Null for one that cannot be
 * used.
 */
function readPeer(item: BencodeValue, ownId: Uint8Array): Address | null {
  if (!(item instanceof Map)) return null;
  const ip = item.get('ip');
  const port = item.get('port');
  const id = item.get('peer id');
  if (!(ip instanceof Uint8Array) || typeof port !== 'number' || ip.length > 255) return null;
  if (id instanceof Uint8Array && Buffer.from(ownId).equals(id)) return null;
  const address = makeAddress(Buffer.from(ip).toString('latin1'), port);
  return address !== null && isDialable(address) ? address : null;
}
