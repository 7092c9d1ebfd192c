/**
 * Ids of the DHT: 20 bytes, compared by XOR (BEP 5), and bound to the address of their node (BEP 42), so that nobody
 * chooses a place beside a torrent. Pure: dice are an argument.
 */
import { ipBytes } from '../net/address.js';
import { reachOf } from '../net/reach.js';

export const ID_BYTES = 20;
export const ID_BITS = 160;

const MASK4 = [0x03, 0x0f, 0x3f, 0xff];
const MASK6 = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];

/** Polynomial of CRC32C (Castagnoli), its bits reversed. */
const CRC32C = 0x82f63b78;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ CRC32C : value >>> 1;
  return value;
});

function crc32c(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ TABLE[(value ^ byte) & 0xff]!;
  return ~value >>> 0;
}

/** The first 21 bits that the id of this address has, for one of eight numbers. */
function boundBits(ip: Uint8Array, number: number): number {
  const mask = ip.length === 4 ? MASK4 : MASK6;
  const masked = Uint8Array.from(mask, (bits, index) => ip[index]! & bits);
  masked[0]! |= (number & 7) << 5;
  return crc32c(masked) & 0xfffff800;
}

/**
 * A new id for a node at this address; one of chance where the address is not known, or none of the Internet.
 * @param host an IP address, or null
 */
export function makeNodeId(host: string | null, randomBytes: (count: number) => Uint8Array): Buffer {
  const id = Buffer.from(randomBytes(ID_BYTES));
  const ip = host === null || reachOf(host) !== 'public' ? null : ipBytes(host);
  if (ip === null) return id;
  const bits = boundBits(ip, id[19]!);
  id[0] = bits >>> 24;
  id[1] = (bits >>> 16) & 0xff;
  id[2] = ((bits >>> 8) & 0xf8) | (id[2]! & 7);
  return id;
}

/** Whether a node of this address may have this id (BEP 42). Nodes of private networks may have any. */
export function idFitsAddress(id: Uint8Array, host: string): boolean {
  if (reachOf(host) !== 'public') return true;
  const ip = ipBytes(host)!;
  const bits = boundBits(ip, id[19]!);
  return id[0] === bits >>> 24 && id[1] === ((bits >>> 16) & 0xff) && (id[2]! & 0xf8) === ((bits >>> 8) & 0xf8);
}

/** How many bits two ids have in common from the first on: 0–160. */
export function commonBits(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < ID_BYTES; at++) {
    const difference = a[at]! ^ b[at]!;
    if (difference !== 0) return at * 8 + Math.clz32(difference) - 24;
  }
  return ID_BITS;
}

/** Negative: `a` is closer to the target than `b`. */
export function compareDistance(target: Uint8Array, a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < ID_BYTES; at++) {
    const difference = (a[at]! ^ target[at]!) - (b[at]! ^ target[at]!);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function sameId(a: Uint8Array, b: Uint8Array): boolean {
  return compareDistance(a, a, b) === 0;
}

/** An id that has exactly so many first bits in common with this one. @param bits 0–159 */
export function idAtDistance(id: Uint8Array, bits: number, randomBytes: (count: number) => Uint8Array): Buffer {
  const other = Buffer.from(randomBytes(ID_BYTES));
  const whole = bits >> 3;
  other.set(id.subarray(0, whole), 0);
  const first = 0x80 >> (bits & 7);
  const kept = 0xff & ~((first << 1) - 1);
  other[whole] = (id[whole]! & kept) | (~id[whole]! & first) | (other[whole]! & (first - 1));
  return other;
}
