/**
 * The life of a torrent: preparing → checking → downloading → seeding → stopped, or failed at any point.
 * Owns the order of those steps. Data exchange is in `exchange.ts`, durability in `keeper.ts`, finding and admitting
 * peers in `roster.ts`.
 */
import type { PeerStats, TorrentEvents, TorrentSources, TorrentState, TorrentStats } from '../api.js';
import { HaulError } from '../errors.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { Selection } from '../metainfo/selection.js';
import type { Storage } from '../storage/port.js';
import { Doubts } from '../swarm/doubts.js';
import { Unfinished } from '../swarm/unfinished.js';
import { attempt } from './attempt.js';
import type { SessionOptions } from './changes.js';
import { ChangingAnnounces } from './changing-announces.js';
import { Condition } from './condition.js';
import type { Content, Place } from './content.js';
import { deferred, toHaulError, wentBadError, whenAborted } from './endings.js';
import type { Dialler, Environment, Services } from './environment.js';
import { PeerSources } from './peer-sources.js';
import { PinnedFile } from './pinned-file.js';
import type { TorrentExchange, TorrentPeer, TorrentRemote } from './remotes.js';
import { Rest } from './rest.js';
import { Roster } from './roster.js';
import type { Session, Totals } from './session.js';
import { sourcesOf } from './sources-of.js';
import { addTotals, announceFigures, NO_TOTALS, peerStats, torrentStats } from './stats.js';
import { WebSources } from './web-sources.js';
import { lookOnDisk, makeExchange, Workings } from './workings.js';

/** Hears all that a session says. */
export interface SessionListener {
  /** Why it fails; told first. */
  troubled(error: HaulError): void;
  told<K extends keyof TorrentEvents>(live: LiveTorrent, event: K, args: TorrentEvents[K]): void;
}

export class LiveTorrent implements Session {
  readonly metainfo: Metainfo;
  readonly output: string;
  readonly have: Bitfield;
  readonly unfinished: Unfinished;
  readonly selection: Selection | null;
  readonly roster: Roster;
  readonly webSources: WebSources;
  readonly condition: Condition;
  readonly environment: Environment;
  readonly dialler: Dialler;
  readonly content: Content;
  readonly rest: Rest;
  readonly announces: ChangingAnnounces;
  /** Whose session this is. */
  listener: SessionListener | null = null;
  exchange: TorrentExchange | null = null;
  past: Totals = NO_TOTALS;
  checkedPieces = 0;
  #state: TorrentState = 'preparing';
  #place: Place | null = null;
  #doubts: Doubts | null = null;
  #stateWatchers: Set<() => void> | null = null;
  readonly #sources: PeerSources;
  readonly #pinned: PinnedFile | null;
  #workings: Workings | null = null;
  #stopping: Promise<void> | null = null;
  /** Null once it has nothing more to do: thousands of torrents seed and rest. */
  #running: Promise<void> | null;
  readonly #unwatchSignal: () => void;
  readonly #options: SessionOptions;
  #abort: AbortController | null = null;

