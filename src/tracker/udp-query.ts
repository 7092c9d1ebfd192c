/**
 * Datagrams of UDP trackers (BEP 15) as a tracker reads and answers them, with URL data (BEP 41). Pure; every byte is
 * hostile. What is longer than needed is read as far as it is known.
 */
import { COMPACT6_BYTES } from '../net/address.js';
import { isZone } from '../net/zone.js';
import type { PeerTable } from './peer-table.js';
import type { AnnounceEventWord, AnnounceQuery } from './query.js';
import type { Counts } from './service.js';
import type { SwarmView } from './swarm-view.js';

export const PROTOCOL_ID_HIGH = 0x417;
export const PROTOCOL_ID_LOW = 0x27101980;
export const CONNECT = 0;
export const ANNOUNCE = 1;
export const SCRAPE = 2;
export const ERROR = 3;
export const HEAD_BYTES = 16;
const HASH_BYTES = 20;
const ANNOUNCE_BYTES = 98;
const ANSWER_BYTES = 20;
/** Hashes of one scrape: what fits a datagram that is not cut (BEP 15). */
export const UDP_SCRAPE_HASHES_MAX = 74;
/** BEP 41. */
const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const URL_DATA = 2;
/** Peers of one answer: as many bytes as go through an Ethernet frame, IPv6 and tunnels included. */
const PEER_BYTES_MAX = 1_300;
/** A head, the peers, and one of our own; more than 74 scraped torrents and any text of ours take. */
export const UDP_ANSWER_BYTES_MAX = ANSWER_BYTES + PEER_BYTES_MAX + COMPACT6_BYTES;
const NO_COUNTS: Counts = { complete: 0, downloaded: 0, incomplete: 0 };
const EVENTS: readonly AnnounceEventWord[] = ['', 'completed', 'started', 'stopped'];

export interface UdpAnnounce {
  readonly query: AnnounceQuery;
  /** BEP 41: the path of the URL that was announced to; '' when it was not said. */
  readonly path: string;
}

/** @param bytes a datagram with a head, and behind `length` what is none of it. Null: too short, or an unknown event */
export function readUdpAnnounce(bytes: Buffer, peerBytes: number, length = bytes.length): UdpAnnounce | null {
  if (length < ANNOUNCE_BYTES) return null;
  const event = EVENTS[bytes.readUInt32BE(80)];
  if (event === undefined) return null;
  const wanted = bytes.readInt32BE(92);
  const most = Math.floor(PEER_BYTES_MAX / peerBytes);
  const query: AnnounceQuery = {
    infoHash: bytes.toString('latin1', 16, 36),
    peerId: bytes.toString('latin1', 36, 56),
    port: bytes.readUInt16BE(96),
    isSeed: bytes.readUInt32BE(64) === 0 && bytes.readUInt32BE(68) === 0,
    event,
    numwant: wanted < 0 ? -1 : Math.min(wanted, most),
    isCompact: true,
    noPeerId: true,
    isOneFamily: true,
  };
  if (length === ANNOUNCE_BYTES) return { query, path: '' };
  const url = urlData(bytes, ANNOUNCE_BYTES, length);
  const mark = url.indexOf('?');
  if (mark < 0) return { query, path: url };
  const zone = /(?:^|&)zone=([^&]*)/.exec(url.slice(mark + 1))?.[1];
  if (zone !== undefined && isZone(zone)) query.zone = zone;
  return { query, path: url.slice(0, mark) };
}

function urlData(bytes: Buffer, begin: number, length: number): string {
  let text = '';
  for (let at = begin; at < length; ) {
    const kind = bytes[at]!;
    if (kind === NO_OPERATION) at++;
    else if (kind === END_OF_OPTIONS || at + 2 > length) break;
    else {
      const end = at + 2 + bytes[at + 1]!;
      if (end > length) break;
      // Options that are not known have a length, too.
      if (kind === URL_DATA) text += bytes.toString('latin1', at + 2, end);
      at = end;
    }
  }
  return text;
}

/** Info-hashes, 20 characters each; null: none, too many, or not whole. */
export function readUdpScrape(bytes: Buffer, length = bytes.length): string[] | null {
  const hashBytes = length - HEAD_BYTES;
  if (hashBytes <= 0 || hashBytes % HASH_BYTES !== 0 || hashBytes > UDP_SCRAPE_HASHES_MAX * HASH_BYTES) return null;
  const hashes: string[] = [];
  for (let at = HEAD_BYTES; at < length; at += HASH_BYTES) hashes.push(bytes.toString('latin1', at, at + HASH_BYTES));
  return hashes;
}

/** @param request whose transaction is repeated */
export function writeHead(target: Buffer, action: number, request: Buffer): void {
  target.writeUInt32BE(action, 0);
  for (let i = 0; i < 4; i++) target[4 + i] = request[12 + i]!;
}

/** Each of these writes an answer of up to UDP_ANSWER_BYTES_MAX and returns how many bytes it has. */
export function writeUdpError(request: Buffer, text: string, target: Buffer): number {
  writeHead(target, ERROR, request);
  return 8 + target.write(text, 8, UDP_ANSWER_BYTES_MAX - 8, 'latin1');
}

/** @param table of the family it came by. @param localSeed compact address of a seed that is in no table, or null */
export function writeUdpAnnounce(
  request: Buffer,
  view: SwarmView,
  isIPv6: boolean,
  { localSeed, intervalS }: { readonly localSeed: Uint8Array | null; readonly intervalS: number },
  target: Buffer,
): number {
  const table: PeerTable = isIPv6 ? view.table6 : view.table4;
  const count = isIPv6 ? view.count6 : view.count4;
  const seedBytes = localSeed?.length === table.recordBytes ? table.recordBytes : 0;
  writeHead(target, ANNOUNCE, request);
  target.writeUInt32BE(intervalS, 8);
  target.writeUInt32BE(view.incomplete, 12);
  target.writeUInt32BE(view.complete, 16);
  if (seedBytes > 0) target.set(localSeed!, ANSWER_BYTES);
  table.copyAddresses(isIPv6 ? view.picks6 : view.picks4, count, target, ANSWER_BYTES + seedBytes);
  return ANSWER_BYTES + seedBytes + count * table.recordBytes;
}

/** @param countsOf null: not known, answered with zeros */
export function writeUdpScrape(
  request: Buffer,
  hashes: readonly string[],
  countsOf: (hash: string) => Counts | null,
  target: Buffer,
): number {
  writeHead(target, SCRAPE, request);
  let at = 8;
  for (const hash of hashes) {
    const { complete, downloaded, incomplete } = countsOf(hash) ?? NO_COUNTS;
    target.writeUInt32BE(complete, at);
    target.writeUInt32BE(downloaded, at + 4);
    target.writeUInt32BE(incomplete, at + 8);
    at += 12;
  }
  return at;
}
