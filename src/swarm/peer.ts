/**
 * One connected peer of a swarm: takes its messages, checks their numbers, hands blocks to `receive.ts`, requests to
 * `serve.ts` and the rest to the scheduler. What is said to it goes through its `Remote`. Lives from the handshake to
 * the close of the connection.
 */
import { LIMITS } from '../config.js';
import { type Bitfield, isCanonicalBitfield } from '../metainfo/bitfield.js';
import { type BlockIndex, type Geometry, NONE, type PeerSlot, type PieceIndex } from '../metainfo/geometry.js';
import type { Runs } from '../scheduler/pieces/picker.js';
import type { Scheduler } from '../scheduler/scheduler.js';
import type { WireSink } from '../wire/sink.js';
import { Inflow } from './inflow.js';
import type { Receiver } from './receive.js';
import type { Remote } from './remote.js';
import type { Outflow, Server } from './serve.js';

/** What a peer needs of its exchange. */
export interface PeerOwner<R extends Remote> {
  readonly geometry: Geometry;
  readonly have: Bitfield;
  readonly scheduler: Scheduler;
  readonly receiver: Receiver<R>;
  readonly server: Server;
  readonly now: () => number;
  /** Neither side needs the other. */
  isRedundant(peer: Peer<R>): boolean;
  removePeer(peer: Peer<R>, reason: string): void;
  /** What was to be sent was found cut off. */
  servedMemoryLost(): void;
  /** It says that our copy of this piece, which we have, is bad. */
  onPieceDoubted(remote: R, piece: PieceIndex): void;
}

export class Peer<R extends Remote = Remote> implements WireSink {
  readonly remote: R;
  readonly slot: PeerSlot;
  readonly inflow: Inflow<R>;
  readonly outflow: Outflow;
  readonly joinedMs: number;
  /** When it last gave or took something, or joined; to some 20 s. */
  activeMs: number;
  /** A silent connection of the same peer, to be closed when this one has shown that the other side keeps it. */
  replaces: Remote | null = null;
  readonly #owner: PeerOwner<R>;
  readonly #receiver: Receiver<R>;
  readonly #server: Server;
  /** When we last unchoked it; Infinity while it is choked. */
  #turnBeganMs = Number.POSITIVE_INFINITY;
  /** It was unchoked for a while and took nothing, and that is the last we know of it. */
  #wastedTurn = false;
  #hasSaidPieces = false;
  #isUploadOnly = false;
  /** We take it for interested; it has not said whether it is. */
  #isInterestAssumed = false;
  #isReadEndPending = false;

  constructor(owner: PeerOwner<R>, remote: R, slot: PeerSlot) {
    this.#owner = owner;
    this.#receiver = owner.receiver;
    this.#server = owner.server;
    this.remote = remote;
    this.slot = slot;
    this.joinedMs = owner.now();
    this.activeMs = this.joinedMs;
    this.inflow = new Inflow(slot, remote);
    this.outflow = owner.server.join(slot, remote);
  }

  /** Until it says whether it is, and no longer than others need to say so. */
  assumeInterest(): void {
    this.#isInterestAssumed = true;
    this.#owner.scheduler.peerInterested(this.slot, true, this.#owner.now());
  }

