/**
 * How many announces are under way at once, over all torrents of an engine: thousands that are added together would
 * open as many connections. Hosts take turns, and none takes all places: one that does not answer must not hold up the
 * others. Who says goodbye goes first, for it has little time. Pure.
 */
import { HaulError } from '../errors.js';

export interface AnnounceGateOptions {
  readonly atOnce: number;
  /** Of one host. */
  readonly perHost: number;
}

interface Waiting {
  readonly go: () => void;
  readonly isGoodbye: boolean;
}

export class AnnounceGate {
  readonly #options: AnnounceGateOptions;
  /** By host, who waits; the host whose turn it is comes first. */
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #running = new Map<string, number>();
  #count = 0;

  constructor(options: AnnounceGateOptions) {
    this.#options = options;
  }

  /** Announces under way. */
  get running(): number {
    return this.#count;
  }

  /** Announces that wait for their turn. */
  get waiting(): number {
    let count = 0;
    for (const line of this.#waiting.values()) count += line.length;
    return count;
  }

  /** Sends when it has its turn. @throws HaulError ABORTED when the signal fires before; what `send` throws */
  async run<T>(url: string, isGoodbye: boolean, signal: AbortSignal, send: () => Promise<T>): Promise<T> {
    const host = hostOf(url);
    await this.#turn(host, isGoodbye, signal);
    try {
      return await send();
    } finally {
      this.#count--;
      const left = this.#running.get(host)! - 1;
      if (left > 0) this.#running.set(host, left);
      else this.#running.delete(host);
      this.#next();
    }
  }

  #turn(host: string, isGoodbye: boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const line = this.#waiting.get(host) ?? [];
      const leave = (): void => {
        line.splice(line.indexOf(waiting), 1);
        if (line.length === 0) this.#waiting.delete(host);
        reject(new HaulError('ABORTED', `announce to ${host}: aborted before its turn`));
      };
      const go = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiting: Waiting = { go, isGoodbye };
      if (signal.aborted) {
        reject(new HaulError('ABORTED', `announce to ${host}: aborted before its turn`));
        return;
      }
      signal.addEventListener('abort', leave, { once: true });
      const behind = isGoodbye ? line.findIndex((other) => !other.isGoodbye) : -1;
      if (behind === -1) line.push(waiting);
      else line.splice(behind, 0, waiting);
      this.#waiting.set(host, line);
      this.#next();
    });
  }

  #next(): void {
    while (this.#count < this.#options.atOnce) {
      const host = this.#whoseTurn();
      if (host === null) return;
      const line = this.#waiting.get(host)!;
      const { go } = line.shift()!;
      this.#waiting.delete(host);
      if (line.length > 0) this.#waiting.set(host, line);
      this.#count++;
      this.#running.set(host, (this.#running.get(host) ?? 0) + 1);
      go();
    }
  }

  #whoseTurn(): string | null {
    for (const host of this.#waiting.keys()) if ((this.#running.get(host) ?? 0) < this.#options.perHost) return host;
    return null;
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}
