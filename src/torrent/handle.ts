/**
 * A torrent as its user holds it: one thing from `add` to `stop`, over any number of sessions (`LiveTorrent`). Pausing
 * ends a session, resuming begins another, and what cannot be changed inside one (what is wanted, what is on disk) is
 * changed between two. Owns the state that users see, `done`, and the sums over sessions.
 * Invariant: at most one session, and changes run one after the other.
 */
import { EventEmitter } from 'node:events';
import type {
  AddOptions,
  FileProgress,
  PeerStats,
  RateLimits,
  ReadOptions,
  Torrent,
  TorrentEvents,
  TorrentSources,
  TorrentState,
  TorrentStats,
} from '../api.js';
import { HaulError } from '../errors.js';
import { checkLimits, checkPeer, checkPriorities, checkSequential, checkTrackers } from '../library/engine-options.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { FilePriorities, FilePriority } from '../metainfo/selection.js';
import { changedRates, type RateOptions } from '../peer/rates.js';
import type { TorrentThrottles } from '../peer/throttle.js';
import type { FileStamp } from '../work/file-stamp.js';
import * as changes from './changes.js';
import { Completion } from './completion.js';
import type { ContentOf } from './content.js';
import { emitTo } from './emit.js';
import { abortedError, stoppedError, whenAborted } from './endings.js';
import { fileProgress } from './file-progress.js';
import type { Reader } from './reader.js';
import { Readers } from './readers.js';
import { RestingFiles } from './resting-files.js';
import { PastSessions } from './session-sums.js';
import type { LiveTorrent } from './torrent.js';

/** What handles need of their engine. */
export interface HandleHost {
  /** Begins a session. */
  begin(handle: TorrentHandle, options: changes.SessionOptions): LiveTorrent;
  readonly contentOf: ContentOf;
  setLimits(handle: TorrentHandle, limits: RateOptions): void;
  onDone(handle: TorrentHandle): void;
  /** It is over; called once. */
  onEnded(handle: TorrentHandle): void;
}

/** Shared: thousands of torrents have nothing to wait for. */
const NOTHING = Promise.resolve();

export class TorrentHandle extends EventEmitter<TorrentEvents> implements Torrent {
  readonly metainfo: Metainfo;
  readonly throttles: TorrentThrottles;
  error: HaulError | null = null;
  /** The session under way, also while it ends. */
  live: LiveTorrent | null = null;
  #state: TorrentState = 'preparing';
  readonly #completion = new Completion();
  readonly #host: HandleHost;
  #options: AddOptions;
  readonly #wasTrusted: boolean;
  #limits: RateOptions;
  priorities: readonly FilePriority[] | null;
  readonly #unwatchSignal: () => void;
  /** Changes run one after the other. */
  #chain: Promise<void> = NOTHING;
  /** The session ends and the torrent does not. */
  isResting = false;
  /** The next session believes nothing of what is on disk. */
  #hashesAll = false;
  /** Somebody wants it to rest. */
  #isPaused = false;
  #stopping: Promise<void> | null = null;
  #isOver = false;
  #failure: HaulError | null = null;
  /** Why it is being stopped. */
  #reason: HaulError | null = null;
  /** It has exchanged data: what fails now has worked. */
  #hasRun = false;
  readonly #past = new PastSessions();
  #readers: Readers | null = null;
  /** Which files a seed uses, as it used them last. */
  #files: RestingFiles | null = null;

  constructor(metainfo: Metainfo, options: AddOptions, throttles: TorrentThrottles, host: HandleHost) {
    super();
    this.throttles = throttles;
    this.metainfo = metainfo;
    const { signal, downloadBytesPerSec, uploadBytesPerSec, ...rest } = options;
    this.#options = rest;
    this.#wasTrusted = options.trustData === true;
    this.#limits = { downloadBytesPerSec, uploadBytesPerSec };
    this.#host = host;
    this.priorities = options.priorities === undefined ? null : changes.listed(metainfo, options.priorities);
    this.#begin();
    // The signal stops the torrent at any time of its life, also when it is complete and seeds.
    this.#unwatchSignal = whenAborted(signal, () => void this.#end(abortedError(metainfo.name)));
  }

  get state(): TorrentState {
    return this.#state;
  }

  get done(): Promise<void> {
    return this.#completion.promise;
  }

  get output(): string {
    return this.#options.output;
  }

  get trackers(): readonly (readonly string[])[] {
    return this.#options.trackers ?? this.metainfo.trackers;
  }

  stats(): TorrentStats {
    return this.#past.stats(this.live, this.#state);
  }

