/** By which address other machines reach this one, as far as that can be known from here. */
import { BlockList, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ipBytes } from './address.js';
import { isPrivateAddress } from './private-address.js';

export type Interfaces = ReturnType<typeof networkInterfaces>;

export const LOOPBACK = '127.0.0.1';

/** Link-local addresses need a zone, which means nothing elsewhere (fe80::/10, 169.254.0.0/16). */
const LINK_LOCAL = /^(?:169\.254\.|fe[89ab])/i;

/**
 * Addresses by which others may reach us, likeliest first: IPv4, then IPv6, no loopback or link-local. May be empty.
 */
export function localAddresses(interfaces: Interfaces = networkInterfaces()): string[] {
  const found = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !LINK_LOCAL.test(address));
  const ofFamily = (wanted: string): string[] =>
    found.filter(({ family }) => family === wanted).map(({ address }) => address);
  return [...new Set([...ofFamily('IPv4'), ...ofFamily('IPv6')])];
}

/** The likeliest of them, or 127.0.0.1. */
export function localAddress(interfaces: Interfaces = networkInterfaces()): string {
  return localAddresses(interfaces)[0] ?? LOOPBACK;
}

/** To list them is a system call for each interface, and for a tracker each announce may be the next to ask. */
const LISTED_MS = 1_000;

interface OwnNetwork {
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  /** May be named to others. */
  readonly isOutside: boolean;
  readonly subnet: BlockList;
}

/** By which of our addresses others reach us, where only the system knows. Asks it once a second at most. */
export class OwnNetworks {
  readonly #now: () => number;
  readonly #list: () => Interfaces;
  #listedAtMs = Number.NEGATIVE_INFINITY;
  #networks: readonly OwnNetwork[] = [];
  #likeliest = LOOPBACK;

  /** @param now milliseconds */
  constructor(now: () => number, list: () => Interfaces = networkInterfaces) {
    this.#now = now;
    this.#list = list;
  }

  /** The one on its network, else the likeliest of its family. */
  towards(remote: string): string {
    const nowMs = this.#now();
    if (nowMs - this.#listedAtMs >= LISTED_MS) {
      this.#listedAtMs = nowMs;
      const interfaces = listed(this.#list);
      if (interfaces !== null) {
        this.#networks = ownNetworks(interfaces);
        this.#likeliest = localAddress(interfaces);
      }
    }
    const host = remote.startsWith('::ffff:') ? remote.slice('::ffff:'.length) : remote.split('%', 1)[0]!;
    const family = host.includes(':') ? 'ipv6' : 'ipv4';
    const found = this.#networks.filter((own) => own.family === family);
    const near = found.find(({ subnet }) => subnet.check(host, family));
    return (near ?? found.find(({ isOutside }) => isOutside))?.address ?? this.#likeliest;
  }
}

/**
 * Says of an address whether it is private, or of this machine: its public ones lead to services that are ours too. A
 * gateway's address is not known here. @param now milliseconds
 */
export function makeIsInside(now: () => number, list: () => Interfaces = networkInterfaces): (host: string) => boolean {
  let listedAtMs = Number.NEGATIVE_INFINITY;
  let own: ReadonlySet<string> = new Set();
  return (host) => {
    if (isPrivateAddress(host)) return true;
    const nowMs = now();
    if (nowMs - listedAtMs >= LISTED_MS) {
      listedAtMs = nowMs;
      const interfaces = listed(list);
      const addresses = interfaces === null ? null : Object.values(interfaces).flatMap((found) => found ?? []);
      if (addresses !== null) own = new Set(addresses.map(({ address }) => spelledOnce(address)));
    }
    return own.has(spelledOnce(host));
  };
}

/** Null: the system does not tell (a sandbox without netlink, no memory). Those of before hold on. */
function listed(list: () => Interfaces): Interfaces | null {
  try {
    return list();
  } catch {
    return null;
  }
}

function spelledOnce(host: string): string {
  const bytes = ipBytes(host.split('%', 1)[0]!);
  return bytes === null ? host : Buffer.from(bytes).toString('hex');
}

function ownNetworks(interfaces: Interfaces): OwnNetwork[] {
  const found = Object.values(interfaces).flatMap((addresses) => addresses ?? []);
  return found.map(({ address, cidr, internal }) => {
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    const subnet = new BlockList();
    const [network, bits] = (cidr ?? '').split('/');
    if (network !== undefined && bits !== undefined) subnet.addSubnet(network, Number(bits), family);
    return { address, family, isOutside: !internal && !LINK_LOCAL.test(address), subnet };
  });
}

/** An address or name as it stands in a URL: IPv6 in brackets (RFC 3986); "all addresses" becomes a real one. */
export function hostForUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return hostForUrl(localAddress());
  return isIPv6(host) ? `[${host}]` : host;
}

/** `/NAME.torrent`, encoded so that it needs no quotes in a shell either. */
export function torrentUrlPath(name: string): string {
  const encode = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return `/${encodeURIComponent(`${name}.torrent`).replace(/[!'()*]/g, encode)}`;
}
