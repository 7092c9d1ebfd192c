/**
 * Messages as bytes: through the real encoder into one stream with the blocks, cut at random places, through the real
 * decoder at the other end. Control messages stand behind what was written before them, as on a socket.
 */
import { BLOCK_LENGTH_BYTES } from '../src/config.js';
import type { Bitfield } from '../src/metainfo/bitfield.js';
import { Decoder } from '../src/wire/decoder.js';
import {
  OutBuffer,
  writeBitfield,
  writeCancel,
  writeChoke,
  writeExtended,
  writeHave,
  writeHaveAll,
  writeHaveNone,
  writeInterested,
  writeNotInterested,
  writePieceHeader,
  writeReject,
  writeRequest,
  writeUnchoke,
} from '../src/wire/encoder.js';
import { EXTENDED_HANDSHAKE_ID, encodeExtendedHandshake } from '../src/wire/extensions.js';
import { Fifo } from './fifo.js';
import type { Flow, Source } from './network.js';
import type { PeerHost, PeerOut, SimPeer, VisitRange } from './peer.js';
import { byteAt, GOOD } from './storage.js';
import { WireReceiver } from './wire-receiver.js';

/** The next block is written when less than this waits to be sent. */
const LOW_WATER_BYTES = BLOCK_LENGTH_BYTES;
const CHUNK_BYTES = 20_000;

export class WireLink implements PeerOut, Source {
  readonly flow: Flow;
  readonly #local: SimPeer;
  readonly #host: PeerHost;
  readonly #out = new OutBuffer();
  /** Blocks handed over: piece, begin, length. */
  readonly #handed = new Fifo();
  waitingBytes = 0;
  /** Written, not sent; and sent, not arrived. */
  #written: Buffer[] = [];
  #writtenBytes = 0;
  readonly #underWay: Buffer[] = [];
  /** Requests and blocks inside all of these bytes, in order. */
  readonly #requests = new Fifo();
  readonly #blocks = new Fifo();
  #decoder: Decoder | null = null;

  constructor(local: SimPeer, latencyMs: number, windowBytes: number) {
    this.#local = local;
    this.#host = local.local;
    this.flow = this.#host.swarm.network.open(this.#host.id, local.other.id, latencyMs, windowBytes, this);
  }

  // ---- PeerOut ----

  pieces(have: Bitfield | null): void {
    const { supportsFast } = this.#local;
    if (this.#host.runBlocks > 1) writeExtended(this.#out, EXTENDED_HANDSHAKE_ID, this.#abilities());
    if (supportsFast && have?.isFull === true) writeHaveAll(this.#out);
    else if (have !== null) writeBitfield(this.#out, have.bytes);
    else if (supportsFast) writeHaveNone(this.#out);
    this.#wake();
  }

  choke(isChoked: boolean): void {
    if (isChoked) writeChoke(this.#out);
    else writeUnchoke(this.#out);
    this.#wake();
  }

  interested(isInterested: boolean): void {
    if (isInterested) writeInterested(this.#out);
    else writeNotInterested(this.#out);
    this.#wake();
  }

  have(piece: number): void {
    writeHave(this.#out, piece);
    this.#wake();
  }

  request(piece: number, begin: number, lengthBytes: number): void {
    writeRequest(this.#out, piece, begin, lengthBytes);
    this.#requests.push(piece, begin, lengthBytes);
    this.#wake();
  }

  cancel(piece: number, begin: number, lengthBytes: number): void {
    writeCancel(this.#out, piece, begin, lengthBytes);
    this.#wake();
  }

  reject(piece: number, begin: number, lengthBytes: number): void {
    writeReject(this.#out, piece, begin, lengthBytes);
    this.#wake();
  }

  block(piece: number, begin: number, lengthBytes: number): void {
    this.#handed.push(piece, begin, lengthBytes);
    this.waitingBytes += lengthBytes;
    this.#wake();
  }

  #abilities(): Uint8Array {
    const requestBytes = this.#host.runBlocks * BLOCK_LENGTH_BYTES;
    return encodeExtendedHandshake({ m: {}, version: 'sim', port: null, reqq: 500, requestBytes, yourIp: '' });
  }

  #wake(): void {
    this.#host.swarm.network.wake(this.flow);
  }

  close(): void {
    this.#host.swarm.network.close(this.flow);
    this.#decoder?.stop();
    this.#handed.forEach((piece, begin, length) => {
      this.#local.peer.onSent([piece, begin, length]);
    });
    this.#handed.clear();
  }

  requestsUnderWay(visit: VisitRange): void {
    this.#requests.forEach(visit);
  }

  blocksUnderWay(visit: VisitRange): void {
    this.#handed.forEach(visit);
    this.#blocks.forEach(visit);
  }

  get isQuiet(): boolean {
    return this.#out.length === 0 && this.#writtenBytes === 0 && this.#underWay.length === 0;
  }

  // ---- Source ----

  get isReady(): boolean {
    return this.#out.length > 0 || this.#writtenBytes > 0 || this.#mayWriteBlock;
  }

  get #mayWriteBlock(): boolean {
    return this.#handed.length > 0 && this.#host.manner !== 'stall';
  }

  pull(): number {
    this.#takeOut();
    while (this.#mayWriteBlock && this.#writtenBytes < LOW_WATER_BYTES) this.#writeBlock();
    const wanted = Math.min(this.#writtenBytes, 1 + Math.floor(this.#host.swarm.random() * CHUNK_BYTES));
    const all = Buffer.concat(this.#written);
    this.#underWay.push(all.subarray(0, wanted));
    this.#written = wanted < all.length ? [all.subarray(wanted)] : [];
    this.#writtenBytes -= wanted;
    return wanted;
  }

  #takeOut(): void {
    if (this.#out.length === 0) return;
    const bytes = this.#out.take();
    this.#written.push(bytes);
    this.#writtenBytes += bytes.length;
  }

  #writeBlock(): void {
    const { a: piece, b: begin, c: length } = this.#handed;
    this.#handed.shift();
    this.waitingBytes -= length;
    writePieceHeader(this.#out, piece, begin, length);
    const at = this.#out.reserve(length);
    for (let index = 0; index < length; index++) this.#out.bytes[at + index] = byteAt(piece, begin + index);
    for (let from = 0; from < length; from += BLOCK_LENGTH_BYTES) {
      const content = this.#host.contentToSend();
      const bytes = Math.min(BLOCK_LENGTH_BYTES, length - from);
      if (content !== GOOD) this.#out.bytes[at + from + (content % bytes)]! ^= 1 + ((content >> 16) & 0x7f);
    }
    this.#blocks.push(piece, begin, length);
    this.#takeOut();
    this.#local.left(piece, begin, length);
  }

  arrive(): void {
    const chunk = this.#underWay.shift()!;
    const remote = this.#local.far;
    if (!remote.isOpen) return;
    remote.lastReadMs = this.#host.nowMs;
    this.#decoder ??= new Decoder(
      new WireReceiver(
        remote,
        () => this.#requests.shift(),
        () => this.#blocks.shift(),
      ),
    );
    if (!this.#decoder.push(chunk, 0, chunk.length) && remote.isOpen && !remote.isClosing) {
      throw new Error(
        `host ${remote.local.id} cannot read what host ${this.#host.id} wrote: ${this.#decoder.error?.reason}`,
      );
    }
    remote.onReadEnd();
  }
}
