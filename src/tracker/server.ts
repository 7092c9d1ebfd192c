/**
 * The tracker we run: announce and scrape over HTTP (BEP 3, 23, 48) and UDP (BEP 15), the .torrent files of `haul
 * share`, and a page of counts. Owns the listening sockets and their limits; what is answered is decided in
 * `TrackerService`.
 */

import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { fromSystemError, HaulError } from '../errors.js';
import type { Log } from '../log.js';
import { urlHost } from '../net/address.js';
import { bindTo } from '../net/bind.js';
import { OwnNetworks } from '../net/own-addresses.js';
import { AnnounceDoor } from './announce-door.js';
import { DataShelf, type SharedFile } from './data-shelf.js';
import { HttpConnections } from './http-connections.js';
import { TRACKER_LIMITS } from './limits.js';
import type { Endpoints } from './raw-socket.js';
import { type TrackerCounts, TrackerService } from './service.js';
import { TableFile } from './table-file.js';
import { baseUrl, TorrentShelf } from './torrent-shelf.js';
import { UdpDoor } from './udp-door.js';
import { UdpService } from './udp-service.js';

/** A few hundred runners that come and go want to find each other within minutes, and a tracker hardly notices. */
export const INTERVAL_DEFAULT_S = 300;
/** Silent connections, and requests that trickle in, are closed after this. */
const CONNECTION_TIMEOUT_MS = 30_000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_TIMEOUT_S = 10;
const TICK_MS = 1_000;
const DATA_PREFIX = '/data/';
const SWEEP_BUDGET = 2_000;
const PORT_TRIES = 8;
/** Entries from before a restart are older than this process. */
const CLOCK_START_MS = 86_400_000;

/** How a tracker listens and behaves. */
export interface TrackerOptions {
  /** Local address; default all, IPv6 and IPv4, or IPv4 alone where there is no IPv6. */
  readonly host?: string;
  /** 0 for any free port. */
  readonly port: number;
  /** How often clients shall announce; default 300 s. */
  readonly intervalSeconds?: number;
  /** A peer that was silent for so long is forgotten; default two intervals and a minute. */
  readonly expirySeconds?: number;
  /** Serve registered info-hashes only; default false. */
  readonly registeredOnly?: boolean;
  /**
   * Answer by UDP too, on the port of TCP (BEP 15); default yes, unless somebody else has that port of UDP. True: then
   * PORT_IN_USE.
   */
  readonly udp?: boolean;
  /** Who announces must name one of these in the path, `/KEY/announce`; default: nobody need. */
  readonly passkeys?: readonly string[];
  /**
   * Entries that one address (IPv6: one /64) keeps when a swarm or the tracker is full; a /24 or /48 keeps four times
   * as many. Below that nobody is limited. Default 4096.
   */
  readonly entriesPerAddress?: number;
  /**
   * Where replies name seeds of this process; default: at the address that the client reached us by. `addresses` are IP
   * addresses: a client is named the first of its family, else the first. `isForAll`: also clients on this machine, for
   * behind a proxy all come from it.
   */
  readonly seedHosts?: { readonly addresses: readonly string[]; readonly isForAll: boolean };
  /** Receives one line per noteworthy event; never per announce. */
  readonly log?: Log;
  /** A generator of [0, 1); default Math.random. */
  readonly random?: () => number;
  /**
   * A file that keeps the peers over a restart, made with its folder when it is missing. Written some seconds after a
   * change; what is in it is forgotten as if the tracker had run on. One that is damaged is ignored. Default none.
   */
  readonly stateFile?: string;
  /** A clock in milliseconds; default one that begins a day after 0. */
  readonly now?: () => number;
}

/** A tracker that is running. */
export interface TrackerServer {
  /** The address it listens on. */
  readonly host: string;
  readonly port: number;
  /** "http://host:port" for a host name or IP address; the announce URL is this and "/announce". */
  url(host: string): string;
  /**
   * Tracks this info-hash (20 bytes). `seedPort`: a seed of this process; every reply names it at the address the
   * client reached us by.
   */
  register(infoHash: Uint8Array, options?: { readonly seedPort?: number }): void;
  /** GET /<fileName> answers `render(baseUrl)`, the .torrent for a client that reached us by "http://host:port". */
  serveTorrent(fileName: string, render: (baseUrl: string) => Uint8Array): void;
  /** GET /data/<path> answers with these files, whole or a range (BEP 19). */
  serveData(files: readonly SharedFile[]): void;
  /** Torrents and peers it knows, and what it answered since it started. */
  stats(): TrackerCounts;
  /** Stops listening and ends all connections. Idempotent. */
  close(): Promise<void>;
}

