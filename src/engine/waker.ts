/**
 * Wakes what sleeps, by its name: one wake for all who ask, a few at once, none for ever, and no second try of a
 * failure for a while. A stranger can ask for any name at any rate: everything here is bounded. Pure: time comes with
 * `tick`.
 */

export interface WakerOptions {
  readonly atOnce: number;
  /** Names that may wait for their turn; beyond them the answer is no. */
  readonly waiting: number;
  /** A wake that takes longer has failed for all who wait. */
  readonly timeoutMs: number;
  /**
   * It keeps its turn until it has ended all the same, but no longer than this after it failed: else a few that hang
   * would end all waking.
   */
  readonly hangMs: number;
  /** A name whose wake failed is not tried again before that, nor while that wake still hangs. */
  readonly retryMs: number;
}

/** @param yieldTurn what is left takes long, and is bounded elsewhere: others may begin meanwhile */
export type Begin<T> = (yieldTurn: () => void) => Promise<T | null>;

interface Wake<T> {
  readonly name: string;
  readonly begin: Begin<T>;
  readonly answers: Set<(found: T | null) => void>;
  /** Counts from when it was asked for first, then from when it began. */
  untilMs: number;
  isRunning: boolean;
}

/** A wake that has begun and not ended, whether somebody still waits for it or not. */
interface Begun {
  readonly hangsUntilMs: number;
  hasTurn: boolean;
}

/** Failures remembered, the latest. */
const FAILURES_MAX = 4096;

export class Waker<T> {
  readonly #options: WakerOptions;
  /** Somebody waits for these. In order of asking. */
  readonly #wakes = new Map<string, Wake<T>>();
  /** How many of them have not begun. */
  #waiting = 0;
  readonly #begun = new Map<string, Begun>();
  /** Turns taken. */
  #running = 0;
  /** By name: when it may be tried again. */
  readonly #failed = new Map<string, number>();
  #nowMs: number;
  #isClosed = false;

  constructor(options: WakerOptions, nowMs: number) {
    this.#options = options;
    this.#nowMs = nowMs;
  }

  /** Turns taken: wakes under way, but for those that hang for too long. */
  get running(): number {
    return this.#running;
  }

  /** Names that wait for their turn. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Null: it could not be woken, in time. Never rejects.
   * @param gone whoever asks waits no longer. A name that nobody waits for loses its place in the queue.
   */
  wake(name: string, begin: Begin<T>, gone?: AbortSignal): Promise<T | null> {
    if (this.#isClosed || gone?.aborted === true) return Promise.resolve(null);
    const known = this.#wakes.get(name);
    if (known !== undefined) return this.#join(known, gone);
    const isFailed = (this.#failed.get(name) ?? Number.NEGATIVE_INFINITY) > this.#nowMs;
    if (isFailed || this.#begun.has(name)) return Promise.resolve(null);
    const { atOnce, waiting, timeoutMs } = this.#options;
    if (this.#waiting >= waiting && this.#running >= atOnce) return Promise.resolve(null);
    const wake: Wake<T> = { name, begin, answers: new Set(), untilMs: this.#nowMs + timeoutMs, isRunning: false };
    this.#wakes.set(name, wake);
    this.#waiting++;
    const answer = this.#join(wake, gone);
    this.#beginSome();
    return answer;
  }

  #join(wake: Wake<T>, gone: AbortSignal | undefined): Promise<T | null> {
    return new Promise((resolve) => {
      const answer = (found: T | null): void => {
        gone?.removeEventListener('abort', leave);
        resolve(found);
      };
      const leave = (): void => {
        wake.answers.delete(answer);
        resolve(null);
        if (wake.answers.size === 0 && !wake.isRunning) this.#end(wake, null, false);
      };
      wake.answers.add(answer);
      gone?.addEventListener('abort', leave, { once: true });
    });
  }

  /** Every second or so. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const wake of [...this.#wakes.values()]) {
      // One that never had its turn has not failed: it may be asked for again at once.
      if (nowMs >= wake.untilMs) this.#end(wake, null, wake.isRunning);
    }
    for (const begun of this.#begun.values()) if (nowMs >= begun.hangsUntilMs) this.#giveTurnBack(begun);
    for (const [name, againMs] of this.#failed) if (againMs <= nowMs) this.#failed.delete(name);
    this.#beginSome();
  }

  /** All who wait are told no, and nothing begins any more. */
  close(): void {
    this.#isClosed = true;
    for (const wake of [...this.#wakes.values()]) this.#end(wake, null, false);
  }

  #beginSome(): void {
    if (this.#waiting === 0) return;
    for (const wake of [...this.#wakes.values()]) {
      if (this.#running >= this.#options.atOnce) return;
      if (!wake.isRunning) this.#begin(wake);
    }
  }

  #begin(wake: Wake<T>): void {
    const { timeoutMs, hangMs } = this.#options;
    wake.isRunning = true;
    wake.untilMs = this.#nowMs + timeoutMs;
    const begun = { hangsUntilMs: wake.untilMs + hangMs, hasTurn: true };
    this.#begun.set(wake.name, begun);
    this.#waiting--;
    this.#running++;
    const yieldTurn = (): void => {
      this.#giveTurnBack(begun);
      if (!this.#isClosed) this.#beginSome();
    };
    // Whatever it throws, and when: the same as nothing.
    void Promise.resolve()
      .then(() => (this.#isClosed ? null : wake.begin(yieldTurn)))
      .catch(() => null)
      .then((found) => {
        this.#begun.delete(wake.name);
        this.#giveTurnBack(begun);
        this.#end(wake, found, found === null);
        if (!this.#isClosed) this.#beginSome();
      });
  }

  #giveTurnBack(begun: Begun): void {
    if (begun.hasTurn) this.#running--;
    begun.hasTurn = false;
  }

  #end(wake: Wake<T>, found: T | null, isFailure: boolean): void {
    if (this.#wakes.get(wake.name) !== wake) return;
    this.#wakes.delete(wake.name);
    if (!wake.isRunning) this.#waiting--;
    if (isFailure) {
      this.#failed.set(wake.name, this.#nowMs + this.#options.retryMs);
      const [oldest] = this.#failed.keys();
      if (this.#failed.size > FAILURES_MAX) this.#failed.delete(oldest!);
    }
    for (const answer of wake.answers) answer(found);
  }
}
