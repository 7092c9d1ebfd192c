/**
 * Messages as bytes: through the real encoder into one stream with the blocks, cut at random places, through the real
 * decoder at the other end. Control messages stand behind what was written before them, as on a socket.
 */
import { BLOCK_LENGTH_BYTES } from '../src/config.js';
import { Decoder } from '../src/wire/decoder.js';
import {
  OutBuffer,
  writeBitfield,
  writeCancel,
  writeChoke,
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
import { Fifo } from './fifo.js';
import type { Host } from './host.js';
import type { Flow, Source } from './network.js';
import type { PeerOut, SimPeer } from './peer.js';
import { GOOD } from './storage.js';
import { byteAt, WireReceiver } from './wire-receiver.js';

/** The next block is written when less than this waits to be sent. */
const LOW_WATER_BYTES = BLOCK_LENGTH_BYTES;
const CHUNK_BYTES = 20_000;

export class WireLink implements PeerOut, Source {
  readonly flow: Flow;
  readonly #local: SimPeer;
  readonly #host: Host;
  readonly #out = new OutBuffer();
  /** Written, not sent; and sent, not arrived. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  readonly #underWay: Buffer[] = [];
  /** Requests and blocks inside all of these bytes, in order. */
  readonly #requests = new Fifo();
  readonly #blocks = new Fifo();
  #decoder: Decoder | null = null;

  constructor(local: SimPeer, latencyMs: number, windowBytes: number) {
    this.#local = local;
    this.#host = local.host;
    this.flow = this.#host.swarm.network.open(local.host.id, local.other.id, latencyMs, windowBytes, this);
  }

  // ---- PeerOut ----

  pieces(): void {
    const bits = this.#host.greeting();
    if (this.#local.isFast && bits.length === 0) writeHaveNone(this.#out);
    else if (this.#local.isFast && this.#host.isComplete && bits.length > 0) writeHaveAll(this.#out);
    else if (bits.length > 0) writeBitfield(this.#out, bits);
    this.wake();
  }

  choke(isChoked: boolean): void {
    if (isChoked) writeChoke(this.#out);
    else writeUnchoke(this.#out);
    this.wake();
  }

  interested(isInterested: boolean): void {
    if (isInterested) writeInterested(this.#out);
    else writeNotInterested(this.#out);
    this.wake();
  }

  have(piece: number): void {
    writeHave(this.#out, piece);
    this.wake();
  }

  request(piece: number, begin: number, lengthBytes: number): void {
    writeRequest(this.#out, piece, begin, lengthBytes);
    this.#requests.push(piece, begin);
    this.wake();
  }

  cancel(piece: number, begin: number, lengthBytes: number): void {
    writeCancel(this.#out, piece, begin, lengthBytes);
    this.wake();
  }

  reject(piece: number, begin: number, lengthBytes: number): void {
    writeReject(this.#out, piece, begin, lengthBytes);
    this.wake();
  }

  wake(): void {
    this.#host.swarm.network.wake(this.flow);
  }

  close(): void {
    this.#host.swarm.network.close(this.flow);
    this.#decoder?.stop();
  }

  requestsUnderWay(visit: (piece: number, begin: number) => void): void {
    this.#requests.forEach(visit);
  }

  blocksUnderWay(visit: (piece: number, begin: number) => void): void {
    this.#blocks.forEach(visit);
  }

  get isQuiet(): boolean {
    return this.#out.length === 0 && this.#waitingBytes === 0 && this.#underWay.length === 0;
  }

  // ---- Source ----

  get isReady(): boolean {
    return this.#out.length > 0 || this.#waitingBytes > 0 || this.#mayWriteBlock;
  }

  get #mayWriteBlock(): boolean {
    return this.#local.requests.length > 0 && this.#host.manner !== 'stall';
  }

  pull(): number {
    this.#takeOut();
    while (this.#mayWriteBlock && this.#waitingBytes < LOW_WATER_BYTES) this.#writeBlock();
    const wanted = Math.min(this.#waitingBytes, 1 + Math.floor(this.#host.swarm.random() * CHUNK_BYTES));
    const all = Buffer.concat(this.#waiting);
    this.#underWay.push(all.subarray(0, wanted));
    this.#waiting = wanted < all.length ? [all.subarray(wanted)] : [];
    this.#waitingBytes -= wanted;
    return wanted;
  }

  #takeOut(): void {
    if (this.#out.length === 0) return;
    const bytes = this.#out.take();
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  #writeBlock(): void {
    const { requests } = this.#local;
    const { a: piece, b: begin, c: length } = requests;
    requests.shift();
    const content = this.#host.contentToSend();
    writePieceHeader(this.#out, piece, begin, length);
    const at = this.#out.reserve(length);
    for (let index = 0; index < length; index++) this.#out.bytes[at + index] = byteAt(piece, begin + index);
    if (content !== GOOD) this.#out.bytes[at + (content % length)]! ^= 1 + ((content >> 16) & 0x7f);
    this.#blocks.push(piece, begin);
    this.#takeOut();
    this.#host.blockSent(this.#local, piece, length);
  }

  arrive(): void {
    const chunk = this.#underWay.shift()!;
    const remote = this.#local.remote;
    if (!remote.isOpen) return;
    this.#decoder ??= new Decoder(
      new WireReceiver(
        remote,
        () => this.#requests.shift(),
        () => this.#blocks.shift(),
      ),
    );
    if (!this.#decoder.push(chunk, 0, chunk.length) && remote.isOpen && !remote.isClosing) {
      throw new Error(
        `host ${remote.host.id} cannot read what host ${this.#host.id} wrote: ${this.#decoder.error?.reason}`,
      );
    }
    remote.onReadEnd();
  }
}
