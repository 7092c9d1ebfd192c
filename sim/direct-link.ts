/**
 * Messages as calls: they arrive after the latency of the connection, whatever is queued; blocks take their time on the
 * network.
 */
import { BLOCK_LENGTH_BYTES } from '../src/config.js';
import type { Bitfield } from '../src/metainfo/bitfield.js';
import { Fifo } from './fifo.js';
import type { Flow, Source } from './network.js';
import type { PeerHost, PeerOut, SimPeer, TimedLink, VisitRange } from './peer.js';
import { NUMBERED_BYTES } from './storage.js';

const CHOKE = 0;
const UNCHOKE = 1;
const INTERESTED = 2;
const NOT_INTERESTED = 3;
const HAVE = 4;
const PIECES = 5;
const REQUEST = 6;
const CANCEL = 7;
const REJECT = 8;

export class DirectLink implements PeerOut, Source, TimedLink {
  readonly flow: Flow;
  readonly #local: SimPeer;
  readonly #host: PeerHost;
  /** Type, piece, begin, arrival. */
  readonly #messages = new Fifo();
  /** Handed over, and how much of the oldest one has left: piece, begin, length. */
  readonly #waiting = new Fifo();
  #leftBytes = 0;
  waitingBytes = 0;
  /** Blocks under way: piece, begin, content, and the bytes of the message where it begins one, else 0. */
  readonly #blocks = new Fifo();
  /** What was there when PIECES was said; empty: nothing. */
  #bits: Uint8Array | null = null;

  constructor(local: SimPeer, latencyMs: number, windowBytes: number) {
    this.#local = local;
    this.#host = local.local;
    this.flow = this.#host.swarm.network.open(this.#host.id, local.other.id, latencyMs, windowBytes, this);
    this.#host.swarm.addDirectLink(this);
  }

  // ---- PeerOut ----

  pieces(have: Bitfield | null): void {
    this.#bits = have === null ? NO_BITS : have.bytes.slice();
    this.#send(PIECES, 0, 0);
  }

  choke(isChoked: boolean): void {
    this.#send(isChoked ? CHOKE : UNCHOKE, 0, 0);
  }

  interested(isInterested: boolean): void {
    this.#send(isInterested ? INTERESTED : NOT_INTERESTED, 0, 0);
  }

  have(piece: number): void {
    this.#send(HAVE, piece, 0);
  }

  request(piece: number, begin: number, lengthBytes: number): void {
    this.#send(REQUEST, piece, begin, lengthBytes);
  }

  cancel(piece: number, begin: number, lengthBytes: number): void {
    this.#send(CANCEL, piece, begin, lengthBytes);
  }

  reject(piece: number, begin: number, lengthBytes: number): void {
    this.#send(REJECT, piece, begin, lengthBytes);
  }

  block(piece: number, begin: number, lengthBytes: number): void {
    this.#waiting.push(piece, begin, lengthBytes);
    this.waitingBytes += lengthBytes;
    this.#host.swarm.network.wake(this.flow);
  }

  close(): void {
    this.#host.swarm.network.close(this.flow);
    this.#messages.clear();
    this.#waiting.forEach((piece, begin, length) => {
      this.#local.peer.onSent([piece, begin, length]);
    });
    this.#waiting.clear();
    this.#blocks.clear();
  }

  requestsUnderWay(visit: VisitRange): void {
    this.#messages.forEach((type, piece, begin, length) => {
      if (type === REQUEST) visit(piece, begin, length);
    });
  }

  blocksUnderWay(visit: VisitRange): void {
    this.#waiting.forEach(visit);
    this.#blocks.forEach((piece, begin) => {
      visit(piece, begin, this.#host.lengthAt(piece, begin));
    });
  }

  get isQuiet(): boolean {
    return this.#messages.length === 0 && this.#blocks.length === 0;
  }

  #send(type: number, piece: number, begin: number, lengthBytes = 0): void {
    if (this.#host.manner === 'frozen') return;
    const { events } = this.#host.swarm;
    const atMs = events.nowMs + this.flow.latencyMs;
    if (this.#messages.length === 0 || this.#messages.lastMs !== atMs) {
      events.at(atMs, this.#host.swarm.directKind, this.flow.id);
    }
    this.#messages.push(type, piece, begin, atMs, lengthBytes);
  }

  /** Everything that was said at one time arrives at one time. */
  deliver(nowMs: number): void {
    const remote = this.#local.far;
    remote.lastReadMs = nowMs;
    while (this.#messages.length > 0 && this.#messages.timeMs <= nowMs) {
      const { a: type, b: piece, c: begin, d: length } = this.#messages;
      this.#messages.shift();
      if (remote.isOpen) this.#dispatch(remote, type, piece, begin, length);
    }
    remote.onReadEnd();
  }

  #dispatch(remote: SimPeer, type: number, piece: number, begin: number, length: number): void {
    if (type >= REQUEST) {
      if (type === REQUEST) remote.onRequest(piece, begin, length);
      else if (type === CANCEL) remote.onCancel(piece, begin, length);
      else remote.onReject(piece, begin, length);
    } else if (type === HAVE) remote.onHave(piece);
    else if (type === CHOKE) remote.onChoke();
    else if (type === UNCHOKE) remote.onUnchoke();
    else if (type === INTERESTED) remote.onInterested();
    else if (type === NOT_INTERESTED) remote.onNotInterested();
    else this.#dispatchPieces(remote);
  }

  #dispatchPieces(remote: SimPeer): void {
    const bits = this.#bits!;
    this.#bits = null;
    if (this.#host.runBlocks > 1 && remote.local.runBlocks > 1) remote.onRunBlocks(this.#host.runBlocks);
    if (bits.length === 0) remote.onHaveNone();
    else if (this.#local.supportsFast && this.#host.isComplete) remote.onHaveAll();
    else remote.onBitfield(bits);
  }

  // ---- Source ----

  get isReady(): boolean {
    return this.#waiting.length > 0 && this.#host.manner !== 'stall' && this.#host.manner !== 'frozen';
  }

  /** A run leaves block by block, so that others have their turn between. */
  pull(): number {
    const { a: piece, b: begin, c: length } = this.#waiting;
    const at = begin + this.#leftBytes;
    const bytes = Math.min(BLOCK_LENGTH_BYTES, length - this.#leftBytes);
    this.#blocks.push(piece, at, this.#host.contentToSend(), 0, this.#leftBytes === 0 ? length : 0);
    this.#leftBytes += bytes;
    if (this.#leftBytes === length) {
      this.#waiting.shift();
      this.#leftBytes = 0;
      this.waitingBytes -= length;
      this.#local.left(piece, begin, length);
    }
    return bytes;
  }

  arrive(): void {
    const remote = this.#local.far;
    const { a: piece, b: begin, c: content, d: messageBytes } = this.#blocks;
    this.#blocks.shift();
    if (!remote.isOpen) return;
    remote.lastReadMs = this.#host.nowMs;
    if (messageBytes > 0) remote.onBlockBegin(piece, begin, messageBytes);
    NUMBERED_BYTES.writeInt32LE(content, 0);
    remote.onBlockBytes(NUMBERED_BYTES, 0, this.#host.lengthAt(piece, begin));
    remote.onReadEnd();
  }
}

const NO_BITS = new Uint8Array(0);
