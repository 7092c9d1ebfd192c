/** A web server for tests: files in memory with ranges as they should be, and hooks for what they should not be. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import type { Scope } from '../../lab/scope.js';

export interface Asked {
  readonly path: string;
  readonly range: string | null;
  readonly headers: IncomingMessage['headers'];
}

/** True: it has answered, or will. */
export type Hook = (request: IncomingMessage, response: ServerResponse, server: WebServer) => boolean;

export class WebServer {
  readonly asked: Asked[] = [];
  connections = 0;
  /** Set by the test, before or while it runs. */
  hook: Hook | null = null;
  readonly #files: ReadonlyMap<string, Buffer>;
  readonly #scheme: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** @param tls what HTTPS needs; default HTTP */
  constructor(files: ReadonlyMap<string, Buffer>, tls: TlsOptions | null = null) {
    this.#files = files;
    const answer = (request: IncomingMessage, response: ServerResponse): void => this.#answer(request, response);
    this.#scheme = tls === null ? 'http' : 'https';
    this.#server = tls === null ? createServer(answer) : createSecureServer(tls, answer);
    this.#server.on('connection', (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Without a slash at its end. */
  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve()));
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** What a sound server says. */
  serve(request: IncomingMessage, response: ServerResponse): void {
    const bytes = this.#files.get(new URL(request.url!, 'http://x').pathname);
    if (bytes === undefined) {
      response.writeHead(404).end('not here');
      return;
    }
    const range = rangeOf(request.headers.range, bytes.length);
    if (range === null) {
      response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
      return;
    }
    const [begin, end] = range;
    response.writeHead(206, {
      'content-length': end - begin,
      'content-range': `bytes ${begin}-${end - 1}/${bytes.length}`,
    });
    response.end(bytes.subarray(begin, end));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.asked.push({ path: request.url!, range: request.headers.range ?? null, headers: request.headers });
    if (this.hook?.(request, response, this) !== true) this.serve(request, response);
  }
}

/** Where a `Range` begins and ends, [begin, end). Null: there is none. */
export function rangeOf(header: string | undefined, length: number): [number, number] | null {
  const match = /^bytes=(\d+)-(\d+)$/.exec(header ?? '');
  return match === null ? null : [Number(match[1]), Math.min(length, Number(match[2]) + 1)];
}

/** @param files by path of the URL, encoded as it is asked for */
export async function startWebServer(
  scope: Scope,
  files: Readonly<Record<string, Buffer>>,
  tls: TlsOptions | null = null,
): Promise<WebServer> {
  const server = new WebServer(new Map(Object.entries(files)), tls);
  scope.defer(() => server.close());
  await server.listen();
  return server;
}
