/**
 * What one peer is given of the info dictionary (BEP 9): pieces are slices of it, never copied, so that who asks and
 * does not read holds nothing of ours. A peer may fetch all of it twice, and then one piece every few seconds: more is
 * rejected, and who does not heed that is dropped.
 */
import { LIMITS } from '../config.js';
import { METADATA_PIECE_BYTES, metadataPieceCount } from '../wire/metadata.js';

export class MetadataAnswers {
  readonly #metadata: Buffer;
  readonly #most: number;
  #left: number;
  #refilledMs: number;
  #rejects = 0;

  constructor(metadata: Buffer, nowMs: number) {
    this.#metadata = metadata;
    this.#most = 2 * metadataPieceCount(metadata.length) + LIMITS.metadataSparePieces;
    this.#left = this.#most;
    this.#refilledMs = nowMs;
  }

  /** The bytes of the piece; null: it is refused. @param piece as the peer says, any number */
  take(piece: number, nowMs: number): Buffer | null {
    const more = (nowMs - this.#refilledMs) / LIMITS.metadataPieceEveryMs;
    this.#left = Math.min(this.#most, this.#left + Math.max(0, more));
    this.#refilledMs = nowMs;
    const isThere = Number.isInteger(piece) && piece >= 0 && piece < metadataPieceCount(this.#metadata.length);
    if (!isThere || this.#left < 1) {
      this.#rejects++;
      return null;
    }
    this.#left--;
    const begin = piece * METADATA_PIECE_BYTES;
    return this.#metadata.subarray(begin, begin + METADATA_PIECE_BYTES);
  }

  /** It was refused so often that it does not mean to stop. */
  get isFlood(): boolean {
    return this.#rejects > LIMITS.metadataRejectsPerPeer;
  }
}
