/**
 * The composition root: builds the parts, connects them, owns the timer that all torrents share. Only this folder names
 * concrete storage (`content.ts`), discovery (`environment.ts`), sockets (`dialler.ts`) and the pool to the torrents.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import type {
  AddOptions,
  Engine,
  EngineEvents,
  EngineOptions,
  EngineStats,
  MagnetDownload,
  MagnetOptions,
  PeerFilterOptions,
  RateLimits,
  RemoveOptions,
  RemoveResult,
  Torrent,
  WakeDormant,
} from '../api.js';
import { DEFAULTS, LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import {
  checkAddOptions,
  checkEngineOptions,
  checkLimits,
  checkPeerFilter,
  checkRemoveOptions,
} from '../library/engine-options.js';
import { asMetainfo } from '../library/metainfo-argument.js';
import type { Log } from '../log.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { Flusher } from '../peer/flusher.js';
import { type Door, Handshakes } from '../peer/handshakes.js';
import { Limits, type TorrentThrottles } from '../peer/limits.js';
import { makeRandom } from '../random.js';
import { engineMemory, type StorageMemory } from '../storage/memory.js';
import { removeData } from '../storage/remove-data.js';
import type { HandleHost } from '../torrent/adjustable.js';
import type { SessionOptions } from '../torrent/changes.js';
import { emitTo, guarded } from '../torrent/emit.js';
import type { Environment } from '../torrent/environment.js';
import { TorrentHandle } from '../torrent/handle.js';
import { LiveTorrent } from '../torrent/torrent.js';
import { makePeerId } from '../wire/handshake.js';
import type { WorkPool } from '../work/port.js';
import { contentOf, type Disks } from './content.js';
import { EngineDialler } from './dialler.js';
import { Dormant, infoHashKey } from './dormant.js';
import { makeEnvironment, type SharedEnvironment } from './environment.js';
import type { EngineInternals } from './internals.js';
import { alreadyThere, Magnets } from './magnets.js';
import { Network } from './network.js';
import { makeEnginePool, roomOf } from './pool.js';
import { sumTransfers, type Transfers } from './transfers.js';
import { Visits } from './visits.js';

/**
 * Starts an engine: listens for peers. Worker threads start with the first torrent that needs them.
 * @throws HaulError BAD_ARGUMENT, PORT_IN_USE, NO_PERMISSION
 */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  return startEngine(options, {});
}

/** `createEngine` with other parts. */
export async function startEngine(options: EngineOptions, internals: EngineInternals): Promise<Engine> {
  checkEngineOptions(options);
  const engine = new LiveEngine(options, internals);
  await engine.open();
  return engine;
}

export type { EngineInternals } from './internals.js';

