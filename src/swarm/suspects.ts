/**
 * Finds who sent the bad block of a piece that failed its hash: each failed copy is remembered as one digest per
 * block with its sender; when a good copy exists, the senders whose blocks differ are guilty, their neighbours are not.
 * Without a good copy nobody is: the only source of a piece may have a bad disk, and may be all there is.
 */
import type { Geometry, PieceIndex } from '../metainfo/geometry.js';

const DIGEST_BYTES = 20;
/** Failed copies kept per piece and pieces kept: a swarm of liars must not fill memory. */
const COPIES_PER_PIECE = 8;
const PIECES = 256;

interface FailedCopy<P> {
  readonly senders: readonly (P | null)[];
  readonly digests: Uint8Array;
}

export class Suspects<P extends object> {
  readonly #geometry: Geometry;
  readonly #failed = new Map<PieceIndex, FailedCopy<P>[]>();

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
  }

  has(piece: PieceIndex): boolean {
    return this.#failed.has(piece);
  }

  /** Records a failed copy. */
  remember(piece: PieceIndex, senders: readonly (P | null)[], digests: Uint8Array): void {
    if (this.#failed.size >= PIECES && !this.#failed.has(piece)) return;
    const copies = this.#failed.get(piece) ?? [];
    // A source that is asked again and again must not push the others out.
    const isKnown = copies.some((copy) => isSame(copy, senders, digests));
    if (copies.length < COPIES_PER_PIECE && !isKnown) copies.push({ senders, digests });
    this.#failed.set(piece, copies);
  }

  /**
   * Compares the failed copies with the digests of the good one: the senders of blocks that differ, but for those that
   * sent that block well the next time (it was spoilt on the way). Forgets the piece.
   */
  convict(piece: PieceIndex, good: Uint8Array, senders: readonly (P | null)[]): Set<P> {
    const guilty = new Set<P>();
    for (const copy of this.#failed.get(piece) ?? []) {
      for (let block = 0; block < this.#geometry.blockCount(piece); block++) {
        const sender = copy.senders[block];
        if (!sender || sender === senders[block]) continue;
        if (!equalAt(copy.digests, good, block * DIGEST_BYTES)) guilty.add(sender);
      }
    }
    this.#failed.delete(piece);
    return guilty;
  }
}

/** The one peer that sent every block, or null. */
export function soleSender<P extends object>(senders: readonly (P | null)[]): P | null {
  const first = senders[0] ?? null;
  return first !== null && senders.every((sender) => sender === first) ? first : null;
}

function isSame<P>(copy: FailedCopy<P>, senders: readonly (P | null)[], digests: Uint8Array): boolean {
  return (
    copy.senders.every((sender, block) => sender === senders[block]) &&
    equalAt(copy.digests, digests, 0, digests.length)
  );
}

function equalAt(a: Uint8Array, b: Uint8Array, begin: number, length = DIGEST_BYTES): boolean {
  for (let i = begin; i < begin + length; i++) if (a[i] !== b[i]) return false;
  return true;
}
