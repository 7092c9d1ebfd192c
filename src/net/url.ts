/** URLs: which ones are asked, and how one is named in a message. Pure. */
import { HaulError } from '../errors.js';

/** Longer ones are refused: servers do not take them either. */
const URL_CHARS_MAX = 2048;
const SHOWN_CHARS_MAX = 200;

/** The part of a tracker's path that is never a passkey. */
const ACTION = /^(announce|scrape)/i;

/**
 * A URL as it may be shown: scheme, host and path. Private trackers put passkeys into the query, before or behind the
 * "announce" of the path, and credentials before the host: none of them is shown.
 */
export function shownUrl(url: string): string {
  if (!URL.canParse(url)) return `${JSON.stringify(url.slice(0, 60))}`;
  const parsed = new URL(url);
  const shown = `${parsed.protocol}//${parsed.host}${shownPath(parsed)}`;
  const cut = shown.length > SHOWN_CHARS_MAX ? `${shown.slice(0, SHOWN_CHARS_MAX)}…` : shown;
  return parsed.search === '' ? cut : `${cut}?…`;
}

function shownPath({ protocol, pathname }: URL): string {
  const parts = pathname.split('/');
  if (protocol !== 'udp:' && !parts.some((part) => ACTION.test(part))) return pathname;
  return parts.map((part) => (part === '' || ACTION.test(part) ? part : '…')).join('/');
}

/** An http or https URL, or a HaulError TRACKER that says what is wrong with it. */
export function parseHttpUrl(url: string, role: string): URL {
  const facts = { url: shownUrl(url) };
  if (url.length > URL_CHARS_MAX)
    throw new HaulError('TRACKER', `${role} ${facts.url}: the URL is longer than ${URL_CHARS_MAX} characters`, facts);
  if (!URL.canParse(url)) throw new HaulError('TRACKER', `${role} ${facts.url}: not a URL`, facts);
  const parsed = new URL(url);
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw new HaulError('TRACKER', `${role} ${facts.url}: ${parsed.protocol.slice(0, -1)} is not http or https`, facts);
  }
  return parsed;
}

/** As it may be shown where the path and the query hold no secrets. */
export function withoutPassword(source: string): string {
  const url = new URL(source);
  if (url.username === '' && url.password === '') return source;
  url.username = '';
  url.password = '';
  return url.href;
}
