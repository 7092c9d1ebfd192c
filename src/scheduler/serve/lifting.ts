/**
 * Who of the peers of a leech is lifted: the one that has least among those that have nothing for us. Where all trade,
 * who falls behind has nothing to trade with and stays behind: one host of 400 stood still for 8 of 10 s. It must have
 * got on since we last lifted it: who hides what it has gets one round.
 *
 * Where pieces come from the front to the back, so is who gives and has fallen behind: one of 20 got a third of what
 * others did, for all had its few new pieces at once. With rarest first that made the last of 20 later.
 */
import type { Peers } from '../peers/peers.js';
import type { RollingRates } from '../peers/rate.js';
import { grown } from '../peers/slot-rows.js';
import { NOBODY } from './optimistic-slot.js';

/** Who gives has fallen behind with less than this share of the pieces that all have on average. */
const BEHIND_SHARE = 0.9;

export class Lifting {
  readonly #peers: Peers;
  readonly #given: RollingRates | null;
  /** Pieces that the peer had when it was last lifted; -1 before that. */
  #liftedPieces: Int32Array;

  /** @param given what peers gave us; null: who gives is not lifted */
  constructor(peers: Peers, given: RollingRates | null, rows: number) {
    this.#peers = peers;
    this.#given = given;
    this.#liftedPieces = new Int32Array(rows);
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.#liftedPieces = grown(this.#liftedPieces, rows);
  }

  joined(slot: number): void {
    this.#liftedPieces[slot] = -1;
  }

  /** The next one, which is lifted with that, or NOBODY. @param interested who wants something of us */
  next(interested: readonly number[], nowMs: number): number {
    const { isInterested, isSnubbed, pieces } = this.#peers;
    const mean = interested.reduce((sum, slot) => sum + pieces[slot]!, 0) / interested.length;
    let poorest = NOBODY;
    for (const slot of interested) {
      if (isSnubbed[slot] !== 0 || pieces[slot]! <= this.#liftedPieces[slot]!) continue;
      const gives = this.#given !== null && this.#given.average(slot, nowMs) > 0;
      const isBehind = gives && pieces[slot]! < BEHIND_SHARE * mean;
      if (isInterested[slot] !== 0 && !isBehind) continue;
      if (poorest === NOBODY || pieces[slot]! < pieces[poorest]!) poorest = slot;
    }
    if (poorest !== NOBODY) this.#liftedPieces[poorest] = pieces[poorest]!;
    return poorest;
  }
}
