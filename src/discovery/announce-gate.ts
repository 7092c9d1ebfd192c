/**
 * How many announces are under way at once, over all torrents of an engine: thousands that are added together would
 * open as many connections. A place is given back with the answer, or after a while without one: a tracker that says
 * nothing must not hold up the others. Hosts take turns, and none has more than its share of announces, answered or
 * not. Who says goodbye goes first, for it has little time; then who misses data; seeds that are known can wait.
 * Pure: the timer is an argument.
 */
import { HaulError } from '../errors.js';
import type { AnnounceRequest } from './announce.js';

export interface AnnounceGateOptions {
  /** Announces that have a place. */
  readonly atOnce: number;
  /** Of one host, with those that do not answer. */
  readonly perHost: number;
  /** All that are under way, with those that gave their place back. Who is urgent may have them all. */
  readonly unanswered: number;
  /** Of these, so many are for who is urgent. */
  readonly keptForUrgent: number;
  /** A place is given back after so long without an answer. */
  readonly placeMs: number;
  /** Calls once, later, and keeps no process alive. Returns how to call it off. */
  readonly later: (ms: number, call: () => void) => () => void;
}

/** In the order in which they go. */
export type Urgency = 'goodbye' | 'leech' | 'seed';

const RANK: Readonly<Record<Urgency, number>> = { goodbye: 0, leech: 1, seed: 2 };

export function urgencyOf(request: AnnounceRequest): Urgency {
  if (request.event === 'stopped') return 'goodbye';
  return request.leftBytes > 0 ? 'leech' : 'seed';
}

interface Waiting {
  readonly go: () => void;
  readonly rank: number;
}

export class AnnounceGate {
  readonly #options: AnnounceGateOptions;
  /** By host, who waits, the most urgent first; the host whose turn it is comes first. */
  readonly #waiting = new Map<string, Waiting[]>();
  /** By host: announces without an answer. */
  readonly #running = new Map<string, number>();
  #places = 0;
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
  async run<T>(url: string, urgency: Urgency, signal: AbortSignal, send: () => Promise<T>): Promise<T> {
    const host = hostOf(url);
    await this.#turn(host, RANK[urgency], signal);
    let hasPlace = true;
    const giveBack = (): void => {
      if (hasPlace) this.#places--;
      hasPlace = false;
    };
    const callOff = this.#options.later(this.#options.placeMs, () => {
      giveBack();
      this.#next();
    });
    try {
      return await send();
    } finally {
      callOff();
      giveBack();
      this.#count--;
      const left = this.#running.get(host)! - 1;
      if (left > 0) this.#running.set(host, left);
      else this.#running.delete(host);
      this.#next();
    }
  }

  #turn(host: string, rank: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const line = this.#waiting.get(host)!;
        line.splice(line.indexOf(waiting), 1);
        if (line.length === 0) this.#waiting.delete(host);
        reject(new HaulError('ABORTED', `announce to ${host}: aborted before its turn`));
      };
      const go = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiting: Waiting = { go, rank };
      if (signal.aborted) {
        reject(new HaulError('ABORTED', `announce to ${host}: aborted before its turn`));
        return;
      }
      signal.addEventListener('abort', leave, { once: true });
      const line = this.#waiting.get(host) ?? [];
      let behind = line.length;
      while (behind > 0 && line[behind - 1]!.rank > rank) behind--;
      line.splice(behind, 0, waiting);
      this.#waiting.set(host, line);
      this.#next();
    });
  }

  #next(): void {
    while (this.#places < this.#options.atOnce && this.#count < this.#options.unanswered) {
      const host = this.#whoseTurn();
      if (host === null) return;
      const line = this.#waiting.get(host)!;
      const { go } = line.shift()!;
      this.#waiting.delete(host);
      if (line.length > 0) this.#waiting.set(host, line);
      this.#places++;
      this.#count++;
      this.#running.set(host, (this.#running.get(host) ?? 0) + 1);
      go();
    }
  }

  /** The host of the most urgent one that may go. */
  #whoseTurn(): string | null {
    const isFull = this.#count >= this.#options.unanswered - this.#options.keptForUrgent;
    let best = isFull ? RANK.seed : Infinity;
    let chosen: string | null = null;
    for (const [host, line] of this.#waiting) {
      const { rank } = line[0]!;
      if (rank >= best || (this.#running.get(host) ?? 0) >= this.#options.perHost) continue;
      chosen = host;
      best = rank;
      if (rank === RANK.goodbye) break;
    }
    return chosen;
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}
