/**
 * Looks up names of hosts for whoever can wait: one after the other, for the system has few threads for that (libuv:
 * two) and names that hang must not keep trackers from being found. Names that are asked for the first time go before
 * those that are asked again. Knows no clock.
 */
import { isIP } from 'node:net';

export interface HostLookupsOptions {
  /** IP addresses of a name. */
  readonly lookUp: (host: string) => Promise<readonly string[]>;
  readonly atOnce: number;
  /** Names that may wait for their turn. */
  readonly waiting: number;
  /** Whoever waits is told no after so long; the system may be at it for longer, and keeps its place until then. */
  readonly timeoutMs: number;
  /** Calls back; returns what keeps it from that. */
  readonly later: (ms: number, call: () => void) => () => void;
}

interface Waiting {
  readonly host: string;
  readonly begin: () => void;
}

export class HostLookups {
  readonly #options: HostLookupsOptions;
  #running = 0;
  #first: Waiting[] = [];
  #again: Waiting[] = [];

  constructor(options: HostLookupsOptions) {
    this.#options = options;
  }

  /**
   * IP addresses of a name; of an address itself.
   * @param isAgain it has been asked for before
   * @throws Error without an answer in time, or too many wait; and what the system says
   */
  async resolve(host: string, isAgain = false): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host];
    const { atOnce, waiting, timeoutMs } = this.#options;
    if (this.#running >= atOnce) {
      if (this.#first.length + this.#again.length >= waiting) throw new Error('too many names are being looked up');
      await new Promise<void>((begin) => (isAgain ? this.#again : this.#first).push({ host, begin }));
    } else this.#running++;
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(`its name was not answered within ${timeoutMs / 1000} s`));
      const cancel = this.#options.later(timeoutMs, late);
      const end = (): void => {
        cancel();
        this.#next();
      };
      const asked = Promise.resolve().then(() => this.#options.lookUp(host));
      asked.then(resolve, reject).then(end, end);
    });
  }

  /** The place goes to who waits. */
  #next(): void {
    const next = this.#first.shift() ?? this.#again.shift();
    if (next === undefined) this.#running--;
    else next.begin();
  }
}
