/**
 * A torrent as its user holds it: one thing from `add` to `stop`, over any number of sessions (`LiveTorrent`). Pausing
 * ends a session, resuming begins another, and what cannot be changed inside one (what is wanted, what is on disk) is
 * changed between two. Owns the state that users see, `done`, and the sums over sessions.
 * Invariant: at most one session, and changes run one after the other.
 */
import { resolve } from 'node:path';
import type {
  AddOptions,
  FileProgress,
  MoveDataOptions,
  MoveDataResult,
  PeerStats,
  ReadOptions,
  RecheckOptions,
  Torrent,
  TorrentEvents,
  TorrentSources,
  TorrentState,
  TorrentStats,
} from '../api.js';
import { HaulError } from '../errors.js';
import * as rules from '../library/engine-options.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { type FilePriorities, type FilePriority, Selection } from '../metainfo/selection.js';
import type { TorrentThrottles } from '../peer/limits.js';
import type { FileStamp } from '../work/file-stamp.js';
import { AdjustableTorrent, type HandleHost } from './adjustable.js';
import * as changes from './changes.js';
import { Check } from './check.js';
import { Completion } from './completion.js';
import type { Content } from './content.js';
import { emitTo } from './emit.js';
import { abortedError, stoppedError, whenAborted } from './endings.js';
import { fileProgress } from './file-progress.js';
import type { Reader } from './reader.js';
import { Readers } from './readers.js';
import { RestingFiles } from './resting-files.js';
import { PastSessions } from './session-sums.js';
import type { LiveTorrent } from './torrent.js';

/** Shared: thousands of torrents have nothing to wait for. */
const NOTHING = Promise.resolve();