/** @throws HaulError PORT_IN_USE, NO_PERMISSION (ports below 1024) or IO (no such local address). */
export async function startTracker(options: TrackerOptions): Promise<TrackerServer> {
  const now = options.now ?? (() => performance.now() + CLOCK_START_MS);
  const service = new TrackerService({
    intervalS: options.intervalSeconds ?? INTERVAL_DEFAULT_S,
    expiryS: options.expirySeconds,
    registeredOnly: options.registeredOnly ?? false,
    passkeys: options.passkeys === undefined ? null : new Set(options.passkeys),
    random: options.random ?? Math.random,
    entriesPerAddress: options.entriesPerAddress,
    seedHosts: options.seedHosts,
    now,
  });
  const shelf = new TorrentShelf();
  const data = new DataShelf(now);
  const table = await openTable(options, service, now);
  const { app, bound, udp } = await listen(options, service, { shelf, data }, now);
  const door = new AnnounceDoor(app.server, {
    idleTimeoutS: KEEP_ALIVE_TIMEOUT_S,
    answer: (query, socket) => announce(service, query, socket),
  });
  const everySecond = (): void => {
    service.sweep(SWEEP_BUDGET);
    door.tick();
    data.tick();
    table?.tick();
  };
  const timer = setInterval(everySecond, TICK_MS).unref();
  options.log?.('info', `tracker listens on ${urlHost(bound.address)}:${bound.port}`);
  let closing: Promise<void> | null = null;
  return {
    host: bound.address,
    port: bound.port,
    url: (host) => `http://${urlHost(host)}:${bound.port}`,
    register: (infoHash, { seedPort } = {}) => {
      service.register(infoHash, seedPort ?? null);
      table?.restore(Buffer.from(infoHash).toString('latin1'));
    },
    serveTorrent: (fileName, render) => shelf.put(fileName, render),
    serveData: (files) => data.put(files),
    stats: () => service.counts,
    close: () => {
      clearInterval(timer);
      door.close();
      udp?.close();
      closing ??= Promise.all([app.close(), table?.close()]).then(() => {});
      return closing;
    },
  };
}

/**
 * What an earlier run left; null when nothing is kept. A tracker of registered torrents takes it torrent by torrent.
 */
async function openTable(
  { stateFile, registeredOnly, log }: TrackerOptions,
  service: TrackerService,
  now: () => number,
): Promise<TableFile | null> {
  if (stateFile === undefined) return null;
  const table = new TableFile(service.swarms, { path: stateFile, now, log });
  if (!(await table.load())) return table;
  service.settle();
  if (registeredOnly !== true) table.restore(null);
  return table;
}

type App = FastifyInstance<Server>;

interface Shelves {
  readonly shelf: TorrentShelf;
  readonly data: DataShelf;
}

interface Listening {
  readonly app: App;
  readonly bound: AddressInfo;
  readonly udp: UdpDoor | null;
}

/** One port for TCP and UDP. */
async function listen(
  options: TrackerOptions,
  service: TrackerService,
  shelves: Shelves,
  now: () => number,
): Promise<Listening> {
  const own = new OwnNetworks(now);
  for (let tries = 1; ; tries++) {
    const app = await listenTcp(options, service, shelves);
    const bound = app.server.address();
    if (bound === null || typeof bound === 'string') throw new Error('the tracker listens on no port');
    if (options.udp === false) return { app, bound, udp: null };
    const { address: host, port } = bound;
    try {
      const isAny = host === '::' || host === '0.0.0.0';
      const udpService = new UdpService(service, isAny ? (remote) => own.towards(remote) : () => host);
      const udp = await UdpDoor.open({ host, port, service: udpService, secret: randomBytes(16), now });
      return { app, bound, udp };
    } catch (error) {
      if (options.udp !== true && options.port !== 0 && error instanceof HaulError && error.code === 'PORT_IN_USE') {
        options.log?.('warn', `${error.message}; the tracker answers by TCP alone`);
        return { app, bound, udp: null };
      }
      await app.close();
      // Any free port of TCP may be somebody's of UDP.
      if (options.port !== 0 || tries === PORT_TRIES) throw error;
    }
  }
}

function listenTcp(options: TrackerOptions, service: TrackerService, shelves: Shelves): Promise<App> {
  return bindTo(options.host, async (host) => {
    const app = makeApp(options, service, shelves);
    try {
      await app.listen({ host, port: options.port });
      return app;
    } catch (error) {
      await app.close();
      throw fromSystemError(error, 'tracker: listen on', `${urlHost(host)} port ${options.port}`);
    }
  });
}