class LiveEngine extends EventEmitter<EngineEvents> implements Engine {
  readonly #options: EngineOptions;
  readonly #internals: EngineInternals;
  readonly #log: Log;
  readonly #pool: WorkPool;
  readonly #memory: StorageMemory;
  readonly #disks: Disks;
  readonly #random: () => number;
  readonly #peerId: Buffer;
  readonly #flusher = new Flusher();
  readonly #handshakes: Handshakes;
  readonly #dialler: EngineDialler;
  /** As users hold them, also those that rest. */
  readonly #handles = new Map<string, TorrentHandle>();
  /** Those that have a session. */
  readonly #torrents = new Map<string, LiveTorrent>();
  readonly #limits: Limits;
  readonly gates: Engine['gates'];
  readonly #dormant: Dormant;
  readonly #magnets = new Magnets(() => ({
    environment: this.#sharedEnvironment,
    dialler: this.#dialler,
    add: (metainfo, options, found, bans) => this.#add(metainfo, options, { found, bans }),
  }));
  readonly #network: Network;
  #timer: NodeJS.Timeout | null = null;
  #lastSecondMs = 0;
  readonly #visits = new Visits<LiveTorrent>();
  #closing: Promise<void> | null = null;
  #shared: SharedEnvironment | null = null;
  /** Transferred by torrents that are gone. */
  #past: Transfers = { downloadedBytes: 0, uploadedBytes: 0, downloadBytesPerSec: 0, uploadBytesPerSec: 0 };

  constructor(options: EngineOptions, internals: EngineInternals) {
    super();
    this.#options = options;
    this.#internals = internals;
    this.#log = guarded(options.log);
    this.#limits = new Limits(options, () => performance.now());
    this.gates = this.#limits.gates();
    this.#random = makeRandom(options.seed ?? randomInt(2 ** 32 - 1));
    this.#network = this.#makeNetwork();
    // Never from the seed: two engines with one seed must not take each other for themselves.
    this.#peerId = makePeerId(() => randomBytes(4).readUInt32BE() / 2 ** 32);
    const pool = internals.pool ?? makeEnginePool({ ...options, log: this.#log });
    this.#pool = internals.wrapPool?.(pool) ?? pool;
    this.#memory = engineMemory(this.#pool, options.memoryBytes);
    const { storage: kind = 'auto' } = options;
    this.#disks = { pool: this.#pool, memory: this.#memory, kind, openStorage: internals.openStorage };
    this.#dormant = this.#makeDormant();
    this.#handshakes = new Handshakes({
      flusher: this.#flusher,
      peerId: this.#peerId,
      makePeerId: internals.makePeerId,
      maxConnections: roomOf(options).connections,
      filter: this.#network.filter,
      own: () => this.#network.own,
      lookUp: (infoHash) => this.#visited(infoHash),
      wake: (infoHash, gone) => this.#wakeFor(infoHash, gone),
      onEvent: (message, facts) => this.#log('debug', message, facts),
    });
    const dialsPerSecond = internals.dialsPerSecond ?? LIMITS.dialsPerSecond;
    this.#dialler = new EngineDialler(this.#handshakes, this.#torrents, dialsPerSecond);
  }

  #makeNetwork(): Network {
    return new Network({
      engine: this.#options,
      makeMappers: this.#internals.makeMappers,
      random: this.#random,
      log: this.#log,
      onSocket: (socket) => this.#handshakes.accept(socket),
      onTrouble: (message) => {
        this.#log('warn', message);
        this.#dialler.notAccepted(message);
      },
      onMoved: () => {
        for (const { announces } of this.#torrents.values()) announces.announceNow(performance.now());
      },
    });
  }

  /** A peer is at the door of a torrent: a worker starts while its first requests are on their way. */
  #visited(infoHash: Buffer): Door | null {
    const key = infoHash.toString('hex');
    const roster = this.#torrents.get(key)?.roster ?? null;
    if (roster !== null) this.#pool.warmUp?.();
    return roster ?? this.#magnets.doorOf(key);
  }

  /** One that its owner has paused is not woken by a peer. */
  #wakeFor(infoHash: Buffer, gone?: AbortSignal): Promise<Door | null> | null {
    if (this.#handles.get(infoHash.toString('hex'))?.live === null) return null;
    return this.#dormant.wake(infoHash, gone)?.then((torrent) => torrent?.roster ?? null) ?? null;
  }

  #makeDormant(): Dormant {
    return new Dormant({
      now: () => performance.now(),
      maxAwake: this.#options.maxAwakeTorrents ?? DEFAULTS.awakeTorrents,
      find: (infoHashHex) => this.#torrents.get(infoHashHex) ?? null,
      add: (metainfo, options) => this.#add(metainfo, options).live!,
      onTrouble: (message, facts) => this.#log('warn', message, facts),
    });
  }

  registerDormant(infoHash: Uint8Array | string, wake: WakeDormant): void {
    if (this.#closing !== null) throw new HaulError('CLOSED', 'register a dormant torrent: the engine is closed');
    this.#dormant.register(infoHash, wake);
  }

  registerUnknown(wake: WakeDormant | null): void {
    if (this.#closing !== null) throw new HaulError('CLOSED', 'wake unknown torrents: the engine is closed');
    this.#dormant.registerOther(wake);
  }

  forgetDormant(infoHash: Uint8Array | string): boolean {
    return this.#dormant.forget(infoHash);
  }

  async wake(infoHash: Uint8Array | string): Promise<Torrent | null> {
    const live = await this.#dormant.wake(infoHash);
    return live === null ? null : (this.#handles.get(live.metainfo.infoHashHex) ?? null);
  }

  async open(): Promise<void> {
    try {
      await this.#network.open();
    } catch (error) {
      await this.#pool.close();
      throw error;
    }
    this.#timer = setInterval(() => this.#tick(), DEFAULTS.tickMs);
  }

  get port(): number | null {
    return this.#network.port;
  }

  get torrents(): readonly Torrent[] {
    return [...this.#handles.values()];
  }

  get(infoHash: Uint8Array | string): Torrent | null {
    return this.#handles.get(infoHashKey(infoHash)) ?? null;
  }

  get magnets(): readonly MagnetDownload[] {
    return this.#magnets.all;
  }

  add(torrent: Metainfo | Uint8Array, options: AddOptions): Torrent;
  add(magnet: string, options: MagnetOptions): MagnetDownload;
  add(torrent: Metainfo | Uint8Array | string, options: MagnetOptions): Torrent | MagnetDownload {
    if (typeof torrent !== 'string') {
      const metainfo = asMetainfo('add', torrent);
      this.#magnets.refuse(metainfo.infoHashHex);
      return this.#add(metainfo, options);
    }
    if (this.#closing !== null) throw new HaulError('CLOSED', 'add a magnet link: the engine is closed');
    return this.#magnets.add(torrent, options, (infoHashHex) => this.#handles.has(infoHashHex));
  }

  /** @param met whom a magnet link led to */
  #add(metainfo: Metainfo, options: AddOptions, met: Pick<SessionOptions, 'found' | 'bans'> = {}): TorrentHandle {
    const { infoHashHex, name } = metainfo;
    if (this.#closing !== null) throw new HaulError('CLOSED', `add ${name}: the engine is closed`);
    checkAddOptions(metainfo, options);
    if (this.#handles.has(infoHashHex)) throw alreadyThere(infoHashHex, name);
    const throttles = this.#limits.forTorrent(options, infoHashHex);
    const own: SessionOptions = { ...options, ...met, output: resolve(options.output) };
    const handle = new TorrentHandle(metainfo, own, throttles, this.#host);
    this.#handles.set(infoHashHex, handle);
    emitTo(this, 'added', handle);
    return handle;
  }

  /** What torrents need of their engine. */
  readonly #host: HandleHost = {
    begin: (handle, session) => this.#begin(handle.metainfo, session, this.#environment(handle.throttles)),
    contentOf: (...asked) => contentOf(this.#disks, ...asked),
    setLimits: (throttles, rates) => this.#limits.set(throttles, rates),
    onDone: (handle) => emitTo(this, 'done', handle),
    onEnded: (handle) => {
      this.#limits.end(handle.throttles);
      this.#handles.delete(handle.metainfo.infoHashHex);
      this.#dormant.ended(handle.metainfo.infoHashHex);
      if (handle.error !== null) emitTo(this, 'failed', handle, handle.error);
      emitTo(this, 'removed', handle);
    },
  };

  /** A session of a torrent. */
  #begin(metainfo: Metainfo, options: SessionOptions, environment: Environment): LiveTorrent {
    // What is not taken on trust is hashed, and a download needs memory made present: soon.
    if (options.mode !== 'seed' || options.trustData !== true) this.#pool.warmUp?.();
    const { contentOf } = this.#host;
    const torrent = new LiveTorrent(metainfo, options, { environment, dialler: this.#dialler, contentOf });
    this.#torrents.set(metainfo.infoHashHex, torrent);
    this.#visits.stir(torrent);
    return torrent;
  }

  async remove(torrent: Torrent, options: RemoveOptions = {}): Promise<RemoveResult> {
    if (!(torrent instanceof TorrentHandle) || !torrent.isOf(this.#host))
      throw new HaulError('BAD_ARGUMENT', 'torrent must be one of this engine', { option: 'torrent' });
    checkRemoveOptions(options);
    await torrent.stop();
    return options.deleteData === true ? removeData(torrent) : { deleted: [], kept: [] };
  }

  setLimits(limits: RateLimits): void {
    checkLimits(limits);
    this.#limits.setShared(limits);
    for (const handle of this.#handles.values()) handle.limitsChanged();
  }

  setPeerFilter(filter: PeerFilterOptions | null): void {
    if (filter !== null) checkPeerFilter(filter);
    this.#network.filter.set(filter);
    this.#handshakes.enforceFilter();
  }

  /** What all torrents share is there once: thousands of them rest. */
  #environment(throttles: TorrentThrottles): Environment {
    return Object.assign(Object.create(this.#sharedEnvironment) as SharedEnvironment, { throttles });
  }

  get #sharedEnvironment(): SharedEnvironment {
    this.#shared ??= this.#makeShared();
    return this.#shared;
  }

  #makeShared(): SharedEnvironment {
    const { uploadSlots = DEFAULTS.uploadSlots, zone } = this.#options;
    const maxPeers = this.#options.maxConnectionsPerTorrent ?? LIMITS.connectionsPerTorrent;
    return makeEnvironment({
      log: this.#log,
      random: this.#random,
      peerId: this.#peerId,
      outside: this.#network.outside,
      ownHost: () => this.#network.own,
      permits: (host) => this.#network.filter.permits(host),
      uploadSlots: uploadSlots === 'unlimited' ? Number.POSITIVE_INFINITY : uploadSlots,
      maxPeers,
      maxPeersPerAddress: this.#options.maxConnectionsPerAddress ?? Math.ceil(maxPeers / DEFAULTS.addressesPerTable),
      trackers: this.#network.trackers,
      webClients: this.#network.webClients,
      usesPex: this.#options.pex ?? true,
      zone,
      restAfterMs: this.#internals.restAfterMs ?? DEFAULTS.restAfterMs,
      stir: (door) => {
        const torrent = this.#torrentOf(door);
        if (torrent !== null) this.#visits.stir(torrent);
      },
      onStopped: (door) => this.#forgetTorrent(door),
    });
  }

  #torrentOf(door: Door): LiveTorrent | null {
    const torrent = this.#torrents.get(door.infoHash.toString('hex'));
    return torrent?.roster === door ? torrent : null;
  }

  #forgetTorrent(door: Door): void {
    const torrent = this.#torrentOf(door);
    if (torrent === null) return;
    this.#past = { ...sumTransfers([torrent], this.#past), downloadBytesPerSec: 0, uploadBytesPerSec: 0 };
    this.#torrents.delete(torrent.metainfo.infoHashHex);
    this.#visits.delete(torrent);
  }

  /** For all torrents: their ticks, time-outs and the dial budget. */
  #tick(): void {
    const nowMs = performance.now();
    const isSecond = nowMs - this.#lastSecondMs >= 1000;
    if (isSecond) this.#lastSecondMs = nowMs;
    this.#dialler.refill(DEFAULTS.tickMs);
    if (isSecond) {
      this.#handshakes.tick(nowMs);
      this.#dormant.tick(nowMs);
      this.#memory.tick(nowMs);
    }
    this.#visits.tick(nowMs, isSecond);
    this.#magnets.tick(nowMs, isSecond);
  }

  stats(): EngineStats {
    return {
      port: this.port,
      torrents: this.#handles.size,
      dormant: this.#dormant.count,
      connections: this.#handshakes.connectionCount,
      ...sumTransfers(this.#torrents.values(), this.#past),
      ...this.#network.outside.stats(),
      peerFilter: this.#network.filter.report,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const listening = this.#network.stopListening();
    this.#dormant.close();
    // All at once: a tracker that does not answer the goodbye of one keeps the others from nothing.
    await Promise.all([this.#magnets.close(), ...[...this.#handles.values()].map((torrent) => torrent.stop())]);
    this.#handshakes.close();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#limits.closeGates();
    await listening;
    await this.#memory.close();
    await Promise.all([this.#pool.close(), this.#network.close()]);
    emitTo(this, 'closed');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
