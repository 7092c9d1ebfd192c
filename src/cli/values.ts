/**
 * Command-line values at the border: strings in, checked numbers and addresses out.
 * Pure. Every function throws `ValueError` with one line that says what would be accepted.
 */
import { isIPv6 } from 'node:net';
import { LIMITS } from '../config.js';
import { DEPOT_LIMITS } from '../depot/limits.js';
import { parseInfoHash, parseSha256 } from '../metainfo/pinned-hash.js';
import { ADVERTISED_RULE, type Advertised, parseAdvertised } from '../net/advertised.js';
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
  ...unitsOf('k', 1e3, 2 ** 10),
  ...unitsOf('m', 1e6, 2 ** 20),
  ...unitsOf('g', 1e9, 2 ** 30),
  ...unitsOf('t', 1e12, 2 ** 40),
  ...unitsOf('p', 1e15, 2 ** 50),
};

function unitsOf(letter: string, decimal: number, binary: number): Record<string, number> {
  return { [letter]: decimal, [`${letter}b`]: decimal, [`${letter}i`]: binary, [`${letter}ib`]: binary };
}

const SIZE_HELP = 'a number above 0, plain or with k, M, G (as in 20 MB) or KiB, MiB, GiB';

/**
 * Bytes: plain or with a unit, as `formatBytes` and `formatBinary` show them: `20M` and `20 MB` are 20,000,000, `20MiB`
 * is 20,971,520.
 */
export function parseSize(text: string): number {
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?([a-z]*)$/i.exec(text.trim());
  const unit = match === null ? undefined : SIZE_UNITS[match[2]!.toLowerCase()];
  const product = match === null || unit === undefined ? Number.NaN : Number(match[1]) * unit;
  // Digits behind the last byte mean nothing, but 1.3 without a unit is no number of bytes.
  const bytes = unit === 1 ? product : Math.round(product);
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new ValueError(`A size in bytes is ${SIZE_HELP}.`);
  }
  return bytes;
}

/** In lower-case hexadecimal, 40 or 64 digits. */
export function parsePinnedInfoHash(text: string): string {
  const hash = parseInfoHash(text.trim());
  if (hash === null) throw new ValueError('An info-hash is 40 or 64 hexadecimal digits, or 32 of base32.');
  return hash;
}

export function parsePinnedSha256(text: string): string {
  const hash = parseSha256(text.trim());
  if (hash === null) throw new ValueError('A SHA-256 is 64 hexadecimal digits.');
  return hash;
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
    throw new ValueError(`A rate in bytes per second is ${SIZE_HELP}.`);
  }
}

/** Piece length in bytes: a power of two between 16 KiB (one block) and `maxBytes`. */
export function parsePieceLength(text: string, maxBytes: number): number {
  const bytes = parseSize(text);
  if (bytes < 16_384 || bytes > maxBytes || !Number.isInteger(Math.log2(bytes))) {
    const rule = `A piece length is a power of two from 16KiB to ${maxBytes / 2 ** 20}MiB`;
    throw new ValueError(`${rule}${binaryHint(text, bytes, maxBytes)}`);
  }
  return bytes;
}

/** Who writes 4M means 4 MiB here, and it is not ours to guess. */
function binaryHint(text: string, bytes: number, maxBytes: number): string {
  const [, number, letter] = /^(\d+) ?([kmg])b?$/i.exec(text.trim()) ?? [];
  if (letter === undefined) return '.';
  const meant = `${number}${letter.toUpperCase()}iB`;
  const meantBytes = parseSize(meant);
  if (meantBytes < 16_384 || meantBytes > maxBytes || !Number.isInteger(Math.log2(meantBytes))) return '.';
  return `; ${text} is ${bytes.toLocaleString('en')} bytes; did you mean ${meant}?`;
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

/** Whole seconds, up to a day, of `30s`, `10m` or `2h`. */
export function parseSeconds(text: string): number {
  const seconds = parseDuration(text) / 1000;
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 86_400)
    throw new ValueError('Whole seconds up to a day: 30s, 10m, 2h.');
  return seconds;
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

/** Tracker URL. */
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

/** What others are told of this machine. */
export function parseAdvertise(text: string): Advertised & { readonly text: string } {
  const advertised = parseAdvertised(text);
  if (advertised === null) throw new ValueError(`What is told to others ${ADVERTISED_RULE}.`);
  return { ...advertised, text };
}

/** Of a peer: no URL. */
export function parseAdvertisedPeer(text: string): Advertised {
  const advertised = parseAdvertised(text);
  if (advertised === null || advertised.url !== null)
    throw new ValueError('What trackers are told is HOST or HOST:PORT.');
  return advertised;
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

export interface Listen {
  /** Null: the default. */
  readonly host: string | null;
  readonly port: number;
}

/** `PORT`, `HOST:PORT` or `[IPV6]:PORT`; port 0 is any free one. */
export function parseListen(text: string): Listen {
  const match = /^(?:(?:\[([^\]]+)\]|([^:[\]\s/]+)):)?(\d{1,5})$/.exec(text);
  const port = match === null ? -1 : Number(match[3]);
  const host = match?.[1] ?? match?.[2] ?? null;
  const isHostGood = match?.[1] === undefined || isIPv6(match[1]);
  if (port < 0 || port > 65_535 || !isHostGood) throw new ValueError('It is PORT, HOST:PORT or [IPV6]:PORT.');
  return { host, port };
}

/** Days, 1 to a hundred years. */
export function parseDays(text: string): number {
  const days = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  const { retentionDays } = DEPOT_LIMITS;
  if (days < 1 || days > retentionDays) throw new ValueError(`A number of days, 1 to ${retentionDays}.`);
  return days;
}

/** Copies that others have, 1 to a thousand. */
export function parseReplicas(text: string): number {
  const replicas = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  const most = DEPOT_LIMITS.replicas;
  if (replicas < 1 || replicas > most) throw new ValueError(`A number of copies, 1 to ${most}.`);
  return replicas;
}

/** Of compression: 0 is none, 9 the most. */
export function parseLevel(text: string): number {
  if (!/^\d$/.test(text)) throw new ValueError('A level of compression, 0 to 9.');
  return Number(text);
}

/** A whole percentage, 1 to 100. */
export function parsePercent(text: string): number {
  const percent = /^\d{1,3}%?$/.test(text) ? Number.parseInt(text, 10) : 0;
  if (percent < 1 || percent > 100) throw new ValueError('A percentage, 1 to 100.');
  return percent;
}

export function parseHostName(text: string): string {
  if (!/^[A-Za-z0-9._-]{1,253}$/.test(text)) throw new ValueError('A name of a host, without a port.');
  return text.toLowerCase();
}

/** As browsers send it: no path. */
export function parseOrigin(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : 'null';
  if (origin === 'null' || origin !== text) throw new ValueError('An origin is https://HOST or https://HOST:PORT.');
  return origin;
}

/** Of a depot: no user, query or fragment; without a slash at its end. */
export function parsePublicUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain = url !== null && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  if (!isPlain || !/^https?:$/.test(url.protocol)) throw new ValueError('It is an http(s) URL without user and query.');
  return text.replace(/\/+$/, '');
}