  #heardInterest(isInterested: boolean, nowMs: number): void {
    this.#isInterestAssumed = false;
    this.#owner.scheduler.peerInterested(this.slot, isInterested, nowMs);
  }

  /** Its turn to be served begins or ends. */
  turnChanged(isChoked: boolean, nowMs: number): void {
    if (isChoked) this.#wastedTurn = this.hadChance(nowMs);
    this.#turnBeganMs = isChoked ? Number.POSITIVE_INFINITY : nowMs;
  }

  /** It could have taken something, and did not. */
  hadChance(nowMs: number): boolean {
    if (this.#wastedTurn) return true;
    return nowMs - this.#turnBeganMs >= LIMITS.settleMs && this.activeMs < this.#turnBeganMs && !this.outflow.isHeldUp;
  }

  tick(nowMs: number): void {
    const { slot, remote, outflow } = this;
    const { scheduler } = this.#owner;
    scheduler.setHeldUp(slot, outflow.isHeldUp);
    if (scheduler.view.uploadRate(slot, nowMs) + scheduler.view.downloadRate(slot, nowMs) > 0) {
      this.activeMs = nowMs;
      this.#wastedTurn = false;
    }
    if (this.#isInterestAssumed && nowMs - this.joinedMs > LIMITS.settleMs) this.#heardInterest(false, nowMs);
    // Not as soon as it says so: what it has it says after that, and a seed is not met again.
    if (this.#isUploadOnly) this.dropIfRedundant();
    remote.tick(nowMs);
    outflow.pinned.uptake.secondPassed(remote.takenBytes, remote.queuedBytes > 0);
  }

  /** It says that it wants nothing any more (BEP 21). */
  get isUploadOnly(): boolean {
    return this.#isUploadOnly;
  }

  dropIfRedundant(): void {
    if (this.#owner.isRedundant(this)) this.remote.close('neither side needs the other');
  }

  // ---- from the connection ----

  /** All that came at once has been delivered. */
  onReadEnd(): void {
    if (!this.#isReadEndPending) return;
    this.#isReadEndPending = false;
    this.#owner.scheduler.fill(this.slot, this.remote.lastReadMs);
    this.#server.readEnds(this.outflow);
  }

  /**
   * Blocks have left: flat triples piece, begin, length, in order of sending. Also for what never left, before `gone`.
   */
  onSent(blocks: readonly number[]): void {
    this.#server.sent(this.outflow, blocks);
  }

  /** The connection is closed. @param hasLostMemory a block's memory was gone when the kernel came to send it */
  gone(reason: string, hasLostMemory = false): void {
    // Of connections that replace each other and never speak, each would keep all before it in memory.
    this.replaces = null;
    this.#server.leave(this.outflow);
    this.#owner.removePeer(this, reason);
    if (hasLostMemory) this.#owner.servedMemoryLost();
  }

  /**
   * It serves so many blocks in a row in one message, and asks for them so; a power of two.
   * @param runs whether runs of pieces suit it too
   */
  setRunBlocks(blocks: number, runs: Runs = 'none'): void {
    this.inflow.runBlocks = blocks;
    this.outflow.takesRuns = blocks > 1;
    this.#owner.scheduler.setRunBlocks(this.slot, blocks, runs);
  }

  /** BEP 21. */
  setUploadOnly(isUploadOnly: boolean): void {
    this.#isUploadOnly = isUploadOnly;
  }

  /** The longest queue of requests that it keeps. */
  setReqq(requests: number): void {
    this.#owner.scheduler.setReqq(this.slot, requests);
  }

  /** It says that our copy of a piece is bad: who was sent nothing cannot know. */
  doubts(index: number): void {
    const { geometry, have, scheduler } = this.#owner;
    const piece = geometry.asPiece(index);
    if (piece === NONE || !have.has(piece) || scheduler.view.tookBytes(this.slot) === 0) return;
    this.#owner.onPieceDoubted(this.remote, piece);
  }

  /** It has the piece no more (BEP 54). */
  lacks(index: number): void {
    const piece = this.#owner.geometry.asPiece(index);
    if (piece === NONE) return;
    this.#receiver.peerLacks(this.inflow, piece);
    this.#owner.scheduler.peerLacks(this.slot, piece);
  }

  // ---- WireSink: the data path ----

  onBlockBegin(piece: number, begin: number, length: number): void {
    this.#receiver.blockBegins(this.inflow, piece, begin, length);
  }

  onBlockBytes(source: Buffer, start: number, end: number): void {
    this.#isReadEndPending = true;
    this.#receiver.blockBytes(this.inflow, source, start, end);
  }

  onBlockEnd(): void {}

  onRequest(piece: number, begin: number, length: number): void {
    this.#isReadEndPending = true;
    this.#server.requestArrives(this.outflow, piece, begin, length);
  }

  onCancel(piece: number, begin: number, length: number): void {
    this.#server.cancelArrives(this.outflow, piece, begin, length);
  }

  // ---- WireSink: state ----

  onKeepAlive(): void {}

  onChoke(): void {
    this.#owner.scheduler.peerChoked(this.slot, this.remote.lastReadMs);
  }

  onUnchoke(): void {
    this.#speaks();
    this.#owner.scheduler.peerUnchoked(this.slot, this.remote.lastReadMs);
    this.#isReadEndPending = true;
  }

  onInterested(): void {
    this.#speaks();
    this.#heardInterest(true, this.remote.lastReadMs);
  }

  onNotInterested(): void {
    this.#heardInterest(false, this.remote.lastReadMs);
  }

  onHave(index: number): void {
    const piece = this.#owner.geometry.asPiece(index);
    if (piece === NONE) {
      this.remote.close(`said HAVE for piece ${index}, which does not exist`);
      return;
    }
    // Of a bad copy it has nothing new to say until its pause is over.
    if (!this.#receiver.isWithheld(this.inflow, piece)) this.#owner.scheduler.peerHave(this.slot, piece);
    this.#piecesSaid();
  }

  onBitfield(bits: Uint8Array): void {
    const { geometry, scheduler } = this.#owner;
    if (!isCanonicalBitfield(bits, geometry.pieceCount)) {
      this.remote.close(`sent a bitfield of ${bits.length} bytes that does not fit ${geometry.pieceCount} pieces`);
      return;
    }
    if (this.#hasSaidPieces) this.#addPieces(bits);
    else scheduler.peerBitfield(this.slot, bits);
    this.#piecesSaid();
  }

  /**
   * aria2 sends a bitfield in place of many HAVEs, in the middle of a session: it may only add.
   * @param bits null: all
   */
  #addPieces(bits: Uint8Array | null): void {
    const { geometry, scheduler } = this.#owner;
    for (let piece = 0; piece < geometry.pieceCount && !this.remote.isClosing; piece++) {
      const isSet = bits === null || (bits[piece >> 3]! & (0x80 >> (piece & 7))) !== 0;
      if (isSet && !scheduler.view.peerHas(this.slot, piece as PieceIndex)) this.onHave(piece);
    }
  }

  onHaveAll(): void {
    if (!this.#requireFast('have all')) return;
    if (this.#hasSaidPieces) this.#addPieces(null);
    else this.#owner.scheduler.peerHaveAll(this.slot);
    this.#piecesSaid();
  }

  onHaveNone(): void {
    if (!this.#requireFast('have none')) return;
    if (this.#hasSaidPieces) this.remote.close('sent have none after it had said what it has');
    else this.#piecesSaid();
  }

  onReject(index: number, begin: number, length: number): void {
    if (!this.#requireFast('reject')) return;
    const { geometry, scheduler } = this.#owner;
    const piece = geometry.asPiece(index);
    const count = piece === NONE ? 0 : geometry.asRun(piece, begin, length);
    if (piece === NONE || count === 0 || count > this.inflow.runBlocks) {
      this.remote.close('rejected a request for a block that does not exist');
      return;
    }
    const first = geometry.blockAt(begin);
    for (let block = first; block < first + count; block++) {
      scheduler.requestRejected(this.slot, piece, block as BlockIndex, this.remote.lastReadMs);
    }
    this.#isReadEndPending = true;
  }

  onSuggest(): void {
    this.#requireFast('suggest');
  }

  onAllowedFast(): void {
    this.#requireFast('allowed fast');
  }

  onPort(port: number): void {
    this.#speaks();
    this.remote.onPort(port);
  }

  onExtended(id: number, payload: Uint8Array): void {
    this.#speaks();
    this.remote.onExtended(id, payload);
  }

  /** The first message: the other side has let us in. */
  #speaks(): void {
    this.replaces?.close('silent: the peer came back by another connection');
    this.replaces = null;
  }

  #piecesSaid(): void {
    this.#speaks();
    this.#hasSaidPieces = true;
    this.#isReadEndPending = true;
    this.dropIfRedundant();
  }

  #requireFast(message: string): boolean {
    if (this.remote.supportsFast) return true;
    this.remote.close(`sent ${message} without the fast extension`);
    return false;
  }
}
