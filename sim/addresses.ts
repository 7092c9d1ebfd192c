/** Who is where: host n has the address 10.x.y.z:6881 that its number makes. */
import type { Address } from '../src/net/address.js';

const PORT = 6881;

export function addressOf(host: number): Address {
  return { host: `10.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`, port: PORT };
}

export function hostOf(address: Address): number {
  const [, high, middle, low] = address.host.split('.').map(Number);
  return high! * 65536 + middle! * 256 + low!;
}

/** As a tracker sees it and gives it away, BEP 23. */
export function compactOf(host: number): Uint8Array {
  return Uint8Array.of(10, (host >> 16) & 255, (host >> 8) & 255, host & 255, PORT >> 8, PORT & 255);
}

export function peerIdOf(host: number): Buffer {
  return Buffer.from(`-SH0000-${String(host).padStart(12, '0')}`, 'latin1');
}
