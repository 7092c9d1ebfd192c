/**
 * The depot put together: store, catalogue, engine, tracker and HTTP in one process. The only file that names them all.
 * Invariant: it is opened from the inside to the door and closed the other way round, also where the start fails half
 * way: nobody is let in before what stands behind the door is there.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Engine } from '../api.js';
import { createEngine } from '../engine/engine.js';
import { peersFound } from '../engine/found-peers.js';
import { pieceMapOf } from '../engine/piece-map.js';
import { HaulError } from '../errors.js';
import { OwnNetworks } from '../net/own-addresses.js';
import type { RateGate } from '../rates-api.js';
import { AnnounceDoor } from '../tracker/announce-door.js';
import { HttpConnections } from '../tracker/http-connections.js';
import type { Endpoints } from '../tracker/raw-socket.js';
import { TrackerService } from '../tracker/service.js';
import type { Registry } from '../tracker/swarms.js';
import { UdpDoor } from '../tracker/udp-door.js';
import { UdpService } from '../tracker/udp-service.js';
import { VERSION } from '../version.js';
import { anonymousAccess } from './access.js';
import { Activity } from './activity.js';
import { DEPOT_HTTP_PORT, type Depot, type DepotOptions, type DepotStats } from './api.js';
import type { Catalogue } from './catalogue/port.js';
import { DiskProbe } from './disk-probe.js';
import { type OpenCacheDoor, openCacheDoor } from './doors/cache-of-depot.js';
import { endingOf } from './ending.js';
import { FolderTorrents } from './folders/folder-torrents.js';
import { type House, openHouse } from './house.js';
import { localUrl, openDoor } from './http/door.js';
import type { Inside } from './http/inside.js';
import { DEPOT_HTTP_LIMITS } from './http/limits.js';
import { Listeners } from './http/listeners.js';
import { Passkeys } from './http/passkeys.js';
import { problemOf } from './http/problems.js';
import type { Route } from './http/route.js';
import type { HttpServer } from './http/server.js';
import { siblingRoutes } from './http/sibling-routes.js';
import { type Certificate, openCertificate } from './http/tls.js';
import { openTokens, type TokenSource } from './http/token-file.js';
import { DEPOT_LIMITS } from './limits.js';
import { openChosenCatalogue } from './open-catalogue.js';
import { openStoreOf } from './open-store.js';
import { OwnTorrents, openByPeers } from './p2p/of-depot.js';
import { type OpenPeers, openPeers } from './peers/open.js';
import { DEPOT_DEFAULTS, Depot as Publishing } from './publish.js';
import type { Depository } from './publish-port.js';
import { readinessOf, tellOnce } from './readiness.js';
import { sweepHalfWritten } from './replace-file.js';
import { secretOf } from './secret.js';
import { Seeds } from './seeds.js';
import { openSiblings } from './siblings/open.js';
import { statusSource } from './status-of.js';
import type { BlobStore } from './store/port.js';
import { telling } from './telling.js';
import type { Uses } from './uses.js';

const INTERVAL_S = 120;
/** Entries of the tracker's table are aged by this clock, which must be far from 0. */
const CLOCK_START_MS = 86_400_000;
const TICK_MS = 1_000;
/** Files are looked at for changes, and figures told, every so many ticks. */
const LOOK_TICKS = 5;
const SWEEP_BUDGET = 2_000;
const KEEP_ALIVE_S = 10;
/** Of the folder: replaced as a whole when they change. */
const SMALL_FILES = ['clock', 'secret', 'store-id', 'depot-id', 'depot.json', 'probe'];

/** What is closed, the last opened first. */
class Opened {
  readonly #closers: (() => Promise<void> | void)[] = [];

