/** By which address other machines reach this one, as far as that can be known from here. */
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

export type Interfaces = ReturnType<typeof networkInterfaces>;

export const LOOPBACK = '127.0.0.1';

/** The first IPv4 address that is not loopback or link-local, or 127.0.0.1. */
export function localAddress(interfaces: Interfaces = networkInterfaces()): string {
  for (const addresses of Object.values(interfaces)) {
    for (const { family, internal, address } of addresses ?? []) {
      if (family === 'IPv4' && !internal && !address.startsWith('169.254.')) return address;
    }
  }
  return LOOPBACK;
}

/** An address or name as it stands in a URL: IPv6 in brackets (RFC 3986); "all addresses" becomes a real one. */
export function hostForUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return localAddress();
  return isIPv6(host) ? `[${host}]` : host;
}

/** `/NAME.torrent`, encoded so that it needs no quotes in a shell either. */
export function torrentUrlPath(name: string): string {
  const encode = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return `/${encodeURIComponent(`${name}.torrent`).replace(/[!'()*]/g, encode)}`;
}
