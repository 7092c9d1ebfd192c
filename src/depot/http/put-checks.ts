/** What is checked of a request that puts an artifact, before a byte of it comes. */
import { etagOf, isMatch, isNoneMatch } from './conditions.js';
import type { Inside } from './inside.js';
import { Problem } from './problems.js';
import type { Exchange } from './route.js';

export function header(exchange: Exchange, name: string): string | undefined {
  const value = exchange.request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** What a body must not be, whatever its bytes. @throws Problem */
export function checkBody(exchange: Exchange, artifactBytesMax: number): number | null {
  const encoding = header(exchange, 'content-encoding');
  if (encoding !== undefined && !/^\s*identity\s*$/i.test(encoding))
    throw new Problem(415, 'ENCODING', 'bytes are kept as they come: send them without Content-Encoding');
  if (header(exchange, 'content-range') !== undefined)
    throw new Problem(400, 'BAD_ARGUMENT', 'an artifact is put as a whole: Content-Range is not understood');
  const stated = header(exchange, 'content-length');
  const lengthBytes = stated === undefined ? null : Number(stated);
  if (lengthBytes === null && header(exchange, 'transfer-encoding') === undefined) return 0;
  if (lengthBytes !== null && lengthBytes > artifactBytesMax)
    throw new Problem(413, 'LIMIT', `an artifact has at most ${artifactBytesMax} bytes here`);
  return lengthBytes;
}

export function taken(isCondition: boolean): Problem {
  if (isCondition) return new Problem(412, 'PRECONDITION', 'there is an artifact of this name');
  return new Problem(409, 'FILE_EXISTS', 'other bytes have this name; ?overwrite=true replaces them');
}

export interface Before {
  readonly name: string;
  readonly overwrite: boolean;
  readonly onlyIfNew: boolean;
  readonly sha256: string | null;
  readonly lengthBytes: number | null;
}

/** What is known to fail is told before the body comes. @throws Problem */
export async function checkBefore(exchange: Exchange, inside: Inside, before: Before): Promise<void> {
  const row = await inside.depository.find(before.name);
  const etag = row === null ? null : etagOf(row.sha256);
  const noneMatch = header(exchange, 'if-none-match');
  if (!isMatch(header(exchange, 'if-match'), etag) || !isNoneMatch(noneMatch, etag)) {
    if (row !== null && noneMatch?.trim() === '*') throw taken(true);
    throw new Problem(412, 'PRECONDITION', 'what has this name now is not what the request expects');
  }
  if (row === null || before.overwrite) return;
  const isOther = before.sha256 !== null && before.sha256 !== row.sha256;
  const isOtherLength = before.lengthBytes !== null && before.lengthBytes !== row.lengthBytes;
  if (isOther || isOtherLength) throw taken(false);
}
