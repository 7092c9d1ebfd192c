/**
 * Messages as calls: they arrive after the latency of the connection, whatever is queued; blocks take their time on the
 * network.
 */
import { Fifo } from './fifo.js';
import type { Host } from './host.js';
import type { Flow, Source } from './network.js';
import type { PeerOut, SimPeer } from './peer.js';

const CHOKE = 0;
const UNCHOKE = 1;
const INTERESTED = 2;
const NOT_INTERESTED = 3;
const HAVE = 4;
const PIECES = 5;
const REQUEST = 6;
const CANCEL = 7;
const REJECT = 8;

export class DirectLink implements PeerOut, Source {
  readonly flow: Flow;
  readonly #local: SimPeer;
  readonly #host: Host;
  /** Type, piece, begin, arrival. */
  readonly #messages = new Fifo();
  /** Piece, begin, content. */
  readonly #blocks = new Fifo();
  /** What was there when PIECES was said. */
  #bits: Uint8Array | null = null;

  constructor(local: SimPeer, latencyMs: number, windowBytes: number) {
    this.#local = local;
    this.#host = local.host;
    this.flow = this.#host.swarm.network.open(local.host.id, local.other.id, latencyMs, windowBytes, this);
    this.#host.swarm.addDirectLink(this);
  }

  // ---- PeerOut ----

  pieces(): void {
    this.#bits = this.#host.greeting();
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

  request(piece: number, begin: number): void {
    this.#send(REQUEST, piece, begin);
  }

  cancel(piece: number, begin: number): void {
    this.#send(CANCEL, piece, begin);
  }

  reject(piece: number, begin: number): void {
    this.#send(REJECT, piece, begin);
  }

  wake(): void {
    this.#host.swarm.network.wake(this.flow);
  }

  close(): void {
    this.#host.swarm.network.close(this.flow);
    this.#messages.clear();
    this.#blocks.clear();
  }

  requestsUnderWay(visit: (piece: number, begin: number) => void): void {
    this.#messages.forEach((type, piece, begin) => {
      if (type === REQUEST) visit(piece, begin);
    });
  }

  blocksUnderWay(visit: (piece: number, begin: number) => void): void {
    this.#blocks.forEach(visit);
  }

  get isQuiet(): boolean {
    return this.#messages.length === 0 && this.#blocks.length === 0;
  }

  #send(type: number, piece: number, begin: number): void {
    const { events } = this.#host.swarm;
    const atMs = events.nowMs + this.flow.latencyMs;
    if (this.#messages.length === 0 || this.#messages.lastMs !== atMs) {
      events.at(atMs, this.#host.swarm.directKind, this.flow.id);
    }
    this.#messages.push(type, piece, begin, atMs);
  }

  /** Everything that was said at one time arrives at one time. */
  deliver(nowMs: number): void {
    const remote = this.#local.remote;
    while (this.#messages.length > 0 && this.#messages.timeMs <= nowMs) {
      const { a: type, b: piece, c: begin } = this.#messages;
      this.#messages.shift();
      if (remote.isOpen) this.#dispatch(remote, type, piece, begin);
    }
    remote.onReadEnd();
  }

  #dispatch(remote: SimPeer, type: number, piece: number, begin: number): void {
    if (type >= REQUEST) {
      const length = this.#host.lengthAt(piece, begin);
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
    if (bits.length === 0) remote.onHaveNone();
    else if (this.#local.isFast && this.#host.isComplete && !this.#host.scheduler.isSuperSeeding) remote.onHaveAll();
    else remote.onBitfield(bits);
  }

  // ---- Source ----

  get isReady(): boolean {
    return this.#local.requests.length > 0 && this.#host.manner !== 'stall';
  }

  pull(): number {
    const { requests } = this.#local;
    const { a: piece, b: begin, c: length } = requests;
    requests.shift();
    this.#blocks.push(piece, begin, this.#host.contentToSend());
    this.#host.blockSent(this.#local, piece, length);
    return length;
  }

  arrive(): void {
    const remote = this.#local.remote;
    const { a: piece, b: begin, c: content } = this.#blocks;
    this.#blocks.shift();
    if (!remote.isOpen) return;
    remote.content = content;
    remote.onBlockBegin(piece, begin, this.#host.lengthAt(piece, begin));
    remote.onBlockEnd();
    remote.onReadEnd();
  }
}
