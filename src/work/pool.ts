/**
 * The work pool: jobs queue here and travel to the workers in batches.
 *
 * Batching is natural: while the workers are busy the queue grows, and whatever is there when a batch returns makes the
 * next one. At most BATCHES_PER_THREAD batches are on their way to each worker, so that it never waits for the main
 * thread, and a batch is bounded in jobs and in bytes, so that a starved download's prefault waits milliseconds at
 * most.
 *
 * A worker that dies takes its batches with it. All jobs can be repeated (they read, hash, prefault, give back, or
 * write the same bytes to the same place), so each is done again, alone on its thread, to find the one that kills; that
 * one fails.
 * Invariant: every accepted job gets exactly one `done`, later; `queued + in flight <= maxJobs`.
 */
import { fdatasync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { HaulError } from '../errors.js';
import { cannotForce, errnoName, errnoOf } from '../native/errno.js';
import { hashCompany } from '../native/multihash.js';
import { Crew, causeText } from './crew.js';
import { type PopulateJob, populateEarly } from './early.js';
import { Gathering } from './gathering.js';
import { decodeOutcomes, encodeBatch, OPERATIONS, workBytes } from './job.js';
import type { WorkJob, WorkPool, WorkResult } from './port.js';
import { RoomLine } from './room-line.js';
import { BATCHES_PER_THREAD, type PoolThread } from './thread.js';

const MIB = 1024 * 1024;
const BATCH_JOBS = 32;
/** About 4 ms of SHA-1. */
const BATCH_BYTES = 8 * MIB;
/** The same where many pieces are hashed at once, which takes half the time and less. */
const GATHERED_BYTES = 16 * MIB;
/** Of a batch, while others wait: prefaults, reads and releases. */
const URGENT_SHARE = 0.75;
/** Pieces in flight for a 10 Gbit/s download are some dozens; this many jobs is a bound, not a target. */
const MAX_JOBS = 1024;
/** Descriptors flushed at once: libuv has four threads, and file opening needs one too. */
const SYNCS_AT_ONCE = 2;
/** Prefaults at once while no worker is there: libuv has four threads, and files are being opened meanwhile. */
const EARLY_AT_ONCE = 2;
/** Workers that may die of a job: once in company, twice alone. */
const TRIES_PER_JOB = 3;
/** A worker loads in 0.1 s; on a machine that is very busy or reads from a slow disk, in some seconds. */
const PROOF_TIMEOUT_MS = 30_000;

const NO_BYTES = new Uint8Array(0);

/** Nobody waits for these in a hurry. */
const ORDINARY: ReadonlySet<WorkJob['kind']> = new Set(['digest-blocks', 'digest-pieces', 'look', 'reserve']);
/** These neither; they may even wait for company. */
const OF_A_PIECE: ReadonlySet<WorkJob['kind']> = new Set(['verify', 'verify-write']);

export interface WorkPoolOptions {
  /** Worker threads, at least 1. */
  readonly threads: number;
  /**
   * Threads start one by one, when there is more to do than those there are take along: for work that may be small and
   * comes in large jobs. Default: all of them with the first job, whose reads may wait for a disk side by side.
   */
  readonly startsOneByOne?: boolean;
  /** Jobs queued and in flight before `submit` refuses; default 1024. */
  readonly maxJobs?: number;
  /**
   * A worker that cannot use mapped memory is no use: true where jobs will name memory. Default false. Asked when the
   * first thread starts.
   */
  readonly needsMemory?: boolean | (() => boolean);
  /** A worker died, and another one is on its way. One line. */
  readonly onDeath?: (cause: string) => void;
  /** No worker can be started: jobs fail with this until one can. */
  readonly onDown?: (error: HaulError) => void;
  /** Another worker file, its heap and the time it may take to start, for tests. */
  readonly workerUrl?: URL;
  readonly heapMib?: number;
  readonly proofTimeoutMs?: number;
}

interface Entry {
  readonly job: WorkJob;
  readonly done: (result: WorkResult) => void;
  /** Workers that died with it. */
  deaths: number;
}

class CrewPool implements WorkPool {
  readonly threadCount: number;
  readonly #maxJobs: number;
  readonly #startsOneByOne: boolean;
  readonly #crew: Crew;
  /** Prefaults, reads and releases go first: a download or a peer waits for them. */
  #urgent: Entry[] = [];
  #ordinary: Entry[] = [];
  /** Pieces to hash: some of them may wait for company, for some milliseconds. */
  #pieces: Entry[] = [];
  #gathering: Gathering | null = null;
  #gatherTimer: NodeJS.Timeout | null = null;
  /** They were with a worker when it died: each is tried alone. */
  #suspects: Entry[] = [];
  /** Jobs accepted and not yet answered. */
  #jobCount = 0;
  /** Prefaults under way without a worker, or Infinity where that cannot be. */
  #early = 0;
  #flushIsScheduled = false;
  readonly #roomLine = new RoomLine();
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;

  constructor(options: WorkPoolOptions) {
    this.threadCount = Math.max(1, Math.floor(options.threads));
    this.#maxJobs = options.maxJobs ?? MAX_JOBS;
    this.#startsOneByOne = options.startsOneByOne ?? false;
    this.#crew = new Crew({
      threads: this.threadCount,
      filename: fileURLToPath(options.workerUrl ?? new URL('./worker-entry.cjs', import.meta.url)),
      needsMemory: options.needsMemory ?? false,
      proofTimeoutMs: options.proofTimeoutMs ?? PROOF_TIMEOUT_MS,
      heapMib: options.heapMib,
      onFree: () => this.#flush(),
      onDeath: (cause) => options.onDeath?.(cause),
      onDown: (error) => {
        options.onDown?.(error);
        this.#abandon('EIO', error);
      },
      isNeeded: () => this.#jobCount > 0,
    });
  }

  get room(): number {
    return this.#closing === null ? this.#maxJobs - this.#jobCount : 0;
  }

  submit(job: WorkJob, done: (result: WorkResult) => void): boolean {
    if (this.room <= 0) return false;
    const entry: Entry = { job, done, deaths: 0 };
    if (this.#jobCount++ === 0) this.#crew.hold();
    if (job.kind === 'sync') {
      this.#sync(job.fds, entry);
      return true;
    }
    this.#startThreads();
    if (OF_A_PIECE.has(job.kind)) this.#addPiece(entry);
    else (ORDINARY.has(job.kind) ? this.#ordinary : this.#urgent).push(entry);
    this.#scheduleFlush();
    return true;
  }

  onceRoom(listener: () => void): () => void {
    if (this.room > 0) queueMicrotask(() => this.#announceRoom());
    return this.#roomLine.join(listener);
  }

  #announceRoom(): void {
    if (this.room > 0) this.#roomLine.announce(() => this.room > 0);
  }

  warmUp(): void {
    if (this.#closing === null) this.#startThreads();
  }

  #startThreads(): void {
    this.#crew.start(this.#startsOneByOne ? Math.max(1, this.#jobCount / BATCHES_PER_THREAD) : this.threadCount);
  }

  #addPiece(entry: Entry): void {
    this.#gathering ??= new Gathering(hashCompany('sha1'));
    this.#pieces.push(entry);
    this.#gathering.arrived(performance.now(), this.#pieces.length);
  }

  /** True when the pieces that wait are to be sent now; else they are looked at again when their time is over. */
  get #sendsPieces(): boolean {
    if (this.#gathering === null || this.#pieces.length === 0) return false;
    const patienceMs = this.#gathering.patienceMs(performance.now(), this.#pieces.length);
    if (patienceMs === 0) return true;
    this.#gatherTimer ??= setTimeout(() => {
      this.#gatherTimer = null;
      this.#flush();
    }, Math.ceil(patienceMs));
    return false;
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    await null;
    this.#abandon('ECANCELED');
    if (this.#jobCount > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    await this.#crew.stop();
  }

  /** Fails what no worker has begun. */
  #abandon(errno: string, error?: HaulError): void {
    const abandoned = [...this.#urgent, ...this.#ordinary, ...this.#pieces, ...this.#suspects];
    this.#urgent = [];
    this.#ordinary = [];
    this.#pieces = [];
    this.#suspects = [];
    for (const entry of abandoned) this.#fail(entry, errno, error);
    this.#afterDone();
  }

  /** At the end of the current callback: what it submits together travels together. */
  #scheduleFlush(): void {
    if (this.#flushIsScheduled) return;
    this.#flushIsScheduled = true;
    queueMicrotask(() => {
      this.#flushIsScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const { failure } = this.#crew;
    if (failure !== null) this.#abandon('EIO', failure);
    if (this.#crew.isStarting) this.#runEarly();
    for (;;) {
      const suspect = this.#suspects[0];
      // A thread is kept free for a suspect: with new work all the time none would ever be idle.
      const thread = this.#crew.pick(suspect !== undefined);
      if (thread === null) return;
      const batch = suspect === undefined ? this.#takeBatch() : [suspect];
      if (batch.length === 0) return;
      if (suspect !== undefined) this.#suspects.shift();
      void this.#runBatch(thread, batch, suspect !== undefined);
    }
  }

  /** What a first block waits for does not wait for the first worker. */
  #runEarly(): void {
    while (this.#early < EARLY_AT_ONCE) {
      const at = this.#urgent.findIndex(({ job }) => job.kind === 'populate');
      if (at < 0) return;
      const [entry] = this.#urgent.splice(at, 1);
      this.#early++;
      void this.#populate(entry!);
    }
  }

  async #populate(entry: Entry): Promise<void> {
    const errno = await populateEarly(entry.job as PopulateJob);
    this.#early--;
    if (errno === null) {
      this.#early = Number.POSITIVE_INFINITY;
      if (this.#closing === null) this.#urgent.unshift(entry);
      else this.#fail(entry, 'ECANCELED');
    } else if (errno === 0) this.#finish(entry, { ok: true, good: true, bytes: NO_BYTES });
    else this.#fail(entry, errnoName(errno));
    this.#flush();
    this.#afterDone();
  }

  /**
   * The next jobs: urgent ones first, an even share for each idle worker, within the bounds of a batch. The others have
   * a part of it and one each in any case: peers that ask for more than can be read must not hold up every hash.
   */
  #takeBatch(): Entry[] {
    const queues = this.#sendsPieces ? [this.#urgent, this.#ordinary, this.#pieces] : [this.#urgent, this.#ordinary];
    const waiting = queues.reduce((sum, { length }) => sum + length, 0);
    const share = Math.ceil(waiting / Math.max(1, this.#crew.idleCount));
    const company = this.#gathering?.company ?? 1;
    const isMixed = waiting > this.#urgent.length;
    const batch: Entry[] = [];
    let bytes = 0;
    for (const queue of queues) {
      const isPieces = queue === this.#pieces;
      const part = isMixed && queue === this.#urgent ? URGENT_SHARE : 1;
      const limit = part * Math.min(BATCH_JOBS, isPieces ? Math.max(share, company) : share);
      const limitBytes = part * (isPieces && company > 1 ? GATHERED_BYTES : BATCH_BYTES);
      let count = 0;
      while (count < queue.length && (count === 0 || (batch.length < limit && bytes < limitBytes))) {
        const entry = queue[count++]!;
        bytes += workBytes(entry.job);
        batch.push(entry);
      }
      queue.splice(0, count);
    }
    return batch;
  }

  async #runBatch(thread: PoolThread, batch: readonly Entry[], isAlone: boolean): Promise<void> {
    const jobs = batch.map((entry) => entry.job);
    let outcomes: Float64Array | null = null;
    let cause: unknown = null;
    thread.load++;
    thread.isReserved = isAlone;
    try {
      outcomes = await thread.run(encodeBatch(jobs));
      this.#crew.succeeded(thread);
    } catch (error) {
      cause = error;
    }
    thread.load--;
    if (isAlone) thread.isReserved = false;
    if (outcomes === null) for (const entry of batch) this.#lost(entry, cause);
    this.#flush();
    if (outcomes !== null) decodeOutcomes(jobs, outcomes, (index, result) => this.#finish(batch[index]!, result));
    this.#afterDone();
  }

  /** The worker died with this job, or could not answer. */
  #lost(entry: Entry, cause: unknown): void {
    if (this.#closing !== null) {
      this.#fail(entry, 'ECANCELED');
      return;
    }
    if (++entry.deaths < TRIES_PER_JOB) {
      this.#suspects.push(entry);
      return;
    }
    const operation = OPERATIONS[entry.job.kind];
    const message = `${operation}: ${TRIES_PER_JOB} worker threads ended over one job: ${causeText(cause)}`;
    this.#fail(entry, 'EIO', new HaulError('POOL', message, { tries: TRIES_PER_JOB }, cause));
  }

  #fail(entry: Entry, errno: string, error?: HaulError): void {
    const operation = OPERATIONS[entry.job.kind];
    this.#finish(entry, { ok: false, errno, operation, ...(error === undefined ? {} : { error }) });
  }

  #finish(entry: Entry, result: WorkResult): void {
    this.#jobCount--;
    try {
      entry.done(result);
    } catch (error) {
      // A broken invariant of the owner must crash, but not swallow the results of its neighbours.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #afterDone(): void {
    this.#announceRoom();
    if (this.#jobCount === 0) this.#onIdle?.();
  }

  /**
   * A flush takes as long as the device does, seconds even; it must not stand in a worker before the hashes.
   * So it runs on libuv's threads, a few descriptors at a time.
   */
  #sync(fds: readonly number[], entry: Entry): void {
    let next = 0;
    let running = 0;
    let errno = 0;
    const step = (error: NodeJS.ErrnoException | null): void => {
      if (error !== null && errno === 0 && !cannotForce(error)) errno = errnoOf(error);
      running--;
      if (next < fds.length && errno === 0) start();
      else if (running === 0) finish();
    };
    const start = (): void => {
      running++;
      fdatasync(fds[next++]!, step);
    };
    const finish = (): void => {
      if (errno !== 0) this.#fail(entry, errnoName(errno));
      else this.#finish(entry, { ok: true, good: true, bytes: NO_BYTES });
      this.#afterDone();
    };
    if (fds.length === 0) queueMicrotask(finish);
    while (next < Math.min(SYNCS_AT_ONCE, fds.length)) start();
  }
}

/**
 * The worker threads start with the first job, or when `warmUp` says that one will come. Never throws for want of them:
 * see `onDown`. The pool does not keep the process alive while it is idle.
 */
export function createWorkPool(options: WorkPoolOptions): WorkPool {
  return new CrewPool(options);
}
