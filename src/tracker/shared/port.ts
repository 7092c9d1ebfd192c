/**
 * Peers that several trackers know together. The table in memory answers every announce; what is said here stands
 * beside it. Two seams: what the swarms tell (`Sharing`), and where it is kept for the others (`SharedTable`), of which
 * any implementation passes the suite in `test/tracker/shared-conformance.ts`. Without one a tracker is on its own.
 */
import type { PeerTable } from '../peer-table.js';
import type { AnnounceQuery } from '../query.js';
import type { Swarm } from '../swarm.js';
import type { SwarmCopy } from './copy.js';

/** How long a word counts: as long as a tracker remembers a silent peer. Part of the format, so that all agree. */
export const SHARED_FOR_MS = 300_000;

/** Said of an announce. */
type Said = Pick<AnnounceQuery, 'peerId' | 'isSeed' | 'zone'>;

/** Told by the swarms, with every announce: nothing here waits, throws or costs more than the announce itself. */
export interface Sharing {
  /** The word of the peer that stands in this slot (−1: none) where it says something else now; else null. */
  before(table: PeerTable, slot: number, said: Said): string | null;
  /** @param before what `before` returned. */
  announced(
    swarm: Pick<Swarm, 'infoHash'>,
    table: PeerTable,
    slot: number,
    said: Said,
    nowS: number,
    before: string | null,
  ): void;
  /** A peer stopped. @param isKnown it stood in our table. */
  left(infoHash: string, compact: Uint8Array, said: Said, isKnown: boolean): void;
  /** Somebody is told of this swarm. @param copy null: it is not in our table. */
  wanted(infoHash: string, copy: SwarmCopy | null, nowMs: number): void;
}

/** One word for the others. */
export interface SharedWrite {
  /** 20 Latin-1 characters. */
  readonly infoHash: string;
  /** As `encodeWord` makes it; null: only `drops` are meant. */
  readonly word: string | null;
  /** Since it was said. */
  readonly ageMs: number;
  /** Words of the same peer that no longer hold. */
  readonly drops: readonly string[];
}

export interface SharedRead {
  /** 20 Latin-1 characters. */
  readonly infoHash: string;
  /** Where the last page ended; null: all that holds. */
  readonly cursor: number | null;
}

export interface SharedPage {
  /** In the order in which they were said, with the age of each. They may be anything: whoever reads them checks. */
  readonly words: readonly string[];
  readonly agesMs: readonly number[];
  /** For the next read; a few words may come again. */
  readonly cursor: number;
  /** There is no more for now. */
  readonly isLast: boolean;
}

export interface SharedAnswer {
  /** One for each read. Null: what is kept there is no set of words. */
  readonly pages: readonly (SharedPage | null)[];
  /** Words that were not taken. */
  readonly refusedCount: number;
  /** Why no word is taken now, though reading works; else null. */
  readonly trouble: string | null;
}

/** Where words are kept until they are `SHARED_FOR_MS` old. */
export interface SharedTable {
  /**
   * All writes, then all reads. With neither it says whether the table works. One call at a time.
   * Rejects with HaulError, in bounded time; then nobody knows what was written.
   */
  exchange(writes: readonly SharedWrite[], reads: readonly SharedRead[]): Promise<SharedAnswer>;
  /** Gives up what is under way. Idempotent. */
  close(): Promise<void>;
}
