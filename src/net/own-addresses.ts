/** By which address other machines reach this one, as far as that can be known from here. */
import { isIPv6 } from 'node:net';
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
