/**
 * Whose turn it is to fetch a piece of whoever has everything: the leeches that get on are ranked by a number that all
 * know of each, and the piece `i` is for the one of rank `i` modulo their count.
 *
 * Who has got nothing while we got `STILL_PIECES` takes no turn until it gets a piece, and nor does one that comes
 * later and has nothing yet: twenty idle leeches beside twenty had half of all turns. One that comes again and again
 * changes nothing.
 */
import type { Peers } from '../peers/peers.js';

/** Fewer: who is a little slower loses its turns. More: idle ones keep theirs for longer. */
export const STILL_PIECES = 16;

interface Leech {
  readonly number: number;
  /** How many pieces we had got when it got its last one. */
  gotAt: number;
  isCounted: boolean;
}

export class TurnTakers {
  readonly #peers: Peers;
  readonly #ownNumber: number;
  /** By slot; nobody knows the turns of one without a number. */
  readonly #leeches = new Map<number, Leech>();
  /** How many take turns, ours included, and how many of them come before us. */
  count = 1;
  #rank = 0;
  /** Pieces that we got since the start. */
  #got = 0;
  #isCurrent = false;

  /** @param ownNumber by which others know us. */
  constructor(peers: Peers, ownNumber: number) {
    this.#peers = peers;
    this.#ownNumber = ownNumber;
  }

  /** @param number null: it has none. */
  joined(slot: number, number: number | null): void {
    if (number === null) return;
    this.#leeches.set(slot, { number, gotAt: 0, isCounted: false });
    this.#refresh(slot);
  }

  left(slot: number): void {
    if (this.#leeches.get(slot)?.isCounted === true) this.#isCurrent = false;
    this.#leeches.delete(slot);
  }

  /** The peer got a piece, or said anew what it has. */
  peerGot(slot: number): void {
    const leech = this.#leeches.get(slot);
    if (leech === undefined) return;
    if (this.#peers.pieces[slot]! > 0) leech.gotAt = this.#got;
    this.#refresh(slot);
  }

  /** We got a piece. */
  got(): void {
    this.#got++;
    for (const slot of this.#leeches.keys()) this.#refresh(slot);
  }

  /** Who got the last piece from others needs no turn. */
  #refresh(slot: number): void {
    const leech = this.#leeches.get(slot)!;
    const isCounted = !this.#peers.isSeed(slot) && this.#got - leech.gotAt < STILL_PIECES;
    if (isCounted === leech.isCounted) return;
    leech.isCounted = isCounted;
    this.#isCurrent = false;
  }

  /** Takes note of who takes turns now. True: they are others than before. */
  update(): boolean {
    if (this.#isCurrent) return false;
    this.#isCurrent = true;
    this.#rank = 0;
    this.count = 1;
    for (const { number, isCounted } of this.#leeches.values()) {
      if (!isCounted) continue;
      this.count++;
      if (number < this.#ownNumber) this.#rank++;
    }
    return true;
  }

  /** The first piece from `begin` on that is for us. */
  firstOwn(begin: number): number {
    const piece = begin - (begin % this.count) + this.#rank;
    return piece < begin ? piece + this.count : piece;
  }
}
