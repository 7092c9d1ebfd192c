/** Tracker URLs: what is asked. Pure. */
import type { AnnounceRequest } from './announce.js';

/** Every byte as %xx, so that nothing on the way reads raw bytes as text. */
export function percentBytes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += `%${byte < 16 ? '0' : ''}${byte.toString(16)}`;
  return text;
}

/**
 * The announce of BEP 3 as a query; a query already in the tracker's URL stays in front. `ip` is sent only
 * where the user named one: the tracker sees it.
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
  if (request.ip !== undefined) parts.push(`ip=${encodeURIComponent(request.ip)}`);
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
