/** Reads a .torrent from a path or an http(s) URL, checked while it comes in; at most LIMITS.torrentFileBytes. */
import { open } from 'node:fs/promises';
import { LIMITS } from '../config.js';
import { fromSystemError, HaulError } from '../errors.js';
import { isMagnet } from '../magnet/link.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { parseTorrent } from '../metainfo/torrent.js';
import { withoutPassword } from '../net/url.js';
import { type FetchOptions, fetchTorrent, tooLarge } from './torrent-fetch.js';
import { isHttpUrl } from './values.js';

/**
 * @param fetching of a URL: whether and for how long a fetch that failed is tried again; default once
 * @throws HaulError NOT_FOUND, NO_PERMISSION, IO, LIMIT, HTTP, NETWORK, TIMEOUT, ABORTED, BAD_BENCODE, BAD_TORRENT
 */
export async function loadTorrent(source: string, signal: AbortSignal, fetching: FetchOptions = {}): Promise<Metainfo> {
  if (isMagnet(source)) {
    const message = 'a magnet link does not say what is in the torrent; give a .torrent file or the URL of one';
    throw new HaulError('BAD_ARGUMENT', message);
  }
  checkSourceText(source);
  const shown = isHttpUrl(source) ? withoutPassword(source) : source;
  const bytes = isHttpUrl(source) ? await fetchTorrent(source, signal, fetching) : await readTorrent(source);
  try {
    return parseTorrent(bytes);
  } catch (error) {
    if (!(error instanceof HaulError)) throw error;
    const detail = error.code === 'BAD_BENCODE' ? `this is no .torrent file: ${error.message}` : error.message;
    const hint = notATorrent(bytes) ?? detail;
    throw new HaulError(error.code, `${shown}: ${hint}`, { ...error.facts, source: shown }, error);
  }
}

/** A URL that cannot be one is said here, not by the file system or the HTTP client. */
function checkSourceText(source: string): void {
  const wrong = (why: string) => new HaulError('BAD_ARGUMENT', `${JSON.stringify(source)}: ${why}`, { source });
  if (source === '') throw wrong('name a .torrent file, or an http(s) URL of one');
  if (isHttpUrl(source)) {
    if (!URL.canParse(source)) throw wrong('not a valid URL; it looks like http://host:6969/name.torrent');
  } else if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) {
    throw wrong('only http:// and https:// URLs can be fetched');
  }
}

async function readTorrent(path: string): Promise<Buffer> {
  try {
    const file = await open(path);
    try {
      const stat = await file.stat();
      if (stat.isDirectory()) throw new HaulError('BAD_ARGUMENT', `${path} is a folder, not a .torrent file`, { path });
      const parts: Buffer[] = [];
      // Read, not trusted to stat: a pipe or a growing file says nothing about its length.
      for (let total = 0; ; ) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(65_536));
        if (bytesRead === 0) return Buffer.concat(parts);
        total += bytesRead;
        if (total > LIMITS.torrentFileBytes) throw tooLarge(path);
        parts.push(buffer.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fromSystemError(error, 'open torrent', path);
  }
}

/** What these bytes are instead of a torrent, where that can be said better than by the parser. */
function notATorrent(bytes: Buffer): string | null {
  if (bytes.length === 0) return 'this is empty, not a .torrent file';
  const isMarkup = bytes.toString('latin1', 0, 256).trimStart().startsWith('<');
  return isMarkup ? 'this is a web page, not a .torrent file' : null;
}
