/** Tracker URLs: what is asked, and how a URL is named in a message. Pure. */
import { HaulError } from '../errors.js';
import type { AnnounceRequest } from './announce.js';

/** Tracker URLs longer than this are refused: servers do not take them either. */
const URL_CHARS_MAX = 2048;
const SHOWN_CHARS_MAX = 200;

/** Every byte as %xx, so that nothing on the way reads raw bytes as text. */
export function percentBytes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += `%${byte < 16 ? '0' : ''}${byte.toString(16)}`;
  return text;
}

/**
 * A tracker URL as it may be shown: scheme, host and path. Private trackers put passkeys into the query
 * and credentials before the host, so neither is shown.
 */
export function shownUrl(url: string): string {
  if (!URL.canParse(url)) return `${JSON.stringify(url.slice(0, 60))}`;
  const parsed = new URL(url);
  const shown = `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
  const cut = shown.length > SHOWN_CHARS_MAX ? `${shown.slice(0, SHOWN_CHARS_MAX)}…` : shown;
  return parsed.search === '' ? cut : `${cut}?…`;
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

/**
 * The announce of BEP 3 as a query; a query already in the tracker's URL stays in front. No `ip` is sent: the tracker
 * sees it.
 */
export function announceUrl(tracker: URL, request: AnnounceRequest): URL {
  const parts = [
    `info_hash=${percentBytes(request.infoHash)}`,
    `peer_id=${percentBytes(request.peerId)}`,
    `port=${request.port}`,
    `uploaded=${request.uploadedBytes}`,
    `downloaded=${request.downloadedBytes}`,
    `left=${request.leftBytes}`,
    'compact=1',
    'no_peer_id=1',
    `numwant=${request.numwant}`,
  ];
  if (request.event !== undefined) parts.push(`event=${request.event}`);
  if (request.key !== undefined) parts.push(`key=${(request.key >>> 0).toString(16).padStart(8, '0')}`);
  if (request.trackerId !== undefined) parts.push(`trackerid=${percentBytes(request.trackerId)}`);
  // Not of BEP 3: safe because trackers ignore what they do not know, and sent only when the user named a zone. It
  // needs no escapes.
  if (request.zone !== undefined) parts.push(`zone=${request.zone}`);
  return withQuery(tracker, parts);
}

/**
 * BEP 48: the last path segment begins with "announce" and becomes "scrape…". Null when it does not: no scrape there.
 */
export function scrapeUrl(tracker: URL, infoHashes: readonly Uint8Array[]): URL | null {
  const slash = tracker.pathname.lastIndexOf('/');
  const last = tracker.pathname.slice(slash + 1);
  if (!last.startsWith('announce')) return null;
  const url = withQuery(
    tracker,
    infoHashes.map((infoHash) => `info_hash=${percentBytes(infoHash)}`),
  );
  url.pathname = `${tracker.pathname.slice(0, slash + 1)}scrape${last.slice('announce'.length)}`;
  return url;
}

function withQuery(tracker: URL, parts: readonly string[]): URL {
  const url = new URL(tracker);
  url.hash = '';
  const own = url.search.slice(1);
  url.search = own === '' ? parts.join('&') : `${own}&${parts.join('&')}`;
  return url;
}
