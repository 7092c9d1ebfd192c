/**
 * The way of a block down, one function per step, in order:
 *   piece opened → block begins → its bytes are stored → block ends → piece verified → good or bad.
 * Holds no algorithm: the scheduler decides, storage places and verifies.
 */
import type { HaulError } from '../errors.js';
import { type BlockIndex, NONE, type PieceIndex } from '../metainfo/geometry.js';
import type { Exchange } from './exchange.js';
import type { Peer } from './peer.js';
import { Suspects } from './suspects.js';

/** Well-formed blocks that nobody asked for, beyond those a peer has earned by good ones, before it is dropped. */
const UNREQUESTED_TOLERANCE = 256;

/** The block that is arriving on one link. */
export interface Arrival {
  piece: PieceIndex;
  block: BlockIndex;
  /** Where the next byte goes, inside the piece. */
  begin: number;
  isStoring: boolean;
  lengthBytes: number;
}

export class Receiver {
  readonly #exchange: Exchange;
  readonly #suspects: Suspects;
  /** Jobs of ours under way in the pool; `idle` resolves when there are none. */
  #busy = 0;
  #whenIdle: (() => void) | null = null;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.#suspects = new Suspects(exchange.geometry);
  }

  /** Step 1: the range of a piece is made ready by a worker. False: no room now. */
  openPiece(piece: PieceIndex): boolean {
    const { storage, trouble } = this.#exchange;
    if (this.#exchange.isClosed || trouble.isHolding || storage.roomPieces < 1) return false;
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

  #pieceReady(piece: PieceIndex): void {
    const { scheduler, now } = this.#exchange;
    scheduler.pieceReady(piece);
    scheduler.fillHungry(now());
  }

  /** Step 2: a `piece` message began. */
  blockBegins(peer: Peer, index: number, begin: number, length: number): void {
    const { geometry, scheduler } = this.#exchange;
    const arrival = peer.arrival;
    arrival.isStoring = false;
    arrival.lengthBytes = length;
    const piece = geometry.asPiece(index);
    const block = piece === NONE ? NONE : geometry.asBlock(piece, begin, length);
    if (piece === NONE || block === NONE) {
      peer.link.close(`sent a block that does not exist: piece ${index}, begin ${begin}, length ${length}`);
      return;
    }
    arrival.piece = piece;
    arrival.block = block;
    arrival.begin = begin;
    const verdict = scheduler.blockArriving(peer.slot, piece, block);
    if (verdict === 'wanted') arrival.isStoring = true;
    else if (verdict === 'unrequested' && ++peer.unrequestedBlocks > UNREQUESTED_TOLERANCE) {
      peer.link.close('sent too many blocks that were not requested');
    }
  }

  /** Step 3: bytes go to their final place. */
  blockBytes(peer: Peer, source: Buffer, start: number, end: number): void {
    const arrival = peer.arrival;
    if (!arrival.isStoring) return;
    this.#exchange.storage.store(arrival.piece, arrival.begin, source, start, end);
    arrival.begin += end - start;
  }

  /** Step 4: the block is whole. */
  blockEnds(peer: Peer): void {
    const exchange = this.#exchange;
    const { piece, block, lengthBytes, isStoring } = peer.arrival;
    const nowMs = peer.link.lastReadMs;
    if (!isStoring) {
      exchange.scheduler.blockDiscarded(peer.slot, piece, block, lengthBytes, nowMs);
      return;
    }
    peer.arrival.isStoring = false;
    if (peer.unrequestedBlocks > 0) peer.unrequestedBlocks--;
    if (exchange.scheduler.blockStored(peer.slot, piece, block, nowMs)) this.#verify(piece);
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
    if (!this.#suspects.has(piece)) {
      this.#finish(piece);
      return;
    }
    this.#digest(piece, (digests) => {
      if (digests instanceof Uint8Array) this.#ban(this.#suspects.convict(piece, digests));
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
    const senders: (Peer | null)[] = [];
    for (let block = 0; block < exchange.geometry.blockCount(piece); block++) {
      const slot = exchange.scheduler.senderOf(piece, block as BlockIndex);
      senders.push(slot === NONE ? null : (exchange.peers[slot] ?? null));
    }
    this.#digest(piece, (digests) => {
      if (digests instanceof Uint8Array) this.#ban(this.#suspects.remember(piece, senders, digests));
      if (exchange.isClosed) return;
      exchange.scheduler.pieceFailed(piece);
      exchange.scheduler.fillHungry(exchange.now());
    });
  }

  #digest(piece: PieceIndex, done: (digests: Uint8Array | HaulError) => void): void {
    this.#busy++;
    this.#exchange.storage.digestBlocks(piece, (digests) => {
      this.#settled();
      done(digests);
    });
  }

  #ban(peers: Iterable<Peer>): void {
    for (const peer of peers) {
      if (peer.link.isClosing) continue; // It is already banned, or gone: one liar counts once.
      const reason = 'sent corrupt data';
      this.#exchange.owner.onBanned(peer, reason);
      peer.link.close(reason);
    }
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
