/**
 * Copies of pieces at leeches that gave us something. What others say costs them nothing: five of 25 that said they had
 * half of all pieces, and gave none, made the others ask for the few that no liar had, all for the same ones.
 *
 * Invariant: the copies are those of the slots in `#proven`. The pickable pieces are the same as of all copies.
 */
import type { Peers } from '../peers/peers.js';
import type { Availability } from './availability.js';

export class ProvenCopies {
  readonly availability: Availability;
  readonly #peers: Peers;
  readonly #proven = new Set<number>();

  /** @param all of which a twin is made. */
  constructor(peers: Peers, all: Availability) {
    this.#peers = peers;
    this.availability = all.makeTwin();
  }

  /** The peer sent blocks of a good piece. O(pieces) for the first one. */
  gave(slot: number): void {
    if (this.#proven.has(slot) || !this.#peers.partial.has(slot)) return;
    this.#proven.add(slot);
    this.#each(slot, (piece) => this.availability.increment(piece));
  }

  /** The peer has a piece more. */
  gained(slot: number, piece: number): void {
    if (this.#proven.has(slot)) this.availability.increment(piece);
  }

  /** The peer has a piece less. True: so there is a proven copy less. */
  lost(slot: number, piece: number): boolean {
    if (!this.#proven.has(slot)) return false;
    this.availability.decrement(piece);
    return true;
  }

  /** Call it before the peer's pieces are forgotten. True: there are fewer proven copies now. O(pieces) */
  forget(slot: number): boolean {
    if (!this.#proven.delete(slot)) return false;
    this.#each(slot, (piece) => this.availability.decrement(piece));
    return true;
  }

  #each(slot: number, visit: (piece: number) => void): void {
    for (let piece = 0; piece < this.#peers.pieceCount; piece++) if (this.#peers.has(slot, piece)) visit(piece);
  }

  /** Throws when the copies are not those of the proven peers. For tests: O(peers × pieces). */
  checkInvariants(): void {
    this.availability.checkInvariants();
    for (let piece = 0; piece < this.#peers.pieceCount; piece++) {
      let copies = 0;
      for (const slot of this.#proven) copies += Number(this.#peers.has(slot, piece));
      if (copies !== this.availability.copies(piece)) throw new Error(`piece ${piece} has ${copies} proven copies`);
    }
  }
}
