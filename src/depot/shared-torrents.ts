/**
 * Which torrents there are, where other depots publish into the same catalogue: it is asked for one when somebody wants
 * that one, and again while it is wanted, since another depot may remove it. Nothing is loaded at a start.
 *
 * Announces are answered at once: an info-hash that nobody knows yet is served while it is looked for. That may last a
 * moment too long for one that does not exist; it is bounded, and costs a stranger as much as us.
 */
import type { Catalogue } from './catalogue/port.js';

export const SHARED_TORRENT_TIMES = {
  /** One that is there is looked for again, in the background. */
  thereMs: 30_000,
  /** One that is not there may have been published since. */
  absentMs: 5_000,
} as const;
const LOOKS_AT_ONCE = 16;
/** That wait for their turn; beyond, what is not known is not there. */
const LOOKS_WAITING = 1024;
/** Remembered; the one that was looked for longest ago goes first. */
const KNOWN_MAX = 100_000;
const ABSENT_MAX = 10_000;

export interface SharedTorrentsOptions {
  readonly catalogue: Pick<Catalogue, 'byInfoHash'>;
  /** Milliseconds that only go on. */
  readonly now: () => number;
  /** It was there, and is not any more. @param infoHash 40 hexadecimal digits */
  readonly onGone: (infoHash: string) => void;
}

export class SharedTorrents {
  readonly #options: SharedTorrentsOptions;
  /** By twenty bytes as Latin-1: when each was seen last. In the order of that. */
  readonly #there = new Map<string, number>();
  readonly #absent = new Map<string, number>();
  /** Asked for, or waiting for that. */
  readonly #looking = new Set<string>();
  readonly #waiting: string[] = [];
  #running = 0;

  constructor(options: SharedTorrentsOptions) {
    this.#options = options;
  }

  /** That are known to be there. */
  get count(): number {
    return this.#there.size;
  }

  /** For the tracker: whether it is served. @param key 20 Latin-1 characters */
  has(key: string): boolean {
    const { thereMs, absentMs } = SHARED_TORRENT_TIMES;
    const nowMs = this.#options.now();
    const seenMs = this.#there.get(key);
    if (seenMs !== undefined) {
      if (nowMs - seenMs >= thereMs) this.#look(key);
      return true;
    }
    const missedMs = this.#absent.get(key);
    if (missedMs !== undefined && nowMs - missedMs < absentMs) return false;
    return this.#look(key);
  }

  /** @param infoHash 40 hexadecimal digits */
  added(infoHash: string): void {
    const key = keyOf(infoHash);
    this.#absent.delete(key);
    remember(this.#there, key, this.#options.now(), KNOWN_MAX);
  }

  removed(infoHash: string): void {
    const key = keyOf(infoHash);
    this.#there.delete(key);
    remember(this.#absent, key, this.#options.now(), ABSENT_MAX);
  }

  /** One that is in use: it is looked for when it was not for a while. @param infoHash 40 hexadecimal digits */
  use(infoHash: string): void {
    this.has(keyOf(infoHash));
  }

  /** @returns whether it is being looked for */
  #look(key: string): boolean {
    if (this.#looking.has(key)) return true;
    if (this.#waiting.length >= LOOKS_WAITING) return false;
    this.#looking.add(key);
    this.#waiting.push(key);
    this.#next();
    return true;
  }

  #next(): void {
    while (this.#running < LOOKS_AT_ONCE) {
      const key = this.#waiting.shift();
      if (key === undefined) return;
      this.#running++;
      void this.#ask(key).finally(() => {
        this.#running--;
        this.#looking.delete(key);
        this.#next();
      });
    }
  }

  /** Never rejects: while the catalogue is not reached, what was known holds. */
  async #ask(key: string): Promise<void> {
    const infoHash = Buffer.from(key, 'latin1').toString('hex');
    const wasThere = this.#there.has(key);
    try {
      const row = await this.#options.catalogue.byInfoHash(infoHash);
      if (row !== null) return this.added(infoHash);
      // It was published while it was looked for.
      if (!wasThere && this.#there.has(key)) return;
      this.removed(infoHash);
      if (wasThere) this.#options.onGone(infoHash);
    } catch {
      if (wasThere) this.#there.set(key, this.#options.now());
    }
  }
}

function keyOf(infoHash: string): string {
  return Buffer.from(infoHash, 'hex').toString('latin1');
}

function remember(times: Map<string, number>, key: string, nowMs: number, most: number): void {
  times.delete(key);
  times.set(key, nowMs);
  if (times.size > most) times.delete(times.keys().next().value!);
}
