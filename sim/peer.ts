/**
 * A simulated host as the exchange of another one sees it: what is said to it goes to a link, what it says comes from
 * the link at the other end and is handed to the `Peer`. The books of a checked swarm see both. Messages come from the
 * real decoder or straight from a direct link.
 */
import type { Bitfield } from '../src/metainfo/bitfield.js';
import { type BlockIndex, type Geometry, NONE, type PeerSlot, type PieceIndex } from '../src/metainfo/geometry.js';
import type { Scheduler } from '../src/scheduler/scheduler.js';
import type { Exchange } from '../src/swarm/exchange.js';
import type { Peer } from '../src/swarm/peer.js';
import type { Remote } from '../src/swarm/remote.js';
import { addressOf } from './addresses.js';
import type { Events } from './events.js';
import type { Flow, Network } from './network.js';
import type { HostSpec, Manner, SwarmSpec } from './spec.js';

/** How a host talks to one peer. */
export interface PeerOut {
  /** First of all messages: what we can do, and what we have; null: nothing, or we say so. */
  pieces(have: Bitfield | null): void;
  choke(isChoked: boolean): void;
  interested(isInterested: boolean): void;
  have(piece: number): void;
  request(piece: number, begin: number, lengthBytes: number): void;
  cancel(piece: number, begin: number, lengthBytes: number): void;
  reject(piece: number, begin: number, lengthBytes: number): void;
  /** One block or a run. `SimPeer.left` is called when the network has taken it. */
  block(piece: number, begin: number, lengthBytes: number): void;
  /** Bytes of blocks that the network has not taken. */
  readonly waitingBytes: number;
  close(): void;
  /** Requests of ours that have not reached the peer yet. */
  requestsUnderWay(visit: VisitRange): void;
  /** Blocks that are handed over for the peer and are not there. */
  blocksUnderWay(visit: VisitRange): void;
  /** Nothing is on its way to the peer. */
  readonly isQuiet: boolean;
}

export type VisitRange = (piece: number, begin: number, lengthBytes: number) => void;

/** What a connection needs of the hosts at its ends. */
export interface PeerHost {
  readonly id: number;
  readonly spec: HostSpec;
  readonly zone: string | undefined;
  readonly manner: Manner;
  readonly isFast: boolean;
  /** Blocks that it sends in one message to who knows that. */
  readonly runBlocks: number;
  readonly geometry: Geometry;
  readonly have: Bitfield;
  readonly isComplete: boolean;
  readonly exchange: Exchange<SimPeer>;
  readonly scheduler: Scheduler;
  readonly swarm: PeerSwarm;
  readonly books: PeerBooks | null;
  readonly nowMs: number;
  /** Of blocks: handed to the network, and those that came from another zone. */
  uploadedBytes: number;
  farBytes: number;
  random(): number;
  lengthAt(piece: number, begin: number): number;
  /** GOOD, or what a corrupt one sends. */
  contentToSend(): number;
  /** HAVE to all peers as one event, for the first of them that is told. False: it is to be said to each. */
  broadcasts(piece: number): boolean;
  askAnother(asked: SimPeer, piece: PieceIndex, begin: number, lengthBytes: number): void;
}

/** What a connection needs of the swarm. */
export interface PeerSwarm {
  readonly spec: SwarmSpec;
  readonly events: Events;
  readonly network: Network;
  readonly directKind: number;
  random(): number;
  addDirectLink(link: TimedLink): void;
  disconnect(peer: SimPeer, reason: string): void;
}

/** What is said on it arrives by events of `directKind` with the id of its flow. */
export interface TimedLink {
  readonly flow: Flow;
  deliver(nowMs: number): void;
}

/** What the books of a checked swarm are told by a connection. */
export interface PeerBooks {
  requested(peer: SimPeer, piece: PieceIndex, begin: number, lengthBytes: number): void;
  cancelled(peer: SimPeer, piece: number, begin: number): void;
  answered(peer: SimPeer, piece: number, begin: number): void;
  arrived(peer: SimPeer): void;
  rejected(peer: SimPeer, piece: number, begin: number, lengthBytes: number): void;
  choked(peer: SimPeer): void;
}

