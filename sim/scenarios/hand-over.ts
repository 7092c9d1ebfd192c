/** How much a client of a host has not got yet, where it takes bytes in order as they become verified. */
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import type { Host } from '../host.js';

export class HandOver {
  leftBytes: number;
  readonly #host: Host;
  readonly #bytesPerMs: number;
  #piece = 0;
  #prefixBytes = 0;
  #givenBytes = 0;
  #atMs = 0;

  constructor(host: Host, bytesPerMs: number) {
    this.#host = host;
    this.#bytesPerMs = bytesPerMs;
    this.leftBytes = host.geometry.lengthBytes;
    host.onVerified = () => this.#verified();
  }

  #verified(): void {
    const { have, geometry, nowMs } = this.#host;
    const most = this.#givenBytes + (nowMs - this.#atMs) * this.#bytesPerMs;
    this.#givenBytes = Math.min(this.#prefixBytes, most);
    this.#atMs = nowMs;
    this.leftBytes = geometry.lengthBytes - this.#givenBytes;
    while (this.#piece < geometry.pieceCount && have.has(this.#piece))
      this.#prefixBytes += geometry.pieceLength(this.#piece++ as PieceIndex);
  }
}