  constructor(metainfo: Metainfo, options: SessionOptions, services: Services) {
    this.metainfo = metainfo;
    this.output = options.output;
    this.environment = services.environment;
    this.dialler = services.dialler;
    this.#options = options;
    this.have = new Bitfield(metainfo.geometry.pieceCount);
    this.unfinished = new Unfinished(this.have);
    this.selection = options.priorities === undefined ? null : Selection.of(metainfo, options.priorities);
    this.content = services.contentOf(metainfo, this.output, this.selection, options.source);
    this.#pinned = PinnedFile.of(this, options.sha256);
    this.condition = new Condition(this, options.trackers !== undefined);
    this.roster = new Roster(this, options.bans);
    this.#sources = new PeerSources(metainfo.isPrivate, this.roster);
    this.webSources = new WebSources(this, options);
    this.announces = new ChangingAnnounces(this, options.trackers ?? metainfo.trackers);
    for (const source of sourcesOf(this, this.roster, this.#sources)) this.#sources.add(source);
    this.rest = new Rest(this);
    for (const { address, foundBy } of options.found ?? []) this.#sources.ownerOf(foundBy).onPeers([address]);
    for (const peer of options.peers ?? []) this.addPeer(peer.host, peer.port);
    // The signal stops the torrent at any time of its life, also when it is complete and seeds.
    this.#unwatchSignal = whenAborted(options.signal, () => void this.stop());
    this.#running = this.#run();
  }

  get state(): TorrentState {
    return this.#state;
  }

  get wantedPieces(): number {
    return this.selection?.wantedPieces ?? this.metainfo.geometry.pieceCount;
  }

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

  /** Made when there is something to doubt. */
  get doubts(): Doubts {
    this.#doubts ??= new Doubts(this);
    if (this.isStopping) this.#doubts.close();
    return this.#doubts;
  }

  get badPieces(): number {
    return this.#doubts?.badPieces ?? 0;
  }

  get isSyncing(): boolean {
    return this.#workings?.keeper.isBusy ?? false;
  }

  addPeer(host: string, port: number): void {
    void this.roster.addByHand(host, port);
  }

  /** Every engine tick (100 ms). */
  tick(nowMs: number, isSecond: boolean): void {
    const { exchange, isStopping, rest } = this;
    if (isStopping || (exchange === null && !rest.isResting)) return;
    if (isSecond || this.roster.isHeldBack) this.roster.dialSome(nowMs);
    if (!isSecond) return;
    exchange?.tick(nowMs);
    this.webSources.use();
    this.roster.tick(nowMs);
    this.#sources.tick(nowMs);
    this.#workings?.tick(nowMs);
    this.condition.tick(nowMs);
    this.#doubts?.tick(nowMs);
    rest.tick(nowMs);
  }

  /** See `Visited`: a seed to which nobody is connected has little to do. */
  quietUntilMs(nowMs: number): number {
    if (!this.rest.isResting && !this.#isQuiet) return nowMs;
    return Math.min(this.roster.quietUntilMs(nowMs), this.#sources.dueAtMs, this.rest.dueAtMs);
  }

  get #isQuiet(): boolean {
    if (this.#state !== 'seeding' || this.#doubts?.isIdle === false) return false;
    return this.exchange!.isQuiet && this.#workings!.keeper.isIdle;
  }

  get canRest(): boolean {
    const isWhole = this.have.isFull && this.selection?.isWhole !== false;
    return isWhole && this.#isQuiet && this.storage?.suspects.length === 0;
  }

  get storage(): Storage | null {
    return this.#workings?.storage ?? null;
  }

  layDown(): void {
    this.past = addTotals(this.past, this.exchange);
    this.exchange?.close('the torrent rests');
    this.exchange = null;
    this.#workings = null;
    this.#abort = null;
    this.condition.rest();
    this.unfinished.closeAll();
  }

  takeUp(storage: Storage): void {
    this.#workings = new Workings(this, storage, this.#options.mode !== 'seed');
    this.exchange = makeExchange(this, storage, {});
    this.enter('seeding');
    this.environment.stir(this.roster);
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.isStopping) this.#abort.abort();
    return this.#abort.signal;
  }

  async #run(): Promise<void> {
    try {
      const { condition } = this;
      const claim = (): Promise<Place> => this.content.claim(this.#options.mode !== 'seed');
      this.#place = await condition.patiently(claim, this.signal);
      if (!this.isStopping && (await this.#prepareStorage())) this.#begin();
    } catch (error) {
      if (!this.isStopping) this.#fail(toHaulError(error, `prepare ${this.metainfo.name}`));
    }
    this.#running = null;
  }

  /** False: stopped meanwhile. */
  async #prepareStorage(): Promise<boolean> {
    const { mode, trustData, hashed, overwrite, hashesAll = false, onChecked } = this.#options;
    const isSeed = mode === 'seed';
    const given = { trustsData: trustData === true, hashed: hashed ?? null, overwrites: overwrite === true };
    const onDisk = lookOnDisk(this, { have: this.have, isSeed, hashesAll, ...given }, onChecked);
    const storage = await this.condition.patiently(() => onDisk.open(), this.signal);
    if (storage === null) return false;
    this.unfinished.remember(onDisk.unfinished);
    this.#workings = new Workings(this, storage, this.#options.mode !== 'seed');
    await this.condition.patiently(() => this.#workings!.keeper.open(), this.signal);
    return !this.isStopping;
  }

  #begin(): void {
    this.exchange = makeExchange(this, this.storage!, this.#options);
    this.enter('downloading');
    this.#sources.start(this.environment.now(), () => announceFigures(this));
    if (this.isComplete) void this.#finish(false);
    this.roster.open();
    this.webSources.use();
  }

  /** All that is wanted is verified: force to the device, then say so. */
  async #finish(isFresh: boolean): Promise<void> {
    const { metainfo, output, environment, content } = this;
    try {
      await this.#workings!.proveSuspects(true);
    } catch (error) {
      this.#fail(toHaulError(error, `check ${metainfo.name}`));
    }
    if (this.isStopping) return;
    await this.#workings!.keeper.finish();
    if (this.isStopping) return;
    await this.#pinned?.prove().catch((error: unknown) => this.#fail(toHaulError(error, `check ${metainfo.name}`)));
    if (this.isStopping) return;
    if (this.have.isFull && this.selection?.isWhole !== false && this.#options.mode !== 'seed') {
      await this.#attempt(`tidy up ${metainfo.name}`, () => content.removePartFile());
    }
    if (this.isStopping) return;
    await this.#place!.share().catch((error: unknown) => this.#fail(toHaulError(error, `keep ${output}`)));
    if (this.isStopping) return;
    if (isFresh && this.have.isFull) this.announces.completed(environment.now());
    this.enter('seeding');
    this.tell('done');
  }

  stop(): Promise<void> {
    return this.#stopping ?? this.#beginStop(null);
  }

  #fail(cause: HaulError): void {
    if (this.isStopping) return;
    const error = this.content.explain(cause);
    this.listener?.troubled(error);
    this.environment.onTrouble(error);
    void this.#beginStop(error);
  }

  /** `#stopping` is set before anybody is told: a listener may call `stop` from inside. */
  #beginStop(failure: HaulError | null): Promise<void> {
    const { promise, resolve } = deferred();
    this.#stopping = promise;
    void this.#stop(failure).then(resolve);
    return promise;
  }

  /** The one way out: peers, then the pool, then the disk; what is verified is synced and recorded. Never rejects. */
  async #stop(failure: HaulError | null): Promise<void> {
    const { name } = this.metainfo;
    this.enter('stopping');
    this.#abort?.abort();
    this.#doubts?.close();
    this.#pinned?.close();
    this.dialler.closeHandshakes(this.roster);
    const goodbye = this.#sources.stop(this.environment.now());
    this.exchange?.close(failure === null ? 'the torrent was stopped' : 'the torrent failed');
    // A failure comes from inside #run: only a stop from outside waits for it.
    if (failure === null) await Promise.all([this.#running, this.rest.settled()]);
    await this.exchange?.quiet();
    await this.#attempt(
      `record what is verified of ${name}`,
      () => this.#workings?.keeper.close(failure === null),
      failure,
    );
    await this.#attempt(`close the files of ${name}`, () => this.storage?.close(), failure);
    await this.#attempt(`give the place of ${name} back`, () => this.#place?.release(), failure);
    await goodbye;
    this.environment.onStopped(this.roster);
    this.#unwatchSignal();
    this.enter(failure === null ? 'stopped' : 'failed');
    if (failure !== null) this.tell('failed', failure);
  }

  #attempt(operation: string, step: () => Promise<void> | undefined, told: HaulError | null = null): Promise<void> {
    const { log } = this.environment;
    return attempt({ log, tell: (error) => this.tell('warning', error) }, operation, step, told);
  }

  enter(state: TorrentState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.environment.log('info', `${this.metainfo.name}: ${state}`);
    this.tell('state', state);
    for (const look of [...(this.#stateWatchers ?? [])]) look();
  }

  /** Calls after each change of the state. @returns what ends that */
  watchState(look: () => void): () => void {
    this.#stateWatchers ??= new Set();
    this.#stateWatchers.add(look);
    return () => this.#stateWatchers?.delete(look);
  }

  tell<K extends keyof TorrentEvents>(event: K, ...args: TorrentEvents[K]): void {
    this.listener?.told(this, event, args);
  }

  // ---- ExchangeOwner ----

  onPieceVerified(piece: PieceIndex): void {
    this.#workings?.keeper.pieceVerified();
    this.#pinned?.pieceVerified();
    this.tell('verified', piece);
  }

  onComplete(): void {
    if (this.badPieces === 0) void this.#finish(true);
    else this.#fail(wentBadError(this.metainfo.name, this.badPieces));
  }

  onPeerConnected({ address, client }: TorrentRemote): void {
    this.tell('peer', address, 'connected', client);
  }

  onPeerGone(peer: TorrentPeer, reason: string): void {
    const { remote } = peer;
    if (remote.isWebSeed) this.webSources.gone(peer, remote);
    else {
      this.dialler.forget(remote.link);
      this.roster.peerGone(remote, this.exchange?.redundancy(peer) ?? null, reason);
    }
    this.tell('peer', remote.address, 'disconnected', reason);
  }

  onBanned(remote: TorrentRemote, reason: string): void {
    if (remote.isWebSeed) this.webSources.ban(remote, reason);
    else this.roster.ban(remote, reason);
  }

  onPoisonedSource({ address }: TorrentRemote, piece: PieceIndex, copies: number, pauseMs: number): void {
    this.doubts.poisonedSource(address, piece, copies, pauseMs);
  }

  onPieceDoubted({ host }: TorrentRemote, piece: PieceIndex): void {
    this.doubts.pieceDoubted(piece, host);
  }

  /** A piece of ours is bad on disk: it is neither offered nor recorded any more. */
  withdraw(piece: PieceIndex): void {
    this.exchange?.withdraw(piece);
    this.#workings?.keeper.pieceLost(piece);
  }

  restFailed(error: unknown): void {
    this.#fail(toHaulError(error, `wake ${this.metainfo.name}`));
  }

  onDiskError(error: HaulError): void {
    this.#fail(error);
  }

  onDiskPause(error: HaulError): void {
    const message = `${this.metainfo.name}: paused: ${error.message}`;
    this.tell('warning', new HaulError(error.code, message, error.facts, error));
  }

  onSuperSeedingEnded(): void {
    this.environment.log('info', `${this.metainfo.name}: every piece is in the swarm, super-seeding ends`);
    this.tell('spread');
  }
}
