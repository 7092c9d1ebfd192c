/** The networks that local service discovery speaks to: what the interfaces of the machine are on. Pure. */
import { type Address, ipBytes, makeAddress } from '../net/address.js';
import { isLinkLocalAddress } from '../net/private-address.js';
import { LSD_LIMITS } from './limits.js';

export type Family = 4 | 6;

/** The groups of BEP 14. */
export const GROUPS: Readonly<Record<Family, string>> = { 4: '239.192.152.143', 6: 'ff15::efc0:988f' };
export const LSD_PORT = 6771;

/** What the system says of an address of an interface (`os.networkInterfaces`). */
export interface InterfaceAddress {
  readonly address: string;
  readonly family: string;
  readonly internal: boolean;
  readonly cidr: string | null;
}

/** A way out of this machine. */
export interface Link {
  readonly family: Family;
  /** What chooses it as the way of multicast: an address of ours (IPv4), or "::%eth0". */
  readonly via: string;
}

/** A network that we are on. */
export interface Network {
  readonly bytes: Uint8Array;
  readonly bits: number;
  /** Our address on it. */
  readonly own: string;
}

export interface Surroundings {
  readonly links: readonly Link[];
  readonly networks: readonly Network[];
}

/**
 * @param host what the engine listens on; undefined or '::': everything. Of one address that interface alone is used,
 * also when it is loopback, which is left out otherwise
 */
export function surroundingsOf(
  interfaces: Readonly<Record<string, readonly InterfaceAddress[] | undefined>>,
  host: string | undefined,
): Surroundings {
  const wanted = host === undefined || host === '::' ? null : (makeAddress(host, 1)?.host ?? host);
  const links = new Map<string, Link>();
  const networks: Network[] = [];
  const counts = { 4: 0, 6: 0 };
  for (const [name, addresses = []] of Object.entries(interfaces)) {
    for (const { address, family: said, internal, cidr } of addresses) {
      const family: Family = said === 'IPv4' ? 4 : 6;
      const isWanted = wanted === null || (wanted === '0.0.0.0' && family === 4) ? !internal : wanted === address;
      const network = networkOf(address, cidr);
      if (!isWanted || network === null) continue;
      const via = family === 4 ? address : `::%${name}`;
      if (!links.has(via)) {
        if (counts[family] >= LSD_LIMITS.links) continue;
        counts[family]++;
        links.set(via, { family, via });
      }
      networks.push(network);
    }
  }
  return { links: [...links.values()], networks };
}

function networkOf(address: string, cidr: string | null): Network | null {
  const bytes = ipBytes(address);
  const bits = /\/(\d{1,3})$/.exec(cidr ?? '');
  return bytes === null || bits === null ? null : { bytes, bits: Number(bits[1]), own: address };
}

/** Whether that address is of one of our networks. @param host an address; a zone says that it is of a link */
export function isOnLink(networks: readonly Network[], host: string): boolean {
  const zone = host.indexOf('%');
  const bytes = ipBytes(zone < 0 ? host : host.slice(0, zone));
  if (bytes === null) return false;
  const isNear = isLinkLocalAddress(zone < 0 ? host : host.slice(0, zone));
  return networks.some((network) => {
    if (network.bytes.length !== bytes.length) return false;
    return (isNear && bytes.length === 16) || isSameStart(network.bytes, bytes, network.bits);
  });
}

/** Whether it is ours. */
export function isOwn(networks: readonly Network[], host: string): boolean {
  const zone = host.indexOf('%');
  return networks.some(({ own }) => own === (zone < 0 ? host : host.slice(0, zone)));
}

function isSameStart(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  for (let index = 0, left = bits; left > 0; index++, left -= 8) {
    if ((a[index]! ^ b[index]!) >> Math.max(0, 8 - left) !== 0) return false;
  }
  return true;
}

/** "239.192.152.143:6771" */
export function groupHost({ family }: Pick<Link, 'family'>): string {
  return family === 4 ? `${GROUPS[4]}:${LSD_PORT}` : `[${GROUPS[6]}]:${LSD_PORT}`;
}

/** The sender of a datagram; null: it has no address that we understand. */
export function senderOf(address: string, port: number): Address | null {
  return makeAddress(address, port);
}