function makeApp(options: TrackerOptions, service: TrackerService, { shelf, data }: Shelves): App {
  const app: App = fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: 1024,
    // Queries are raw bytes: each handler reads its own from the raw URL.
    routerOptions: { maxParamLength: 1024, querystringParser: () => ({}) },
    serverFactory: (handler) => makeServer(handler),
    clientErrorHandler: refuseConnection,
  });
  app.get('/', (_request, reply) => {
    reply.type('text/plain; charset=utf-8').send(page(service, shelf));
  });
  app.get('/stats.json', (_request, reply) => {
    reply.send(service.counts);
  });
  app.get('/announce', (request, reply) => {
    reply.type('text/plain').send(announce(service, queryOf(request.raw.url ?? ''), request.raw.socket));
  });
  app.get('/scrape', (request, reply) => {
    reply.type('text/plain').send(service.scrape(queryOf(request.raw.url ?? '')));
  });
  app.get<{ Params: { key: string } }>('/:key/announce', (request, reply) => {
    const { raw, params } = request;
    reply.type('text/plain').send(announce(service, queryOf(raw.url ?? ''), raw.socket, params.key));
  });
  app.get<{ Params: { key: string } }>('/:key/scrape', (request, reply) => {
    reply.type('text/plain').send(service.scrape(queryOf(request.raw.url ?? ''), request.params.key));
  });
  app.get<{ Params: { file: string } }>('/:file', (request, reply) => sendTorrent(shelf, request, reply));
  app.get(`${DATA_PREFIX}*`, { exposeHeadRoute: false }, (request, reply) => sendData(data, request, reply));
  app.head(`${DATA_PREFIX}*`, (request, reply) => sendData(data, request, reply));
  app.setNotFoundHandler((_request, reply) => {
    reply.code(404).type('text/plain').send('not found\n');
  });
  app.setErrorHandler((error: { statusCode?: number; message?: string }, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) options.log?.('error', `tracker: ${request.method}: ${error.message ?? 'unknown error'}`);
    reply
      .code(status)
      .type('text/plain')
      .send(status >= 500 ? 'internal error\n' : 'bad request\n');
  });
  return app;
}

function makeServer(handler: RequestListener): Server {
  const limits = {
    maxHeaderSize: TRACKER_LIMITS.requestBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_S * 1000,
    connectionsCheckingInterval: 2_000,
    noDelay: true,
  };
  const connections = new HttpConnections((url) => url.startsWith(DATA_PREFIX));
  const server = createServer(limits, connections.guard(withoutBodies(handler)));
  server.timeout = CONNECTION_TIMEOUT_MS;
  connections.watch(server);
  return server;
}

/**
 * Nobody has a body for a tracker, and one in chunks of a byte costs more time than its packets. Node would read it to
 * its end behind the answer.
 */
function withoutBodies(handler: RequestListener): RequestListener {
  return (request, response) => {
    const { 'transfer-encoding': coding, 'content-length': length = '0' } = request.headers;
    if (coding === undefined && length === '0') {
      handler(request, response);
      return;
    }
    // What was read with its head is parsed all the same: nobody keeps it.
    request.push = () => true;
    response.writeHead(413, { connection: 'close', 'content-length': 0 }).end();
    request.socket.destroySoon();
    request.socket.pause();
  };
}

function announce(service: TrackerService, query: string, socket: Endpoints, passkey = ''): Buffer {
  // Asking for the local address is a system call, and few swarms have a seed here.
  return service.announce(query, socket.remoteAddress ?? '', () => socket.localAddress ?? '', passkey);
}

function queryOf(url: string): string {
  const mark = url.indexOf('?');
  return mark < 0 ? '' : url.slice(mark + 1);
}

function sendTorrent(
  shelf: TorrentShelf,
  request: FastifyRequest<{ Params: { file: string } }>,
  reply: FastifyReply,
): void {
  const { localAddress, localPort } = request.raw.socket;
  const base = baseUrl(request.headers.host, { address: localAddress ?? '', port: localPort ?? 0 });
  const item = shelf.get(request.params.file, base);
  if (item === null) {
    reply.callNotFound();
    return;
  }
  // One URL, as many answers as ways to reach us.
  reply.header('vary', 'host').header('etag', item.etag);
  if (request.headers['if-none-match'] === item.etag) {
    reply.code(304).send();
    return;
  }
  const { head, tail } = item;
  reply.header('content-length', head.length + tail.length).type('application/x-bittorrent');
  reply.send(tail.length === 0 ? head : Readable.from([head, tail], { objectMode: false }));
}

function sendData(data: DataShelf, { raw }: FastifyRequest, reply: FastifyReply): void {
  reply.hijack();
  const path = (raw.url ?? '').split('?', 1)[0]!.slice(DATA_PREFIX.length);
  void data.serve(path, raw, reply.raw);
}

function page(service: TrackerService, shelf: TorrentShelf): string {
  const { swarms, peers, announces, scrapes, failures } = service.counts;
  const lines = ['Swarmhaul tracker', '', `torrents  ${swarms}`, `peers     ${peers}`, `announces ${announces}`];
  lines.push(`scrapes   ${scrapes}`, `failures  ${failures}`, '');
  for (const name of shelf.names) lines.push(`/${encodeURIComponent(name)}`);
  return `${lines.join('\n')}\n`;
}

/** Bytes that are no HTTP request: a short answer, and the end of the connection. */
function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy());
}
