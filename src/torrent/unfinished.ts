/**
 * Blocks of unfinished pieces, from one run to the next: what the last run recorded waits here until the scheduler
 * opens its piece. Nothing of it is believed: a block counts as stored by nobody, and the piece is hashed like any
 * other when the rest has come.
 */
import type { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';

export class Unfinished {
  readonly #have: Bitfield;
  readonly #waiting = new Map<PieceIndex, Bitfield>();
  /** Pieces that are open now, of the scheduler. */
  gatherOpen: () => readonly UnfinishedPiece[] = () => [];

  constructor(have: Bitfield) {
    this.#have = have;
  }

  remember(pieces: readonly UnfinishedPiece[]): void {
    this.#waiting.clear();
    for (const { piece, blocks } of pieces) if (!this.#have.has(piece)) this.#waiting.set(piece, blocks);
  }

  /** Blocks of the last run that lie in the files; null: none. */
  of(piece: PieceIndex): Bitfield | null {
    return this.#waiting.get(piece) ?? null;
  }

  /** The scheduler has it open, or its bytes are not to be had. */
  forget(piece: PieceIndex): void {
    this.#waiting.delete(piece);
  }

  /** Pieces that were not opened since: their blocks lie in the files, and are on the device. */
  get waiting(): readonly UnfinishedPiece[] {
    return [...this.#waiting].map(([piece, blocks]) => ({ piece, blocks }));
  }
}