export class SimPeer implements Remote {
  /** Whose exchange sees it. */
  readonly local: PeerHost;
  /** The host at the other end. */
  readonly other: PeerHost;
  readonly isDialled: boolean;
  readonly host: string;
  /** Of a host that is like one: seen from others it only gives, and runs of pieces suit it best. */
  readonly isWebSeed: boolean;
  readonly idEnd: number | null;
  readonly supportsFast: boolean;
  readonly asksAtOnce: boolean;
  /** Set when the connection is made. */
  out!: PeerOut;
  /** This connection as the other host knows it. */
  far!: SimPeer;
  /** Set when the exchange has taken it. */
  peer!: Peer<SimPeer>;
  isOpen = true;
  isClosing = false;
  hasSaidPieces = false;
  lastReadMs: number;
  takenBytes = 0;
  readonly isResting = false;
  /** The message that is arriving: where its next block begins, and where it ends. */
  #piece = 0 as PieceIndex;
  #at = 0;
  #blockEnd = 0;
  #end = 0;

  constructor(local: PeerHost, other: PeerHost, isDialled: boolean) {
    this.local = local;
    this.other = other;
    this.isDialled = isDialled;
    this.isWebSeed = other.spec.isWebSeed === true;
    this.idEnd = this.isWebSeed ? null : other.id;
    this.host = addressOf(other.id).host;
    this.supportsFast = local.isFast && other.isFast;
    this.asksAtOnce = !isDialled;
    this.lastReadMs = local.nowMs;
  }

  get slot(): PeerSlot {
    return this.peer.slot;
  }

  /** One block at a time is handed to the network, so that what waits can be cancelled. */
  get queuedBytes(): number {
    return this.out.waitingBytes > 0 ? Number.POSITIVE_INFINITY : 0;
  }

  // ---- Remote: what is said to it ----

  greet(have: Bitfield | null): void {
    this.out.pieces(have);
  }

  interested(isInterested: boolean): void {
    this.out.interested(isInterested);
  }

  choke(isChoked: boolean): void {
    this.out.choke(isChoked);
  }

  have(piece: PieceIndex): void {
    if (!this.local.broadcasts(piece)) this.out.have(piece);
  }

  ask(piece: PieceIndex, begin: number, lengthBytes: number): void {
    this.local.books?.requested(this, piece, begin, lengthBytes);
    const { canary } = this.local.swarm.spec;
    if (canary === 'lost-request' && this.local.random() < 0.01) return;
    if (this.local.manner === 'idle' || this.local.manner === 'again') return;
    this.out.request(piece, begin, lengthBytes);
    if (canary === 'twice') this.local.askAnother(this, piece, begin, lengthBytes);
  }

  cancel(piece: PieceIndex, begin: number, lengthBytes: number): void {
    this.local.books?.cancelled(this, piece, begin);
    this.out.cancel(piece, begin, lengthBytes);
  }

  reject(piece: number, begin: number, lengthBytes: number): void {
    this.out.reject(piece, begin, lengthBytes);
  }

  sendBlock(piece: PieceIndex, begin: number, lengthBytes: number): void {
    if (this.local.scheduler.view.isChoking(this.slot))
      throw new Error(`host ${this.local.id} serves a peer that it chokes`);
    this.out.block(piece, begin, lengthBytes);
  }

  /** Nobody here has a bad disk. */
  dontHave(): void {}
  badPiece(): void {}

  silentMs(nowMs: number): number {
    return nowMs - this.lastReadMs;
  }

  takeHeldMs(): number {
    return 0;
  }

  tick(): void {}
  flush(): void {}
  onExtended(): void {}

  onPort(): void {}

  /** After this event: the scheduler may be in the middle of a call. */
  close(reason: string): void {
    if (this.isClosing) return;
    this.isClosing = true;
    const { events } = this.local.swarm;
    events.callAt(events.nowMs, () => this.local.swarm.disconnect(this, reason));
  }

  /** The network took the whole of the message that was handed to it. */
  left(piece: number, begin: number, lengthBytes: number): void {
    this.takenBytes += lengthBytes;
    this.local.uploadedBytes += lengthBytes;
    this.peer.onSent([piece, begin, lengthBytes]);
  }

  // ---- what it says ----

