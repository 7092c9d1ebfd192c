/**
 * Datagrams of a client of UDP trackers (BEP 15), with URL data (BEP 41). Pure; every byte of a reply is hostile.
 *
 *     connect    protocol id 8 | action 0 | transaction 4       ->  action | transaction | connection id 8
 *     announce   connection id | action 1 | transaction | 82 …  ->  … | interval | leeches | seeds | peers
 *     scrape     connection id | action 2 | transaction | hashes  ->  … | seeds, downloaded, leeches of each
 */
import { LIMITS } from '../config.js';
import { decodeCompact, decodeCompact6, ipBytes } from '../net/address.js';
import { printable } from '../wire/text.js';
import type { AnnounceReply, AnnounceRequest, ScrapeEntry } from './announce.js';

const PROTOCOL_ID = 0x41727101980n;
export const CONNECT = 0;
export const ANNOUNCE = 1;
export const SCRAPE = 2;
export const ERROR = 3;
const EVENTS = { completed: 1, started: 2, stopped: 3 } as const;

const HEAD_BYTES = 8;
const CONNECT_REPLY_BYTES = 16;
const ANNOUNCE_BYTES = 98;
const ANNOUNCE_REPLY_BYTES = 20;
const SCRAPE_ENTRY_BYTES = 12;
const HASH_BYTES = 20;
/** BEP 15: about so many fit a datagram that is not cut. */
export const UDP_SCRAPE_HASHES_MAX = 74;
/** BEP 41: the path and query of the tracker, in pieces of up to 255 bytes. */
const URL_DATA = 2;
const URL_DATA_BYTES = 255;
/** With more an announce would not fit an Ethernet frame. */
export const URL_DATA_BYTES_MAX = 1200;
const MESSAGE_CHARS_MAX = 200;
const INT32_MAX = 2 ** 31 - 1;

export type Action = typeof CONNECT | typeof ANNOUNCE | typeof SCRAPE;

export function connectRequest(transaction: number): Buffer {
  const bytes = Buffer.alloc(CONNECT_REPLY_BYTES);
  bytes.writeBigUInt64BE(PROTOCOL_ID, 0);
  bytes.writeUInt32BE(CONNECT, 8);
  bytes.writeUInt32BE(transaction, 12);
  return bytes;
}

/**
 * @param connectionId 8 bytes
 * @param urlData what follows the host in the tracker's URL, at most URL_DATA_BYTES_MAX bytes; '' for nothing
 */
export function announceRequest(
  connectionId: Uint8Array,
  transaction: number,
  request: AnnounceRequest,
  urlData: string,
): Buffer {
  const bytes = Buffer.alloc(ANNOUNCE_BYTES);
  writeHead(bytes, connectionId, ANNOUNCE, transaction);
  bytes.set(request.infoHash, 16);
  bytes.set(request.peerId, 36);
  bytes.writeBigUInt64BE(BigInt(request.downloadedBytes), 56);
  bytes.writeBigUInt64BE(BigInt(request.leftBytes), 64);
  bytes.writeBigUInt64BE(BigInt(request.uploadedBytes), 72);
  bytes.writeUInt32BE(request.event === undefined ? 0 : EVENTS[request.event], 80);
  // There is room for IPv4 only.
  const ip = request.ip === undefined ? null : ipBytes(request.ip);
  if (ip?.length === 4) bytes.set(ip, 84);
  bytes.writeUInt32BE((request.key ?? 0) >>> 0, 88);
  bytes.writeInt32BE(Math.min(request.numwant, INT32_MAX), 92);
  bytes.writeUInt16BE(request.port, 96);
  return urlData === '' ? bytes : Buffer.concat([bytes, ...urlDataOptions(urlData)]);
}

export function scrapeRequest(
  connectionId: Uint8Array,
  transaction: number,
  infoHashes: readonly Uint8Array[],
): Buffer {
  const bytes = Buffer.alloc(16 + infoHashes.length * HASH_BYTES);
  writeHead(bytes, connectionId, SCRAPE, transaction);
  for (const [index, infoHash] of infoHashes.entries()) bytes.set(infoHash, 16 + index * HASH_BYTES);
  return bytes;
}

function writeHead(bytes: Buffer, connectionId: Uint8Array, action: number, transaction: number): void {
  bytes.set(connectionId, 0);
  bytes.writeUInt32BE(action, 8);
  bytes.writeUInt32BE(transaction, 12);
}

function urlDataOptions(urlData: string): Buffer[] {
  const text = Buffer.from(urlData, 'latin1');
  const options: Buffer[] = [];
  for (let at = 0; at < text.length; at += URL_DATA_BYTES) {
    const part = text.subarray(at, at + URL_DATA_BYTES);
    options.push(Buffer.from([URL_DATA, part.length]), part);
  }
  return options;
}

/** Whose answer this is; null: it is too short to be one. */
export function replyHead(bytes: Buffer): { readonly action: number; readonly transaction: number } | null {
  if (bytes.length < HEAD_BYTES) return null;
  return { action: bytes.readUInt32BE(0), transaction: bytes.readUInt32BE(4) };
}

/** The words of an error reply, printable. */
export function readError(bytes: Buffer): string {
  const text = printable(bytes.toString('utf8', HEAD_BYTES, HEAD_BYTES + MESSAGE_CHARS_MAX * 4), MESSAGE_CHARS_MAX);
  return text === '' ? 'no reason given' : text;
}

/** Eight bytes of its own; null: too short. */
export function readConnect(bytes: Buffer): Buffer | null {
  return bytes.length < CONNECT_REPLY_BYTES ? null : Buffer.from(bytes.subarray(HEAD_BYTES, CONNECT_REPLY_BYTES));
}

/** Null: too short, or not a whole number of peers. @param isIPv6 the family it came by says how long addresses are */
export function readAnnounceReply(bytes: Buffer, isIPv6: boolean, random: () => number): AnnounceReply | null {
  if (bytes.length < ANNOUNCE_REPLY_BYTES) return null;
  const decode = isIPv6 ? decodeCompact6 : decodeCompact;
  const peers = decode(bytes.subarray(ANNOUNCE_REPLY_BYTES), LIMITS.knownAddresses, random);
  if (peers === null) return null;
  const seconds = bytes.readInt32BE(8);
  return {
    intervalMs: seconds > 0 ? seconds * 1000 : null,
    minIntervalMs: null,
    complete: count(bytes.readInt32BE(16)),
    incomplete: count(bytes.readInt32BE(12)),
    warning: null,
    trackerId: null,
    externalIp: null,
    peers,
  };
}

function count(value: number): number | null {
  return value >= 0 ? value : null;
}

/** By info-hash in hex; null: it has not as many entries as were asked for. Unknown ones are all zero, or absent. */
export function readScrapeReply(bytes: Buffer, infoHashes: readonly Uint8Array[]): Map<string, ScrapeEntry> | null {
  if (bytes.length < HEAD_BYTES + infoHashes.length * SCRAPE_ENTRY_BYTES) return null;
  const entries = new Map<string, ScrapeEntry>();
  for (const [index, infoHash] of infoHashes.entries()) {
    const at = HEAD_BYTES + index * SCRAPE_ENTRY_BYTES;
    const [complete, downloaded, incomplete] = [0, 4, 8].map((offset) => Math.max(0, bytes.readInt32BE(at + offset)));
    entries.set(Buffer.from(infoHash).toString('hex'), {
      complete: complete!,
      downloaded: downloaded!,
      incomplete: incomplete!,
    });
  }
  return entries;
}
