/** Requests as bytes of a connection, and the answers that come back on it, one behind the other. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import net from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** @param lines headers; a Host is put before them */
export function requestText(method: string, target: string, lines: readonly string[] = [], body = ''): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: localhost', ...lines, '', body].join('\r\n');
}

/**
 * All that comes back until the other side ends the connection.
 * @param closes end our side at once: the connection is half closed then
 */
export function exchange(port: number, bytes: string | Buffer, closes = false): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const parts: Buffer[] = [];
    // What breaks while we still write ends it, too.
    socket.on('error', () => {});
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(Buffer.concat(parts)));
    if (closes) socket.end(bytes);
    else socket.write(bytes);
  });
}

/** In their order. @param methods of the requests: those to HEAD have no body. What is cut off is no answer. */
export function answersIn(bytes: Buffer, methods: readonly string[] = []): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) break;
    const [first = '', ...lines] = bytes.subarray(at, end).toString('latin1').split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1] ?? Number.NaN);
    assert.ok(status >= 100, `no status line: ${first.slice(0, 100)}`);
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const isBare = methods[answers.length] === 'HEAD' || status === 204 || status === 304;
    const length = isBare ? 0 : Number(headers.get('content-length') ?? 0);
    if (end + 4 + length > bytes.length) break;
    answers.push({ status, headers, body: bytes.subarray(end + 4, end + 4 + length) });
    at = end + 4 + length;
  }
  return answers;
}

export async function statusesOf(port: number, text: string, closes = false): Promise<number[]> {
  return answersIn(await exchange(port, text, closes)).map(({ status }) => status);
}

const OWN_HEADERS: ReadonlySet<string> = new Set(['date', 'connection', 'keep-alive', 'x-swarmhaul-receipt']);

/** What must be the same of a depot and of an agent: of problems not the words, of JSON not the links. */
export function essence({ status, headers, body }: RawAnswer): unknown {
  const type = headers.get('content-type') ?? '';
  const isJson = /json/.test(type);
  const kept = [...headers].filter(([name]) => !OWN_HEADERS.has(name) && !(isJson && name === 'content-length'));
  if (!isJson) return { status, kept, bytes: createHash('sha256').update(body).digest('hex'), length: body.length };
  if (body.length === 0) return { status, kept };
  const { detail: _, url: __, infoHash: ___, torrentUrl: ____, magnet: _____, ...said } = JSON.parse(String(body));
  return { status, kept, said };
}