  onBlockBegin(index: number, begin: number, length: number): void {
    if (this.local.manner === 'again') {
      this.out.request(index, begin, length);
      return;
    }
    const { geometry, books } = this.local;
    const piece = geometry.asPiece(index);
    if (piece === NONE || geometry.asRun(piece, begin, length) === 0)
      throw new Error(`a block that does not exist: ${index}, ${begin}, ${length}`);
    this.#piece = piece;
    this.#at = begin;
    this.#end = begin + length;
    this.#blockEnd = begin + geometry.blockLength(piece, geometry.blockAt(begin));
    books?.answered(this, piece, begin);
    this.peer.onBlockBegin(index, begin, length);
    this.#checkAsked();
  }

  onBlockBytes(source: Buffer, start: number, end: number): void {
    const { local, other } = this;
    if (local.manner === 'again') return;
    if (local.zone !== other.zone) local.farBytes += end - start;
    if (local.books !== null) this.#count(end - start);
    this.peer.onBlockBytes(source, start, end);
    this.#checkAsked();
  }

  /** Which blocks end with these bytes, and which begin. */
  #count(bytes: number): void {
    const { geometry, books } = this.local;
    const until = this.#at + bytes;
    while (this.#blockEnd <= until && this.#at < this.#end) {
      books!.arrived(this);
      this.#at = this.#blockEnd;
      if (this.#at === this.#end) return;
      const block = geometry.blockAt(this.#at);
      this.#blockEnd = this.#at + geometry.blockLength(this.#piece, block);
      books!.answered(this, this.#piece, this.#at);
    }
    this.#at = until;
  }

  /** What of the message that is arriving has not begun. */
  restOfMessage(visit: VisitRange): void {
    if (this.#blockEnd < this.#end) visit(this.#piece, this.#blockEnd, this.#end - this.#blockEnd);
  }

  #checkAsked(): void {
    if (this.peer.inflow.unrequestedBlocks > 0)
      throw new Error(`host ${this.local.id} got a block that it had not asked for`);
  }

  onRequest(piece: number, begin: number, length: number): void {
    this.peer.onRequest(piece, begin, length);
  }

  onCancel(piece: number, begin: number, length: number): void {
    this.peer.onCancel(piece, begin, length);
  }

  onReject(piece: number, begin: number, length: number): void {
    this.local.books?.rejected(this, piece, begin, length);
    this.peer.onReject(piece, begin, length);
  }

  onChoke(): void {
    this.local.books?.choked(this);
    this.peer.onChoke();
  }

  onUnchoke(): void {
    this.peer.onUnchoke();
  }

  onInterested(): void {
    this.peer.onInterested();
  }

  onNotInterested(): void {
    this.peer.onNotInterested();
  }

  onHave(piece: number): void {
    this.peer.onHave(piece);
    if (this.local.swarm.spec.canary === 'ghost-piece') this.#believeInOneMore();
  }

  /** The planted bug: a bit too many. */
  #believeInOneMore(): void {
    const { geometry, scheduler } = this.local;
    if (this.local.random() > 0.05) return;
    for (let piece = 0 as PieceIndex; piece < geometry.pieceCount; piece++) {
      if (this.other.have.has(piece) || scheduler.view.peerHas(this.slot, piece)) continue;
      scheduler.peerHave(this.slot, piece);
      return;
    }
  }

  onBitfield(bits: Uint8Array): void {
    this.hasSaidPieces = true;
    this.peer.onBitfield(bits);
  }

  onHaveAll(): void {
    this.hasSaidPieces = true;
    this.peer.onHaveAll();
  }

  /** Said, or left unsaid by a peer without the fast extension. */
  onHaveNone(): void {
    this.hasSaidPieces = true;
    if (this.supportsFast) this.peer.onHaveNone();
  }

  /** It serves so many blocks in a row in one message (`haul_request_bytes`). */
  onRunBlocks(blocks: number): void {
    this.peer.setRunBlocks(blocks, this.isWebSeed ? 'anywhere' : 'none');
  }

  /** Everything that came at once was taken. */
  onReadEnd(): void {
    if (this.isOpen) this.peer.onReadEnd();
  }

  /** The first block of a range, and how many there are. */
  blocksOf(piece: number, begin: number, lengthBytes: number): { first: BlockIndex; count: number } {
    const { geometry } = this.local;
    return { first: geometry.blockAt(begin), count: geometry.asRun(piece as PieceIndex, begin, lengthBytes) };
  }
}
