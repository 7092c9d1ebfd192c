/**
 * The head of an HTTP/1.1 answer, read strictly: what two readers could take for two things is refused. Pure. Nothing
 * in it is believed beyond its form.
 */

export interface ResponseHead {
  readonly status: number;
  /** Names in small letters; of a name that comes twice the first. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of the body; null: it is not said, or the body comes in chunks. */
  readonly lengthBytes: number | null;
  /** The connection can be used again once the body is over. */
  readonly isKept: boolean;
  /** Of the head itself, with the empty line. */
  readonly headBytes: number;
}

/** A depot's head has a name of 1 KiB four times at most. */
export const HEAD_BYTES_MAX = 16 * 1024;
const HEADERS_MAX = 200;
const END = Buffer.from('\r\n\r\n');
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const HEADER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/;

/** 'more': it is not all there. Null: this is no answer of HTTP/1.1. */
export function readHead(bytes: Buffer): ResponseHead | 'more' | null {
  const end = bytes.indexOf(END);
  if (end < 0) return bytes.length >= HEAD_BYTES_MAX ? null : 'more';
  if (end + END.length > HEAD_BYTES_MAX) return null;
  const [first, ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = STATUS_LINE.exec(first!);
  if (status === null || lines.length > HEADERS_MAX) return null;
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const line of lines) {
    const header = HEADER_LINE.exec(line);
    if (header === null) return null;
    const name = header[1]!.toLowerCase();
    const value = header[2]!.trimEnd();
    if (!(name in headers)) headers[name] = value;
    // Two lengths are two bodies.
    else if (name === 'content-length' && headers[name] !== value) return null;
  }
  const length = lengthOf(headers);
  if (length === 'bad') return null;
  const code = Number(status[2]);
  const hasNoBody = code < 200 || code === 204 || code === 304;
  const lengthBytes = hasNoBody ? 0 : length;
  const isKept = status[1] === '1' && lengthBytes !== null && !/\bclose\b/i.test(headers.connection ?? '');
  return { status: code, headers, lengthBytes, isKept, headBytes: end + END.length };
}

function lengthOf(headers: Readonly<Record<string, string>>): number | null | 'bad' {
  const text = headers['content-length'];
  const isCoded = headers['transfer-encoding'] !== undefined;
  if (text === undefined) return null;
  if (isCoded || !/^\d{1,15}$/.test(text)) return 'bad';
  return Number(text);
}
