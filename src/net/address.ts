/**
 * Peer addresses: text, compact bytes (BEP 23: 6 bytes, BEP 7: 18 bytes) and what may be dialled. Pure.
 * Invariant: the `host` of an `Address` made here is canonical (dotted IPv4; RFC 5952 IPv6 without brackets,
 * IPv4-mapped turned into IPv4; lower-case host name), so two spellings of one address have one key.
 */

import { inRandomOrder } from '../random.js';

/** Where a peer or another host is: an IP address or a name, and a port. */
export interface Address {
  readonly host: string;
  /** 0–65535; 0 can be parsed but not dialled. */
  readonly port: number;
}

/** Longest host name of the DNS (RFC 1035), and room for an IPv6 zone. */
const HOST_CHARS_MAX = 253;
/** One record of compact peers: the address and two bytes of port (BEP 23, BEP 7). */
export const COMPACT4_BYTES = 6;
export const COMPACT6_BYTES = 18;

/**
 * Four or sixteen bytes for an IP literal (brackets and zone not allowed, IPv4-mapped IPv6 gives four); null for
 * anything else.
 */
export function ipBytes(host: string): Uint8Array | null {
  return host.includes(':') ? unmapped(parseIPv6(host)) : parseIPv4(host);
}

/** The canonical text of 4 or 16 address bytes at `begin`. */
export function ipText(bytes: Uint8Array, begin: number, length: number): string {
  if (length === 4) return `${bytes[begin]}.${bytes[begin + 1]}.${bytes[begin + 2]}.${bytes[begin + 3]}`;
  const source = isMapped(bytes, begin) ? 12 : 0;
  if (source === 12) return ipText(bytes, begin + 12, 4);
  return formatIPv6(bytes, begin);
}

/** Canonical spelling of a host, or null when it is neither an IP address nor a possible host name. */
export function canonicalHost(text: string): string | null {
  if (text.length === 0 || text.length > HOST_CHARS_MAX) return null;
  const percent = text.indexOf('%');
  const zone = percent < 0 ? '' : text.slice(percent);
  const bare = percent < 0 ? text : text.slice(0, percent);
  if (zone !== '' && !/^%[A-Za-z0-9._-]{1,32}$/.test(zone)) return null;
  const bytes = ipBytes(bare);
  if (bytes !== null) return bytes.length === 4 && zone !== '' ? null : ipText(bytes, 0, bytes.length) + zone;
  if (zone !== '' || bare.includes(':')) return null;
  return isHostName(bare) ? bare.toLowerCase() : null;
}

/**
 * An `Address` in canonical form, or null when host or port (0–65535) are malformed. Brackets are not part of a host.
 */
export function makeAddress(host: string, port: number): Address | null {
  if (!Number.isInteger(port) || port < 0 || port > 65535) return null;
  const canonical = canonicalHost(host);
  return canonical === null ? null : { host: canonical, port };
}

/**
 * Reads "host:port" or "[v6]:port"; null when malformed. An IPv6 address without brackets is refused: it would be
 * ambiguous.
 */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text.trim());
  if (match === null) return null;
  const bracketed = match[1];
  if (bracketed !== undefined && !bracketed.includes(':')) return null;
  return makeAddress(bracketed ?? match[2]!, Number(match[3]));
}

/** "host:port" or "[v6]:port": what people read, and the key under which an address is known. */
export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Host as it stands in a URL: IPv6 in brackets. */
export function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/**
 * False for what no peer can be reached at: port 0, 0.0.0.0/8, multicast, 240.0.0.0/4 with the broadcast address, `::`,
 * `ff00::/8`.
 */
export function isDialable(address: Address): boolean {
  if (address.port < 1 || address.port > 65535) return false;
  const zone = address.host.indexOf('%');
  const bytes = ipBytes(zone < 0 ? address.host : address.host.slice(0, zone));
  if (bytes === null) return isHostName(address.host);
  if (bytes.length === 4) return bytes[0]! !== 0 && bytes[0]! < 224;
  return bytes[0] !== 0xff && bytes.some((byte) => byte !== 0);
}

/** 6 bytes (BEP 23) or 18 bytes (BEP 7), or null for host names and zoned addresses, which have no compact form. */
export function toCompact(address: Address): Uint8Array | null {
  const ip = ipBytes(address.host);
  if (ip === null) return null;
  const compact = new Uint8Array(ip.length + 2);
  compact.set(ip);
  compact[ip.length] = address.port >> 8;
  compact[ip.length + 1] = address.port & 0xff;
  return compact;
}

