/**
 * The agent put together: cache, engine, depot client and HTTP in one process. The only file that names them all.
 * Invariant: opened from the inside to the door, closed the other way round, also where the start fails half way.
 */
import { randomBytes } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Engine } from '../../api.js';
import { Trackers } from '../../discovery/trackers.js';
import { createEngine } from '../../engine/engine.js';
import { pieceMapOf } from '../../engine/piece-map.js';
import { HaulError } from '../../errors.js';
import type { Log } from '../../log.js';
import { HttpConnections } from '../../tracker/http-connections.js';
import { VERSION } from '../../version.js';
import type { OpenCacheDoor } from '../doors/cache-of-depot.js';
import { localUrl, ownHosts } from '../http/door.js';
import { Handler } from '../http/handler.js';
import { DEPOT_HTTP_LIMITS } from '../http/limits.js';
import { Listeners } from '../http/listeners.js';
import { type HttpServer, startServer } from '../http/server.js';
import { serviceRoutes, withOpenApi } from '../http/service-routes.js';
import { TokenTable } from '../http/tokens.js';
import { Announcer } from './announcer.js';
import type { Agent, AgentOptions } from './api.js';
import { BlobCache, type CachedBlob } from './blob-cache.js';
import { CacheDisk } from './cache-disk.js';
import { CacheFolder } from './cache-folder.js';
import { openCacheOfAgent } from './cache-of-agent.js';
import type { DepotPort } from './depot-port.js';
import { Directory } from './directory.js';
import { Fetches } from './fetches.js';
import { AGENT_HTTP_PORT, AGENT_LIMITS } from './limits.js';
import { LocalPlaces } from './local-places.js';
import { NamesFile } from './names-file.js';
import { openDepots } from './open-depots.js';
import { pageStatusOf, piecesOf } from './page-status.js';
import type { AgentParts } from './parts.js';
import { Presence } from './presence.js';
import { PutFill } from './put-fill.js';
import { Receipts } from './receipts.js';
import { type AgentInside, agentRoutes, getBytes } from './routes.js';
import { Seeds } from './seeds.js';
import { agentMetrics, readinessOf, statsOf, statusOf } from './telling.js';

const TICK_MS = 1_000;
/** For the page; who asks for readiness or figures has it looked at. */
const DISK_TICKS = 10;

/** @throws HaulError as `startAgent`; nothing is left open then */
export async function openAgent(options: AgentOptions): Promise<Agent> {
  const closers: (() => Promise<void>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const agent = await open(options, closers, closeAll);
    if (options.signal?.aborted === true) throw new HaulError('ABORTED', 'start an agent: it was stopped');
    options.signal?.addEventListener('abort', () => void agent.close(), { once: true });
    return agent;
  } catch (error) {
    await closeAll().catch(() => {});
    throw error;
  }
}

const quiet: Log = () => {};

async function openParts(options: AgentOptions, closers: (() => Promise<void>)[]): Promise<AgentParts> {
  const log = options.log ?? quiet;
  const { client, listen } = openDepots(options, log);
  closers.push(() => client.destroy());
  const root = resolve(options.cache);
  const folder = await CacheFolder.open(root);
  closers.push(() => folder.close());
  const names = await NamesFile.open(folder, log);
  closers.push(() => names.close());
  const engine = await createEngine({ ...(options.log === undefined ? {} : { log }), ...options.engine });
  let seeds: Seeds | null = null;
  const cache = new BlobCache({
    folder,
    cacheBytes: options.cacheBytes ?? (await defaultCacheBytes(root)),
    log,
    wallClockMs: Date.now,
    onGone: (blob: CachedBlob) => void seeds?.remove(blob),
    isBusy: (blob) => seeds?.isBusy(blob) === true,
  });
  closers.push(() => cache.close().then(() => engine.close()));
  await cache.load();
  const now = (): number => performance.now();
  const trackers = new Trackers({ random: Math.random, ca: options.engine?.ca });
  closers.push(() => trackers.close());
  const announcer = new Announcer({
    ...options.engine,
    trackers,
    port: () => engine.port,
    inOrder: (tiers) => client.inOrder(tiers),
  });
  const presence = openPresence({ announcer, engine, client, now, trackers: async () => seeds!.knownTrackers() });
  seeds = new Seeds({ engine, cache, log, now, presence, inOrder: (tiers) => client.inOrder(tiers) });
  for (const blob of cache.blobs) seeds.add(blob, null);
  // Its tracker may have forgotten us, or never heard of us.
  listen(() => presence.again());
  const listeners = new Listeners();
  const receipts = new Receipts(randomBytes(4).toString('hex'));
  const sums = { sentBytes: 0, peerBytes: 0, webSeedBytes: 0, failures: 0 };
  const fetches = new Fetches({
    cache,
    engine,
    client,
    seeds,
    log,
    now,
    others: (metainfo) => announcer.othersOf(metainfo),
    onFetch: ({ row }, change, reason) => {
      if (change === 'failed') sums.failures++;
      log(
        change === 'failed' ? 'info' : 'debug',
        `fetch of ${row.name} ${change}${reason === '' ? '' : `: ${reason}`}`,
      );
      listeners.tell({ type: 'fetch', name: row.name, data: { name: row.name, sha256: row.sha256, change } });
    },
  });
  closers.push(() => fetches.close());
  const directory = new Directory({ client, names, wallClockMs: Date.now, held: (sha256) => cache.held(sha256) });
  client.warmUp();
  receipts.onReceipt = (receipt) => {
    options.onReceipt?.(receipt);
    listeners.tell({ type: 'receipt', name: receipt.name, data: { ...receipt } });
  };
  const disk = new CacheDisk(folder);
  await disk.look();
  return { cache, disk, engine, client, names, fetches, receipts, seeds, presence, directory, listeners, sums };
}

