/** Sink of a stream's decoder: hands messages to the peer, keeps the stream's books. */

import { BLOCK_LENGTH_BYTES } from '../src/config.js';
import { parseExtendedHandshake } from '../src/wire/extensions.js';
import type { WireSink } from '../src/wire/sink.js';
import type { SimPeer } from './peer.js';

export class WireReceiver implements WireSink {
  readonly #peer: SimPeer;
  readonly #onRequestRead: () => void;
  readonly #onBlockRead: () => void;

  constructor(peer: SimPeer, onRequestRead: () => void, onBlockRead: () => void) {
    this.#peer = peer;
    this.#onRequestRead = onRequestRead;
    this.#onBlockRead = onBlockRead;
  }

  onBlockBegin(piece: number, begin: number, length: number): void {
    this.#onBlockRead();
    this.#peer.onBlockBegin(piece, begin, length);
  }

  onBlockBytes(source: Buffer, start: number, end: number): void {
    this.#peer.onBlockBytes(source, start, end);
  }

  onBlockEnd(): void {}

  onRequest(piece: number, begin: number, length: number): void {
    this.#onRequestRead();
    this.#peer.onRequest(piece, begin, length);
  }

  onCancel(piece: number, begin: number, length: number): void {
    this.#peer.onCancel(piece, begin, length);
  }

  onReject(piece: number, begin: number, length: number): void {
    this.#peer.onReject(piece, begin, length);
  }

  onChoke(): void {
    this.#peer.onChoke();
  }

  onUnchoke(): void {
    this.#peer.onUnchoke();
  }

  onInterested(): void {
    this.#peer.onInterested();
  }

  onNotInterested(): void {
    this.#peer.onNotInterested();
  }

  onHave(piece: number): void {
    this.#peer.onHave(piece);
  }

  onBitfield(bits: Uint8Array): void {
    this.#peer.onBitfield(bits);
  }

  onHaveAll(): void {
    this.#peer.onHaveAll();
  }

  onHaveNone(): void {
    this.#peer.onHaveNone();
  }

  onKeepAlive(): void {}
  onPort(): void {}
  onSuggest(): void {}
  onAllowedFast(): void {}

  onExtended(_id: number, payload: Uint8Array): void {
    const said = parseExtendedHandshake(payload);
    if ('code' in said || said.requestBytes === null || this.#peer.local.runBlocks === 1) return;
    this.#peer.onRunBlocks(said.requestBytes / BLOCK_LENGTH_BYTES);
  }
}
