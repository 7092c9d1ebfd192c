/**
 * A magnet link as its user holds it: takes the metadata from an earlier run, or fetches it of peers, keeps it, and has
 * the torrent added. Owns the order of these steps, `torrent` and `done`.
 */
import { EventEmitter } from 'node:events';
import type { AddOptions, MagnetOptions, Torrent, TorrentSources } from '../../api.js';
import { HaulError } from '../../errors.js';
import { checkPeer } from '../../library/engine-options.js';
import { type Magnet, selectedBy } from '../../magnet/link.js';
import type { MagnetDownload, MagnetEvents, MagnetState, MagnetStats } from '../../magnet-api.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import { encodeTorrent, parseTorrent } from '../../metainfo/torrent.js';
import type { Door } from '../../peer/handshakes.js';
import type { Bans } from '../bans.js';
import { emitTo } from '../emit.js';
import { abortedError, toHaulError, whenAborted } from '../endings.js';
import type { Dialler } from '../environment.js';
import { NO_DHT_NODE } from '../health.js';
import { type FetchEnvironment, type Found, MetadataFetch } from './metadata-fetch.js';

/** What it needs of its engine. */
export interface MagnetHost {
  readonly environment: FetchEnvironment;
  readonly dialler: Dialler;
  /** Before anything is written. @throws HaulError what `add` would say of these options */
  check(metainfo: Metainfo, options: AddOptions): void;
  /** Adds the torrent. @param found peers of it @param bans of those who lied about it @throws HaulError */
  add(metainfo: Metainfo, options: AddOptions, found: readonly Found[], bans: Bans | null): Torrent;
  /** The info dictionary that an earlier run kept; null: there is none. Never rejects. */
  loadKept(infoHashHex: string, output: string): Promise<Buffer | null>;
  /** @throws HaulError */
  saveKept(metainfo: Metainfo, output: string): Promise<void>;
  /** It is over; called once. */
  onEnded(handle: MagnetHandle): void;
}

export class MagnetHandle extends EventEmitter<MagnetEvents> implements MagnetDownload {
  readonly infoHashHex: string;
  readonly displayName: string | null;
  readonly output: string;
  readonly torrent: Promise<Torrent>;
  readonly done: Promise<void>;
  error: HaulError | null = null;
  #state: MagnetState = 'fetching';
  readonly #magnet: Magnet;
  readonly #options: MagnetOptions;
  readonly #host: MagnetHost;
  readonly #unwatchSignal: () => void;
  #resolve!: (torrent: Torrent) => void;
  #reject!: (error: HaulError) => void;
  /** Null until it was looked for on disk. */
  #fetch: MetadataFetch | null = null;
  /** Peers that the user named. */
  readonly #peers: { readonly host: string; readonly port: number }[];
  #stopping: Promise<void> | null = null;
  /** Reading what was kept; adding the torrent. */
  #running: Promise<void>;

  /** @param options with an absolute path of the output */
  constructor(magnet: Magnet, options: MagnetOptions, host: MagnetHost) {
    super();
    this.#magnet = magnet;
    this.#options = options;
    this.#host = host;
    this.infoHashHex = magnet.infoHashHex;
    this.displayName = magnet.displayName;
    this.output = options.output;
    this.#peers = [...(options.peers ?? [])];
    this.torrent = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.done = this.torrent.then((torrent) => torrent.done);
    for (const promise of [this.torrent, this.done]) promise.catch(() => {});
    this.#running = this.#begin();
    this.#unwatchSignal = whenAborted(options.signal, () => void this.#end(abortedError(this.#name)));
  }

  get state(): MagnetState {
    return this.#state;
  }

  /** Who takes the peers of this torrent now; null: nobody yet. */
  get door(): Door | null {
    return this.#fetch;
  }

