/**
 * BEP 40, canonical peer priority: an order of pairs of addresses that both ends compute alike and nobody chooses, so
 * that a swarm in which all tables are full stays well connected, and who comes in the greatest number gains little.
 * Pure.
 */
import { ipBytes } from './address.js';

export interface Endpoint {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

/** CRC-32C (Castagnoli), reflected. */
const POLYNOMIAL = 0x82f63b78;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
  return crc;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

/** 0 to 2^32 - 1, the same from both ends; the higher goes first. Addresses of different families: 0. */
export function peerPriority(a: Endpoint, b: Endpoint): number {
  const first = ipBytes(a.host);
  const second = ipBytes(b.host);
  if (first === null || second === null || first.length !== second.length) return 0;
  if (Buffer.compare(first, second) === 0) return crc32c(inOrder(portBytes(a.port), portBytes(b.port)));
  // Of IPv4 a /16 counts in full, of IPv6 a /48; of neighbours inside it one byte more, and so on.
  let full = first.length === 4 ? 2 : 6;
  const last = first.length === 4 ? 4 : 8;
  while (full < last && sameStart(first, second, full)) full++;
  return crc32c(inOrder(masked(first, full), masked(second, full)));
}

function sameStart(a: Uint8Array, b: Uint8Array, length: number): boolean {
  return Buffer.compare(a.subarray(0, length), b.subarray(0, length)) === 0;
}

function masked(bytes: Uint8Array, full: number): Uint8Array {
  return bytes.map((byte, index) => (index < full ? byte : byte & 0x55));
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

function inOrder(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Buffer.compare(a, b) <= 0 ? Buffer.concat([a, b]) : Buffer.concat([b, a]);
}
