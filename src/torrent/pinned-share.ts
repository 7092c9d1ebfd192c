/**
 * Which stretches of resident memory the unsent blocks of one peer keep pinned. Without a bound a single peer that asks for a block of
 * each stretch and then reads nothing would pin all the memory there is for serving, and nobody else would be served.
 * A stretch is what becomes resident as one (see `storage/units`), near enough: a MiB of a piece, or a smaller piece.
 */
import { DEFAULTS, LIMITS } from '../config.js';
import type { Geometry } from '../metainfo/geometry.js';

export class PinnedShare {
  readonly #stretchBytes: number;
  readonly #perPiece: number;
  readonly #most: number;
  /** Blocks by stretch; a peer that asks in order has two or three. */
  readonly #blocks = new Map<number, number>();

  constructor(geometry: Geometry) {
    this.#stretchBytes = Math.min(geometry.pieceLengthBytes, DEFAULTS.residentUnitBytes);
    this.#perPiece = Math.ceil(geometry.pieceLengthBytes / this.#stretchBytes);
    this.#most = Math.floor(LIMITS.readAheadBytesPerPeer / this.#stretchBytes);
  }

  get stretches(): number {
    return this.#blocks.size;
  }

  /** True when this block may be pinned too. What has stretches in common with earlier blocks costs nothing. */
  hasRoomFor(piece: number, begin: number): boolean {
    return this.#blocks.size < this.#most || this.#blocks.has(this.#stretch(piece, begin));
  }

  add(piece: number, begin: number): void {
    const stretch = this.#stretch(piece, begin);
    this.#blocks.set(stretch, (this.#blocks.get(stretch) ?? 0) + 1);
  }

  remove(piece: number, begin: number): void {
    const stretch = this.#stretch(piece, begin);
    const left = this.#blocks.get(stretch)! - 1;
    if (left === 0) this.#blocks.delete(stretch);
    else this.#blocks.set(stretch, left);
  }

  #stretch(piece: number, begin: number): number {
    return piece * this.#perPiece + Math.floor(begin / this.#stretchBytes);
  }
}
