/**
 * The way of a block down, one function per step, in order:
 *   piece opened → block begins → its bytes are stored → block ends → piece verified → good or bad.
 * Holds no algorithm: the scheduler decides, storage places and verifies.
 */
import { BLOCK_LENGTH_BYTES } from '../config.js';
import type { HaulError } from '../errors.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import { type BlockIndex, NONE, type PieceIndex } from '../metainfo/geometry.js';
import { groupOf } from '../net/remote-group.js';
import { type BadPieceOwner, BadPieces } from './bad-pieces.js';
import type { Exchange } from './exchange.js';
import type { Peer } from './peer.js';

/** Well-formed blocks that nobody asked for, beyond those a peer has earned by good ones, before it is dropped. */
const UNREQUESTED_TOLERANCE = 256;

/** The block that is arriving on one link. */
export interface Arrival {
  piece: PieceIndex;
  block: BlockIndex;
  /** Where the next byte goes, inside the piece. */
  begin: number;
  isStoring: boolean;
  /** Of the block, and where it ends inside the piece; and the message. */
  lengthBytes: number;
  blockEnd: number;
  end: number;
}

export class Receiver {
  readonly #exchange: Exchange;
  readonly #badPieces: BadPieces<Peer>;
  /** One liar counts once, however many pieces it spoilt. */
  readonly #convicted = new WeakSet<Peer>();
  /** Jobs of ours under way in the pool; `idle` resolves when there are none. */
  #busy = 0;
  #whenIdle: (() => void) | null = null;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.#badPieces = new BadPieces(exchange.geometry, new Distrust(exchange));
  }

  /** Step 1: the range of a piece is made ready by a worker. False: no room now. */
  openPiece(piece: PieceIndex): boolean {
    const { storage, trouble } = this.#exchange;
    if (this.#exchange.isClosed || trouble.isHolding) return false;
    const isTaken = storage.openPiece(piece, (error) => {
      this.#settled();
      if (error !== null) this.#notOpened(piece, error);
      else if (!this.#exchange.isClosed) this.#pieceReady(piece);
    });
    if (isTaken) this.#busy++;
    return isTaken;
  }

  /** It may be chosen again later. */
  #notOpened(piece: PieceIndex, error: HaulError): void {
    this.#exchange.diskFailed(error);
    if (!this.#exchange.isClosed) this.#exchange.scheduler.pieceAbandoned(piece);
  }

  /** Blocks that an earlier run left in the files are not fetched again. What cannot be read of them is. */
  #pieceReady(piece: PieceIndex): void {
    const { unfinished, storage } = this.#exchange;
    const kept = unfinished.of(piece);
    if (kept === null) {
      this.#begin(piece, null);
      return;
    }
    this.#busy++;
    storage.fillPiece(piece, (error) => {
      this.#settled();
      if (this.#exchange.isClosed) return;
      unfinished.forget(piece);
      this.#begin(piece, error === null ? kept : null);
    });
  }

  #begin(piece: PieceIndex, stored: Bitfield | null): void {
    const { scheduler, now } = this.#exchange;
    if (scheduler.pieceReady(piece, stored)) this.#verify(piece);
    scheduler.fillHungry(now());
  }

  /** Step 2: a `piece` message began: one block, or as many in a row as the peer has said that it sends. */
  blockBegins(peer: Peer, index: number, begin: number, length: number): void {
    const { geometry } = this.#exchange;
    const arrival = peer.arrival;
    arrival.isStoring = false;
    arrival.lengthBytes = 0;
    const piece = geometry.asPiece(index);
    const count = piece === NONE ? 0 : geometry.asRun(piece, begin, length);
    if (piece === NONE || count === 0 || count > peer.runBlocks) {
      peer.link.close(`sent a block that does not exist: piece ${index}, begin ${begin}, length ${length}`);
      return;
    }
    arrival.piece = piece;
    arrival.begin = begin;
    arrival.end = begin + length;
    this.#nextBlock(peer, arrival);
  }

  /** The block at `arrival.begin` begins. */
  #nextBlock(peer: Peer, arrival: Arrival): void {
    const { geometry, scheduler } = this.#exchange;
    const { piece, begin } = arrival;
    const block = geometry.blockAt(begin);
    arrival.block = block;
    arrival.lengthBytes = geometry.blockLength(piece, block);
    arrival.blockEnd = begin + arrival.lengthBytes;
    const verdict = scheduler.blockArriving(peer.slot, piece, block);
    arrival.isStoring = verdict === 'wanted';
    if (verdict === 'unrequested' && ++peer.unrequestedBlocks > UNREQUESTED_TOLERANCE) {
      peer.link.close('sent too many blocks that were not requested');
    }
  }

  /** Step 3: bytes go to their final place, those of blocks in a row at once; each block that is whole counts. */
  blockBytes(peer: Peer, source: Buffer, start: number, end: number): void {
    const { arrival } = peer;
    const { storage, scheduler } = this.#exchange;
    const { piece } = arrival;
    /** Bytes before `at` of source[start, end) have been looked at, those from `from` on are to be stored. */
    let from = start;
    let at = start;
    let isComplete = false;
    for (;;) {
      const part = Math.min(end - at, arrival.blockEnd - arrival.begin);
      at += part;
      arrival.begin += part;
      if (!arrival.isStoring) from = at;
      if (arrival.begin < arrival.blockEnd) break;
      const wasStoring = arrival.isStoring;
      if (this.#blockEnds(peer, arrival)) isComplete = true;
      if (arrival.begin === arrival.end || peer.link.isClosing) break;
      if (wasStoring) {
        const bytes = this.#wholeBlocks(peer, arrival, end - at);
        at += bytes;
        if (bytes > 0 && scheduler.becomesWhole(piece)) isComplete = true;
        if (arrival.begin === arrival.end) break;
      }
      this.#nextBlock(peer, arrival);
      if (wasStoring && !arrival.isStoring) {
        storage.store(piece, arrival.begin - (at - from), source, from, at);
        from = at;
      }
      if (at === end) break;
    }
    if (at > from) storage.store(piece, arrival.begin - (at - from), source, from, at);
    if (isComplete) this.#verify(piece);
  }

  /** Blocks that are all there, if they are wanted. Returns their bytes. */
  #wholeBlocks(peer: Peer, arrival: Arrival, mostBytes: number): number {
    const { geometry, scheduler } = this.#exchange;
    const { piece, begin } = arrival;
    const isToEnd = arrival.end - begin <= mostBytes;
    const bytes = isToEnd ? arrival.end - begin : mostBytes;
    const count = isToEnd ? Math.ceil(bytes / BLOCK_LENGTH_BYTES) : Math.floor(bytes / BLOCK_LENGTH_BYTES);
    if (count === 0) return 0;
    const first = geometry.blockAt(begin);
    const stored = scheduler.blocksStored(peer.slot, piece, first, count, peer.link.lastReadMs);
    if (stored === 0) return 0;
    peer.unrequestedBlocks = Math.max(0, peer.unrequestedBlocks - stored);
    const storedBytes = geometry.runLength(piece, first, stored);
    arrival.begin += storedBytes;
    return storedBytes;
  }

  /** Step 4: the block is whole. Returns whether the piece is. */
  #blockEnds(peer: Peer, arrival: Arrival): boolean {
    const { scheduler } = this.#exchange;
    const { piece, block, lengthBytes, isStoring } = arrival;
    const nowMs = peer.link.lastReadMs;
    arrival.isStoring = false;
    if (!isStoring) {
      scheduler.blockDiscarded(peer.slot, piece, block, lengthBytes, nowMs);
      return false;
    }
    if (peer.unrequestedBlocks > 0) peer.unrequestedBlocks--;
    return scheduler.blockStored(peer.slot, piece, block, nowMs);
  }

  /** Step 5: all blocks are stored; a worker hashes the piece in place. */
  #verify(piece: PieceIndex): void {
    this.#busy++;
    this.#exchange.storage.verifyPiece(piece, (outcome) => {
      this.#settled();
      if (outcome === true) this.#pieceGood(piece);
      else if (outcome === false) this.#pieceBad(piece);
      else this.#notVerified(piece, outcome);
    });
  }

  /** Its blocks are all there still, in memory or on the disk: the same is done again. */
  #notVerified(piece: PieceIndex, error: HaulError): void {
    this.#exchange.diskFailed(error, piece, () => {
      if (!this.#exchange.isClosed) this.#verify(piece);
    });
  }

  /** Step 6, good: everybody is told; who spoiled an earlier copy is found by comparing. */
  #pieceGood(piece: PieceIndex): void {
    if (!this.#badPieces.has(piece)) {
      // A failed copy of it may have been no evidence.
      this.#badPieces.good(piece, [], null);
      this.#finish(piece);
      return;
    }
    const senders = this.#senders(piece);
    this.#digest(piece, (digests) => {
      this.#ban(piece, this.#badPieces.good(piece, senders, digests instanceof Uint8Array ? digests : null));
      this.#finish(piece);
    });
  }

  #finish(piece: PieceIndex): void {
    const exchange = this.#exchange;
    exchange.trouble.good(piece);
    exchange.have.set(piece);
    exchange.storage.closePiece(piece);
    exchange.scheduler.pieceVerified(piece);
    exchange.owner.onPieceVerified(piece);
    if (exchange.isClosed) return;
    exchange.announceHave(piece);
    if (exchange.isComplete) {
      exchange.owner.onComplete();
      exchange.dropRedundantPeers();
    } else exchange.scheduler.fillHungry(exchange.now());
  }

  /** Step 6, bad: remember what each sender gave, then fetch the blocks again. */
  #pieceBad(piece: PieceIndex): void {
    const exchange = this.#exchange;
    exchange.trouble.good(piece);
    exchange.corruptBytes += exchange.geometry.pieceLength(piece);
    const senders = this.#senders(piece);
    this.#digest(piece, (digests) => {
      if (exchange.isClosed) return;
      exchange.scheduler.pieceFailed(piece);
      // Asked after the digest: by then word of it has come. What another program spoiled in place convicts nobody, but
      // it is not fetched without a pause either.
      const isEvidence = digests instanceof Uint8Array && !exchange.storage.hasOtherWriter(piece);
      this.#badPieces.failed(piece, senders, isEvidence ? digests : null, exchange.now());
      exchange.scheduler.fillHungry(exchange.now());
    });
  }

  /** Who sent each block; null: it has left. */
  #senders(piece: PieceIndex): (Peer | null)[] {
    const { geometry, scheduler, peers } = this.#exchange;
    return Array.from({ length: geometry.blockCount(piece) }, (_, block) => {
      const slot = scheduler.senderOf(piece, block as BlockIndex);
      return slot === NONE ? null : (peers[slot] ?? null);
    });
  }

  #digest(piece: PieceIndex, done: (digests: Uint8Array | HaulError) => void): void {
    this.#busy++;
    this.#exchange.storage.digestBlocks(piece, (digests) => {
      this.#settled();
      done(digests);
    });
  }

  #ban(piece: PieceIndex, peers: Iterable<Peer>): void {
    for (const peer of peers) {
      if (this.#exchange.isClosed || this.#convicted.has(peer)) continue;
      this.#convicted.add(peer);
      peer.extensions.tellBadPiece(piece, this.#exchange.now());
      // Before it is cut off: perhaps it does not know.
      peer.link.flush();
      const reason = `sent corrupt data: piece ${piece}`;
      this.#exchange.owner.onBanned(peer, reason);
      peer.link.close(reason);
    }
  }

  /** Once a second. */
  tick(nowMs: number): void {
    this.#badPieces.tick(nowMs);
  }

  /** The peer gave a bad copy of the piece and is not asked for it now. */
  isWithheld(peer: Peer, piece: PieceIndex): boolean {
    return this.#badPieces.isWithheld(peer, piece);
  }

  /** The peer says that it has the piece no more. */
  peerLacks(peer: Peer, piece: PieceIndex): void {
    this.#badPieces.forget(peer, piece);
  }

  peerGone(peer: Peer): void {
    this.#badPieces.forget(peer, null);
  }

  /** Resolves when no job of this torrent's receive path is in the pool. */
  idle(): Promise<void> {
    if (this.#busy === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  #settled(): void {
    this.#busy--;
    if (this.#busy > 0 || this.#whenIdle === null) return;
    // A step may start the next job synchronously after this one settles.
    queueMicrotask(() => {
      if (this.#busy > 0) return;
      this.#whenIdle?.();
      this.#whenIdle = null;
    });
  }
}

/** What the rules of `bad-pieces.ts` mean for connected peers. */
class Distrust implements BadPieceOwner<Peer> {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  hostOf(peer: Peer): string {
    return groupOf(peer.link.host);
  }

  copies(piece: PieceIndex): number {
    return this.#exchange.scheduler.copies(piece);
  }

  hasPiece(peer: Peer, piece: PieceIndex): boolean {
    return this.#isHere(peer) && this.#exchange.scheduler.peerHas(peer.slot, piece);
  }

  worth(peer: Peer): number {
    const { scheduler, now } = this.#exchange;
    return scheduler.isPeerChoking(peer.slot) ? -1 : scheduler.downloadRate(peer.slot, now());
  }

  withhold(peer: Peer, piece: PieceIndex): void {
    this.#exchange.scheduler.peerLacks(peer.slot, piece);
  }

  restore(peer: Peer, piece: PieceIndex): void {
    if (this.#isHere(peer)) this.#exchange.scheduler.peerHave(peer.slot, piece);
  }

  tellSharer(peer: Peer, piece: PieceIndex): void {
    peer.extensions.tellBadPiece(piece, this.#exchange.now());
  }

  onPoisonedSource(peer: Peer, piece: PieceIndex, copies: number, pauseMs: number): void {
    this.#exchange.owner.onPoisonedSource(peer, piece, copies, pauseMs);
  }

  #isHere(peer: Peer): boolean {
    return this.#exchange.peers[peer.slot] === peer && !this.#exchange.isClosed;
  }
}
