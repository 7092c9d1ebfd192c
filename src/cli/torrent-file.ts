/**
 * Reads a .torrent from a path or an http(s) URL, checked while it comes in.
 * Bounds: LIMITS.torrentFileBytes, five redirects, time-outs for connecting, each silence and the whole.
 */
import { open } from 'node:fs/promises';
import { LIMITS } from '../config.js';
import { fromSystemError, HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { parseTorrent } from '../metainfo/torrent.js';
import { isHttpUrl } from './values.js';

const REDIRECTS_MAX = 5;
const CONNECT_TIMEOUT_MS = 10_000;
const SILENCE_TIMEOUT_MS = 15_000;
/** 10 MiB at 100 kB/s. */
const WHOLE_TIMEOUT_MS = 120_000;

/** @throws HaulError NOT_FOUND, NO_PERMISSION, IO, LIMIT, HTTP, NETWORK, TIMEOUT, ABORTED, BAD_BENCODE, BAD_TORRENT */
export async function loadTorrent(source: string, signal: AbortSignal): Promise<Metainfo> {
  if (/^magnet:/i.test(source)) {
    throw new HaulError('BAD_ARGUMENT', 'magnet links are not supported; give a .torrent file or the URL of one');
  }
  checkSourceText(source);
  const shown = isHttpUrl(source) ? withoutPassword(source) : source;
  const bytes = isHttpUrl(source) ? await fetchTorrent(source, signal) : await readTorrent(source);
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

async function fetchTorrent(source: string, signal: AbortSignal): Promise<Buffer> {
  const { Agent } = await import('undici');
  const agent = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: SILENCE_TIMEOUT_MS,
    bodyTimeout: SILENCE_TIMEOUT_MS,
  });
  const whole = AbortSignal.any([signal, AbortSignal.timeout(WHOLE_TIMEOUT_MS)]);
  const start = new URL(source);
  try {
    let url = start;
    for (let redirects = 0; ; redirects++) {
      const outcome = await fetchOnce(agent, url, start, whole);
      if (!(outcome instanceof URL)) return outcome;
      if (redirects === REDIRECTS_MAX) throw httpError(start, `more than ${REDIRECTS_MAX} redirects`);
      url = outcome;
    }
  } catch (error) {
    throw signal.aborted ? new HaulError('ABORTED', 'interrupted') : networkError(error, start);
  } finally {
    await agent.destroy();
  }
}

/** The body, or where to go next. Credentials in the URL are sent to their own origin only. */
async function fetchOnce(
  agent: import('undici').Agent,
  url: URL,
  start: URL,
  signal: AbortSignal,
): Promise<Buffer | URL> {
  const headers: Record<string, string> = { accept: 'application/x-bittorrent, */*', 'accept-encoding': 'identity' };
  if (start.username !== '' && url.origin === start.origin) {
    const pair = `${decodeURIComponent(start.username)}:${decodeURIComponent(start.password)}`;
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  }
  const {
    statusCode,
    headers: answer,
    body,
  } = await agent.request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method: 'GET',
    headers,
    signal,
  });
  const location = answer.location;
  if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') {
    body.on('error', () => {}).destroy();
    const next = URL.canParse(location, url.href) ? new URL(location, url.href) : null;
    if (next === null || !isHttpUrl(next.href)) throw httpError(start, 'redirected to something that is not http(s)');
    return next;
  }
  if (statusCode !== 200) {
    body.on('error', () => {}).destroy();
    throw httpError(start, `the server answered ${statusCode}${STATUS_HINTS[statusCode] ?? ''}`, { statusCode });
  }
  const parts: Buffer[] = [];
  let total = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    total += part.length;
    if (total > LIMITS.torrentFileBytes) throw tooLarge(withoutPassword(start.href));
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const STATUS_HINTS: Readonly<Record<number, string>> = {
  401: ' (it wants a user and password: http://user:password@host/…)',
  403: ' (forbidden)',
  404: ' (not found); check the URL',
  410: ' (gone); check the URL',
};

function httpError(url: URL, detail: string, facts: Record<string, number> = {}): HaulError {
  const shown = withoutPassword(url.href);
  return new HaulError('HTTP', `fetch ${shown}: ${detail}`, { ...facts, url: shown });
}

const NETWORK_HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused; is the sharer running, and is the port right?',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the host name cannot be looked up now',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ECONNRESET: 'the server closed the connection',
  UND_ERR_SOCKET: 'the server closed the connection',
};

function networkError(error: unknown, url: URL): HaulError {
  if (error instanceof HaulError) return error;
  const shown = withoutPassword(url.href);
  const code = errorCode(error);
  if ((error as Error).name === 'TimeoutError' || code.endsWith('_TIMEOUT') || code === 'ETIMEDOUT') {
    return new HaulError('TIMEOUT', `fetch ${shown}: no answer in time`, { url: shown }, error);
  }
  const detail = NETWORK_HINTS[code] ?? (error instanceof Error ? error.message : String(error));
  return new HaulError('NETWORK', `fetch ${shown}: ${detail}`, { url: shown, errno: code }, error);
}

/** Node wraps the attempts on several addresses of one host in an AggregateError. */
function errorCode(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') return code;
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : undefined;
  return first === undefined ? '' : errorCode(first);
}

function tooLarge(source: string): HaulError {
  const limitBytes = LIMITS.torrentFileBytes;
  return new HaulError('LIMIT', `${source}: larger than ${limitBytes / 2 ** 20} MiB, so it is no .torrent file`, {
    source,
    limitBytes,
  });
}

/** What these bytes are instead of a torrent, where that can be said better than by the parser. */
function notATorrent(bytes: Buffer): string | null {
  if (bytes.length === 0) return 'this is empty, not a .torrent file';
  const isMarkup = bytes.toString('latin1', 0, 256).trimStart().startsWith('<');
  return isMarkup ? 'this is a web page, not a .torrent file' : null;
}

function withoutPassword(source: string): string {
  const url = new URL(source);
  if (url.username === '' && url.password === '') return source;
  url.username = '';
  url.password = '';
  return url.href;
}
