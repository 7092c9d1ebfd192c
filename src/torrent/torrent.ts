/**
 * The life of a torrent: preparing → checking → downloading → seeding → stopped, or failed at any point.
 * Owns the order of those steps and the promise `done`. Data exchange is in `exchange.ts`, durability in `keeper.ts`,
 * finding and admitting peers in `roster.ts`.
 */
import { EventEmitter } from 'node:events';
import type {
  AddOptions,
  PeerStats,
  Torrent,
  TorrentEvents,
  TorrentSources,
  TorrentState,
  TorrentStats,
  TrackerReport,
} from '../api.js';
import { HaulError } from '../errors.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { Selection } from '../metainfo/selection.js';
import type { Storage } from '../storage/port.js';
import { Condition } from './condition.js';
import { abortedError, deferred, stoppedError, toHaulError } from './endings.js';
import { Exchange, type ExchangeOwner } from './exchange.js';
import { Keeper } from './keeper.js';
import { isFileOurs } from './ours.js';
import type { Peer } from './peer.js';
import { Roster } from './roster.js';
import type { Announces, Services } from './services.js';
import { announceFigures, peerStats, torrentStats } from './stats.js';

export class LiveTorrent extends EventEmitter<TorrentEvents> implements Torrent, ExchangeOwner {
  readonly metainfo: Metainfo;
  readonly output: string;
  readonly done: Promise<void>;
  /** Verified pieces; of a selection the wanted ones only, for the others have no place. */
  readonly have: Bitfield;
  /** Null: everything is wanted. */
  readonly selection: Selection | null;
  readonly roster: Roster;
  readonly condition: Condition;
  readonly services: Services;
  exchange: Exchange | null = null;
  checkedPieces = 0;
  #state: TorrentState = 'preparing';
  #settle!: { resolve: () => void; reject: (error: HaulError) => void };
  #storage: Storage | null = null;
  #announces: Announces | null = null;
  #keeper: Keeper | null = null;
  /** By file: the resume record knows what is there. */
  #recorded: Bitfield;
  #stopping: Promise<void> | null = null;
  #running: Promise<void>;
  #unwatchSignal: () => void = () => {};
  readonly #options: AddOptions;
  readonly #abort = new AbortController();

  constructor(metainfo: Metainfo, options: AddOptions, services: Services) {
    super();
    this.metainfo = metainfo;
    this.output = options.output;
    this.services = services;
    this.#options = options;
    this.have = new Bitfield(metainfo.geometry.pieceCount);
    this.#recorded = new Bitfield(metainfo.files.length);
    this.selection = options.priorities === undefined ? null : Selection.of(metainfo, options.priorities);
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // `done` need not be awaited: a failure nobody waits for must not end the embedder's process.
    this.done.catch(() => {});
    this.condition = new Condition(this, options.trackers !== undefined);
    this.roster = new Roster(this);
    for (const peer of options.peers ?? []) this.addPeer(peer.host, peer.port);
    this.#watchSignal(options.signal);
    this.#running = this.#run();
  }

  get state(): TorrentState {
    return this.#state;
  }

  get wantedPieces(): number {
    return this.selection?.wantedPieces ?? this.metainfo.geometry.pieceCount;
  }

  /** Every wanted piece is verified. */
  get isComplete(): boolean {
    return this.have.count === this.wantedPieces;
  }

  get isStopping(): boolean {
    return this.#state === 'stopping' || this.#state === 'stopped' || this.#state === 'failed';
  }

  stats(): TorrentStats {
    return torrentStats(this);
  }

  peers(): PeerStats[] {
    return this.exchange === null ? [] : peerStats(this.exchange);
  }

  sources(): TorrentSources {
    return this.condition.sources();
  }

  get trackerReports(): readonly TrackerReport[] {
    return this.#announces?.reports() ?? [];
  }

  get isSyncing(): boolean {
    return this.#keeper?.isBusy ?? false;
  }

  addPeer(host: string, port: number): void {
    void this.roster.addByHand(host, port);
  }

  /** Every engine tick (100 ms). */
  tick(nowMs: number, isSecond: boolean): void {
    if (this.exchange === null || this.isStopping) return;
    if (isSecond || this.roster.isHeldBack) this.roster.dialSome(nowMs);
    if (!isSecond) return;
    this.exchange.tick(nowMs);
    this.#announces?.tick(nowMs);
    this.#keeper?.tick(nowMs);
    this.condition.tick(nowMs);
  }

  // ---- the steps ----

