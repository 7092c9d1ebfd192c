/** What changes something at one of several depots, on its way there. Owns those that are under way. */
import { HaulError } from '../../errors.js';
import type { DepotChoice } from './depot-choice.js';
import type { Ask } from './depot-port.js';
import { DepotAway, DepotFailed } from './depot-trouble.js';
import { ReplayBody } from './replay-body.js';

/** Nothing moves for so long: the depot is looked at. */
const QUIET_MS = 2_000;
/** It has been away for so long, and nothing moves: it is given up. Much was sent, so nobody is hasty. */
const GIVEN_UP_MS = 10_000;

export interface Upload {
  /** To be asked with. */
  options(depot: number): Ask;
  /** What was thrown, or why it was ended. */
  errorOf(error: unknown): unknown;
  /** Another depot can be asked for it. */
  mayGoOn(error: DepotAway): boolean;
  end(): void;
}

interface UnderWay {
  depot: number;
  readonly abort: AbortController;
  readonly movedMs: () => number;
  isGivenUp: boolean;
}

export class Uploads {
  readonly #choice: DepotChoice;
  readonly #now: () => number;
  readonly #underWay = new Set<UnderWay>();

  constructor(choice: DepotChoice, now: () => number) {
    this.#choice = choice;
    this.#now = now;
  }

  get count(): number {
    return this.#underWay.size;
  }

  tick(): void {
    const nowMs = this.#now();
    for (const upload of this.#underWay) {
      const quietMs = nowMs - upload.movedMs();
      if (quietMs >= QUIET_MS) this.#choice.suspect(upload.depot, nowMs);
      const awayMs = this.#choice.awayForMs(upload.depot, nowMs);
      if (Math.min(quietMs, awayMs) < GIVEN_UP_MS) continue;
      upload.isGivenUp = true;
      upload.abort.abort();
    }
  }

  begin(given: Ask): Upload {
    const { body: source, signal, headers = {} } = given;
    const body = source === undefined ? null : new ReplayBody(source, this.#now);
    const hasCondition = 'if-match' in headers || 'if-none-match' in headers;
    let own: UnderWay | null = null;
    const leave = (): void => {
      if (own !== null) this.#underWay.delete(own);
    };
    return {
      options: (depot) => {
        leave();
        const abort = new AbortController();
        const begunMs = this.#now();
        own = { depot, abort, movedMs: () => Math.max(begunMs, body?.movedMs ?? begunMs), isGivenUp: false };
        this.#underWay.add(own);
        const both = signal === undefined ? abort.signal : AbortSignal.any([signal, abort.signal]);
        return { ...given, signal: both, ...(body === null ? {} : { body: body.read() }) };
      },
      errorOf: (error) => {
        const isOurs = own?.isGivenUp === true && signal?.aborted !== true;
        return isOurs && error instanceof HaulError ? new DepotAway('it does not answer any more') : error;
      },
      mayGoOn: (error) => {
        if (error.isUnsent) return body === null || body.canBegin;
        if (body === null) return error instanceof DepotFailed;
        // Who had all of it may have done it, and then a condition does not hold any more.
        return body.canBegin && !(body.isEnded && hasCondition && !(error instanceof DepotFailed));
      },
      end: () => {
        leave();
        body?.close();
      },
    };
  }
}
