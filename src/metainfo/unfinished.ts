/** A piece of which only some blocks are here: nothing proves them before the rest has come. */
import type { Bitfield } from './bitfield.js';
import type { PieceIndex } from './geometry.js';

export interface UnfinishedPiece {
  readonly piece: PieceIndex;
  /** A bit for each block of the piece; at least one is set. */
  readonly blocks: Bitfield;
}
