/**
 * The body of an answer of one of several depots, watched: where nothing comes although somebody wants it, the depot is
 * looked at, and the body is ended when it is away, or lets us wait for too long, and another depot could go on.
 */
import { type GetBody, poured } from './depot-gets.js';
import type { Sink } from './get-connection.js';

export const WATCH = {
  /** Nothing came for so long: whether the depot is there is looked at. */
  quietMs: 600,
  /** It is there, but nothing comes for so long: another one may be quicker. */
  patienceMs: 2_000,
  /** That grows, where all of them take their time, to so long. */
  patienceMaxMs: 15_000,
} as const;

/** Whose depot it is hears of this. */
export interface BodyTold {
  readonly now: () => number;
  /** It came to its end, or is not wanted any more. */
  over(body: WatchedBody): void;
  /** The depot broke it off, before its end. */
  broke(body: WatchedBody): void;
}

export class WatchedBody implements GetBody {
  readonly depot: number;
  readonly #inner: GetBody;
  readonly #told: BodyTold;
  #movedMs = 0;
  /** Somebody wants what comes. */
  #isWanted = false;
  #isOver = false;
  /** Why it was ended by who watches it. */
  #reason: Error | null = null;

  constructor(depot: number, inner: GetBody, told: BodyTold) {
    this.depot = depot;
    this.#inner = inner;
    this.#told = told;
  }

  /** How long it has let somebody wait. */
  quietMs(nowMs: number): number {
    return this.#isWanted ? nowMs - this.#movedMs : 0;
  }

  /** It is given up: who reads it hears why. */
  giveUp(reason: string): void {
    this.#reason = Object.assign(new Error(reason), { code: reason });
    this.#inner.destroy();
  }

  async pour(sink: Sink): Promise<void> {
    this.#moved(true);
    try {
      await this.#inner.pour({
        room: () => sink.room(),
        came: (bytes) => {
          const goesOn = sink.came(bytes);
          this.#moved(goesOn);
          return goesOn;
        },
      });
      this.#over();
    } catch (error) {
      if (this.#isOver) throw error;
      this.#over();
      if (this.#reason !== null) throw this.#reason;
      this.#told.broke(this);
      throw error;
    }
  }

  resume(): void {
    this.#moved(true);
    this.#inner.resume();
  }

  destroy(): void {
    this.#over();
    this.#inner.destroy();
  }

  async dump(options: { readonly limit: number; readonly signal?: AbortSignal }): Promise<void> {
    this.#over();
    await this.#inner.dump(options);
  }

  [Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    return poured(this);
  }

  #moved(isWanted: boolean): void {
    this.#movedMs = this.#told.now();
    this.#isWanted = isWanted && !this.#isOver;
  }

  #over(): void {
    this.#isWanted = false;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#told.over(this);
  }
}
