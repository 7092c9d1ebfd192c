/** What is still to be said with HAVE to peers that came while we were super-seeding, once that has ended. */
import type { PeerSlot, PieceIndex } from '../../metainfo/geometry.js';
import type { SchedulerSink } from '../sink.js';

/**
 * HAVE messages of one call: 9 bytes each, some milliseconds. With many pieces and peers the rest follows in later
 * calls.
 */
export const HAVES_PER_CALL = 262_144;

interface Listener {
  /** Said before, one bit per piece in the order of BEP 3 `bitfield`. */
  readonly said: Uint8Array;
  /** Pieces below are said. */
  next: number;
}

export class OwedHaves {
  readonly #pieceCount: number;
  readonly #sink: SchedulerSink;
  readonly #listeners = new Map<number, Listener>();

  constructor(pieceCount: number, sink: SchedulerSink) {
    this.#pieceCount = pieceCount;
    this.#sink = sink;
  }

  add(slot: number, said: Uint8Array): void {
    this.#listeners.set(slot, { said, next: 0 });
  }

  forget(slot: number): void {
    this.#listeners.delete(slot);
  }

  /** One peer after the other. Call again until all is said; it costs nothing then. */
  say(): void {
    let left = HAVES_PER_CALL;
    for (const [slot, listener] of this.#listeners) {
      while (listener.next < this.#pieceCount) {
        if (left === 0) return;
        const piece = listener.next++;
        if ((listener.said[piece >> 3]! & (0x80 >> (piece & 7))) !== 0) continue;
        this.#sink.reveal?.(slot as PeerSlot, piece as PieceIndex);
        left--;
      }
      this.#listeners.delete(slot);
    }
  }
}
