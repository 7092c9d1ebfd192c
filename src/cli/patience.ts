/**
 * How long a command waits: `--timeout` since something was verified (or, where nobody gave one, since something useful
 * came), `--deadline` in all. The arithmetic is pure (`TimeLimits`); `Patience` adds a clock that looks a few times a
 * second and an AbortSignal that fires when the time is up.
 */

export type GaveUp = 'timeout' | 'deadline';

/** Without a terminal nobody presses Ctrl-C: then a download that gets nothing ends by itself. */
export const UNATTENDED_TIMEOUT_MS = 10 * 60_000;

const LOOK_EVERY_MS = 200;

export class TimeLimits {
  readonly #timeoutMs: number;
  readonly #deadlineAtMs: number;
  #progressAtMs: number;

  /** Infinity: no such limit. */
  constructor(limits: { readonly timeoutMs: number; readonly deadlineMs: number }, nowMs: number) {
    this.#timeoutMs = limits.timeoutMs;
    this.#deadlineAtMs = nowMs + limits.deadlineMs;
    this.#progressAtMs = nowMs;
  }

  /** Something was verified or came, or work is done that is no waiting. */
  progress(nowMs: number): void {
    this.#progressAtMs = nowMs;
  }

  exceeded(nowMs: number): GaveUp | null {
    if (nowMs >= this.#deadlineAtMs) return 'deadline';
    return nowMs - this.#progressAtMs >= this.#timeoutMs ? 'timeout' : null;
  }
}

interface PatienceLimits {
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  /** Nobody asked for the time-out: useful bytes are progress, too. Default: only what is verified is. */
  readonly countsBytes?: boolean;
}

export class Patience {
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly countsBytes: boolean;
  readonly #limits: TimeLimits;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #gaveUp: GaveUp | null = null;
  #look: () => boolean = () => false;

  constructor(limits: PatienceLimits) {
    this.timeoutMs = limits.timeoutMs;
    this.deadlineMs = limits.deadlineMs;
    this.countsBytes = limits.countsBytes === true;
    this.#limits = new TimeLimits(limits, performance.now());
    this.#timer = setInterval(() => this.#check(), LOOK_EVERY_MS);
  }

  /** Fires when a limit is reached. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The limit that was reached, or null. */
  get gaveUp(): GaveUp | null {
    return this.#gaveUp;
  }

  /** From now on `look` says whether there was progress since its last call; the clock of --timeout begins anew. */
  watch(look: () => boolean): void {
    this.#look = look;
    this.#limits.progress(performance.now());
  }

  /** The waiting is over. Idempotent. */
  end(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const nowMs = performance.now();
    if (this.#look()) this.#limits.progress(nowMs);
    this.#gaveUp = this.#limits.exceeded(nowMs);
    if (this.#gaveUp === null) return;
    this.end();
    this.#controller.abort();
  }
}
