/**
 * HAVE for seeds, who need none: once a second, all that was verified meanwhile in one write. A seed shows its user who
 * has what, and learns who passes pieces on (`scheduler/serve/hoarders.ts`). Whoever is told at once is told here of
 * nothing. Pure.
 * Invariant: what stands in `#pieces` before the place of a slot was said to it, or is in what it was greeted with.
 */
import type { PieceIndex } from '../metainfo/geometry.js';

/** HAVE messages of one call, 9 bytes each; the rest follows in later ones, in turns. About a millisecond. */
export const HAVES_PER_TICK = 4096;

interface Listener {
  readonly slot: number;
  readonly remote: { readonly isWebSeed: boolean; have(piece: PieceIndex): void };
}

export class SeedNews {
  #pieces: PieceIndex[] = [];
  /** By slot. */
  readonly #places: number[] = [];
  /** Slot that goes first in the next call. */
  #first = 0;

  /** It was greeted with all that is verified by now. */
  joined(slot: number): void {
    this.#places[slot] = this.#pieces.length;
  }

  verified(piece: PieceIndex): void {
    this.#pieces.push(piece);
  }

  /** It has just heard of the latest piece. */
  heard(slot: number): void {
    if (this.#places[slot] === this.#pieces.length - 1) this.#places[slot]!++;
  }

  /** To be called once a second or so. Peers stand at their slots. */
  tick(peers: readonly (Listener | null)[]): void {
    if (this.#pieces.length === 0) return;
    let left = HAVES_PER_TICK;
    for (let k = 0; k < peers.length; k++) {
      const slot = (this.#first + k) % peers.length;
      const peer = peers[slot] ?? null;
      if (peer === null || peer.remote.isWebSeed) continue;
      let place = this.#places[slot]!;
      for (; place < this.#pieces.length && left > 0; left--) peer.remote.have(this.#pieces[place++]!);
      this.#places[slot] = place;
      if (place === this.#pieces.length) continue;
      this.#first = slot;
      return;
    }
    this.#pieces = [];
    this.#places.fill(0);
  }
}
