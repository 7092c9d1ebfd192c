/**
 * Sink of a stream's decoder: hands messages to the peer, compares the bytes of blocks with what they should be, keeps
 * the stream's books.
 */
import type { WireSink } from '../src/wire/sink.js';
import type { SimPeer } from './peer.js';
import { GOOD } from './storage.js';

export class WireReceiver implements WireSink {
  readonly #peer: SimPeer;
  readonly #onRequestRead: () => void;
  readonly #onBlockRead: () => void;
  #piece = 0;
  #offset = 0;

  constructor(peer: SimPeer, onRequestRead: () => void, onBlockRead: () => void) {
    this.#peer = peer;
    this.#onRequestRead = onRequestRead;
    this.#onBlockRead = onBlockRead;
  }

  onBlockBegin(piece: number, begin: number, length: number): void {
    this.#onBlockRead();
    this.#piece = piece;
    this.#offset = begin;
    this.#peer.content = GOOD;
    this.#peer.onBlockBegin(piece, begin, length);
  }

  onBlockBytes(source: Buffer, start: number, end: number): void {
    for (let index = start; index < end; index++, this.#offset++) {
      const difference = source[index]! ^ byteAt(this.#piece, this.#offset);
      if (difference !== 0) this.#peer.content = 2 + difference * 0x10000 + (this.#offset & 0xffff);
    }
  }

  onBlockEnd(): void {
    this.#peer.onBlockEnd();
  }

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
  onExtended(): void {}
}

/** What a block must contain: a little of everything, different everywhere. */
export function byteAt(piece: number, offset: number): number {
  return (Math.imul(piece + 1, 0x9e3779b1) + Math.imul(offset, 0x85ebca6b)) >>> 24;
}
