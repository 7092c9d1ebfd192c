/** A server that answers an agent as a depot would, but for what a test has it say. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** `seed`: bytes, as a web seed of the torrent. */
export type Asked = 'info' | 'torrent' | 'bytes' | 'seed';
export type Answers = Partial<Record<Asked, Answer>>;

export interface Liar {
  readonly url: string;
  readonly seen: IncomingMessage[];
  /** Nobody answers any more. */
  vanish(): void;
}

function kindOf(url: string): Asked {
  const { search, pathname } = new URL(url, 'http://x');
  if (pathname.startsWith('/blobs/')) return 'seed';
  return search === '?info' ? 'info' : search === '?torrent' ? 'torrent' : 'bytes';
}

/** What it answers by what is asked. @param abilities headers with which it says what it can do */
export async function liar(
  context: TestContext,
  answers: Answers,
  abilities: Readonly<Record<string, string>> = {},
): Promise<Liar> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    const kind = kindOf(request.url!);
    const answer = answers[kind] ?? (kind === 'seed' ? answers.bytes : undefined);
    if (request.url === '/healthz') response.writeHead(200, abilities).end('ok');
    else if (answer === undefined) response.writeHead(404).end();
    else answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const vanish = (): void => {
    server.closeAllConnections();
    server.close();
  };
  context.after(vanish);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, vanish };
}

/** As `?info` tells it, but for these. */
export function infoText(facts: Record<string, unknown>): string {
  const plain = {
    name: 'x',
    contentType: null,
    created: new Date(0).toISOString(),
    expires: null,
    isPinned: false,
    infoHash: null,
    url: 'http://elsewhere.invalid/',
    torrentUrl: null,
    magnet: null,
  };
  return JSON.stringify({ ...plain, ...facts });
}

export function info(facts: Record<string, unknown>): Answer {
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(infoText(facts));
  };
}

export const send =
  (bytes: Uint8Array, headers: Record<string, string> = {}): Answer =>
  (_request, response) => {
    response.writeHead(200, { 'content-length': bytes.length, ...headers }).end(bytes);
  };

/** As a depot does it, ranges too. */
export const sendRange =
  (bytes: Uint8Array): Answer =>
  (request, response) => {
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    if (first === undefined) {
      send(bytes)(request, response);
      return;
    }
    const end = last === '' ? bytes.length : Number(last) + 1;
    const part = bytes.subarray(Number(first), end);
    const range = `bytes ${first}-${end - 1}/${bytes.length}`;
    response.writeHead(206, { 'content-length': part.length, 'content-range': range }).end(part);
  };

/** Some bytes at once, then nothing more until the connection ends. */
export const sendBegin =
  (bytes: Uint8Array, beginBytes: number): Answer =>
  (_request, response) => {
    response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, beginBytes));
  };

export interface Taken {
  readonly status: number;
  readonly bytes: number;
  readonly sha256: string;
  /** The body had the length that its head said. */
  readonly isWhole: boolean;
}

/** All of the body that came, also where it broke off. */
export async function taken(url: string, headers: Record<string, string> = {}): Promise<Taken> {
  const answer = await fetch(url, { headers });
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of answer.body!) {
      hash.update(chunk as Uint8Array);
      bytes += (chunk as Uint8Array).length;
    }
    return { status: answer.status, bytes, sha256: hash.digest('hex'), isWhole: true };
  } catch {
    return { status: answer.status, bytes, sha256: hash.digest('hex'), isWhole: false };
  }
}
