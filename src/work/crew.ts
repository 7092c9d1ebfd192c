/**
 * The worker threads of the pool: starts them, starts them again after a pause when they die, and says when none can be
 * had.
 * Invariant: each place has one thread or one timer; a thread is given out only after its proof.
 * Must not know: what jobs are.
 */
import { HaulError } from '../errors.js';
import { BATCHES_PER_THREAD, PoolThread, type ThreadOwner, type ThreadSettings } from './thread.js';

/** The pause before a thread is started again doubles from here: what killed it may still be going on. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/**
 * Failures of every thread in a row, without a batch done, after which work is no longer kept waiting: 1 s after the
 * start,
 */
const TRIES_AT_START = 4;
/** and 25 s later on, when memory or threads of the machine may come free again. */
const TRIES_LATER = 8;

export interface CrewOptions extends ThreadSettings {
  readonly threads: number;
  /** A thread has room for a batch. */
  readonly onFree: () => void;
  /** No thread can be had: what waits should be failed with this. Called again for each later try that fails. */
  readonly onDown: (error: HaulError) => void;
  /** A thread died and will be started again; what fails at the start is told only when it goes on. */
  readonly onDeath: (cause: string) => void;
  /** Somebody waits: the process must live until the next try. */
  readonly isNeeded: () => boolean;
}

interface Place {
  thread: PoolThread | null;
  timer: NodeJS.Timeout | null;
  /** In a row. */
  failures: number;
}

export class Crew implements ThreadOwner {
  readonly #options: CrewOptions;
  /** Of the threads that were started. */
  readonly #places: Place[] = [];
  #wasProven = false;
  #isStopped = false;
  #failure: HaulError | null = null;

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** Starts threads until so many were started. */
  start(count: number): void {
    if (this.#isStopped) return;
    while (this.#places.length < Math.min(count, this.#options.threads)) {
      const place: Place = { thread: null, timer: null, failures: 0 };
      this.#places.push(place);
      this.#start(place);
    }
  }

  /** Why there is no thread; null while there is one or may soon be. */
  get failure(): HaulError | null {
    return this.#failure;
  }

  /** No thread has been there yet, and one may soon be. */
  get isStarting(): boolean {
    return !this.#wasProven && this.#failure === null;
  }

  /** Threads that have nothing to do. */
  get idleCount(): number {
    let count = 0;
    for (const { thread } of this.#places) if (thread?.isProven === true && thread.load === 0) count++;
    return count;
  }

  /** The thread with the least to do that has room, or one that has nothing to do at all. */
  pick(mustBeIdle: boolean): PoolThread | null {
    let best: PoolThread | null = null;
    for (const { thread } of this.#places) {
      if (thread === null || !thread.isProven || thread.isReserved) continue;
      if (best === null || thread.load < best.load) best = thread;
    }
    return best !== null && best.load < (mustBeIdle ? 1 : BATCHES_PER_THREAD) ? best : null;
  }

  /** A thread has done a batch: what went wrong in its place before is over. */
  succeeded(thread: PoolThread): void {
    const place = this.#placeOf(thread);
    if (place !== undefined) place.failures = 0;
  }

  /** The process stays alive until the next try. */
  hold(): void {
    for (const { timer } of this.#places) timer?.ref();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const threads = this.#places.flatMap(({ thread }) => (thread === null ? [] : [thread]));
    for (const { timer } of this.#places) if (timer !== null) clearTimeout(timer);
    await Promise.all(threads.map((thread) => thread.stop()));
  }

  // ---- ThreadOwner ----

  onProven(): void {
    this.#wasProven = true;
    this.#failure = null;
    this.#options.onFree();
  }

  onGone(thread: PoolThread, cause: Error): void {
    const place = this.#placeOf(thread);
    if (place === undefined || this.#isStopped) return;
    place.thread = null;
    this.#failed(place, cause);
  }

  #placeOf(thread: PoolThread): Place | undefined {
    return this.#places.find((place) => place.thread === thread);
  }

  #start(place: Place): void {
    place.timer = null;
    try {
      place.thread = new PoolThread(this.#options, this);
    } catch (error) {
      // Nobody may be told from inside `submit`.
      queueMicrotask(() => {
        if (!this.#isStopped) this.#failed(place, error);
      });
    }
  }

  #failed(place: Place, cause: unknown): void {
    place.failures++;
    const limit = this.#wasProven ? TRIES_LATER : TRIES_AT_START;
    const text = causeText(cause);
    if (this.#places.every(({ failures, thread }) => failures >= limit && thread?.isProven !== true)) {
      this.#failure = new HaulError(
        'POOL',
        `no worker thread can be started: ${text}`,
        { atStart: !this.#wasProven },
        cause,
      );
      this.#options.onDown(this.#failure);
    } else if (place.failures === (this.#wasProven ? 1 : limit)) this.#options.onDeath(text);
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (place.failures - 1));
    place.timer = setTimeout(() => this.#start(place), pauseMs);
    if (!this.#options.isNeeded()) place.timer.unref();
  }
}

const HINTS: Readonly<Record<string, string>> = {
  ERR_WORKER_INIT_FAILED: 'raise the limit of processes and threads (ulimit -u, pids.max of the container)',
  ERR_WORKER_OUT_OF_MEMORY: 'give the process more memory',
  MODULE_NOT_FOUND: 'the installation is damaged, install it again',
  ERR_MODULE_NOT_FOUND: 'the installation is damaged, install it again',
};

/** One line, with what to do about it where that is known. */
export function causeText(cause: unknown): string {
  const text = (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0]!;
  const hint = HINTS[String((cause as { code?: unknown } | null)?.code)];
  return hint === undefined ? text : `${text}; ${hint}`;
}
