/**
 * Long work that many may ask for: done once for all who ask for the same, a few at a time, in turns between addresses,
 * and given up when nobody has asked for it for a while. Bounded: who asks while all places are taken is told so.
 */
import { HaulError } from '../../errors.js';
import { mayTake, ownOf } from '../http/fair-places.js';

export interface JobLimits {
  readonly atOnce: number;
  /** That wait for their turn. */
  readonly waiting: number;
  /** Milliseconds: one that nobody waits for goes on for so long. */
  readonly lingerMs: number;
}

/** As `Jobs` knows it: others only hand it on. */
export interface Job<T> {
  readonly key: string;
  /** Who asked for it first. */
  readonly group: string;
  readonly abort: AbortController;
  readonly begin: () => void;
  readonly result: Promise<T>;
  isRunning: boolean;
  waiters: number;
  linger: NodeJS.Timeout | null;
}

export class Jobs<T> {
  readonly #limits: JobLimits;
  readonly #jobs = new Map<string, Job<T>>();
  #isClosed = false;

  constructor(limits: JobLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#jobs.size;
  }

  /**
   * It is being worked on from now on, and until nobody has waited for it for a while.
   * @param group of whom asks, as places are shared
   * @param work is told when nobody wants it any more; not called where it is worked on already
   * @throws HaulError IN_USE: all places are taken; CLOSED
   */
  async begin(key: string, group: string, work: (signal: AbortSignal) => Promise<T>): Promise<Job<T>> {
    let known = this.#jobs.get(key);
    // One that was given up ends soon, and gives nothing.
    for (; known?.abort.signal.aborted === true; known = this.#jobs.get(key)) await known.result.catch(() => {});
    const job = known ?? this.#add(key, group, work);
    this.#linger(job);
    return job;
  }

  /**
   * The result. 'late': it is not there within that time, or whoever waits is gone.
   * @throws what the work throws
   */
  async wait(job: Job<T>, waitMs: number, signal: AbortSignal): Promise<T | 'late'> {
    job.waiters++;
    if (job.linger !== null) clearTimeout(job.linger);
    job.linger = null;
    try {
      return await within(job.result, waitMs, signal);
    } finally {
      job.waiters--;
      this.#linger(job);
    }
  }

  /** All is given up; resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const jobs = [...this.#jobs.values()];
    for (const { abort } of jobs) abort.abort();
    await Promise.allSettled(jobs.map(({ result }) => result));
  }

  #add(key: string, group: string, work: (signal: AbortSignal) => Promise<T>): Job<T> {
    if (this.#isClosed) throw new HaulError('CLOSED', 'the depot was closed');
    const { waiting } = this.#limits;
    if (!mayTake(ownOf(this.#jobs.values(), group), this.#jobs.size, waiting))
      throw new HaulError('IN_USE', 'too many folders wait to be hashed');
    const abort = new AbortController();
    let begin!: () => void;
    const turn = new Promise<void>((resolve, reject) => {
      begin = resolve;
      abort.signal.addEventListener('abort', () => reject(givenUp()), { once: true });
    });
    const result = turn.then(() => work(abort.signal)).finally(() => this.#ended(job));
    // Who waits hears of it; nobody may.
    result.catch(() => {});
    const job: Job<T> = { key, group, abort, begin, result, isRunning: false, waiters: 0, linger: null };
    this.#jobs.set(key, job);
    this.#beginSome();
    return job;
  }

  #linger(job: Job<T>): void {
    if (job.waiters > 0 || this.#jobs.get(job.key) !== job) return;
    job.linger ??= setTimeout(() => job.abort.abort(), this.#limits.lingerMs).unref();
  }

  #ended(job: Job<T>): void {
    if (job.linger !== null) clearTimeout(job.linger);
    if (this.#jobs.get(job.key) === job) this.#jobs.delete(job.key);
    this.#beginSome();
  }

  /** The oldest of the address that has the fewest running. */
  #beginSome(): void {
    if (this.#isClosed) return;
    for (;;) {
      const all = [...this.#jobs.values()];
      const running = all.filter(({ isRunning }) => isRunning);
      const waiting = all.filter(({ isRunning }) => !isRunning);
      if (running.length >= this.#limits.atOnce || waiting.length === 0) return;
      const [next] = waiting.sort((a, b) => ownOf(running, a.group) - ownOf(running, b.group));
      next!.isRunning = true;
      next!.begin();
    }
  }
}

function givenUp(): HaulError {
  return new HaulError('ABORTED', 'nobody waits for it');
}

async function within<T>(result: Promise<T>, waitMs: number, signal: AbortSignal): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort!: () => void;
  const over = new Promise<'late'>((resolve) => {
    onAbort = () => resolve('late');
    timer = setTimeout(onAbort, waitMs);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([result, over]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
