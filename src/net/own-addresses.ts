/** By which address other machines reach this one, as far as that can be known from here. */
import { BlockList, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

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

/**
 * By which of our addresses this one reaches us, where only the system knows: the one on its network, else the
 * likeliest of its family.
 */
export function localAddressTowards(remote: string, interfaces: Interfaces = networkInterfaces()): string {
  const host = remote.startsWith('::ffff:') ? remote.slice('::ffff:'.length) : remote.split('%', 1)[0]!;
  const family = host.includes(':') ? 'ipv6' : 'ipv4';
  const found = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address }) => isIPv6(address) === (family === 'ipv6'));
  for (const { address, cidr } of found) {
    const subnet = new BlockList();
    const [network, bits] = (cidr ?? '').split('/');
    if (network === undefined || bits === undefined) continue;
    subnet.addSubnet(network, Number(bits), family);
    if (subnet.check(host, family)) return address;
  }
  return (
    found.find(({ internal, address }) => !internal && !LINK_LOCAL.test(address))?.address ?? localAddress(interfaces)
  );
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