/** Concatenated compact forms by family; addresses without one are left out. */
export function encodeCompact(addresses: readonly Address[]): { peers: Buffer; peers6: Buffer } {
  const peers: Uint8Array[] = [];
  const peers6: Uint8Array[] = [];
  for (const address of addresses) {
    const compact = toCompact(address);
    if (compact !== null) (compact.length === COMPACT4_BYTES ? peers : peers6).push(compact);
  }
  return { peers: Buffer.concat(peers), peers6: Buffer.concat(peers6) };
}

/**
 * Addresses of a compact `peers` string (BEP 23), at most `limit`: of a longer one a random sample, for whoever fills
 * its head would hide the rest. Null when the length is not a multiple of 6. Addresses that cannot be dialled are left
 * out.
 * @param random a generator of [0, 1)
 */
export function decodeCompact(bytes: Uint8Array, limit: number, random: () => number): Address[] | null {
  return decodeRecords(bytes, COMPACT4_BYTES, limit, random);
}

/** Like `decodeCompact` for `peers6` (BEP 7): 18 bytes each; IPv4-mapped addresses become IPv4. */
export function decodeCompact6(bytes: Uint8Array, limit: number, random: () => number): Address[] | null {
  return decodeRecords(bytes, COMPACT6_BYTES, limit, random);
}

function decodeRecords(bytes: Uint8Array, recordBytes: number, limit: number, random: () => number): Address[] | null {
  if (bytes.length % recordBytes !== 0) return null;
  const count = bytes.length / recordBytes;
  const order = count > limit ? inRandomOrder(count, random) : Array(count).keys();
  const addresses: Address[] = [];
  for (const index of order) {
    if (addresses.length >= limit) break;
    const at = index * recordBytes;
    const portAt = at + recordBytes - 2;
    const address = {
      host: ipText(bytes, at, recordBytes - 2),
      port: (bytes[portAt]! << 8) | bytes[portAt + 1]!,
    };
    if (isDialable(address)) addresses.push(address);
  }
  return addresses;
}

/** By hand: a tracker reads one with every announce. */
function parseIPv4(text: string): Uint8Array | null {
  const { length } = text;
  if (length < 7 || length > 15) return null;
  const bytes = new Uint8Array(4);
  let part = 0;
  let value = 0;
  let digits = 0;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (digits === 0 || part === 3) return null;
      bytes[part++] = value;
      value = 0;
      digits = 0;
      continue;
    }
    // "010" is octal to some resolvers and decimal to others: refuse what can be read in two ways.
    if (code < 0x30 || code > 0x39 || (digits > 0 && value === 0)) return null;
    value = value * 10 + code - 0x30;
    digits++;
    if (value > 255) return null;
  }
  if (part !== 3 || digits === 0) return null;
  bytes[3] = value;
  return bytes;
}

function parseIPv6(text: string): Uint8Array | null {
  if (text.length > 45) return null;
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = groupBytes(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groupBytes(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const used = head.length + tail.length;
  if (halves.length === 1 ? used !== 16 : used > 14) return null;
  const bytes = new Uint8Array(16);
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** Bytes of colon-separated groups; the last may be dotted IPv4 when it ends the address. */
function groupBytes(text: string, isEnd: boolean): number[] | null {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (isEnd && index === groups.length - 1 && group.includes('.')) {
      const v4 = parseIPv4(group);
      if (v4 === null) return null;
      bytes.push(...v4);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return null;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes;
}

function isMapped(bytes: Uint8Array, begin: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[begin + i] !== 0) return false;
  return bytes[begin + 10] === 0xff && bytes[begin + 11] === 0xff;
}

function unmapped(bytes: Uint8Array | null): Uint8Array | null {
  return bytes !== null && isMapped(bytes, 0) ? bytes.slice(12) : bytes;
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as `::`. */
function formatIPv6(bytes: Uint8Array, begin: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[begin + i]! << 8) | bytes[begin + i + 1]!);
  let bestBegin = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > bestLength) {
      bestBegin = i;
      bestLength = length;
    }
    i += length;
  }
  const text = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (bestBegin < 0) return text(groups);
  return `${text(groups.slice(0, bestBegin))}::${text(groups.slice(bestBegin + bestLength))}`;
}

/** A name that a resolver may be asked for. All-digit last labels are refused: they are failed IPv4 addresses. */
function isHostName(text: string): boolean {
  if (text.length === 0 || text.length > HOST_CHARS_MAX) return false;
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  const labels = name.split('.');
  return (
    labels.every((label) => /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label)) &&
    !/^\d+$/.test(labels.at(-1)!)
  );
}
