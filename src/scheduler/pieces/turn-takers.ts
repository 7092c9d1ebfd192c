/**
 * Whose turn it is to fetch a piece of whoever has everything: the leeches that get on are ranked by a number that all
 * know of each, and the piece `i` is for the one of rank `i` modulo their count.
 *
 * Who has got nothing while we got `STILL_PIECES` takes no turn until it gets a piece, and nor does one that comes
 * later and has nothing yet: twenty idle leeches beside twenty had half of all turns. One that comes again and again
 * changes nothing. Who has many pieces that nobody has got from it (`backlog.ts`) takes none until that is less: what
 * lies behind a thin uplink, or with one that only takes, everybody waits for. We ourselves leave new pieces to others
 * then, as long as there are others.
 */
import type { Peers } from '../peers/peers.js';
import { type Backlog, OURS } from './backlog.js';

/** Fewer: who is a little slower loses its turns. More: idle ones keep theirs for longer. */
export const STILL_PIECES = 16;

/** A backlog is too large with so many pieces more than so many times the mean of those who take turns, */
const MOST_PIECES = 2;
const MOST_TIMES = 2;
/** and small enough again with that share of it. */
const BACK_SHARE = 0.5;

interface Leech {
  readonly number: number;
  /** How many pieces we had got when it got its last one. */
  gotAt: number;
  isCounted: boolean;
  /** Its backlog is too large. */
  isOut: boolean;
}

export class TurnTakers {
  /** The backlog of this one is too large from now on. */
  onOut: (slot: number) => void = () => {};
  readonly #peers: Peers;
  readonly #ownNumber: number;
  readonly #backlog: Backlog;
  /** Our own backlog is too large. */
  isOut = false;
  /** By slot; nobody knows the turns of one without a number. */
  readonly #leeches = new Map<number, Leech>();
  /** How many take turns, ours included, and how many of them come before us. */
  count = 1;
  #rank = 0;
  /** Pieces that we got since the start. */
  #got = 0;
  #isCurrent = false;

  /** @param ownNumber by which others know us. */
  constructor(peers: Peers, ownNumber: number, backlog: Backlog) {
    this.#peers = peers;
    this.#ownNumber = ownNumber;
    this.#backlog = backlog;
  }

  /** @param number null: it has none. */
  joined(slot: number, number: number | null): void {
    if (number === null) return;
    this.#leeches.set(slot, { number, gotAt: 0, isCounted: false, isOut: false });
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
    this.#lookForBacklogs();
    for (const slot of this.#leeches.keys()) this.#refresh(slot);
  }

  #lookForBacklogs(): void {
    let sum = this.isOut ? 0 : this.#backlog.of(OURS);
    let count = this.isOut ? 0 : 1;
    for (const [slot, { isCounted }] of this.#leeches) {
      if (!isCounted) continue;
      sum += this.#backlog.of(slot);
      count++;
    }
    const most = MOST_PIECES + (MOST_TIMES * sum) / Math.max(1, count);
    const isOut = (slot: number, wasOut: boolean): boolean =>
      this.#backlog.of(slot) > (wasOut ? BACK_SHARE * most : most);
    this.isOut = isOut(OURS, this.isOut);
    for (const [slot, leech] of this.#leeches) {
      const was = leech.isOut;
      leech.isOut = isOut(slot, was);
      if (leech.isOut && !was) this.onOut(slot);
    }
  }

  /** Who got the last piece from others needs no turn. */
  #refresh(slot: number): void {
    const leech = this.#leeches.get(slot)!;
    const isCounted = !leech.isOut && !this.#peers.isSeed(slot) && this.#got - leech.gotAt < STILL_PIECES;
    if (isCounted === leech.isCounted) return;
    leech.isCounted = isCounted;
    this.#isCurrent = false;
  }

  /** The backlog of this one is too large. */
  isOutAt(slot: number): boolean {
    return this.#leeches.get(slot)?.isOut === true;
  }

  /** How many others take turns, and how many pieces they have on average. */
  others(): { readonly count: number; readonly meanPieces: number } {
    let [count, pieces] = [0, 0];
    for (const [slot, { isCounted }] of this.#leeches) {
      if (!isCounted) continue;
      count++;
      pieces += this.#peers.pieces[slot]!;
    }
    return { count, meanPieces: pieces / Math.max(1, count) };
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