  add(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  /** Each is tried; the first trouble is thrown at the end. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** @throws HaulError as `startDepot`; nothing is left open then */
export async function openDepot(options: DepotOptions): Promise<Depot> {
  const opened = new Opened();
  try {
    const depot = await open(options, opened);
    if (options.signal?.aborted === true) throw new HaulError('ABORTED', 'start a depot: it was stopped');
    const stop = (): void => void depot.close();
    options.signal?.addEventListener('abort', stop, { once: true });
    opened.add(() => options.signal?.removeEventListener('abort', stop));
    return depot;
  } catch (error) {
    await opened.close().catch(() => {});
    throw error;
  }
}

interface Inner {
  /** Of what is published; the house knows better than the machine. */
  readonly clock: { nowMs: () => number };
  readonly probe: DiskProbe;
  readonly store: BlobStore;
  readonly catalogue: Catalogue;
  readonly engine: Engine;
  readonly seeds: Seeds;
  readonly folders: FolderTorrents;
  readonly depository: Depository;
  readonly uses: Uses;
}

async function openInner(options: DepotOptions, host: string, opened: Opened): Promise<Inner> {
  const { data, log, artifactBytesMax, retentionDays } = options;
  const { torrentFromBytes = DEPOT_DEFAULTS.torrentFromBytes } = options;
  const store = await openStoreOf(options);
  opened.add(() => store.close());
  await sweepHalfWritten(data, SMALL_FILES);
  const catalogue = await openChosenCatalogue(store, { ...options, torrentFromBytes });
  opened.add(() => catalogue.close());
  const logging = log === undefined ? {} : { log };
  const engine = await createEngine({ host, ...logging, ...options.engine });
  const seeds = new Seeds({ engine, catalogue, store, log });
  const folders = new FolderTorrents({ data, engine, catalogue, store, torrentFromBytes });
  opened.add(async () => {
    await folders.stop();
    await engine.close();
    await Promise.all([seeds.close(), folders.close()]);
  });
  await Promise.all([seeds.load(), folders.load()]);
  const clock = { nowMs: Date.now };
  const depository = new Publishing({
    now: () => clock.nowMs(),
    store,
    catalogue,
    torrents: seeds,
    folders,
    onLeft: ({ message }) => log?.('error', `it is not known whether somebody needs it: ${message}`),
    ...(artifactBytesMax === undefined ? {} : { blobBytesMax: artifactBytesMax }),
    torrentFromBytes,
    retentionDays: retentionDays ?? null,
  });
  opened.add(() => depository.close());
  // Blobs that nobody names: what was under way when the process before was ended.
  await depository.sweep();
  const { uses } = depository;
  const probe = new DiskProbe(join(data, 'probe.new'));
  return { clock, probe, store, catalogue, engine, seeds, folders, depository, uses };
}

async function open(options: DepotOptions, opened: Opened): Promise<Depot> {
  const host = options.host ?? '127.0.0.1';
  const anonymous = anonymousAccess(options, host);
  const { log, tls, data } = options;
  const tokens = openTokens(options.tokens ?? null, options.tokenLines ?? null, log);
  const certificate = tls === undefined ? null : openCertificate(tls.cert, tls.key, log);
  const inner = await openInner(options, host, opened);
  const secret = await secretOf(data, inner.catalogue);
  const nowMs = (): number => inner.clock.nowMs();
  const passkeys = new Passkeys(secret, () => tokens.table, nowMs);
  const others = (options.otherDepots ?? []).map((url) => url.replace(/\/+$/, ''));
  const torrents = new OwnTorrents(registryOf(inner));
  const tracker = trackerOf(torrents, anonymous === 'none' ? passkeys : null);
  const peers = await openPeersOf(options, tracker, host);
  opened.add(() => peers?.close());
  const listeners = new Listeners();
  const activity = new Activity();
  const artifacts = telling(activity.watch(inner.depository), listeners);
  const siblings = openSiblings({ ...inner, secret, urls: others, log });
  opened.add(() => siblings?.siblings.close());
  let isStopping = false;
  const told = { peers, siblings: others.length > 0 ? siblings : null, onLook: tellOnce(log) };
  const readiness = () => readinessOf({ ...inner, ...told, data, isStopping });
  const house = await openHouse({ options, ...inner, tracker, peers, siblings, artifacts, readiness });
  opened.add(() => house.close());
  inner.clock.nowMs = () => house.nowMs();
  const parts = { options, ...inner, tracker, torrents, activity, artifacts: house.artifacts, peersFound, now: clock };
  const byPeers = await openByPeers(parts);
  opened.add(() => byPeers.close());
  let requests = (): number => 0;
  const inside: Inside = {
    depository: byPeers.watch(house.artifacts),
    used: (name) => inner.uses.note(name, Math.floor(nowMs())),
    byPeers,
    catalogue: inner.catalogue,
    upcoming: (limit, isWanted) => house.next(limit, isWanted),
    folders: inner.folders,
    tracker,
    passkeyOf: (token) => (token === null ? null : passkeys.of(token)),
    others,
    listeners,
    readiness,
    metrics: () => house.metrics(),
    status: statusSource({ ...inner, activity, house, tracker, pieceMapOf, requests: () => requests() }),
    artifactBytesMax: options.artifactBytesMax ?? DEPOT_LIMITS.artifactBytes,
    version: VERSION,
  };
  const cache = await openCacheDoor(data, inside);
  opened.add(() => cache.close());
  const routes = [...cache.routes, ...(siblings === null ? [] : siblingRoutes(siblings))];
  const gate = inner.engine.gates.uploads;
  const doorParts = { host, anonymous, tokens, certificate, routes, activity, gate };
  const server = await openServer(options, inside, house, doorParts);
  requests = () => server.underway() - listeners.count;
  opened.add(() => server.close(0));
  const doors = await openDoors(options, server, tracker, certificate !== null);
  opened.add(doors.close);
  siblings?.siblings.start();
  house.start();
  const { engine } = inner;
  const timer = startTicking({ ...inner, tracker, tokens, certificate, listeners, cache, activity, byPeers });
  const onDrain = (): void => {
    isStopping = true;
  };
  const stats = () => statsOf(inner, tracker, requests());
  const url = localUrl(server, certificate !== null);
  const { host: boundHost, port } = server;
  const ending = endingOf({ server, doors, listeners, timer, opened, onDrain });
  return { url, host: boundHost, port, peerPort: engine.port, anonymous, stats, ...ending };
}

function trackerOf(registry: Registry, passkeys: Passkeys | null): TrackerService {
  return new TrackerService({
    intervalS: INTERVAL_S,
    registeredOnly: true,
    registry,
    passkeys,
    random: Math.random,
    now: clock,
  });
}

async function openPeersOf(
  { peers: url, log }: DepotOptions,
  { swarms }: TrackerService,
  host: string,
): Promise<OpenPeers | null> {
  if (url === undefined) return null;
  const sharesLoopback = host === '::1' || host.startsWith('127.');
  return openPeers({ url, swarms, now: clock, sharesLoopback, log });
}

/** What the tracker serves. */
function registryOf({ seeds, folders }: Inner): Registry {
  return {
    // Where the catalogue is shared the other one may have to be looked for.
    has: (infoHash) => folders.has(infoHash) || seeds.has(infoHash),
    get seedPort() {
      return seeds.seedPort;
    },
  };
}

async function statsOf({ catalogue, engine }: Inner, tracker: TrackerService, requests: number): Promise<DepotStats> {
  const counts = await catalogue.counts();
  const { uploadedBytes } = engine.stats();
  return { ...counts, requests, peers: tracker.counts.peers, uploadedBytes };
}

function clock(): number {
  return performance.now() + CLOCK_START_MS;
}

interface DoorParts {
  readonly host: string;
  readonly anonymous: Depot['anonymous'];
  readonly tokens: TokenSource;
  readonly certificate: Certificate | null;
  readonly routes: readonly Route[];
  readonly activity: Activity;
  readonly gate: RateGate;
}

function openServer(options: DepotOptions, inside: Inside, house: House, parts: DoorParts): Promise<HttpServer> {
  const { log } = options;
  return openDoor(inside, {
    host: parts.host,
    port: options.httpPort ?? DEPOT_HTTP_PORT,
    allowHosts: options.allowHosts ?? [],
    corsOrigins: options.corsOrigins ?? [],
    publicUrl: options.publicUrl?.replace(/\/+$/, '') ?? null,
    tokens: () => parts.tokens.table,
    anonymous: parts.anonymous,
    certificate: parts.certificate,
    // All requests are answered in turn.
    connections: new HttpConnections(() => true),
    otherRoutes: parts.routes,
    onRequest: (record) => {
      house.answered(record);
      parts.activity.answered(record);
      options.onRequest?.(record);
    },
    onTrouble: (error, method) => {
      const why = error instanceof Error ? (error instanceof HaulError ? error.message : error.stack) : String(error);
      log?.('error', `${method}: ${why}`);
      // Whoever sees the page need not know of folders.
      parts.activity.failed(`${method}: ${problemOf(error).problem.message}`);
    },
    // A clock that fell back revives no token.
    wallClockMs: () => house.nowMs(),
    now: () => performance.now(),
    gate: parts.gate,
  });
}

interface Doors {
  drain(): void;
  close(): void;
}

/** Announces straight from the bytes of their connection, and by UDP where that is asked for. */
async function openDoors(
  options: DepotOptions,
  server: HttpServer,
  tracker: TrackerService,
  isTls: boolean,
): Promise<Doors> {
  const answer = (query: string, socket: Endpoints): Buffer =>
    tracker.announce(query, socket.remoteAddress ?? '', () => socket.localAddress ?? '');
  const door = isTls ? null : new AnnounceDoor(server.server, { idleTimeoutS: KEEP_ALIVE_S, answer });
  const timer = setInterval(() => door?.tick(), TICK_MS).unref();
  const { host, port } = server;
  const own = new OwnNetworks(clock);
  const isAny = host === '::' || host === '0.0.0.0';
  const udpService = new UdpService(tracker, isAny ? (remote) => own.towards(remote) : () => host);
  let udp: UdpDoor | null = null;
  const close = (): void => {
    clearInterval(timer);
    door?.close();
    udp?.close();
  };
  const drain = (): void => door?.drain();
  try {
    if (options.udp === true)
      udp = await UdpDoor.open({ host, port, service: udpService, secret: randomBytes(16), now: clock });
    return { drain, close };
  } catch (error) {
    close();
    throw error;
  }
}

interface Ticking {
  readonly tracker: TrackerService;
  readonly tokens: TokenSource;
  readonly certificate: Certificate | null;
  readonly listeners: Listeners;
  readonly cache: OpenCacheDoor;
  readonly activity: Activity;
  readonly engine: Engine;
  readonly byPeers: { tick(): void };
  readonly seeds: Seeds;
}

function startTicking(ticking: Ticking): NodeJS.Timeout {
  const { tracker, tokens, certificate, listeners, cache, activity, engine, byPeers, seeds } = ticking;
  let ticks = 0;
  return setInterval(() => {
    ticks++;
    tracker.sweep(SWEEP_BUDGET);
    byPeers.tick();
    if (ticks % LOOK_TICKS === 0) {
      tokens.look();
      certificate?.look();
      cache.tick();
      seeds.look();
    }
    tellFigures(listeners, activity, engine);
    if (ticks % (DEPOT_HTTP_LIMITS.listenerBeatMs / TICK_MS) === 0) listeners.beat();
  }, TICK_MS).unref();
}

/** While something moves, and somebody listens: who wants more asks for `/status`. No names here. */
function tellFigures(listeners: Listeners, activity: Activity, engine: Engine): void {
  if (listeners.count === 0) return;
  const { connections, torrents, downloadBytesPerSec, uploadBytesPerSec, uploadedBytes } = engine.stats();
  const { uploadCount: uploads } = activity;
  if (uploads === 0 && connections === 0 && torrents === 0 && uploadBytesPerSec === 0) return;
  const data = { uploads, connections, torrents, downloadBytesPerSec, uploadBytesPerSec, uploadedBytes };
  listeners.tell({ type: 'figures', name: null, data });
}
