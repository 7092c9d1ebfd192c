/**
 * Virtual storage and hash pool of one host: pieces open late, may be refused or abandoned; what a block holds is one
 * number.
 * Invariant: a piece is open here exactly while the scheduler has it open.
 */
import type { Geometry, PieceIndex } from '../src/metainfo/geometry.js';

export const GOOD = 1;
const DIGEST_BYTES = 20;

export class VirtualStorage {
  readonly #geometry: Geometry;
  /** Content of each block of the open pieces: 0 nothing, GOOD, or anything else for what is corrupt. */
  readonly #open = new Map<number, Int32Array>();
  readonly #opening = new Set<number>();

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
  }

  get openCount(): number {
    return this.#open.size;
  }

  begin(piece: PieceIndex): void {
    if (this.#open.has(piece)) throw new Error(`piece ${piece} is opened twice`);
    this.#open.set(piece, new Int32Array(this.#geometry.blockCount(piece)));
    this.#opening.add(piece);
  }

  /** True when the piece was still waiting to become ready. */
  becameReady(piece: PieceIndex): boolean {
    return this.#opening.delete(piece);
  }

  isReady(piece: PieceIndex): boolean {
    return this.#open.has(piece) && !this.#opening.has(piece);
  }

  store(piece: PieceIndex, block: number, content: number): void {
    if (!this.isReady(piece)) throw new Error(`a block of piece ${piece} is stored, which is not ready`);
    this.#open.get(piece)![block] = content;
  }

  content(piece: PieceIndex, block: number): number {
    return this.#open.get(piece)?.[block] ?? 0;
  }

  isStored(piece: PieceIndex): boolean {
    return this.#open.get(piece)?.every((content) => content !== 0) ?? false;
  }

  isGood(piece: PieceIndex): boolean {
    return this.#open.get(piece)?.every((content) => content === GOOD) ?? false;
  }

  /** The blocks are to come again. */
  restart(piece: PieceIndex): void {
    this.#open.get(piece)!.fill(0);
  }

  close(piece: PieceIndex): void {
    this.#opening.delete(piece);
    if (!this.#open.delete(piece)) throw new Error(`piece ${piece} is closed and was not open`);
  }

  /** As a worker would answer: 20 bytes per block, equal for equal content. */
  digests(piece: PieceIndex): Uint8Array {
    const contents = this.#open.get(piece)!;
    const digests = new Uint8Array(contents.length * DIGEST_BYTES);
    const view = new DataView(digests.buffer);
    contents.forEach((content, block) => {
      view.setInt32(block * DIGEST_BYTES, content);
    });
    return digests;
  }
}