  peers(): PeerStats[] {
    return this.isResting ? [] : (this.live?.peers() ?? []);
  }

  sources(): TorrentSources {
    return this.live?.sources() ?? this.#past.sources!;
  }

  files(): FileProgress[] {
    return fileProgress(this.metainfo, this.live?.have ?? this.#past.have, this.priorities);
  }

  /** Which files it uses, as far as that was noted when it rested; for a seed, which keeps no record. */
  get stamps(): readonly FileStamp[] | null {
    return this.#files?.stamps ?? null;
  }

  get isSeed(): boolean {
    return this.#options.mode === 'seed';
  }

  isOf(host: HandleHost): boolean {
    return this.#host === host;
  }

  read(file: number | string, options: ReadOptions = {}): Reader {
    this.#readers ??= new Readers(this);
    return this.#readers.open(file, options);
  }

  // ---- what users may change ----

  addPeer(host: string, port: number): void {
    checkPeer('addPeer', host, port);
    this.#options = { ...this.#options, peers: [...changes.withoutPeer(this.#options, host, port), { host, port }] };
    this.live?.addPeer(host, port);
  }

  removePeer(host: string, port: number): void {
    checkPeer('removePeer', host, port);
    this.#options = { ...this.#options, peers: changes.withoutPeer(this.#options, host, port) };
    this.live?.roster.remove(host, port);
  }

  setLimits(limits: RateLimits): void {
    checkLimits(limits);
    this.#limits = changedRates(this.#limits, limits);
    this.#host.setLimits(this, this.#limits);
    this.limitsChanged();
  }

  /** Its own, or those of the engine. */
  limitsChanged(): void {
    changes.applyDownloadLimit(this.live?.exchange ?? null, this.throttles.downloads.bytesPerSec);
  }

  setSequential(sequential: boolean): void {
    checkSequential(sequential);
    this.#options = { ...this.#options, sequential };
    this.live?.exchange?.scheduler.setSequential(sequential);
  }

  setTrackers(trackers: readonly (readonly string[])[]): void {
    checkTrackers(trackers);
    this.#options = { ...this.#options, trackers };
    this.live?.announces.change(trackers);
    this.#stir();
  }

  announce(): void {
    if (this.live === null || this.isResting) return;
    this.live.announces.announceNow(this.live.environment.now());
    this.#stir();
  }

  pause(): Promise<void> {
    if (this.#isPaused || this.#isOver || this.#stopping !== null) return this.#chain;
    this.#isPaused = true;
    return this.#rest('paused', () => emitTo(this, 'paused', null));
  }

  resume(): void {
    this.#checkOpen('resume');
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.error = null;
    if (!this.#completion.isDone) this.#completion.renew();
    this.#enter('preparing');
    void this.#enqueue(async () => {
      await this.#trustUnchanged();
      this.#begin();
    });
  }

  async recheck(): Promise<void> {
    await this.#change('preparing', true, () => {
      this.#hashesAll = true;
      this.#files = null;
    });
  }

  async setPriorities(priorities: FilePriorities): Promise<void> {
    checkPriorities(this.metainfo, priorities, this.isSeed);
    const list = changes.listed(this.metainfo, priorities);
    await this.#change('preparing', true, () => {
      this.priorities = list;
      this.#options = { ...this.#options, priorities: list };
    });
  }

  stop(): Promise<void> {
    return this.#end(stoppedError(this.metainfo.name));
  }

  /** What can be changed between two sessions only. @param isToWait there may be something to wait for again */
  async #change(shown: TorrentState, isToWait: boolean, step: () => Promise<void> | void): Promise<void> {
    this.#checkOpen('change');
    if (isToWait && this.#completion.isDone) this.#completion.renew();
    await this.#enqueue(async () => {
      this.#checkOpen('change');
      const { live } = this;
      this.isResting = live !== null;
      if (!this.#isPaused || shown === 'moving') this.#enter(shown);
      if (live !== null) await this.#endSession(live);
      try {
        await step();
      } finally {
        if (this.#stopping === null) this.#enter(this.#isPaused ? 'paused' : 'preparing');
        this.#begin();
      }
    });
    if (!this.#isPaused) await changes.whenRunning(this);
  }

  #checkOpen(operation: string): void {
    if (!this.#isOver && this.#stopping === null) return;
    throw new HaulError('CLOSED', `${operation} ${this.metainfo.name}: the torrent is ${this.#state}`);
  }

  // ---- sessions ----

  #begin(): void {
    if (this.live !== null || this.#isPaused || this.#isOver || this.#stopping !== null) return;
    this.#failure = null;
    this.isResting = false;
    const options = this.#hashesAll ? { ...this.#options, trustData: false, hashesAll: true } : this.#options;
    this.#hashesAll = false;
    const live = this.#host.begin(this, options);
    this.live = live;
    live.listener = this;
  }

  troubled(error: HaulError): void {
    this.#failure = error;
  }

  /** What the session under way says. */
  told<K extends keyof TorrentEvents>(live: LiveTorrent, event: K, args: TorrentEvents[K]): void {
    if (event === 'state') this.#follow(live, args[0] as TorrentState);
    else if (event === 'done') this.#completed();
    // Told when the torrent has followed.
    else if (event !== 'failed') emitTo(this, event, ...args);
    if (event === 'verified') this.#readers?.verified(args[0] as number);
    if (event === 'spread') this.#options = { ...this.#options, superSeeding: false };
  }

  async #trustUnchanged(): Promise<void> {
    const { stamps, metainfo, output } = this;
    if (!this.isSeed || this.#wasTrusted || this.#hashesAll || stamps === null) return;
    const content = this.#host.contentOf(metainfo, output, null);
    this.#options = await changes.trustedSeed(content, metainfo, this.#options, stamps);
  }

  /** What the session is becomes what the torrent is, unless it ends while the torrent goes on. */
  #follow(live: LiveTorrent, state: TorrentState): void {
    if (live !== this.live || this.isResting) return;
    if (state === 'downloading') this.#hasRun = true;
    // It may have been said while the session was preparing.
    if (state === 'downloading') live.exchange?.scheduler.setSequential(this.#options.sequential === true);
    if (state === 'stopping' && this.#stopping === null && changes.mayGoOn(this.#failure, this.#hasRun))
      this.#restAfter(this.#failure!);
    else if (state === 'stopped' || state === 'failed') this.#finish(live, this.#failure);
    else this.#enter(state);
  }

  #completed(): void {
    // What is written into a seed's files from now on is seen when it goes on after a pause.
    if (this.#options.mode === 'seed' && this.#files === null) void this.#noteFiles();
    if (!this.#completion.resolve()) return;
    this.#options = changes.proven(this.#options);
    emitTo(this, 'done');
    this.#host.onDone(this);
  }

  /** Ends the session; whoever was told that it `shown` is told the rest by `then`. */
  #rest(shown: TorrentState, then: () => void): Promise<void> {
    const live = this.live;
    this.isResting = live !== null;
    this.#enter(shown);
    return this.#enqueue(async () => {
      if (live !== null) await this.#endSession(live);
      if (this.#isPaused && !this.#isOver) then();
    });
  }

  async #endSession(live: LiveTorrent): Promise<void> {
    await live.stop();
    if (this.live === live) this.#remember(live);
  }

  /** The disk refuses: the session is ending by itself. */
  #restAfter(error: HaulError): void {
    this.#isPaused = true;
    this.error = error;
    void this.#rest('paused', () => {
      this.#completion.reject(error);
      emitTo(this, 'paused', error);
    });
  }

  #remember(live: LiveTorrent): void {
    this.#past.add(live);
    this.live = null;
    this.isResting = false;
  }

  async #noteFiles(): Promise<void> {
    const now = await this.live?.storage?.inspect().catch(() => null);
    if (now != null) this.#files = new RestingFiles(now.stamps);
  }

  /** Over for good. */
  #finish(live: LiveTorrent | null, failure: HaulError | null, reason = stoppedError(this.metainfo.name)): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unwatchSignal?.();
    if (live !== null) this.#remember(live);
    this.error = failure;
    this.#completion.reject(failure ?? this.#reason ?? reason);
    this.#host.onEnded(this);
    this.#enter(failure === null ? 'stopped' : 'failed');
    if (failure !== null) emitTo(this, 'failed', failure);
  }

  #end(reason: HaulError): Promise<void> {
    this.#stopping ??= this.#stop(reason);
    return this.#stopping;
  }

  async #stop(reason: HaulError): Promise<void> {
    if (this.#isOver) return;
    this.#reason = reason;
    const { live } = this;
    if (live === null || this.isResting) this.#enter('stopping');
    await live?.stop();
    await this.#chain;
    if (!this.#isOver) this.#finish(this.live, null, reason);
  }

  #enqueue(step: () => Promise<void> | void): Promise<void> {
    const run = this.#chain.then(step);
    this.#chain = run.then(
      () => {},
      () => {},
    );
    return run;
  }

  #stir(): void {
    if (this.live !== null) this.live.environment.stir(this.live.roster);
  }

  #enter(state: TorrentState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#readers?.changed();
    emitTo(this, 'state', state);
  }
}