  async #run(): Promise<void> {
    try {
      await this.#findVerified();
      if (!this.isStopping) await this.#prepareStorage();
      if (!this.isStopping) this.#begin();
    } catch (error) {
      if (!this.isStopping) this.#fail(toHaulError(error, `prepare ${this.metainfo.name}`));
    }
  }

  /** What is already on disk and good: from the resume record where it can be trusted, by hashing where it cannot. */
  async #findVerified(): Promise<void> {
    const { services, metainfo, output, selection } = this;
    if (this.#options.mode === 'seed' && this.#options.trustData === true) {
      this.have.setAll();
      return;
    }
    let only = new Bitfield(metainfo.geometry.pieceCount);
    if (this.#options.mode === 'seed') only.setAll();
    else {
      const verdict = await services.loadResume(metainfo, output, selection);
      if (verdict.problem !== null) services.log('info', `resume record not used: ${verdict.problem}`);
      for (let piece = 0; piece < verdict.trusted.bitCount; piece++)
        if (verdict.trusted.has(piece)) this.have.set(piece);
      only = verdict.recheck;
      this.#recorded = verdict.ours;
    }
    if (only.count === 0 || this.isStopping) return;
    this.#enter('checking');
    const good = await services.recheck(metainfo, output, {
      only,
      selection,
      onProgress: (checkedPieces) => {
        this.checkedPieces = checkedPieces;
      },
      signal: this.#abort.signal,
    });
    for (let piece = 0; piece < good.bitCount; piece++) if (good.has(piece)) this.have.set(piece);
    // Found good means readable, not on the device: after a crash it may be in the page cache only, and is about to be recorded.
    if (this.#options.mode !== 'seed' && good.count > 0) await services.syncData(metainfo, output, selection);
    const badCount = this.have.bitCount - this.have.count;
    if (this.#options.mode === 'seed' && badCount > 0) {
      throw new HaulError(
        'BAD_DATA',
        `seed ${metainfo.name}: ${badCount} of ${this.have.bitCount} pieces in ${output} are missing or bad; ` +
          '`haul verify` names them, `haul get` into the same folder repairs them',
        { badPieces: badCount },
      );
    }
  }

  async #prepareStorage(): Promise<void> {
    const { services, metainfo, output, have, selection, wantedPieces } = this;
    const storage = await this.#openStorage(!this.isComplete);
    this.#keeper = new Keeper({
      storage,
      have,
      wantedPieces,
      save: (synced, isClean) => services.saveResume(metainfo, output, synced, isClean, selection),
      onTrouble: (error) => this.onDiskError(error),
      onWarning: (error) => this.tell('warning', error),
      isKept: this.#options.mode !== 'seed',
    });
    await this.#keeper.open();
  }

  async #openStorage(forWriting: boolean): Promise<Storage> {
    const { services, metainfo, output, selection } = this;
    const storage = await services.openStorage(metainfo, output, forWriting, selection);
    this.#storage = storage;
    try {
      const isOurs = (file: number): boolean =>
        this.#options.overwrite === true || isFileOurs(metainfo, this.#recorded, this.have, file);
      await storage.prepare({ forWriting, isOurs, signal: this.#abort.signal });
      return storage;
    } catch (error) {
      // Every piece is here, but not every file: one that is empty, or a link, lies in no piece; or one is too long.
      const { code } = toHaulError(error, '');
      const isIncomplete =
        !forWriting && this.#options.mode !== 'seed' && (code === 'NOT_FOUND' || code === 'BAD_DATA');
      if (!isIncomplete) throw error;
      await storage.close();
      return this.#openStorage(true);
    }
  }

  #begin(): void {
    const { services, metainfo } = this;
    this.exchange = new Exchange({
      metainfo,
      storage: this.#storage!,
      have: this.have,
      random: services.random,
      now: services.now,
      maxPeers: services.maxPeers,
      uploadSlots: services.uploadSlots,
      listenPort: services.listenPort,
      isSuperSeeding: this.#options.superSeeding === true,
      priorities: this.selection?.pieces,
      isSequential: this.#options.sequential === true,
      throttles: services.throttles,
      owner: this,
    });
    this.#enter('downloading');
    this.#announces = services.makeAnnounces(metainfo, this.#options.trackers ?? metainfo.trackers, {
      onPeers: (addresses) => {
        this.roster.add(addresses);
        this.roster.dialSome(services.now());
      },
      onOutcome: (url, outcome, message) => this.tell('tracker', url, outcome, message),
    });
    this.#announces.start(services.now(), () => announceFigures(this));
    if (this.isComplete) void this.#finish(false);
    this.roster.dialSome(services.now());
  }

  /** All that is wanted is verified: force to the device, then say so. */
  async #finish(isFresh: boolean): Promise<void> {
    await this.#keeper!.finish();
    if (this.isStopping) return;
    const { metainfo, output, services } = this;
    if (this.have.isFull && this.selection?.isWhole !== false && this.#options.mode !== 'seed') {
      await this.#attempt(`tidy up ${metainfo.name}`, () => services.removePartFile(metainfo, output));
    }
    if (this.isStopping) return;
    if (isFresh && this.have.isFull) this.#announces?.completed(services.now());
    this.#enter('seeding');
    this.#settle.resolve();
    this.tell('done');
  }

  stop(): Promise<void> {
    return this.#stopping ?? this.#beginStop(null);
  }

  #fail(error: HaulError): void {
    if (this.isStopping) return;
    this.services.onTrouble(error);
    void this.#beginStop(error);
  }

  /** `#stopping` is set before anybody is told: a listener may call `stop` from inside. */
  #beginStop(failure: HaulError | null): Promise<void> {
    const { promise, resolve } = deferred();
    this.#stopping = promise;
    void this.#stop(failure).then(resolve);
    return promise;
  }

  /** The one way out: peers first, then the pool, then the disk; what is verified is synced and recorded. Never rejects. */
  async #stop(failure: HaulError | null): Promise<void> {
    const { name } = this.metainfo;
    this.#enter('stopping');
    this.#abort.abort();
    this.services.closeHandshakes(this.roster);
    const goodbye = this.#announces?.stop(this.services.now());
    this.exchange?.close(failure === null ? 'the torrent was stopped' : 'the torrent failed');
    // A failure comes from inside #run: only a stop from outside waits for it.
    if (failure === null) await this.#running;
    await this.exchange?.quiet();
    await this.#attempt(`record what is verified of ${name}`, () => this.#keeper?.close(failure === null));
    await this.#attempt(`close the files of ${name}`, () => this.#storage?.close());
    await goodbye;
    this.services.onStopped(this.roster);
    this.#unwatchSignal();
    const isAborted = this.#options.signal?.aborted === true;
    this.#settle.reject(failure ?? (isAborted ? abortedError(name) : stoppedError(name)));
    this.#enter(failure === null ? 'stopped' : 'failed');
    if (failure !== null) this.tell('failed', failure);
  }

  /** A step of the way out: what goes wrong is told, and must not keep the rest from closing. */
  async #attempt(operation: string, step: () => Promise<void> | undefined): Promise<void> {
    try {
      await step();
    } catch (error) {
      const trouble = toHaulError(error, operation);
      this.services.log('error', trouble.message, { ...trouble.facts });
      this.tell('warning', trouble);
    }
  }

  #enter(state: TorrentState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.services.log('info', `${this.metainfo.name}: ${state}`);
    this.tell('state', state);
  }

  /** The signal stops the torrent at any time of its life, also when it is complete and seeds. */
  #watchSignal(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const stop = (): void => void this.stop();
    if (signal.aborted) queueMicrotask(stop);
    else {
      signal.addEventListener('abort', stop, { once: true });
      this.#unwatchSignal = () => signal.removeEventListener('abort', stop);
    }
  }

  /** Emits; a listener that throws breaks its own program, not the engine's bookkeeping. */
  tell<K extends keyof TorrentEvents>(event: K, ...args: TorrentEvents[K]): void {
    try {
      (this.emit as (event: K, ...args: TorrentEvents[K]) => boolean).call(this, event, ...args);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  // ---- ExchangeOwner ----

  onPieceVerified(piece: PieceIndex): void {
    this.#keeper?.pieceVerified();
    this.tell('verified', piece);
  }

  onComplete(): void {
    void this.#finish(true);
  }

  onPeerConnected(peer: Peer): void {
    this.tell('peer', peer.link.address, 'connected', peer.client);
  }

  onPeerGone(peer: Peer, reason: string): void {
    this.services.forgetLink(peer.link);
    this.roster.peerGone(peer, this.exchange?.isRedundant(peer) ?? false, reason);
    this.services.log('debug', 'peer gone', { address: peer.link.address, client: peer.client, reason });
    this.tell('peer', peer.link.address, 'disconnected', reason);
  }

  onBanned(peer: Peer, reason: string): void {
    const { client } = peer;
    const { address } = peer.link;
    this.roster.ban(peer);
    this.condition.contacts.ban(address, reason);
    this.services.log('warn', `peer ${address} banned: ${reason}`, { code: 'PEER_BANNED', address, client, reason });
    this.tell('peer', address, 'banned', reason);
  }

  onDiskError(error: HaulError): void {
    this.#fail(error);
  }

  onSuperSeedingEnded(): void {
    this.services.log('info', `${this.metainfo.name}: every piece is in the swarm, super-seeding ends`);
    this.tell('spread');
  }
}