export class TorrentHandle extends AdjustableTorrent implements Torrent {
  error: HaulError | null = null;
  #state: TorrentState = 'preparing';
  readonly #completion = new Completion();
  readonly #wasTrusted: boolean;
  priorities: readonly FilePriority[] | null;
  readonly #unwatchSignal: () => void;
  /** Changes run one after the other. */
  #chain: Promise<void> = NOTHING;
  #queued = 0;
  /** The next session believes nothing of what is on disk. */
  #check: Check | null = null;
  /** What stops the data on its way to another folder. */
  #moving: AbortController | null = null;
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
    super(metainfo, options, throttles, host);
    this.#wasTrusted = options.trustData === true;
    this.priorities = options.priorities === undefined ? null : changes.listed(metainfo, options.priorities);
    this.#begin();
    // The signal stops the torrent at any time of its life, also when it is complete and seeds.
    this.#unwatchSignal = whenAborted(options.signal, () => void this.#end(abortedError(metainfo.name)));
  }

  get state(): TorrentState {
    return this.#state;
  }

  get done(): Promise<void> {
    return this.#completion.promise;
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

  read(file: number | string, options: ReadOptions = {}): Reader {
    this.#readers ??= new Readers(this);
    return this.#readers.open(file, options);
  }

  // ---- what users may change ----

  pause(): Promise<void> {
    if (this.#isPaused || this.#isOver || this.#stopping !== null) return this.#chain;
    if (this.#isFailing) return this.live!.stop();
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

  async recheck(options: RecheckOptions = {}): Promise<void> {
    rules.checkRecheckOptions(options);
    const check = new Check(this, options);
    try {
      await this.#change(() => {
        this.#check = check;
        check.files = this.#files;
        this.#files = null;
      });
      check.throwIfCut();
    } finally {
      check.end();
    }
  }

  /** The session that checks is given up, and another one believes what was believed before. */
  cutShort(check: Check): void {
    void this.#enqueue(async () => {
      const { live } = this;
      if (this.#check !== check || live === null || live.exchange !== null || live.isStopping) return;
      check.isCut = true;
      this.#check = null;
      this.#files = check.files;
      this.isResting = true;
      this.#enter('preparing');
      await this.#endSession(live);
      await this.#trustUnchanged();
      this.#begin();
    });
  }

  async moveData(dir: string, options: MoveDataOptions = {}): Promise<MoveDataResult> {
    rules.checkMoveOptions(dir, options);
    this.#checkOpen('move');
    const folder = resolve(dir);
    let kept: readonly string[] | null = null;
    await this.#enqueue(async () => {
      this.#checkOpen('move');
      // Before its peers are lost.
      if (!(await this.#content().mayMove(folder))) return;
      this.#checkOpen('move');
      await this.#between('moving', async () => {
        kept = await this.#moveTo(folder, options);
      });
    });
    if (kept !== null && !this.#isPaused) await changes.whenRunning(this);
    return { kept: kept ?? [] };
  }

  async #moveTo(folder: string, { signal, onProgress }: MoveDataOptions): Promise<readonly string[]> {
    const { stamps, isSeed } = this;
    const { signal: ending } = this.#moving!;
    const any = signal === undefined ? ending : AbortSignal.any([ending, signal]);
    const request = { isSeed, stamps, have: this.#past.have, signal: any, onProgress };
    const moved = await this.#content().move(folder, request);
    if (moved === null) return [];
    this.options = changes.movedOptions(this.options, folder, moved.stamps);
    this.#files = null;
    return moved.kept;
  }

  #content(): Content {
    const selection = this.priorities === null ? null : Selection.of(this.metainfo, this.priorities);
    return this.host.contentOf(this.metainfo, this.output, selection, this.options.source);
  }

  async setPriorities(priorities: FilePriorities): Promise<void> {
    const list = typeof priorities === 'function' ? changes.listed(this.metainfo, priorities) : priorities;
    rules.checkPriorities(this.metainfo, list, this.isSeed);
    this.#checkOpen('change');
    const keep = (): void => {
      this.priorities = list;
      this.options = { ...this.options, priorities: list };
    };
    const { live } = this;
    const isFree = this.#queued === 0 && !this.isResting && live?.isStopping === false && live.exchange !== null;
    if (isFree && changes.hasSamePlaces(this.metainfo, this.priorities, list)) {
      keep();
      changes.applyPriorities(live, list);
    } else await this.#change(keep);
  }

  stop(): Promise<void> {
    return this.#end(stoppedError(this.metainfo.name));
  }

  /** What can be changed between two sessions only. Then there may be something to wait for again. */
  async #change(step: () => void): Promise<void> {
    this.#checkOpen('change');
    if (this.#completion.isDone) this.#completion.renew();
    await this.#enqueue(() => {
      this.#checkOpen('change');
      return this.#between('preparing', step);
    });
    if (!this.#isPaused) await changes.whenRunning(this);
  }

  async #between(shown: TorrentState, step: () => Promise<void> | void): Promise<void> {
    if (this.#isFailing) await this.live!.stop();
    this.#checkOpen('change');
    const { live } = this;
    this.isResting = live !== null;
    if (!this.#isPaused || shown === 'moving') this.#enter(shown);
    if (shown === 'moving') this.#moving = new AbortController();
    try {
      if (live !== null) await this.#endSession(live);
      await step();
    } finally {
      this.#moving = null;
      if (this.#stopping === null) this.#enter(this.#isPaused ? 'paused' : 'preparing');
      this.#begin();
    }
  }

  #checkOpen(operation: string): void {
    if (!this.#isOver && this.#stopping === null) return;
    throw new HaulError('CLOSED', `${operation} ${this.metainfo.name}: the torrent is ${this.#state}`);
  }

  /** Its session is ending by itself, with a failure that is told when it has ended. */
  get #isFailing(): boolean {
    return this.live !== null && !this.isResting && this.#failure !== null;
  }

  // ---- sessions ----

  #begin(): void {
    if (this.live !== null || this.#isPaused || this.#isOver || this.#stopping !== null) return;
    this.#failure = null;
    this.isResting = false;
    const options = this.#check?.optionsOf(this.options) ?? this.options;
    this.live = this.host.begin(this, options);
    this.live.listener = this;
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
    if (event === 'spread') this.options = { ...this.options, superSeeding: false };
  }

  async #trustUnchanged(): Promise<void> {
    const { stamps, metainfo, output } = this;
    if (!this.isSeed || this.#wasTrusted || this.#check !== null || stamps === null) return;
    const content = this.host.contentOf(metainfo, output, null, this.options.source);
    this.options = await changes.trustedSeed(content, metainfo, this.options, stamps);
  }

  /** What the session is becomes what the torrent is, unless it ends while the torrent goes on. */
  #follow(live: LiveTorrent, state: TorrentState): void {
    if (live !== this.live || this.isResting) return;
    if (state === 'downloading') {
      this.#hasRun = true;
      this.#check = null;
    }
    // It may have been said while the session was preparing.
    if (state === 'downloading') live.exchange?.scheduler.setSequential(this.options.sequential === true);
    if (state === 'stopping' && this.#stopping === null && changes.mayGoOn(this.#failure, this.#hasRun))
      this.#restAfter(this.#failure!);
    else if (state === 'stopped' || state === 'failed') this.#finish(live, this.#failure);
    else this.#enter(state);
  }

  #completed(): void {
    // What is written into a seed's files from now on is seen when it goes on after a pause.
    if (this.options.mode === 'seed' && this.#files === null) void this.#noteFiles();
    if (!this.#completion.resolve()) return;
    this.options = changes.proven(this.options);
    emitTo(this, 'done');
    this.host.onDone(this);
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
    this.options = changes.withBans(this.options, live.roster.bans);
    this.live = null;
    this.isResting = false;
  }

  async #noteFiles(): Promise<void> {
    const now = await this.live?.storage?.inspect().catch(() => null);
    if (now != null) this.#files = new RestingFiles(now.stamps);
  }

  #finish(live: LiveTorrent | null, failure: HaulError | null, reason = stoppedError(this.metainfo.name)): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unwatchSignal?.();
    if (live !== null) this.#remember(live);
    this.error = failure;
    this.#completion.reject(failure ?? this.#reason ?? reason);
    this.host.onEnded(this);
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
    this.#moving?.abort();
    const { live } = this;
    if (live === null || this.isResting) this.#enter('stopping');
    await live?.stop();
    await this.#chain;
    if (!this.#isOver) this.#finish(this.live, null, reason);
  }

  #enqueue(step: () => Promise<void> | void): Promise<void> {
    const run = this.#chain.then(step);
    this.#queued++;
    const end = (): void => void this.#queued--;
    this.#chain = run.then(end, end);
    return run;
  }

  #enter(state: TorrentState): void {
    // Who pauses or resumes meanwhile is heard when the data has come to rest.
    const isLater = this.#moving !== null && (state === 'paused' || state === 'preparing');
    if (this.#state === state || isLater) return;
    this.#state = state;
    this.#readers?.changed();
    emitTo(this, 'state', state);
  }
}
