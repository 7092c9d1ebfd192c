/**
 * Which addresses are of our own machine or network, and so no place to be sent to by a stranger's word: loopback,
 * link-local (where clouds keep their secrets), private ranges, and what is no host at all. Pure.
 */
import { ipBytes } from './address.js';

/** First bytes and how many bits of them count. */
type Range = readonly [first: readonly number[], bits: number];

const IPV4: readonly Range[] = [
  [[0], 8],
  [[10], 8],
  [[100, 64], 10], // shared by the customers of a provider (RFC 6598)
  [[127], 8],
  [[169, 254], 16],
  [[172, 16], 12],
  [[192, 0, 0], 24],
  [[192, 168], 16],
  [[198, 18], 15], // benchmarks (RFC 2544)
  [[224], 3], // multicast, reserved, broadcast
];

const IPV6: readonly Range[] = [
  [[0xfc], 7],
  [[0xfe, 0x80], 10],
  [[0xfe, 0xc0], 10], // site-local, of old
  [[0xff], 8],
  [[0, 0x64, 0xff, 0x9b, 0, 1], 48], // NAT64 of a network's own (RFC 8215)
  [[0x20, 0x01, 0, 0], 32], // Teredo, of old
];

const LINK_LOCAL: readonly Range[] = [[[169, 254], 16]];
const LOOPBACK: readonly Range[] = [
  [[127], 8],
  [[0], 8],
];

/** IPv6 addresses that carry an IPv4 one, and where it begins: NAT64 (RFC 6052), 6to4 (RFC 3056), SIIT (RFC 2765). */
const CARRIERS: readonly (readonly [Range, number])[] = [
  [[[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0], 96], 12],
  [[[0x20, 0x02], 16], 2],
  [[[0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0], 96], 12],
];

/** True also for what is no IP address. @param host without brackets; a zone is of a link, and so private */
export function isPrivateAddress(host: string): boolean {
  const bytes = ipBytes(host);
  if (bytes === null) return true;
  if (bytes.length === 4) return IPV4.some((range) => isIn(bytes, range));
  const carried = carriedBy(bytes);
  if (carried !== null) return IPV4.some((range) => isIn(carried, range));
  // The unspecified address, loopback, and the IPv4-compatible ones of old.
  if (bytes.subarray(0, 12).every((byte) => byte === 0)) return true;
  return IPV6.some((range) => isIn(bytes, range));
}

/** Of one link only: that is where clouds keep their secrets. */
export function isLinkLocalAddress(host: string): boolean {
  const bytes = ipBytes(host);
  if (bytes === null) return false;
  const carried = bytes.length === 4 ? bytes : carriedBy(bytes);
  if (carried !== null) return LINK_LOCAL.some((range) => isIn(carried, range));
  return isIn(bytes, [[0xfe, 0x80], 10]);
}

/** Of this machine: also the unspecified address, by which it is reached too. */
export function isLoopbackAddress(host: string): boolean {
  const bytes = ipBytes(host);
  if (bytes === null) return false;
  const carried = bytes.length === 4 ? bytes : carriedBy(bytes);
  if (carried !== null) return LOOPBACK.some((range) => isIn(carried, range));
  return bytes.subarray(0, 15).every((byte) => byte === 0) && bytes[15]! <= 1;
}

function carriedBy(bytes: Uint8Array): Uint8Array | null {
  const carrier = CARRIERS.find(([range]) => isIn(bytes, range));
  return carrier === undefined ? null : bytes.subarray(carrier[1], carrier[1] + 4);
}

function isIn(bytes: Uint8Array, [first, bits]: Range): boolean {
  return first.every((byte, index) => {
    const counted = Math.min(8, bits - index * 8);
    return (bytes[index]! ^ byte) >> (8 - counted) === 0;
  });
}

/** An address and not a name. @param host without brackets */
export function isIpLiteral(host: string): boolean {
  return ipBytes(host) !== null;
}
