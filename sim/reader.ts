/**
 * Somebody who reads the image of a host while it arrives, as fast as it comes: the windows that ship
 * (`torrent/readers.ts`), driven by verified pieces in virtual time. What is read is not looked at.
 */
import type { PieceIndex } from '../src/metainfo/geometry.js';
import { CHUNK_BYTES, type Reader } from '../src/torrent/reader.js';
import { Readers } from '../src/torrent/readers.js';
import type { Host } from './host.js';

export class SimReader {
  /** When it had its first piece, and its last; NaN until then. */
  firstMs = Number.NaN;
  lastMs = Number.NaN;
  readonly beganMs: number;
  readonly #host: Host;
  readonly #readers: Readers;
  readonly #reader: Reader;

  /** @param firstPiece where it begins */
  constructor(host: Host, firstPiece = 0) {
    this.#host = host;
    this.beganMs = host.nowMs;
    const { geometry, have, exchange, storage } = host;
    const entry = { path: ['image'], lengthBytes: geometry.lengthBytes, beginBytes: 0, isPad: false };
    const file = { ...entry, isExecutable: false, isHidden: false, symlinkPath: null };
    this.#readers = new Readers({
      metainfo: { name: 'image', geometry, files: [file], isMultiFile: false },
      state: 'downloading',
      error: null,
      live: { have, exchange, storage, rest: { isResting: false, rise: async () => {} } },
      isResting: false,
      priorities: null,
    });
    this.#reader = this.#readers.open(0, { start: geometry.pieceBegin(firstPiece as PieceIndex) });
    host.onVerified = (piece) => {
      this.#readers.verified(piece);
      this.#read();
    };
    this.#read();
  }

  /** All that is there; then it waits for the next piece. */
  #read(): void {
    const { geometry, have, nowMs } = this.#host;
    const reader = this.#reader;
    if (reader.isOver) return;
    let piece = geometry.pieceAt(reader.atBytes);
    while (reader.atBytes < reader.endBytes && have.has(piece)) {
      if (Number.isNaN(this.firstMs)) this.firstMs = nowMs;
      reader.isWaiting = false;
      reader.atBytes = geometry.pieceEnd(piece);
      this.#readers.moved(reader);
      piece = geometry.pieceAt(reader.atBytes);
    }
    if (reader.atBytes < reader.endBytes) void this.#readers.take(reader, reader.atBytes, CHUNK_BYTES);
    else if (Number.isNaN(this.lastMs)) {
      this.lastMs = nowMs;
      void reader.return();
    }
  }
}
