/**
 * GET with redirects: the one loop for .torrent files and trackers. Bodies of redirects are closed unread. What headers
 * go where, how often, and what counts as a target is up to the caller.
 */
import type { Dispatcher } from 'undici';
import type { Requests } from './http-client.js';

export interface Redirecting {
  readonly client: Requests;
  /** What asks where a redirect leads; default `client`. @throws what the caller gets */
  clientFor?(from: URL, to: URL): Requests;
  readonly signal: AbortSignal;
  readonly redirectsMax: number;
  /** For the requests to this URL: credentials are for their own origin only. */
  headersFor(url: URL): Record<string, string>;
  /** Of each request; undici's own unless given. */
  readonly timeoutMs?: number;
  /** Where a `location` leads to; null: it was none. @throws what the caller gets */
  target(location: URL | null): URL;
  /** What the caller gets when there were too many. */
  tooMany(): Error;
}

/** The reply that is no redirect. @throws as `Requests.request`, `target` and `tooMany` */
export async function getFollowing(start: URL, options: Redirecting): Promise<Dispatcher.ResponseData> {
  const { signal, timeoutMs } = options;
  let { client } = options;
  const timeouts = timeoutMs === undefined ? {} : { headersTimeout: timeoutMs, bodyTimeout: timeoutMs };
  let url = start;
  for (let redirects = 0; ; redirects++) {
    signal.throwIfAborted();
    const reply = await client.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: 'GET',
      signal,
      headers: options.headersFor(url),
      ...timeouts,
    });
    const isRedirect = reply.statusCode >= 300 && reply.statusCode < 400;
    const location = isRedirect ? headerText(reply.headers.location) : null;
    if (location === null) return reply;
    discard(reply.body);
    if (redirects === options.redirectsMax) throw options.tooMany();
    const next = options.target(URL.canParse(location, url.href) ? new URL(location, url) : null);
    client = options.clientFor?.(url, next) ?? client;
    url = next;
  }
}

export function headerText(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null;
}

/** Closes a body nobody reads. Its abort error is expected. */
export function discard(body: Dispatcher.ResponseData['body']): void {
  body.on('error', () => {}).destroy();
}

/** Of the user and the password in a URL; undefined where it names none. */
export function basicAuthorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  const pair = `${unescapePercent(username)}:${unescapePercent(password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

function unescapePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
