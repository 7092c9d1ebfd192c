/**
 * The work pool: jobs queue here and travel to piscina's workers in batches.
 *
 * Batching is natural: while the workers are busy the queue grows, and whatever is there when a batch returns makes the next
 * one. At most BATCHES_PER_THREAD batches are on their way to each worker, so that it never waits for the main thread, and a
 * batch is bounded in jobs and in bytes, so that a starved download's prefault waits milliseconds at most.
 * Invariant: every accepted job gets exactly one `done`, later; `queued + in flight <= maxJobs`.
 */
import { fdatasync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { errnoName, errnoOf } from '../storage/errno.js';
import { decodeOutcomes, encodeBatch, OPERATIONS, workBytes } from './job.js';
import type { WorkJob, WorkPool, WorkResult } from './port.js';

const MIB = 1024 * 1024;
/** One being worked on, one waiting in the worker's port. */
const BATCHES_PER_THREAD = 2;
const BATCH_JOBS = 32;
/** About 4 ms of SHA-1. */
const BATCH_BYTES = 8 * MIB;
/** Pieces in flight for a 10 Gbit/s download are some dozens; this many jobs is a bound, not a target. */
const MAX_JOBS = 1024;
/** Descriptors flushed at once: libuv has four threads, and file opening needs one too. */
const SYNCS_AT_ONCE = 2;

/** Nobody waits for these in a hurry. */
const ORDINARY: ReadonlySet<WorkJob['kind']> = new Set(['verify', 'digest-blocks', 'digest-pieces', 'look']);

export interface WorkPoolOptions {
  /** Worker threads, at least 1. */
  readonly threads: number;
  /** Jobs queued and in flight before `submit` refuses; default 1024. */
  readonly maxJobs?: number;
  /** Another worker file, for tests of crashes. */
  readonly workerUrl?: URL;
}

interface Entry {
  readonly job: WorkJob;
  readonly done: (result: WorkResult) => void;
}

class PiscinaPool implements WorkPool {
  readonly threadCount: number;
  onRoom: (() => void) | null = null;
  readonly #maxJobs: number;
  readonly #piscina: Piscina<Float64Array, Float64Array>;
  /** Prefaults, reads and releases go first: a download or a peer waits for them. */
  #urgent: Entry[] = [];
  #ordinary: Entry[] = [];
  /** Jobs accepted and not yet answered. */
  #jobCount = 0;
  #batchCount = 0;
  #flushIsScheduled = false;
  #wasRefused = false;
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;

  constructor(options: WorkPoolOptions) {
    this.threadCount = Math.max(1, Math.floor(options.threads));
    this.#maxJobs = options.maxJobs ?? MAX_JOBS;
    this.#piscina = new Piscina<Float64Array, Float64Array>({
      filename: fileURLToPath(options.workerUrl ?? new URL('./worker-entry.cjs', import.meta.url)),
      minThreads: this.threadCount,
      maxThreads: this.threadCount,
      concurrentTasksPerWorker: BATCHES_PER_THREAD,
      atomics: 'sync',
      recordTiming: false,
    });
    // A worker that dies takes its batches with it; piscina starts another and rejects those runs. Nothing else to do here.
    this.#piscina.on('error', () => {});
  }

  get room(): number {
    return this.#closing === null ? this.#maxJobs - this.#jobCount : 0;
  }

  submit(job: WorkJob, done: (result: WorkResult) => void): boolean {
    if (this.room <= 0) {
      this.#wasRefused = true;
      return false;
    }
    this.#jobCount++;
    if (job.kind === 'sync') {
      this.#sync(job.fds, { job, done });
      return true;
    }
    (ORDINARY.has(job.kind) ? this.#ordinary : this.#urgent).push({ job, done });
    this.#scheduleFlush();
    return true;
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    const abandoned = [...this.#urgent, ...this.#ordinary];
    this.#urgent = [];
    this.#ordinary = [];
    await null;
    for (const entry of abandoned) this.#fail(entry, 'ECANCELED');
    if (this.#jobCount > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    await this.#piscina.destroy();
  }

  /** At the end of the current callback: what it submits together travels together. */
  #scheduleFlush(): void {
    if (this.#flushIsScheduled || this.#batchCount >= BATCHES_PER_THREAD * this.threadCount) return;
    this.#flushIsScheduled = true;
    queueMicrotask(() => {
      this.#flushIsScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#batchCount < BATCHES_PER_THREAD * this.threadCount) {
      const batch = this.#takeBatch();
      if (batch.length === 0) return;
      void this.#runBatch(batch);
    }
  }

  /** The next jobs: urgent ones first, an even share for each idle worker, within the bounds of a batch. */
  #takeBatch(): Entry[] {
    const idle = Math.max(1, this.threadCount - this.#batchCount);
    const share = Math.ceil((this.#urgent.length + this.#ordinary.length) / idle);
    const limit = Math.min(BATCH_JOBS, share);
    const batch: Entry[] = [];
    let bytes = 0;
    for (const queue of [this.#urgent, this.#ordinary]) {
      let count = 0;
      while (count < queue.length && batch.length < limit && bytes < BATCH_BYTES) {
        const entry = queue[count++]!;
        bytes += workBytes(entry.job);
        batch.push(entry);
      }
      queue.splice(0, count);
    }
    return batch;
  }

  async #runBatch(batch: readonly Entry[]): Promise<void> {
    this.#batchCount++;
    const jobs = batch.map((entry) => entry.job);
    let outcomes: Float64Array | null = null;
    try {
      outcomes = await this.#piscina.run(encodeBatch(jobs));
    } catch {
      // The worker died or could not answer: its jobs fail below, the pool lives on.
    }
    this.#batchCount--;
    this.#flush();
    if (outcomes === null) for (const entry of batch) this.#fail(entry, 'EIO');
    else decodeOutcomes(jobs, outcomes, (index, result) => this.#finish(batch[index]!, result));
    this.#afterDone();
  }

  #fail(entry: Entry, errno: string): void {
    this.#finish(entry, { ok: false, errno, operation: OPERATIONS[entry.job.kind] });
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
    if (this.#wasRefused && this.room > 0) {
      this.#wasRefused = false;
      this.onRoom?.();
    }
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
      if (error !== null && errno === 0) errno = errnoOf(error);
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
      else this.#finish(entry, { ok: true, good: true, bytes: new Uint8Array(0) });
      this.#afterDone();
    };
    if (fds.length === 0) queueMicrotask(finish);
    while (next < Math.min(SYNCS_AT_ONCE, fds.length)) start();
  }
}

/** Starts the worker threads. The pool does not keep the process alive while it is idle. */
export function createWorkPool(options: WorkPoolOptions): WorkPool {
  return new PiscinaPool(options);
}
