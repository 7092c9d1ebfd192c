/**
 * The one message of local service discovery (BEP 14), in the form of HTTP headers in a datagram. Pure; every byte that
 * is read is hostile.
 *
 *     BT-SEARCH * HTTP/1.1          the group that it is sent to, the TCP port of the sender, the torrents that it
 *     Host: 239.192.152.143:6771    shares (each a line of its own), and a word by which it knows its own messages
 *     Port: 6881
 *     Infohash: 0123…               then two empty lines
 *     cookie: 89ab…
 */
import { LSD_LIMITS } from './limits.js';

export interface Search {
  /** 1–65535, of TCP: where the sender of the datagram takes peers. */
  readonly port: number;
  /** 40 lower-case hexadecimal digits each; one or more, none twice. */
  readonly infoHashes: readonly string[];
  readonly cookie: string | null;
}

const METHOD = /^BT-SEARCH \S{1,100} HTTP\/1\.\d$/i;
const HEADER = /^([A-Za-z0-9-]{1,40}):[ \t]*(.*?)[ \t]*$/;
const COOKIE_CHARACTERS = 100;
/** A line for an info-hash. */
const HASH_BYTES = 'Infohash: \r\n'.length + 40;

/**
 * @param host the group that it goes to, "239.192.152.143:6771"
 * @param infoHashes as hexadecimal digits; as many as `hashesPerDatagram` allows
 */
export function encodeSearch(host: string, port: number, infoHashes: readonly string[], cookie: string): Buffer {
  const hashes = infoHashes.map((infoHash) => `Infohash: ${infoHash}\r\n`).join('');
  const text = `BT-SEARCH * HTTP/1.1\r\nHost: ${host}\r\nPort: ${port}\r\n${hashes}cookie: ${cookie}\r\n\r\n\r\n`;
  return Buffer.from(text, 'latin1');
}

/** Info-hashes that fit one datagram. @param host the longest that it goes to @param cookie the sender's */
export function hashesPerDatagram(host: string, cookie: string): number {
  return Math.floor((LSD_LIMITS.datagramBytes - encodeSearch(host, 65_535, [], cookie).length) / HASH_BYTES);
}

/** Null: not of that form, or of no use. What a header says that we do not know is passed over. */
export function parseSearch(bytes: Uint8Array): Search | null {
  if (bytes.length > LSD_LIMITS.readBytes) return null;
  const [first = '', ...lines] = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .toString('latin1')
    .split(/\r?\n/);
  if (!METHOD.test(first)) return null;
  let port: number | null = null;
  let cookie: string | null = null;
  const infoHashes = new Set<string>();
  for (const line of lines) {
    if (line === '') break;
    const [, name = '', value = ''] = HEADER.exec(line) ?? [];
    switch (name.toLowerCase()) {
      case 'port':
        // Of two that differ none is to be believed.
        if (!/^\d{1,5}$/.test(value) || (port !== null && port !== Number(value))) return null;
        port = Number(value);
        break;
      case 'infohash':
        if (/^[0-9a-f]{40}$/i.test(value)) infoHashes.add(value.toLowerCase());
        break;
      case 'cookie':
        cookie = value.slice(0, COOKIE_CHARACTERS);
        break;
      default:
    }
  }
  if (port === null || port < 1 || port > 65_535 || infoHashes.size === 0) return null;
  return { port, infoHashes: [...infoHashes], cookie };
}
