/**
 * Whom a remote address stands for when shares are given out. Pure. An IPv4 address is a host, or a fleet behind one;
 * of IPv6 every host has a /64 and may use a new address for each connection.
 */
import { ipBytes } from './address.js';

const MAPPED = '::ffff:';
const GROUP6_BYTES = 8;

/** @param address as sockets name it: IPv4-mapped and zoned forms included. */
export function groupOf(address: string): string {
  if (address.startsWith(MAPPED)) return address.slice(MAPPED.length);
  if (!address.includes(':')) return address;
  const zone = address.indexOf('%');
  const bytes = ipBytes(zone < 0 ? address : address.slice(0, zone));
  return bytes === null ? address : Buffer.from(bytes.subarray(0, GROUP6_BYTES)).toString('hex');
}
