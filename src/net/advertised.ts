/** What others are told instead of what we know of ourselves: behind NAT, in a container, behind a proxy. Pure. */
import { ipBytes, urlHost } from './address.js';

export interface Advertised {
  /** A name or an address, without brackets. */
  readonly host: string;
  /** Null: the one that is listened on. */
  readonly port: number | null;
  /** The whole base, without a slash at its end; null where only a host was named. */
  readonly url: string | null;
}

export const ADVERTISED_RULE = 'is HOST, HOST:PORT, [IPV6]:PORT or an http(s) URL';
const NAME = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?$/;

/** Null: it is none of those. */
export function parseAdvertised(text: string): Advertised | null {
  if (/^https?:\/\//i.test(text)) return parseUrl(text);
  if (isIPv6(text)) return { host: text, port: null, url: null };
  const match = /^(?:\[([^\]]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return null;
  const [, inBrackets, plain, digits] = match;
  const port = digits === undefined ? null : Number(digits);
  const host = inBrackets ?? plain!;
  const isHost = inBrackets === undefined ? ipBytes(host) !== null || NAME.test(host) : isIPv6(host);
  return isHost && (port === null || (port >= 1 && port <= 65_535)) ? { host, port, url: null } : null;
}

function parseUrl(text: string): Advertised | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.hostname === '' || url.search !== '' || url.hash !== '') return null;
  if (url.username !== '' || url.password !== '') return null;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return { host, port: url.port === '' ? null : Number(url.port), url: url.href.replace(/\/+$/, '') };
}

/** `http://host:port`, or the URL that was given. @param port the one that is listened on */
export function advertisedUrl({ host, port, url }: Advertised, listenPort: number): string {
  return url ?? `http://${urlHost(host)}:${port ?? listenPort}`;
}

function isIPv6(host: string): boolean {
  return ipBytes(host)?.length === 16;
}
