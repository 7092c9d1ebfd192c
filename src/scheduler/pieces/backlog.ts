/**
 * How many pieces each leech has that no other one has: what it got of a seed and nobody has got from it yet. All who
 * hear the same HAVE messages know the same of it.
 *
 * Only leeches that said HAVE while we were there are counted: what others say they have costs them nothing.
 * Invariant: `#holders` is how many of those have the piece, `#who` the exclusive or of their names, so of one alone
 * its name.
 */
import type { Peers } from '../peers/peers.js';

/** In place of a slot: we. */
export const OURS = -1;

/** Names are slots and 2, so that none is 0. */
const nameOf = (slot: number): number => slot + 2;

export class Backlog {
  readonly #peers: Peers;
  readonly #holders: Int32Array;
  readonly #who: Int32Array;
  /** By name, of those who are counted: pieces that it alone has. */
  readonly #alone = new Map<number, number>([[nameOf(OURS), 0]]);

  constructor(peers: Peers) {
    this.#peers = peers;
    this.#holders = new Int32Array(peers.pieceCount);
    this.#who = new Int32Array(peers.pieceCount);
  }

  of(slot: number): number {
    return this.#alone.get(nameOf(slot)) ?? 0;
  }

  /** It has a piece more. O(pieces) for the first one of a peer. */
  gained(slot: number, piece: number): void {
    const name = nameOf(slot);
    if (this.#alone.has(name)) {
      this.#add(name, piece);
      return;
    }
    this.#alone.set(name, 0);
    this.#each(slot, (each) => this.#add(name, each));
  }

  /** It has a piece less. */
  lost(slot: number, piece: number): void {
    if (this.#alone.has(nameOf(slot))) this.#remove(nameOf(slot), piece);
  }

  /** Call it before its pieces are others altogether, or it leaves. O(pieces) */
  forget(slot: number): void {
    const name = nameOf(slot);
    if (!this.#alone.has(name)) return;
    this.#each(slot, (piece) => this.#remove(name, piece));
    this.#alone.delete(name);
  }

  #add(name: number, piece: number): void {
    const holders = ++this.#holders[piece]!;
    if (holders === 1) this.#count(name, 1);
    else if (holders === 2) this.#count(this.#who[piece]!, -1);
    this.#who[piece]! ^= name;
  }

  #remove(name: number, piece: number): void {
    const holders = --this.#holders[piece]!;
    this.#who[piece]! ^= name;
    if (holders === 0) this.#count(name, -1);
    else if (holders === 1) this.#count(this.#who[piece]!, 1);
  }

  #count(name: number, pieces: number): void {
    this.#alone.set(name, this.#alone.get(name)! + pieces);
  }

  #each(slot: number, visit: (piece: number) => void): void {
    for (let piece = 0; piece < this.#peers.pieceCount; piece++) if (this.#peers.has(slot, piece)) visit(piece);
  }
}
