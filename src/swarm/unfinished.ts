/**
 * Blocks of unfinished pieces, from one run to the next: what the last run recorded waits here until the scheduler
 * opens its piece. Nothing of it is believed: a block counts as stored by nobody, and the piece is hashed like any
 * other when the rest has come.
 */
import type { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';

const nothing = (): readonly UnfinishedPiece[] => [];

export class Unfinished {
  readonly #have: Bitfield;
  #waiting: Map<PieceIndex, Bitfield> | null = null;
  /** Pieces that are open now, of the scheduler. */
  gatherOpen: () => readonly UnfinishedPiece[] = nothing;

  constructor(have: Bitfield) {
    this.#have = have;
  }

  /** No piece is open any more. */
  closeAll(): void {
    this.gatherOpen = nothing;
  }

  remember(pieces: readonly UnfinishedPiece[]): void {
    const waiting = pieces.filter(({ piece }) => !this.#have.has(piece));
    this.#waiting = waiting.length === 0 ? null : new Map(waiting.map(({ piece, blocks }) => [piece, blocks]));
  }

  /** Blocks of the last run that lie in the files; null: none. */
  of(piece: PieceIndex): Bitfield | null {
    return this.#waiting?.get(piece) ?? null;
  }

  /** The scheduler has it open, or its bytes are not to be had. */
  forget(piece: PieceIndex): void {
    this.#waiting?.delete(piece);
  }

  /** Pieces that were not opened since: their blocks lie in the files, and are on the device. */
  get waiting(): readonly UnfinishedPiece[] {
    return [...(this.#waiting ?? [])].map(([piece, blocks]) => ({ piece, blocks }));
  }
}
