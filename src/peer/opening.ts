/**
 * The opening of a BitTorrent connection (BEP 3): 68 bytes that say what it is about, gathered over as many reads as
 * they take, and what comes behind them while they are being answered.
 */
import { HANDSHAKE_BYTES, type Handshake, looksLikeHandshake, parseHandshake } from '../wire/handshake.js';
import { ParkedBytes } from './parked.js';

export class Opening {
  /** Once it has come. */
  handshake: Handshake | null = null;
  /** Why it is none. */
  badReason: string | null = null;
  /** What came behind a handshake that is still being answered. */
  parked: ParkedBytes | null = null;
  readonly #bytes = Buffer.allocUnsafe(HANDSHAKE_BYTES);
  #lengthBytes = 0;

  /** Returns how many of source[0, length) were used. */
  take(source: Buffer, length: number): number {
    const used = Math.min(length, HANDSHAKE_BYTES - this.#lengthBytes);
    source.copy(this.#bytes, this.#lengthBytes, 0, used);
    this.#lengthBytes += used;
    if (!looksLikeHandshake(this.#bytes, this.#lengthBytes)) {
      this.badReason = 'not a BitTorrent handshake';
      return used;
    }
    if (this.#lengthBytes < HANDSHAKE_BYTES) return used;
    const parsed = parseHandshake(this.#bytes);
    if ('infoHash' in parsed) this.handshake = parsed;
    else this.badReason = parsed.reason;
    return used;
  }

  /** Whoever answers the handshake does so later. */
  park(): void {
    this.parked = new ParkedBytes();
  }

  /** It is answered: what came meanwhile. Null: nobody parked it. */
  takeParked(): Buffer | null {
    const parked = this.parked;
    this.parked = null;
    return parked === null ? null : parked.bytes;
  }
}
