/**
 * The listening socket of the depot's HTTP server, plain or TLS, and the connections on it. What is asked is the
 * handler's; here is what comes before a request can be read, and the end of all.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { fromSystemError } from '../../errors.js';
import { urlHost } from '../../net/address.js';
import type { Handler } from './handler.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import type { Certificate } from './tls.js';

/** How many connections there are, and what waits on them; as the tracker keeps them. */
export interface ConnectionGuard {
  watch(server: Server): void;
  guard(handler: RequestListener): RequestListener;
}

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly handler: Handler;
  readonly connections: ConnectionGuard;
  /** Null: without TLS. */
  readonly certificate: Certificate | null;
}

export interface HttpServer {
  readonly server: Server;
  readonly host: string;
  readonly port: number;
  /** Requests under way. */
  underway(): number;
  /** Answers from now on end their connections; more are taken. */
  drain(): void;
  /** Takes no more connections, waits for what is under way for so long, then ends it. */
  close(graceMs: number): Promise<void>;
}

const SWEEP_MS = 1_000;
const TIMER_MAX_MS = 2 ** 31 - 1;

/** @throws HaulError PORT_IN_USE, NO_PERMISSION, IO */
export async function startServer(options: ServerOptions): Promise<HttpServer> {
  const { handler, host, port } = options;
  const server = makeServer(options);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(fromSystemError(error, 'depot: listen on', `${urlHost(host)} port ${port}`)),
    );
    server.listen({ host, port, backlog: 511 }, resolve);
  });
  server.on('error', () => {});
  const timer = setInterval(() => handler.tick(), SWEEP_MS).unref();
  const bound = server.address() as AddressInfo;
  let closing: Promise<void> | null = null;
  const close = async (graceMs: number): Promise<void> => {
    handler.stop();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    await withinGrace(closed, graceMs, server);
    clearInterval(timer);
    handler.abort();
    server.closeAllConnections();
    await closed;
  };
  return {
    server,
    host: bound.address,
    port: bound.port,
    underway: () => handler.underway,
    drain: () => handler.stop(),
    close: (graceMs) => {
      closing ??= close(graceMs);
      return closing;
    },
  };
}

/** Connections that fall idle meanwhile are closed, too. */
function withinGrace(closed: Promise<void>, graceMs: number, server: Server): Promise<void> {
  return new Promise((resolve) => {
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    // For ever is no number of a timer, which would take it for no time at all.
    const timer = graceMs > TIMER_MAX_MS ? undefined : setTimeout(end, graceMs);
    function end(): void {
      clearTimeout(timer);
      clearInterval(sweep);
      resolve();
    }
    void closed.then(end);
  });
}

function makeServer({ handler, connections, certificate }: ServerOptions): Server {
  const limits = {
    maxHeaderSize: DEPOT_HTTP_LIMITS.headerBytes,
    // A long upload is no fault; a slow one is noticed where it is written.
    requestTimeout: 0,
    headersTimeout: DEPOT_HTTP_LIMITS.headersTimeoutMs,
    keepAliveTimeout: DEPOT_HTTP_LIMITS.keepAliveMs,
    connectionsCheckingInterval: 2_000,
    noDelay: true,
    insecureHTTPParser: false,
    // Node's own refusal of none is no problem (RFC 9457): ours is.
    requireHostHeader: false,
  };
  const listener = (expectsContinue: boolean): RequestListener =>
    connections.guard((request: IncomingMessage, response: ServerResponse) => {
      void handler.handle(request, response, expectsContinue);
    });
  const server: Server =
    certificate === null
      ? createServer(limits)
      : (createSecureServer({
          ...limits,
          ...certificate.current,
          minVersion: 'TLSv1.2',
          handshakeTimeout: DEPOT_HTTP_LIMITS.headersTimeoutMs,
        }) as unknown as Server);
  certificate?.onChange((pair) => (server as unknown as import('node:https').Server).setSecureContext(pair));
  server.on('request', listener(false));
  server.on('checkContinue', listener(true));
  // Node keeps 2,000 and drops the others without a word, a length among them; how many there are bounds their size.
  server.maxHeadersCount = 0;
  server.on('checkExpectation', (_request, response) => {
    const body = problemText(417, 'Expectation Failed', 'EXPECTATION', 'the only Expect that is met is 100-continue');
    const headers = { 'content-type': 'application/problem+json', 'content-length': Buffer.byteLength(body) };
    response.writeHead(417, { ...headers, connection: 'close' }).end(body);
  });
  server.on('connect', (_request, socket: Socket) => {
    end(socket, 405, 'Method Not Allowed', problemText(405, 'Method Not Allowed', 'METHOD', 'this is no proxy'));
  });
  // `printf … | nc -N` says that it has said all, and wants its answer.
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  server.on(certificate === null ? 'connection' : 'secureConnection', (socket: Socket) => {
    socket.once('end', () => watchHalfClosed(socket));
  });
  server.on('clientError', (error, socket: Socket) => refuseInTurn(error, socket, handler));
  // Before the handshake is over nothing can be said: an answer would wait for its end, and the connection with it.
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy());
  connections.watch(server);
  return server;
}

/** It may be half closed, or its client gone: that shows only when something is sent. */
function watchHalfClosed(socket: Socket): void {
  let sentBytes = socket.bytesWritten;
  const timer = setInterval(() => {
    // What is waiting to be taken is watched elsewhere.
    if (socket.bytesWritten === sentBytes && socket.writableLength === 0) socket.destroy();
    sentBytes = socket.bytesWritten;
  }, DEPOT_HTTP_LIMITS.halfClosedMs).unref();
  socket.once('close', () => clearInterval(timer));
}

const STATUS_OF: Readonly<Record<string, readonly [status: number, title: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Payload Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
};

/** Connections that end with the answers to what came before bytes that are no request. */
const ending = new WeakSet<Socket>();

/**
 * What came whole before has its answer first: else the refusal would be taken for it, and a PUT that was done for one
 * that was not.
 */
function refuseInTurn(error: Error & { code?: string }, socket: Socket, handler: Handler): void {
  const before = error.code === 'ECONNRESET' ? null : handler.lastWholeOn(socket);
  if (before === null) {
    refuse(error, socket);
    return;
  }
  if (ending.has(socket)) return;
  ending.add(socket);
  socket.pause();
  before.once('close', () => refuse(error, socket));
}

/** Bytes that are no HTTP request: a short answer, unless another one is on its way, and the end of the connection. */
function refuse(error: Error & { code?: string }, socket: Socket): void {
  const { _httpMessage: underway } = socket as Socket & { _httpMessage?: ServerResponse | null };
  if (error.code === 'ECONNRESET' || !socket.writable || underway?.headersSent === true) {
    socket.destroy();
    return;
  }
  const [status, title] = STATUS_OF[error.code ?? ''] ?? [400, 'Bad Request'];
  end(socket, status, title, problemText(status, title, 'BAD_REQUEST', 'the request cannot be read as HTTP/1.1'));
}

function problemText(status: number, title: string, code: string, detail: string): string {
  const type = `urn:swarmhaul:${code.toLowerCase().replaceAll('_', '-')}`;
  return `${JSON.stringify({ type, title, status, detail, code })}\n`;
}

/** Where there is no request that can be answered. */
function end(socket: Socket, status: number, title: string, body: string): void {
  const head = `HTTP/1.1 ${status} ${title}\r\nconnection: close\r\ncontent-type: application/problem+json\r\n`;
  socket.on('error', () => {});
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, () => socket.destroy());
}
