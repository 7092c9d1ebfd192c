/** Looks at depots, whether they are well and how long they take to say so. Owns those that are under way. */
import { CHOICE, type DepotChoice } from './depot-choice.js';
import type { DepotClient } from './depot-client.js';
import { DepotFailed } from './depot-trouble.js';
import { AGENT_LIMITS } from './limits.js';

interface Look {
  readonly begunMs: number;
  readonly abort: AbortController;
}

export class DepotLooks {
  readonly #clients: readonly DepotClient[];
  readonly #choice: DepotChoice;
  readonly #now: () => number;
  readonly #onEnd: () => void;
  readonly #underWay = new Map<number, Look>();
  #isEnded = false;

  constructor(clients: readonly DepotClient[], choice: DepotChoice, now: () => number, onEnd: () => void) {
    this.#clients = clients;
    this.#choice = choice;
    this.#now = now;
    this.#onEnd = onEnd;
  }

  get isUnderWay(): boolean {
    return this.#underWay.size > 0;
  }

  get underWay(): readonly number[] {
    return [...this.#underWay.keys()];
  }

  /** Those that take too long end, those that are due begin. @param isClose what is under way depends on the first */
  tick(isClose: boolean): void {
    const nowMs = this.#now();
    for (const [depot, { begunMs, abort }] of this.#underWay)
      if (nowMs - begunMs >= CHOICE.lateMs) {
        abort.abort();
        this.#ended(depot, abort, null);
      }
    if (this.#isEnded) return;
    for (const depot of this.#choice.due(nowMs, isClose)) this.#begin(depot, nowMs);
  }

  end(): void {
    this.#isEnded = true;
    for (const { abort } of this.#underWay.values()) abort.abort();
    this.#underWay.clear();
  }

  #begin(depot: number, begunMs: number): void {
    const abort = new AbortController();
    this.#underWay.set(depot, { begunMs, abort });
    this.#choice.looking(depot);
    this.#clients[depot]!.look('look', AGENT_LIMITS.answerMs, abort.signal).then(
      () => this.#ended(depot, abort, this.#now() - begunMs),
      // One that has too much to do is there.
      (error: unknown) => this.#ended(depot, abort, error instanceof DepotFailed ? this.#now() - begunMs : null),
    );
  }

  /** @param tookMs null: it is away */
  #ended(depot: number, abort: AbortController, tookMs: number | null): void {
    if (this.#underWay.get(depot)?.abort !== abort) return;
    this.#underWay.delete(depot);
    const nowMs = this.#now();
    if (tookMs === null) this.#choice.missed(depot, nowMs);
    else this.#choice.looked(depot, tookMs, nowMs);
    this.#onEnd();
  }
}
