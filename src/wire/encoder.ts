/**
 * Messages into bytes. The caller owns one `OutBuffer` per connection, writes a tick's messages into it and hands
 * them to the socket in one piece. Writers store into the buffer directly: no allocation per message.
 */
import { MESSAGE, PIECE_FIELDS_BYTES, PIECE_HEADER_BYTES, REQUEST_MESSAGE_BYTES } from './messages.js';

/** One slab serves 240 requests or 315 block headers; 4,000 idle connections hold 16 MiB. */
const SLAB_BYTES = 4096;

const EMPTY = Buffer.alloc(0);

/**
 * A growable run of bytes on a slab. `take` hands the filled part over and continues behind it on the same slab;
 * bytes that were handed over are never written again, so a socket may keep them as long as it likes.
 */
export class OutBuffer {
  #slab = EMPTY;
  /** Where the run that was not taken yet begins. */
  #begin = 0;
  #end = 0;

  /** The bytes to write into, at the position that `reserve` returned; another `reserve` may replace them. */
  get bytes(): Buffer {
    return this.#slab;
  }

  /** Bytes written and not taken. */
  get length(): number {
    return this.#end - this.#begin;
  }

  /** Adds `count` bytes to the run, which the caller must fill, and returns the position of the first in `bytes`. */
  reserve(count: number): number {
    if (this.#end + count > this.#slab.length) this.#renew(count);
    const at = this.#end;
    this.#end += count;
    return at;
  }

  /** The bytes written since the last `take`; empty when there are none. */
  take(): Buffer {
    if (this.#end === this.#begin) return EMPTY;
    const taken = this.#slab.subarray(this.#begin, this.#end);
    this.#begin = this.#end;
    return taken;
  }

  /** Forgets what was written and not taken. */
  clear(): void {
    this.#end = this.#begin;
  }

  #renew(count: number): void {
    const length = this.length;
    const slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, length + count, 2 * length));
    this.#slab.copy(slab, 0, this.#begin, this.#end);
    this.#slab = slab;
    this.#begin = 0;
    this.#end = length;
  }
}

export function writeKeepAlive(out: OutBuffer): void {
  const at = out.reserve(4);
  putUint32(out.bytes, at, 0);
}

export function writeChoke(out: OutBuffer): void {
  writeBare(out, MESSAGE.choke);
}

export function writeUnchoke(out: OutBuffer): void {
  writeBare(out, MESSAGE.unchoke);
}

export function writeInterested(out: OutBuffer): void {
  writeBare(out, MESSAGE.interested);
}

export function writeNotInterested(out: OutBuffer): void {
  writeBare(out, MESSAGE.notInterested);
}

export function writeHave(out: OutBuffer, piece: number): void {
  writeIndex(out, MESSAGE.have, piece);
}

/** @param bits ceil(pieceCount / 8) bytes, spare bits zero (BEP 3). Copied. */
export function writeBitfield(out: OutBuffer, bits: Uint8Array): void {
  const at = out.reserve(5 + bits.length);
  putUint32(out.bytes, at, 1 + bits.length);
  out.bytes[at + 4] = MESSAGE.bitfield;
  out.bytes.set(bits, at + 5);
}

export function writeRequest(out: OutBuffer, piece: number, begin: number, length: number): void {
  writeRange(out, MESSAGE.request, piece, begin, length);
}

export function writeCancel(out: OutBuffer, piece: number, begin: number, length: number): void {
  writeRange(out, MESSAGE.cancel, piece, begin, length);
}

/** The 13 bytes before the payload; the caller sends exactly `length` payload bytes after them. */
export function writePieceHeader(out: OutBuffer, piece: number, begin: number, length: number): void {
  const at = out.reserve(PIECE_HEADER_BYTES);
  const bytes = out.bytes;
  putUint32(bytes, at, PIECE_FIELDS_BYTES + length);
  bytes[at + 4] = MESSAGE.piece;
  putUint32(bytes, at + 5, piece);
  putUint32(bytes, at + 9, begin);
}

/** BEP 5: the UDP port of our DHT node. */
export function writePort(out: OutBuffer, port: number): void {
  const at = out.reserve(7);
  const bytes = out.bytes;
  putUint32(bytes, at, 3);
  bytes[at + 4] = MESSAGE.port;
  bytes[at + 5] = port >>> 8;
  bytes[at + 6] = port;
}

/** BEP 6, as all below up to `writeAllowedFast`: only to peers that set the fast bit. */
export function writeSuggest(out: OutBuffer, piece: number): void {
  writeIndex(out, MESSAGE.suggest, piece);
}

export function writeHaveAll(out: OutBuffer): void {
  writeBare(out, MESSAGE.haveAll);
}

export function writeHaveNone(out: OutBuffer): void {
  writeBare(out, MESSAGE.haveNone);
}

export function writeReject(out: OutBuffer, piece: number, begin: number, length: number): void {
  writeRange(out, MESSAGE.reject, piece, begin, length);
}

export function writeAllowedFast(out: OutBuffer, piece: number): void {
  writeIndex(out, MESSAGE.allowedFast, piece);
}

/**
 * BEP 10.
 * @param id 0 for the handshake, else the number that the peer gave the extension in its `m`. Payload is copied.
 * @param moreBytes of the payload that the caller sends behind this
 */
export function writeExtended(out: OutBuffer, id: number, payload: Uint8Array, moreBytes = 0): void {
  const at = out.reserve(6 + payload.length);
  putUint32(out.bytes, at, 2 + payload.length + moreBytes);
  out.bytes[at + 4] = MESSAGE.extended;
  out.bytes[at + 5] = id;
  out.bytes.set(payload, at + 6);
}

function writeBare(out: OutBuffer, id: number): void {
  const at = out.reserve(5);
  putUint32(out.bytes, at, 1);
  out.bytes[at + 4] = id;
}

function writeIndex(out: OutBuffer, id: number, piece: number): void {
  const at = out.reserve(9);
  const bytes = out.bytes;
  putUint32(bytes, at, 5);
  bytes[at + 4] = id;
  putUint32(bytes, at + 5, piece);
}

function writeRange(out: OutBuffer, id: number, piece: number, begin: number, length: number): void {
  const at = out.reserve(REQUEST_MESSAGE_BYTES);
  const bytes = out.bytes;
  putUint32(bytes, at, 13);
  bytes[at + 4] = id;
  putUint32(bytes, at + 5, piece);
  putUint32(bytes, at + 9, begin);
  putUint32(bytes, at + 13, length);
}

function putUint32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
