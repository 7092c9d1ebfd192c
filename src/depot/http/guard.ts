/**
 * Who may talk to the depot from a browser: names that are not ours (DNS rebinding) and other sites that send their
 * visitors to write here are turned away. Pure. Programs send neither Origin nor Sec-Fetch-Site, and are not concerned.
 */
import { ipBytes } from '../../net/address.js';
import { Problem } from './problems.js';

export interface GuardRules {
  /** Names, lower-case, without a port, by which this depot may be reached, beside addresses and localhost. */
  readonly hosts: ReadonlySet<string>;
  /** Origins ("https://ci.example.org") whose pages may read and write here. */
  readonly origins: ReadonlySet<string>;
}

const HOST = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::(\d{1,5}))?$/;

/** The host of an authority, lower-case, without port and brackets; null: it is none. */
export function hostOf(authority: string): string | null {
  const match = HOST.exec(authority);
  if (match === null || Number(match[3] ?? 1) > 65_535) return null;
  return (match[1] ?? match[2]!).toLowerCase().replace(/\.$/, '');
}

/** @throws Problem 400: no host at all; 421: somebody else's name */
export function checkHost(authority: string | undefined, { hosts }: GuardRules): void {
  const host = authority === undefined ? null : hostOf(authority);
  if (host === null) throw new Problem(400, 'BAD_HOST', 'the request names no host that can be read');
  if (ipBytes(host) !== null || host === 'localhost' || host.endsWith('.localhost') || hosts.has(host)) return;
  throw new Problem(
    421,
    'BAD_HOST',
    `this depot is not known as ${host}; if it is meant to be, start it with --allow-host ${host}`,
  );
}

export interface BrowserHeaders {
  readonly origin: string | undefined;
  readonly fetchSite: string | undefined;
  /** Of the request: "host:port". */
  readonly authority: string | undefined;
}

/** Whether the origin is the depot itself, whatever the scheme: a proxy may have taken TLS off. */
function isOwnOrigin(origin: string, authority: string | undefined): boolean {
  const url = URL.canParse(origin) ? new URL(origin) : null;
  if (url === null || authority === undefined) return false;
  const own = URL.canParse(`${url.protocol}//${authority}`) ? new URL(`${url.protocol}//${authority}`) : null;
  return own !== null && own.host === url.host;
}

/** For requests that change something. @throws Problem 403 */
export function checkSameSite({ origin, fetchSite, authority }: BrowserHeaders, { origins }: GuardRules): void {
  if (origin !== undefined && origins.has(origin)) return;
  const isForeign = origin !== undefined && !isOwnOrigin(origin, authority);
  const isCross = fetchSite !== undefined && fetchSite !== 'same-origin' && fetchSite !== 'none';
  if (isForeign || isCross) throw new Problem(403, 'CROSS_SITE', 'pages of other sites may not change anything here');
}

/** What a page of a configured origin needs to read answers; nothing for all others. */
export function corsHeaders(origin: string | undefined, { origins }: GuardRules): Record<string, string> {
  if (origins.size === 0) return {};
  const vary = { vary: 'origin' };
  if (origin === undefined || !origins.has(origin)) return vary;
  return {
    ...vary,
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'etag, repr-digest, content-range, location',
    'cross-origin-resource-policy': 'cross-origin',
  };
}

/** Of an OPTIONS request. */
export function preflightHeaders(origin: string | undefined, rules: GuardRules): Record<string, string> {
  const headers = corsHeaders(origin, rules);
  if (headers['access-control-allow-origin'] === undefined) return headers;
  return {
    ...headers,
    'access-control-allow-methods': 'GET, HEAD, PUT, DELETE',
    'access-control-allow-headers': 'authorization, content-type, if-match, if-none-match, range, repr-digest',
    'access-control-max-age': '600',
  };
}
