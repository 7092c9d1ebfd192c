/**
 * An idle peer asks for blocks asked of others: in the endgame any, while room is exhausted only those asked for long ago. Where the peers
 * that were asked are silent for as long, they are given up: three of them would hold the block until the last one's time is out.
 */
import { type Ledger, MAX_HOLDERS } from './ledger.js';
import { type OpenPieces, READY, REQUESTED } from './open-pieces.js';
import type { Patience } from './patience.js';
import type { Peers } from './peers.js';
import type { Requests } from './requests.js';

/** Requests an idle peer may have for blocks asked of others. More is waste: the block is on its way from two sides. */
export const TAKE_OVER_DEPTH = 2;
/** A request may be taken over by an idle peer, or from a silent one, after this long. */
const AGED_MS = 2_000;

export interface TakeOverParts {
  readonly peers: Peers;
  readonly open: OpenPieces;
  readonly ledger: Ledger;
  readonly requests: Requests;
  readonly patience: Patience;
  readonly random: () => number;
}

export class TakeOver {
  readonly #p: TakeOverParts;

  constructor(parts: TakeOverParts) {
    this.#p = parts;
  }

  /**
   * From a random block of the record on. Returns how many requests were made.
   *
   * @param limit most requests.
   * @param isOver the endgame: every block is as good as another.
   */
  from(slot: number, record: number, limit: number, isOver: boolean, nowMs: number): number {
    const { open, random, requests } = this.#p;
    if (open.phase[record] !== READY || open.requested(record) === 0) return 0;
    if (!this.#p.peers.has(slot, open.pieceOf[record]!)) return 0;
    const blocks = open.blockCount[record]!;
    const offset = Math.floor(random() * blocks);
    let made = 0;
    for (let step = 0; step < blocks && made < limit; step++) {
      const block = (offset + step) % blocks;
      if (!this.#mayAsk(slot, open.indexOf(record, block), isOver, nowMs)) continue;
      requests.ask(slot, record, block, nowMs);
      made++;
    }
    return made;
  }

  #mayAsk(slot: number, index: number, isOver: boolean, nowMs: number): boolean {
    const { open, ledger } = this.#p;
    if (open.state[index] !== REQUESTED) return false;
    if (!isOver && ledger.newestFirmMs(index) > nowMs - AGED_MS) return false;
    // Also when it was late with it: it gives again, and most likely has the request in its queue.
    if (ledger.find(index, slot) >= 0) return false;
    return ledger.holders(index) < MAX_HOLDERS || this.#isFreed(index, nowMs);
  }

  /** One of those that were asked has given nothing since: it is late, for all of its blocks. */
  #isFreed(index: number, nowMs: number): boolean {
    const silent = this.#p.requests.silentHolder(index, nowMs - AGED_MS);
    if (silent < 0) return false;
    this.#p.patience.giveUp(silent);
    return true;
  }
}
