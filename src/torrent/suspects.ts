/**
 * Finds who sent the bad block of a piece that failed its hash: each failed copy is remembered as one digest per
 * block with its sender; when a good copy exists, the senders whose blocks differ are guilty, their neighbours are not.
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

export class Suspects<P extends object = import('./peer.js').Peer> {
  readonly #geometry: Geometry;
  readonly #failed = new Map<PieceIndex, FailedCopy<P>[]>();

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
  }

  has(piece: PieceIndex): boolean {
    return this.#failed.has(piece);
  }

  /** Records a failed copy. Returns the peers whose guilt is already plain: one peer sent every block. */
  remember(piece: PieceIndex, senders: readonly (P | null)[], digests: Uint8Array): Set<P> {
    const first = senders[0];
    if (first !== null && first !== undefined && senders.every((sender) => sender === first)) return new Set([first]);
    if (this.#failed.size >= PIECES && !this.#failed.has(piece)) return new Set();
    const copies = this.#failed.get(piece) ?? [];
    if (copies.length < COPIES_PER_PIECE) copies.push({ senders, digests });
    this.#failed.set(piece, copies);
    return new Set();
  }

  /** Compares the failed copies with the digests of the good one: the senders of blocks that differ. Forgets the piece. */
  convict(piece: PieceIndex, good: Uint8Array): Set<P> {
    const guilty = new Set<P>();
    for (const copy of this.#failed.get(piece) ?? []) {
      for (let block = 0; block < this.#geometry.blockCount(piece); block++) {
        const sender = copy.senders[block];
        if (sender && !equalAt(copy.digests, good, block * DIGEST_BYTES)) guilty.add(sender);
      }
    }
    this.#failed.delete(piece);
    return guilty;
  }
}

function equalAt(a: Uint8Array, b: Uint8Array, begin: number): boolean {
  for (let i = begin; i < begin + DIGEST_BYTES; i++) if (a[i] !== b[i]) return false;
  return true;
}
