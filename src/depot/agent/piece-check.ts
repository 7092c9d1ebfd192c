/**
 * Which bytes of a stream are right before all of it is here: pieces are hashed when somebody wants a part of them, so
 * that who reads from begin to end costs nothing.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type PieceIndex, pieceHash } from '../../metainfo/geometry.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import { DepotLies } from './depot-trouble.js';

/** Hashed in one go: half a millisecond of the main thread or so. */
const STEP_BYTES = 512 * 1024;

export class PieceCheck {
  readonly #metainfo: Metainfo;
  readonly #good = new Set<PieceIndex>();

  constructor(metainfo: Metainfo) {
    this.#metainfo = metainfo;
  }

  /**
   * The end of the piece that this byte is in, once that is here and right; else `at`.
   * @param read gives at least one byte from `from` on, not beyond `to`, for as long as `use` runs
   * @throws DepotLies the piece is bad
   */
  async goodUntil(
    at: number,
    hereBytes: number,
    read: (from: number, to: number, use: (bytes: Uint8Array) => void) => Promise<void>,
  ): Promise<number> {
    const { geometry, pieceHashes } = this.#metainfo;
    const piece = geometry.pieceAt(at);
    const end = geometry.pieceEnd(piece);
    if (end > hereBytes) return at;
    if (this.#good.has(piece)) return end;
    const hash = createHash('sha1');
    for (let from = geometry.pieceBegin(piece); from < end; ) {
      await read(from, Math.min(end, from + STEP_BYTES), (bytes) => {
        hash.update(bytes);
        from += bytes.length;
      });
      await setImmediate();
    }
    if (!hash.digest().equals(pieceHash(pieceHashes, piece)))
      throw new DepotLies(`piece ${piece} of what it sends is bad`);
    this.#good.add(piece);
    return end;
  }
}
