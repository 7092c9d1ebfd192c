/**
 * What one host knows of one connected peer: takes its messages, as `torrent/peer.ts`, `receive.ts` and `serve.ts` do
 * in the engine, and hands them to the host's scheduler. Messages come from the real decoder or straight from a direct
 * link.
 */
import { LIMITS } from '../src/config.js';
import { type BlockIndex, NONE, type PeerSlot, type PieceIndex } from '../src/metainfo/geometry.js';
import { Fifo } from './fifo.js';
import type { Host } from './host.js';
import { GOOD } from './storage.js';

/** How a host talks to one peer. */
export interface PeerOut {
  /** First of all messages: what we have. */
  pieces(): void;
  choke(isChoked: boolean): void;
  interested(isInterested: boolean): void;
  have(piece: number): void;
  request(piece: number, begin: number, lengthBytes: number): void;
  cancel(piece: number, begin: number, lengthBytes: number): void;
  reject(piece: number, begin: number, lengthBytes: number): void;
  /** Blocks were queued, or may be sent again. */
  wake(): void;
  close(): void;
  /** Requests of ours that have not reached the peer yet. */
  requestsUnderWay(visit: (piece: number, begin: number) => void): void;
  /** Blocks that have left for the peer and are not there. */
  blocksUnderWay(visit: (piece: number, begin: number) => void): void;
  /** Nothing is on its way to the peer. */
  readonly isQuiet: boolean;
}

interface Arrival {
  piece: PieceIndex;
  block: BlockIndex;
  isStoring: boolean;
  lengthBytes: number;
}

export class SimPeer {
  readonly host: Host;
  /** The host at the other end. */
  readonly other: Host;
  readonly slot: PeerSlot;
  readonly isDialled: boolean;
  readonly isFast: boolean;
  /** Set when the connection is made. */
  out!: PeerOut;
  /** This connection as the other host knows it. */
  remote!: SimPeer;
  isOpen = true;
  isClosing = false;
  hasSaidPieces = false;
  /** What the peer asked us for: piece, begin, length. */
  readonly requests = new Fifo();
  /** What the block that is arriving contains (see VirtualStorage). */
  content = GOOD;
  readonly #arrival: Arrival = { piece: 0 as PieceIndex, block: 0 as BlockIndex, isStoring: false, lengthBytes: 0 };

  constructor(host: Host, other: Host, slot: PeerSlot, isDialled: boolean) {
    this.host = host;
    this.other = other;
    this.slot = slot;
    this.isDialled = isDialled;
    this.isFast = host.isFast && other.isFast;
  }

  // ---- blocks ----

  onBlockBegin(index: number, begin: number, length: number): void {
    const { geometry, scheduler } = this.host;
    const piece = geometry.asPiece(index);
    const block = piece === NONE ? NONE : geometry.asBlock(piece, begin, length);
    if (piece === NONE || block === NONE) throw new Error(`a block that does not exist: ${index}, ${begin}, ${length}`);
    const arrival = this.#arrival;
    arrival.piece = piece;
    arrival.block = block;
    arrival.lengthBytes = length;
    this.host.books?.answered(this, piece, block);
    const verdict = scheduler.blockArriving(this.slot, piece, block);
    if (verdict === 'unrequested') throw new Error(`host ${this.host.id} got a block that it had not asked for`);
    arrival.isStoring = verdict === 'wanted';
  }

  onBlockEnd(): void {
    const { piece, block, lengthBytes, isStoring } = this.#arrival;
    this.#arrival.isStoring = false;
    this.host.books?.arrived(this);
    this.host.blockArrived(this, piece, block, lengthBytes, isStoring ? this.content : null);
  }

  onRequest(index: number, begin: number, length: number): void {
    const { geometry, scheduler, have } = this.host;
    const piece = geometry.asPiece(index);
    if (piece === NONE || !geometry.containsRange(piece, begin, length)) throw new Error('a range that does not exist');
    const isRefused =
      scheduler.isChoking(this.slot) ||
      !have.has(piece) ||
      !scheduler.mayServe(this.slot, piece) ||
      this.requests.length >= LIMITS.requestsPerPeer;
    if (!isRefused) {
      this.requests.push(piece, begin, length);
      this.out.wake();
    } else if (this.isFast) this.out.reject(piece, begin, length);
  }

  onCancel(piece: number, begin: number, length: number): void {
    if (this.requests.remove(piece, begin) && this.isFast) this.out.reject(piece, begin, length);
  }

  onReject(piece: number, begin: number, length: number): void {
    const block = this.host.geometry.asBlock(piece as PieceIndex, begin, length) as BlockIndex;
    this.host.books?.rejected(this, piece, block);
    this.host.scheduler.requestRejected(this.slot, piece as PieceIndex, block, this.host.nowMs);
  }

  /** We choke the peer: what it asked for is void. */
  dropRequests(): void {
    if (this.isFast) {
      this.requests.forEach((piece, begin, length) => {
        this.out.reject(piece, begin, length);
      });
    }
    this.requests.clear();
  }

  // ---- state ----

  onChoke(): void {
    this.host.books?.choked(this);
    this.host.scheduler.peerChoked(this.slot, this.host.nowMs);
  }

  onUnchoke(): void {
    this.host.scheduler.peerUnchoked(this.slot, this.host.nowMs);
  }

  onInterested(): void {
    this.host.scheduler.peerInterested(this.slot, true, this.host.nowMs);
  }

  onNotInterested(): void {
    this.host.scheduler.peerInterested(this.slot, false, this.host.nowMs);
  }

  onHave(piece: number): void {
    if (!this.host.badPieces.isWithheld(this, piece as PieceIndex))
      this.host.scheduler.peerHave(this.slot, piece as PieceIndex);
    if (this.host.swarm.spec.canary === 'ghost-piece') this.#believeInOneMore();
    this.#dropIfRedundant();
  }

  /** The planted bug: a bit too many. */
  #believeInOneMore(): void {
    const { geometry, scheduler } = this.host;
    if (this.host.random() > 0.05) return;
    for (let piece = 0 as PieceIndex; piece < geometry.pieceCount; piece++) {
      if (this.other.have.has(piece) || scheduler.peerHas(this.slot, piece)) continue;
      scheduler.peerHave(this.slot, piece);
      return;
    }
  }

  onBitfield(bits: Uint8Array): void {
    this.hasSaidPieces = true;
    this.host.scheduler.peerBitfield(this.slot, bits);
    this.#dropIfRedundant();
  }

  onHaveAll(): void {
    this.hasSaidPieces = true;
    this.host.scheduler.peerHaveAll(this.slot);
    this.#dropIfRedundant();
  }

  onHaveNone(): void {
    this.hasSaidPieces = true;
  }

  /** Everything that came at once was taken: ask for more. */
  onReadEnd(): void {
    if (this.isOpen) this.host.scheduler.fill(this.slot, this.host.nowMs);
  }

  #dropIfRedundant(): void {
    if (this.host.isComplete && this.host.scheduler.peerIsSeed(this.slot)) this.host.close(this, true);
  }
}
