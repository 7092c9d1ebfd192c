/**
 * Wakes what sleeps, by its name: one wake for all who ask, a few at once, none for ever, and no second try of a failure for a while.
 * A stranger can ask for any name at any rate: everything here is bounded. Pure: time comes with `tick`.
 */

export interface WakerOptions {
  readonly atOnce: number;
  /** Names that may wait for their turn; beyond them the answer is no. */
  readonly waiting: number;
  /** A wake that takes longer has failed for all who wait. What it does later is its own affair. */
  readonly timeoutMs: number;
  /** A name whose wake failed is not tried again before that. */
  readonly retryMs: number;
}

interface Wake<T> {
  readonly name: string;
  readonly begin: () => Promise<T | null>;
  readonly answers: ((found: T | null) => void)[];
  /** When it was asked for first; when it began. */
  untilMs: number;
  isRunning: boolean;
}

/** Failures remembered, the latest. */
const FAILURES_MAX = 4096;

export class Waker<T> {
  readonly #options: WakerOptions;
  /** In order of asking. */
  readonly #wakes = new Map<string, Wake<T>>();
  #running = 0;
  /** By name: when it may be tried again. */
  readonly #failed = new Map<string, number>();
  #nowMs: number;

  constructor(options: WakerOptions, nowMs: number) {
    this.#options = options;
    this.#nowMs = nowMs;
  }

  /** Wakes under way. */
  get running(): number {
    return this.#running;
  }

  /** Null: it could not be woken, in time. Never rejects. */
  wake(name: string, begin: () => Promise<T | null>): Promise<T | null> {
    const known = this.#wakes.get(name);
    if (known !== undefined) return new Promise((resolve) => known.answers.push(resolve));
    if ((this.#failed.get(name) ?? Number.NEGATIVE_INFINITY) > this.#nowMs) return Promise.resolve(null);
    const { atOnce, waiting, timeoutMs } = this.#options;
    if (this.#wakes.size - this.#running >= waiting && this.#running >= atOnce) return Promise.resolve(null);
    const wake: Wake<T> = { name, begin, answers: [], untilMs: this.#nowMs + timeoutMs, isRunning: false };
    this.#wakes.set(name, wake);
    const answer = new Promise<T | null>((resolve) => wake.answers.push(resolve));
    this.#beginSome();
    return answer;
  }

  /** Every second or so. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    const late = [...this.#wakes.values()].filter(({ untilMs }) => nowMs >= untilMs);
    // Those that never had their turn first, for nobody waits for them any more. They have not failed: they may be asked for again at once.
    for (const wake of late) if (!wake.isRunning) this.#end(wake, null, false);
    for (const wake of late) if (wake.isRunning) this.#end(wake, null, true);
    for (const [name, againMs] of this.#failed) if (againMs <= nowMs) this.#failed.delete(name);
  }

  /** All who wait are told no. */
  close(): void {
    for (const wake of [...this.#wakes.values()]) this.#end(wake, null, false);
  }

  #beginSome(): void {
    if (this.#running >= this.#options.atOnce) return;
    for (const wake of [...this.#wakes.values()]) {
      if (wake.isRunning) continue;
      if (this.#running >= this.#options.atOnce) return;
      this.#begin(wake);
    }
  }

  #begin(wake: Wake<T>): void {
    wake.isRunning = true;
    wake.untilMs = this.#nowMs + this.#options.timeoutMs;
    this.#running++;
    // Whatever it throws, and when: the same as nothing.
    void Promise.resolve()
      .then(wake.begin)
      .catch(() => null)
      .then((found) => this.#end(wake, found, found === null));
  }

  #end(wake: Wake<T>, found: T | null, isFailure: boolean): void {
    if (this.#wakes.get(wake.name) !== wake) return;
    this.#wakes.delete(wake.name);
    if (wake.isRunning) this.#running--;
    if (isFailure) {
      this.#failed.set(wake.name, this.#nowMs + this.#options.retryMs);
      const [oldest] = this.#failed.keys();
      if (this.#failed.size > FAILURES_MAX) this.#failed.delete(oldest!);
    }
    for (const answer of wake.answers) answer(found);
    this.#beginSome();
  }
}
