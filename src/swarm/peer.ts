/**
 * One connected peer of a torrent: takes its messages, checks their numbers, hands blocks to `receive.ts`, requests to
 * `serve.ts` and the rest to the scheduler. Lives from the handshake to the close of the link.
 */
import { LIMITS } from '../config.js';
import { isCanonicalBitfield } from '../metainfo/bitfield.js';
import { type BlockIndex, NONE, type PeerSlot, type PieceIndex } from '../metainfo/geometry.js';
import type { LinkHandlers, PeerLink } from '../peer/link.js';
import { writeBitfield, writeExtended, writeHaveAll, writeHaveNone } from '../wire/encoder.js';
import { EXTENDED_HANDSHAKE_ID } from '../wire/extensions.js';
import { clientName, type Handshake } from '../wire/handshake.js';
import type { WireSink } from '../wire/sink.js';
import type { Exchange } from './exchange.js';
import { PeerExtensions } from './peer-extensions.js';
import type { PinnedShare } from './pinned-share.js';
import type { Arrival } from './receive.js';
import { RequestQueue } from './request-queue.js';
import { cancelArrives, pump, requestArrives, sent } from './serve.js';

/** The last four bytes of a peer id: the random part of it. */
export function endOfId(peerId: Buffer): number {
  return peerId.readInt32LE(16);
}

export class Peer implements WireSink, LinkHandlers {
  readonly exchange: Exchange;
  readonly link: PeerLink;
  readonly slot: PeerSlot;
  readonly peerId: Buffer;
  /** Told apart more quickly than the whole of it. */
  readonly idEnd: number;
  readonly supportsFast: boolean;
  readonly supportsExtended: boolean;
  client: string;
  /** The port the peer listens on (BEP 10 `p`, or the one we dialled), null when unknown. */
  listenPort: number | null;
  readonly requests: RequestQueue;
  /** What blocks on their way to this peer keep in memory. */
  readonly pinned: PinnedShare;
  /** What the oldest request waits for: its read-ahead, room to begin one, or that others keep less in memory. */
  waitsFor: 'nothing' | 'load' | 'room' | 'turn' = 'nothing';
  /** An upload limit is reached. */
  isWaitingForTokens = false;
  readonly extensions: PeerExtensions;
  readonly arrival: Arrival = {
    piece: 0 as PieceIndex,
    block: 0 as BlockIndex,
    begin: 0,
    isStoring: false,
    lengthBytes: 0,
    blockEnd: 0,
    end: 0,
  };
  unrequestedBlocks = 0;
  /** Blocks in a row that the peer serves in one message (`haul_request_bytes`): 1 when it knows no such runs. */
  runBlocks = 1;
  /** A silent connection of the same peer, to be closed when this one has shown that the other side keeps it. */
  replaces: Peer | null = null;
  readonly joinedMs: number;
  /** When it last gave or took something, or joined; to some 20 s. */
  activeMs: number;
  /** When we last unchoked it; Infinity while it is choked. */
  #turnBeganMs = Number.POSITIVE_INFINITY;
  /** It was unchoked for a while and took nothing, and that is the last we know of it. */
  #wastedTurn = false;
  #hasSaidPieces = false;
  /** We take it for interested; it has not said whether it is. */
  #isInterestAssumed = false;
  #isReadEndPending = false;

  constructor(exchange: Exchange, link: PeerLink, handshake: Handshake, slot: PeerSlot) {
    this.exchange = exchange;
    this.link = link;
    this.slot = slot;
    this.peerId = handshake.peerId;
    this.idEnd = endOfId(handshake.peerId);
    this.supportsFast = handshake.supportsFast;
    this.supportsExtended = handshake.supportsExtended;
    this.client = clientName(handshake.peerId);
    this.listenPort = link.isIncoming ? null : link.port;
    this.extensions = new PeerExtensions(this);
    this.requests = new RequestQueue(exchange.random, exchange.pins.unitBytes);
    this.joinedMs = exchange.now();
    this.activeMs = this.joinedMs;
    this.pinned = exchange.pins.join(link.host);
  }

