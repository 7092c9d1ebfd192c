/**
 * Who gives way when a table is full: of some entries looked at the one whose address has most above its share, and of
 * equals the one that has been silent for longest. Pure. Nobody above its share takes the place of one that is not.
 */
import type { EntryShares } from './entry-shares.js';
import type { PeerTable } from './peer-table.js';

export class Yielding {
  readonly #shares: EntryShares;
  table: PeerTable | null = null;
  slot = -1;
  #excess = -1;
  #seenAtS = 0;

  constructor(shares: EntryShares) {
    this.#shares = shares;
  }

  /** Forgets what was considered. */
  begin(): void {
    this.table = null;
    this.#excess = -1;
  }

  consider(table: PeerTable, slot: number): void {
    const excess = this.#shares.excess(table.address(slot));
    const seenAtS = table.seenAtS(slot);
    if (excess < this.#excess || (excess === this.#excess && seenAtS >= this.#seenAtS)) return;
    this.table = table;
    this.slot = slot;
    this.#excess = excess;
    this.#seenAtS = seenAtS;
  }

  /** Whether the best so far need not be improved. */
  isFoundFor(compact: Uint8Array): boolean {
    return this.#excess > 0 && this.isFit(compact);
  }

  /** Whether what was found gives way to this newcomer. */
  isFit(compact: Uint8Array): boolean {
    return this.table !== null && this.#excess >= this.#shares.excess(compact);
  }
}

/**
 * By how much the least of some peers is above its share, and when the last of them was seen: what a swarm of these
 * counts for.
 */
export function leastOf(shares: EntryShares, tables: readonly PeerTable[]): { excess: number; seenAtS: number } {
  let excess = Number.POSITIVE_INFINITY;
  let seenAtS = 0;
  for (const table of tables) {
    for (let slot = 0; slot < table.count; slot++) {
      excess = Math.min(excess, shares.excess(table.address(slot)));
      seenAtS = Math.max(seenAtS, table.seenAtS(slot));
    }
  }
  return { excess, seenAtS };
}
