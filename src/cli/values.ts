/**
 * Command-line values at the border: strings in, checked numbers and addresses out.
 * Pure. Every function throws `ValueError` with one line that says what would be accepted.
 */
import { isIPv6 } from 'node:net';
import { LIMITS } from '../config.js';
import { isZone, ZONE_RULE } from '../net/zone.js';

/** A value on the command line cannot be used; the message completes "'xyz' is invalid. …". */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

/** TCP port, 0..65535; 0 means any free port. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port < 0 || port > 65_535) throw new ValueError('A port is a number from 0 to 65535.');
  return port;
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  m: 2 ** 20,
  mib: 2 ** 20,
  g: 2 ** 30,
  gib: 2 ** 30,
  t: 2 ** 40,
  tib: 2 ** 40,
};

/**
 * Bytes: plain, or with a binary unit (`256KiB`, `1M`, `4MiB`). Decimal units are refused: piece lengths are powers of
 * two.
 */
export function parseSize(text: string): number {
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?([a-z]*)$/i.exec(text.trim());
  const unit = match === null ? undefined : SIZE_UNITS[match[2]!.toLowerCase()];
  const bytes = match === null || unit === undefined ? Number.NaN : Number(match[1]) * unit;
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new ValueError('A size is a number of bytes above 0, or one with KiB, MiB, GiB (K, M, G mean the same).');
  }
  return bytes;
}

/** Memory of the engine, bytes. */
export function parseMemory(text: string): number {
  const bytes = parseSize(text);
  if (bytes < LIMITS.memoryBytesMin) throw new ValueError(`It is ${LIMITS.memoryBytesMin / 2 ** 20}MiB or more.`);
  return bytes;
}

/** Bytes per second: a size, with `/s` behind it or not. */
export function parseRate(text: string): number {
  try {
    return parseSize(text.replace(/\/s$/i, ''));
  } catch {
    throw new ValueError(
      'A rate is a number of bytes per second above 0, or one with KiB, MiB, GiB (K, M, G mean the same).',
    );
  }
}

/** Piece length in bytes: a power of two between 16 KiB (one block) and `maxBytes`. */
export function parsePieceLength(text: string, maxBytes: number): number {
  const bytes = parseSize(text);
  if (bytes < 16_384 || bytes > maxBytes || !Number.isInteger(Math.log2(bytes))) {
    throw new ValueError(`A piece length is a power of two from 16KiB to ${maxBytes / 2 ** 20}MiB.`);
  }
  return bytes;
}

const DURATION_UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Ten years: longer than any process lives, and far below where millisecond arithmetic loses exactness. */
const DURATION_MAX_MS = 3650 * 86_400_000;

/** Milliseconds: `30s`, `10m`, `2h`, `1d`, a plain number of seconds, or `forever` (Infinity). */
export function parseDuration(text: string): number {
  const lower = text.trim().toLowerCase();
  if (lower === 'forever') return Number.POSITIVE_INFINITY;
  const match = /^(\d{1,12}(?:\.\d{1,6})?)([smhd]?)$/.exec(lower);
  const ms = match === null ? Number.NaN : Math.round(Number(match[1]) * DURATION_UNITS_MS[match[2] || 's']!);
  if (!(ms <= DURATION_MAX_MS)) {
    throw new ValueError('A duration is a number with s, m, h or d (30s, 10m, 2h, 1d), or forever.');
  }
  return ms;
}

/** Milliseconds above 0, for limits; `forever` is none. */
export function parseTimeLimit(text: string): number {
  const ms = parseDuration(text);
  if (ms <= 0) throw new ValueError('A time limit is above 0: 30s, 10m, 2h, 1d, or forever for none.');
  return ms;
}

export function parseConnections(text: string): number {
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > 65_535) throw new ValueError('A number of connections, 1 to 65535.');
  return count;
}

/** Which files of a torrent; what it means is `select.ts`'s to know. */
export function parseGlob(text: string): string {
  if (text === '' || text.length > 4096) throw new ValueError('A glob names files inside the torrent, e.g. "docs/**".');
  return text;
}

/** Tracker URL. udp:// is accepted because torrents carry such trackers for other clients (BEP 15). */
export function parseTrackerUrl(text: string): string {
  return parseUrl(text, ['http:', 'https:', 'udp:'], 'A tracker is an http://, https:// or udp:// URL.');
}

/** Web seed URL (BEP 19). */
export function parseWebSeedUrl(text: string): string {
  return parseUrl(text, ['http:', 'https:'], 'A web seed is an http:// or https:// URL.');
}

/** True for what `haul get` should fetch rather than open. */
export function isHttpUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

function parseUrl(text: string, protocols: readonly string[], help: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !protocols.includes(url.protocol) || url.hostname === '') throw new ValueError(help);
  return text;
}

/** Name of a zone, such as `rack7` or `eu-1/rack7`. */
export function parseZone(text: string): string {
  if (!isZone(text)) throw new ValueError(`A zone ${ZONE_RULE}.`);
  return text;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `1.2.3.4:port` or `[v6]:port`; the port is 1..65535. */
export function parseHostPort(text: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text);
  const port = match === null ? 0 : Number(match[3]);
  const host = match?.[1] ?? match?.[2] ?? '';
  const isHostGood = match?.[1] === undefined ? host.length > 0 && host.length <= 253 : isIPv6(host);
  if (port < 1 || port > 65_535 || !isHostGood) throw new ValueError('A peer is HOST:PORT or [IPV6]:PORT.');
  return { host, port };
}