  /**
   * Our first messages: what we can do (BEP 10) and what we have (BEP 3, 6), or what we choose to say of it (BEP 16).
   */
  greet(): void {
    const { have, greeting, scheduler } = this.exchange;
    const saidCount = scheduler.isSuperSeeding ? 0 : have.count;
    const out = this.link.out;
    if (this.supportsExtended) writeExtended(out, EXTENDED_HANDSHAKE_ID, greeting.to(this.link.host));
    if (this.supportsFast && saidCount === have.bitCount) writeHaveAll(out);
    else if (this.supportsFast && saidCount === 0) writeHaveNone(out);
    else if (saidCount > 0) writeBitfield(out, have.bytes);
    this.link.touch();
  }

  /** Until it says whether it is, and no longer than others need to say so. */
  assumeInterest(): void {
    this.#isInterestAssumed = true;
    this.exchange.scheduler.peerInterested(this.slot, true, this.exchange.now());
  }

  #heardInterest(isInterested: boolean, nowMs: number): void {
    this.#isInterestAssumed = false;
    this.exchange.scheduler.peerInterested(this.slot, isInterested, nowMs);
  }

  /** Its turn to be served begins or ends. */
  turnChanged(isChoked: boolean, nowMs: number): void {
    if (isChoked) this.#wastedTurn = this.hadChance(nowMs);
    this.#turnBeganMs = isChoked ? Number.POSITIVE_INFINITY : nowMs;
  }

  /** It could have taken something, and did not. */
  hadChance(nowMs: number): boolean {
    if (this.#wastedTurn) return true;
    return nowMs - this.#turnBeganMs >= LIMITS.settleMs && this.activeMs < this.#turnBeganMs && !this.#isHeldUp;
  }

  /** It asked, and all that it waits for is with us: a rate limit, the disk, memory. */
  get #isHeldUp(): boolean {
    return this.requests.length > 0 && this.link.queuedBytes === 0;
  }

  tick(nowMs: number): void {
    const { scheduler } = this.exchange;
    scheduler.setHeldUp(this.slot, this.#isHeldUp);
    if (scheduler.uploadRate(this.slot, nowMs) + scheduler.downloadRate(this.slot, nowMs) > 0) {
      this.activeMs = nowMs;
      this.#wastedTurn = false;
    }
    if (this.#isInterestAssumed && nowMs - this.joinedMs > LIMITS.settleMs) this.#heardInterest(false, nowMs);
    if (this.link.silentMs(nowMs) > LIMITS.idleTimeoutMs) this.link.close('silent for more than two minutes');
    else if (this.link.unsentForMs(nowMs) > LIMITS.stuckSendTimeoutMs)
      this.link.close('reads nothing of what it asked for');
    else if (nowMs - this.link.lastWriteMs > LIMITS.keepAliveMs) this.link.sendKeepAlive();
    this.pinned.uptake.secondPassed(this.link.takenBytes, this.link.queuedBytes > 0);
  }

  dropIfRedundant(): void {
    if (this.exchange.isRedundant(this)) this.link.close('neither side needs the other');
  }

  // ---- LinkHandlers ----

  onConnected(): void {}

  onHandshake(): null {
    return null;
  }

  onReadEnd(): void {
    if (!this.#isReadEndPending) return;
    this.#isReadEndPending = false;
    this.exchange.scheduler.fill(this.slot, this.link.lastReadMs);
    // Another request is no reason to go before those that wait for memory too.
    const isInQueue = this.waitsFor === 'turn' && this.exchange.pins.hasWaiting;
    if (this.requests.length > 0 && !isInQueue) pump(this);
  }

  onSent(_link: PeerLink, blocks: readonly number[]): void {
    sent(this, blocks);
  }

  onClosed(link: PeerLink, reason: string): void {
    this.requests.clear();
    // Of connections that replace each other and never speak, each would keep all before it in memory.
    this.replaces = null;
    this.exchange.pins.leave(link.host);
    this.exchange.removePeer(this, reason);
    if (link.hasLostMemory) this.exchange.servedMemoryLost();
  }

  // ---- WireSink: the data path ----

  onBlockBegin(piece: number, begin: number, length: number): void {
    this.exchange.receiver.blockBegins(this, piece, begin, length);
  }

  onBlockBytes(source: Buffer, start: number, end: number): void {
    this.#isReadEndPending = true;
    this.exchange.receiver.blockBytes(this, source, start, end);
  }

  onBlockEnd(): void {}

  onRequest(piece: number, begin: number, length: number): void {
    this.#isReadEndPending = true;
    requestArrives(this, piece, begin, length);
  }

  onCancel(piece: number, begin: number, length: number): void {
    cancelArrives(this, piece, begin, length);
  }

  // ---- WireSink: state ----

  onKeepAlive(): void {}

  onChoke(): void {
    this.exchange.scheduler.peerChoked(this.slot, this.link.lastReadMs);
  }

  onUnchoke(): void {
    this.#speaks();
    this.exchange.scheduler.peerUnchoked(this.slot, this.link.lastReadMs);
    this.#isReadEndPending = true;
  }

  onInterested(): void {
    this.#speaks();
    this.#heardInterest(true, this.link.lastReadMs);
  }

  onNotInterested(): void {
    this.#heardInterest(false, this.link.lastReadMs);
  }

  onHave(index: number): void {
    const piece = this.exchange.geometry.asPiece(index);
    if (piece === NONE) {
      this.link.close(`said HAVE for piece ${index}, which does not exist`);
      return;
    }
    // Of a bad copy it has nothing new to say until its pause is over.
    if (!this.exchange.receiver.isWithheld(this, piece)) this.exchange.scheduler.peerHave(this.slot, piece);
    this.#piecesSaid();
  }

  onBitfield(bits: Uint8Array): void {
    const { geometry, scheduler } = this.exchange;
    if (!isCanonicalBitfield(bits, geometry.pieceCount)) {
      this.link.close(`sent a bitfield of ${bits.length} bytes that does not fit ${geometry.pieceCount} pieces`);
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
    const { geometry, scheduler } = this.exchange;
    for (let piece = 0; piece < geometry.pieceCount && !this.link.isClosing; piece++) {
      const isSet = bits === null || (bits[piece >> 3]! & (0x80 >> (piece & 7))) !== 0;
      if (isSet && !scheduler.peerHas(this.slot, piece as PieceIndex)) this.onHave(piece);
    }
  }

  onHaveAll(): void {
    if (!this.#requireFast('have all')) return;
    if (this.#hasSaidPieces) this.#addPieces(null);
    else this.exchange.scheduler.peerHaveAll(this.slot);
    this.#piecesSaid();
  }

  onHaveNone(): void {
    if (!this.#requireFast('have none')) return;
    if (this.#hasSaidPieces) this.link.close('sent have none after it had said what it has');
    else this.#piecesSaid();
  }

  onReject(index: number, begin: number, length: number): void {
    if (!this.#requireFast('reject')) return;
    const { geometry, scheduler } = this.exchange;
    const piece = geometry.asPiece(index);
    const count = piece === NONE ? 0 : geometry.asRun(piece, begin, length);
    if (piece === NONE || count === 0 || count > this.runBlocks) {
      this.link.close('rejected a request for a block that does not exist');
      return;
    }
    const first = geometry.blockAt(begin);
    for (let block = first; block < first + count; block++) {
      scheduler.requestRejected(this.slot, piece, block as BlockIndex, this.link.lastReadMs);
    }
    this.#isReadEndPending = true;
  }

  onSuggest(): void {
    this.#requireFast('suggest');
  }

  onAllowedFast(): void {
    this.#requireFast('allowed fast');
  }

  onPort(): void {}

  onExtended(id: number, payload: Uint8Array): void {
    this.#speaks();
    this.extensions.onMessage(id, payload);
  }

  /** The first message: the other side has let us in. */
  #speaks(): void {
    this.replaces?.link.close('silent: the peer came back by another connection');
    this.replaces = null;
  }

  #piecesSaid(): void {
    this.#speaks();
    this.#hasSaidPieces = true;
    this.#isReadEndPending = true;
    this.dropIfRedundant();
  }

  #requireFast(message: string): boolean {
    if (this.supportsFast) return true;
    this.link.close(`sent ${message} without the fast extension`);
    return false;
  }
}