  get #name(): string {
    return this.displayName ?? this.infoHashHex;
  }

  stats(): MagnetStats {
    const fetch = this.#fetch;
    const { receivedBytes, lengthBytes } = fetch?.progress() ?? { receivedBytes: 0, lengthBytes: 0 };
    return {
      state: this.#state,
      metadataBytes: lengthBytes,
      receivedBytes,
      peers: fetch?.peerCount ?? 0,
      offeringPeers: fetch?.offering ?? 0,
      knownAddresses: fetch?.knownAddresses ?? 0,
      waitingFor:
        this.#state === 'fetching' && fetch !== null ? waitingFor(fetch, this.#host.environment.dhtNodes) : null,
    };
  }

  sources(): TorrentSources {
    return this.#fetch?.sources() ?? NO_SOURCES;
  }

  addPeer(host: string, port: number): void {
    checkPeer('addPeer', host, port);
    if (this.#state !== 'fetching') return;
    this.#peers.push({ host, port });
    this.#fetch?.addPeer(host, port);
  }

  tick(nowMs: number, isSecond: boolean): void {
    this.#fetch?.tick(nowMs, isSecond);
  }

  stop(): Promise<void> {
    return this.#end(new HaulError('CLOSED', `${this.#name}: stopped before its metadata was here`));
  }

  async #begin(): Promise<void> {
    const kept = await this.#host.loadKept(this.infoHashHex, this.output);
    if (this.#isOver) return;
    if (kept !== null) {
      await this.#add(kept, null);
      return;
    }
    const fetch = new MetadataFetch({
      magnet: this.#magnet,
      trackers: this.#trackers,
      peers: this.#peers,
      environment: this.#host.environment,
      dialler: this.#host.dialler,
      onMetadata: (infoBytes) => {
        this.#running = this.#add(infoBytes, fetch);
      },
      onTracker: (...args) => emitTo(this, 'tracker', ...args),
      onPeer: (...args) => emitTo(this, 'peer', ...args),
    });
    this.#fetch = fetch;
    fetch.start();
  }

  get #isOver(): boolean {
    return this.#state !== 'fetching' || this.#stopping !== null;
  }

  get #trackers(): readonly (readonly string[])[] {
    return this.#options.trackers ?? this.#magnet.trackers.map((url) => [url]);
  }

  /** Its hash is right. @param fetch where it comes from; null: from an earlier run */
  async #add(infoBytes: Buffer, fetch: MetadataFetch | null): Promise<void> {
    const found = fetch?.handOver() ?? this.#linked();
    try {
      const trackers = this.#magnet.trackers.map((url) => [url]);
      const metainfo = parseTorrent(encodeTorrent({ infoBytes, trackers, webSeeds: this.#magnet.webSeeds }));
      emitTo(this, 'metadata', metainfo);
      const options = this.#optionsFor(metainfo);
      this.#host.check(metainfo, options);
      if (fetch !== null) await this.#keep(metainfo);
      if (this.#isOver) return;
      const torrent = this.#host.add(metainfo, options, found, fetch?.bans ?? null);
      this.#finish('added');
      emitTo(this, 'added', torrent);
      this.#resolve(torrent);
    } catch (error) {
      if (!this.#isOver) this.#fail(toHaulError(error, `add ${this.#name}`));
    }
  }

  /** Peers of the link by address: where nothing is fetched nobody looks names up. */
  #linked(): Found[] {
    return this.#magnet.peers.map((address) => ({ address, foundBy: 'magnet' }));
  }

  #optionsFor(metainfo: Metainfo): AddOptions {
    const { choose, ...options } = this.#options;
    const { selectOnly } = this.#magnet;
    const chosen = choose?.(metainfo) ?? {};
    const all = { ...options, peers: this.#peers, ...chosen };
    const isOpen = all.priorities === undefined && options.mode !== 'seed';
    if (selectOnly === null || !isOpen) return all;
    return { ...all, priorities: selectedBy(selectOnly, metainfo.files.length) };
  }

  /** Without it all works, and the next start fetches it anew. */
  async #keep(metainfo: Metainfo): Promise<void> {
    try {
      await this.#host.saveKept(metainfo, this.output);
    } catch (error) {
      emitTo(this, 'warning', toHaulError(error, `keep the metadata of ${metainfo.name}`));
    }
  }

  #fail(error: HaulError): void {
    this.error = error;
    this.#finish('failed');
    this.#reject(error);
    emitTo(this, 'failed', error);
    void this.#fetch?.stop();
  }

  #end(reason: HaulError): Promise<void> {
    if (this.#state !== 'fetching') return this.#stopping ?? Promise.resolve();
    this.#stopping ??= this.#stop(reason);
    return this.#stopping;
  }

  async #stop(reason: HaulError): Promise<void> {
    await Promise.all([this.#fetch?.stop(), this.#running]);
    this.#finish('stopped');
    this.#reject(reason);
  }

  #finish(state: MagnetState): void {
    this.#state = state;
    this.#unwatchSignal?.();
    this.#host.onEnded(this);
    emitTo(this, 'state', state);
  }
}

const NO_SOURCES: TorrentSources = {
  trackers: [],
  webSeeds: [],
  addresses: { known: 0, dialled: 0, connected: 0, failed: 0, banned: 0, failures: [], bans: [] },
};

/** Null: some of it comes. */
function waitingFor(fetch: MetadataFetch, dhtNodes: number | null): string | null {
  const { trackers, addresses } = fetch.sources();
  if (fetch.offering > 0) return fetch.progress().receivedBytes > 0 ? null : 'no peer has given metadata yet';
  if (fetch.peerCount > 0) return `none of ${fetch.peerCount} connected peers has the metadata`;
  const [failure] = addresses.failures;
  if (addresses.known > 0 && failure !== undefined) {
    return `no peer answers: ${failure.addresses} ${failure.reason} (${failure.example})`;
  }
  if (addresses.known > 0) return 'no peer has answered yet';
  const noDht = dhtNodes === 0 ? `; ${NO_DHT_NODE}` : '';
  const failing = trackers.find(({ outcome }) => outcome === 'failure' || outcome === 'unsupported');
  if (failing !== undefined) return `no peer is known: ${failing.message}${noDht}`;
  if (trackers.length > 0 || dhtNodes !== null) return `no peer is known yet${noDht}`;
  return 'the magnet link names no tracker and no peer: somebody must connect to us';
}
