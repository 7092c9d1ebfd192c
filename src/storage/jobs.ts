/**
 * One storage's jobs in the shared pool: counts them, so that `close` can wait, and keeps those that may not be refused
 * until there is room. Invariant: every job gets one answer; waiting jobs are submitted in order.
 */
import type { WorkJob, WorkPool, WorkResult } from '../work/port.js';

type Done = (result: WorkResult) => void;

export class Jobs {
  readonly #pool: WorkPool;
  readonly #waiting: { readonly job: WorkJob; readonly done: Done }[] = [];
  #inFlight = 0;
  /** We stand in the pool's line for room. */
  #isWatching = false;
  #onIdle: (() => void)[] = [];
  /** Called after a job ended or the pool has room again: what was refused may be tried. */
  onProgress: (() => void) | null = null;

  constructor(pool: WorkPool) {
    this.#pool = pool;
  }

  /** Jobs the pool would take now, after those that wait here. */
  get room(): number {
    return Math.max(0, this.#pool.room - this.#waiting.length);
  }

  get isIdle(): boolean {
    return this.#inFlight === 0 && this.#waiting.length === 0;
  }

  /** False: no room; `onProgress` follows. */
  trySubmit(job: WorkJob, done: Done): boolean {
    if (this.room > 0 && this.#start(job, done)) return true;
    this.watch();
    return false;
  }

  /** Takes the job in any case. Callers are bounded by the pieces they may have open. */
  submit(job: WorkJob, done: Done): void {
    if (this.#waiting.length === 0 && this.#start(job, done)) return;
    this.#waiting.push({ job, done });
    this.watch();
  }

  /** Resolves when no job is under way or waiting. */
  idle(): Promise<void> {
    return this.isIdle ? Promise.resolve() : new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #start(job: WorkJob, done: Done): boolean {
    const isTaken = this.#pool.submit(job, (result) => {
      this.#inFlight--;
      done(result);
      this.#progress();
    });
    if (isTaken) this.#inFlight++;
    return isTaken;
  }

  /** Makes sure that `onProgress` comes, also when no job of this storage is under way. */
  watch(): void {
    if (this.#inFlight > 0 || this.#isWatching) return;
    this.#isWatching = true;
    this.#pool.onceRoom(() => {
      this.#isWatching = false;
      this.#progress();
    });
  }

  #progress(): void {
    while (this.#waiting.length > 0) {
      const next = this.#waiting[0]!;
      if (!this.#start(next.job, next.done)) break;
      this.#waiting.shift();
    }
    if (this.#waiting.length > 0) this.watch();
    this.onProgress?.();
    if (!this.isIdle) return;
    const waiters = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiters) resolve();
  }
}
