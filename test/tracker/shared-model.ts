/** The shared table of peers in memory: what the others are compared with, and what tests of trackers stand on. */
import { HaulError } from '../../src/errors.js';
import {
  SHARED_FOR_MS,
  type SharedAnswer,
  type SharedPage,
  type SharedRead,
  type SharedTable,
  type SharedWrite,
} from '../../src/tracker/shared/port.js';

const PAGE_WORDS = 500;

export class SharedModel {
  readonly now: () => number;
  /** By info-hash and word: when it ends. */
  readonly kept = new Map<string, Map<string, number>>();
  /** Why it fails, while it does. */
  away: string | null = null;
  /** Why it takes nothing, while it does not. */
  refuses: string | null = null;
  exchangeCount = 0;

  constructor(now: () => number) {
    this.now = now;
  }

  /** One tracker's way to it. */
  door(): SharedTable {
    let isClosed = false;
    return {
      exchange: async (writes, reads) => {
        this.exchangeCount++;
        if (isClosed) throw new HaulError('CLOSED', 'it was closed');
        if (this.away !== null) throw new HaulError('NETWORK', this.away);
        return this.#exchange(writes, reads);
      },
      close: async () => {
        isClosed = true;
      },
    };
  }

  wordsOf(infoHash: string): string[] {
    return [...(this.kept.get(infoHash)?.keys() ?? [])];
  }

  put(infoHash: string, word: string, ageMs = 0): void {
    const words = this.kept.get(infoHash) ?? new Map<string, number>();
    this.kept.set(infoHash, words.set(word, this.now() + SHARED_FOR_MS - ageMs));
  }

  #exchange(writes: readonly SharedWrite[], reads: readonly SharedRead[]): SharedAnswer {
    for (const { infoHash, word, ageMs, drops } of this.refuses === null ? writes : []) {
      for (const drop of drops) this.kept.get(infoHash)?.delete(drop);
      if (word !== null) this.put(infoHash, word, ageMs);
    }
    const refusedCount = this.refuses === null ? 0 : writes.length;
    return { pages: reads.map((read) => this.#page(read)), refusedCount, trouble: this.refuses };
  }

  #page({ infoHash, cursor }: SharedRead): SharedPage {
    const from = cursor ?? this.now();
    const found = [...(this.kept.get(infoHash) ?? [])].filter(([, endMs]) => endMs >= from && endMs > this.now());
    const rows = found.sort(([, a], [, b]) => a - b).slice(0, PAGE_WORDS);
    const isLast = rows.length < PAGE_WORDS;
    const last = rows.at(-1)?.[1] ?? from;
    return {
      words: rows.map(([word]) => word),
      agesMs: rows.map(([, endMs]) => this.now() + SHARED_FOR_MS - endMs),
      // Of what comes between, some may be said a little before.
      cursor: isLast ? Math.max(from, this.now() + SHARED_FOR_MS - 1_000) : last + Number(last === from),
      isLast,
    };
  }
}
