/**
 * The plainest form of an HTTP/1.1 announce, recognised in the bytes of a connection. Pure. What is not exactly this
 * (another method or path, a body, a header that is not in the list, a request that has not arrived as a whole) is left
 * to a real HTTP parser.
 */

export interface PlainAnnounce {
  /** What follows the `?`: visible ASCII. */
  readonly query: string;
  /** Where the next request begins. */
  readonly end: number;
  readonly isLast: boolean;
}

const START = 'GET /announce?';
/** Also as those end it who have no carriage return: HTTP tells them. */
const REQUEST_END = /\n\r?\n/;
const REQUEST_LINE = /GET \/announce\?([\x21-\x7e]*) HTTP\/1\.1\r\n/y;
/** Headers that change nothing about the answer; a body, an upgrade or an expectation would. */
const HEADER =
  /(host|connection|user-agent|accept|accept-encoding|accept-language|cache-control|pragma):([\t\x20-\x7e]*)\r\n/iy;

/** Reads a request at `begin`. @param text Latin-1, one character per byte. Null: not plain, or not complete. */
export function readPlainAnnounce(text: string, begin: number): PlainAnnounce | null {
  if (!text.startsWith(START, begin)) return null;
  REQUEST_LINE.lastIndex = begin;
  const line = REQUEST_LINE.exec(text);
  if (line === null) return null;
  let at = REQUEST_LINE.lastIndex;
  let hosts = 0;
  let isLast = false;
  while (!text.startsWith('\r\n', at)) {
    HEADER.lastIndex = at;
    const header = HEADER.exec(text);
    if (header === null) return null;
    at = HEADER.lastIndex;
    const { length } = header[1]!;
    if (length === 'host'.length) hosts++;
    else if (length === 'connection'.length && header[1]!.toLowerCase() === 'connection') {
      const value = header[2]!.trim().toLowerCase();
      if (value === 'close') isLast = true;
      else if (value !== 'keep-alive') return null;
    }
  }
  return hosts === 1 ? { query: line[1]!, end: at + 2, isLast } : null;
}

/**
 * Whether more bytes may make a plain announce of what stands from `begin` to the end: it starts like one, and has no
 * end yet.
 */
export function isBegunAnnounce(text: string, begin: number): boolean {
  const rest = text.slice(begin);
  return rest.length < START.length ? START.startsWith(rest) : rest.startsWith(START) && !REQUEST_END.test(rest);
}