async function open(
  options: AgentOptions,
  closers: (() => Promise<void>)[],
  closeAll: () => Promise<void>,
): Promise<Agent> {
  const parts = await openParts(options, closers);
  const { fetches, seeds, presence, listeners, engine, client, disk } = parts;
  const { server, handler, cacheDoor } = await openDoor(options, parts, closers);
  closers.push(() => server.close(0));
  let ticks = 0;
  const timer = setInterval(() => {
    client.tick();
    fetches.tick();
    seeds.tick();
    presence.tick();
    cacheDoor.tick();
    if (ticks % DISK_TICKS === 0) void disk.look();
    if (++ticks % (DEPOT_HTTP_LIMITS.listenerBeatMs / TICK_MS) === 0) listeners.beat();
    if (listeners.count > 0) listeners.tell({ type: 'figures', name: null, data: statusOf(parts, handler.underway) });
  }, TICK_MS).unref();
  let closing: Promise<void> | null = null;
  const close = async (graceMs: number): Promise<void> => {
    clearInterval(timer);
    listeners.close();
    await server.close(graceMs);
    await closeAll();
  };
  return {
    url: localUrl(server, false),
    host: server.host,
    port: server.port,
    peerPort: engine.port,
    stats: () => statsOf(parts),
    close: (graceMs = AGENT_LIMITS.graceMs) => {
      closing ??= close(graceMs);
      return closing;
    },
    [Symbol.asyncDispose]: () => {
      closing ??= close(AGENT_LIMITS.graceMs);
      return closing;
    },
  };
}

interface Door {
  readonly server: HttpServer;
  readonly handler: Handler;
  readonly cacheDoor: OpenCacheDoor;
}

async function openDoor(options: AgentOptions, parts: AgentParts, closers: (() => Promise<void>)[]): Promise<Door> {
  const { log = quiet, allowHosts = [], host = '127.0.0.1', httpPort = AGENT_HTTP_PORT } = options;
  const { listeners, sums, client, directory, disk } = parts;
  let underway = (): number => 0;
  const fill = new PutFill({ ...parts, log });
  closers.push(() => fill.close());
  const inside: AgentInside = {
    ...parts,
    fill,
    places: new LocalPlaces(parts.cache, parts.directory),
    wallClockMs: Date.now,
    now: () => performance.now(),
    onSent: (bytes, from) => {
      sums.sentBytes += bytes;
      sums.peerBytes += from.peers;
      sums.webSeedBytes += from.webSeed;
    },
    status: () => ({ ...pageStatusOf(parts, underway()), ...statusOf(parts, underway()) }),
    pieces: (infoHash) => piecesOf(parts, infoHash, pieceMapOf),
  };
  const cacheDoor = await openCacheOfAgent({
    folder: parts.cache.folder.tmp,
    client,
    directory,
    fill,
    bytes: (exchange, name) => getBytes({ ...exchange, query: {} }, inside, name),
  });
  closers.push(() => cacheDoor.close());
  const service = serviceRoutes({
    listeners,
    version: VERSION,
    readiness: async () => readinessOf(parts, await disk.look()),
    metrics: async () => ({
      type: 'text/plain; version=0.0.4',
      text: agentMetrics(parts, await disk.look(), underway()),
    }),
  });
  const ownRoutes = [...service, ...agentRoutes(inside)];
  const handler = new Handler({
    routes: [...withOpenApi(ownRoutes, { version: VERSION }, 'all', 'Swarmhaul agent'), ...cacheDoor.routes],
    rules: { hosts: ownHosts(allowHosts), origins: new Set() },
    tokens: () => new TokenTable([]),
    // Whoever reaches it may read; what is written is the depot's to permit.
    anonymous: 'all',
    isBehindProxy: false,
    uploadsAtOnce: AGENT_LIMITS.uploads,
    baseOf: (authority) => `http://${authority}`,
    onRequest: (record) => options.onRequest?.(record),
    onTrouble: (error, method, path) =>
      log(
        'error',
        `${method} ${path}: ${error instanceof HaulError ? error.message : ((error as Error)?.stack ?? error)}`,
      ),
    wallClockMs: Date.now,
    now: () => performance.now(),
  });
  // Who listens to events asks for nothing.
  underway = () => handler.underway - listeners.count;
  // All requests are answered in turn.
  const connections = new HttpConnections(() => true);
  const server = await startServer({ host, port: httpPort, handler, connections, certificate: null });
  return { server, handler, cacheDoor };
}

interface PresenceParts {
  readonly announcer: Announcer;
  readonly engine: Engine;
  readonly client: DepotPort;
  readonly now: () => number;
  readonly trackers: () => Promise<readonly (readonly string[])[]>;
}

/** Announces as the engine would, for torrents that it has none of. */
function openPresence({ announcer, engine, client, now, trackers }: PresenceParts): Presence {
  const announce = async (infoHash: string): Promise<number | null> => {
    const reply = await announcer.announce(await trackers(), infoHash, 0);
    return reply?.intervalMs ?? null;
  };
  const isAwake = (infoHash: string): boolean => engine.get(infoHash) !== null;
  return new Presence({ announce, isAwake, isAway: () => client.isAway === true, now });
}

/** Half of the disk: the other half is for the jobs. */
async function defaultCacheBytes(root: string): Promise<number> {
  const { blocks, bsize } = await statfs(root);
  return Math.floor(blocks * bsize * AGENT_LIMITS.diskShare);
}
