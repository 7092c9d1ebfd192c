/**
 * The way of a block down, one method per step, in order:
 *   piece opened → block begins → its bytes are stored → block ends → piece verified → good or bad.
 * Holds no algorithm: the scheduler decides, storage places and verifies.
 */
import { BLOCK_LENGTH_BYTES } from '../config.js';
import type { HaulError } from '../errors.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import { type BlockIndex, type Geometry, NONE, type PieceIndex } from '../metainfo/geometry.js';
import type { Storage } from '../storage/port.js';
import { BadPieces } from './bad-pieces.js';
import type { DiskTrouble } from './disk-trouble.js';
import { Distrust, type DistrustOwner } from './distrust.js';
import type { Arrival, Inflow } from './inflow.js';
import type { Remote } from './remote.js';
import { soleSender } from './suspects.js';
import type { Unfinished } from './unfinished.js';

/** Well-formed blocks that nobody asked for, beyond those a peer has earned by good ones, before it is dropped. */
const UNREQUESTED_TOLERANCE = 256;

/** What a receiver needs of its exchange. */
export interface ReceiverOwner<R extends Remote> extends DistrustOwner<R> {
  readonly geometry: Geometry;
  readonly have: Bitfield;
  readonly storage: Storage;
  readonly trouble: DiskTrouble;
  readonly unfinished: Unfinished;
  /** It is in `have`, and the scheduler knows. */
  pieceVerified(piece: PieceIndex): void;
  /** @param piece whose work is to be done `again` when the disk has recovered; without it, it is asked for anew */
  diskFailed(error: HaulError, piece?: PieceIndex, again?: () => void): void;
  /** It is known by content that it sent bad blocks; it may have left. */
  onBanned(remote: R, reason: string): void;
}

export class Receiver<R extends Remote = Remote> {
  readonly #owner: ReceiverOwner<R>;
  readonly #badPieces: BadPieces<Inflow<R>>;
  /** One liar counts once, however many pieces it spoilt. */
  readonly #convicted = new WeakSet<Inflow<R>>();
  /** Bytes of pieces that failed their hash. */
  corruptBytes = 0;
  /** Jobs of ours under way in the pool; `idle` resolves when there are none. */
  #busy = 0;
  #whenIdle: (() => void) | null = null;

  constructor(owner: ReceiverOwner<R>) {
    this.#owner = owner;
    this.#badPieces = new BadPieces(owner.geometry, new Distrust(owner));
  }

  /** Step 1: the range of a piece is made ready by a worker. False: no room now. */
  openPiece(piece: PieceIndex): boolean {
    const { storage, trouble } = this.#owner;
    if (this.#owner.isClosed || trouble.isHolding) return false;
    const isTaken = storage.openPiece(piece, (error) => {
      this.#settled();
      if (error !== null) this.#notOpened(piece, error);
      else if (!this.#owner.isClosed) this.#pieceReady(piece);
    });
    if (isTaken) this.#busy++;
    return isTaken;
  }

  /** It may be chosen again later. */
  #notOpened(piece: PieceIndex, error: HaulError): void {
    this.#owner.diskFailed(error);
    if (!this.#owner.isClosed) this.#owner.scheduler.pieceAbandoned(piece);
  }

  /** Blocks that an earlier run left in the files are not fetched again. What cannot be read of them is. */
  #pieceReady(piece: PieceIndex): void {
    const { unfinished, storage } = this.#owner;
    const kept = unfinished.of(piece);
    if (kept === null) {
      this.#begin(piece, null);
      return;
    }
    this.#busy++;
    storage.fillPiece(piece, (error) => {
      this.#settled();
      if (this.#owner.isClosed) return;
      unfinished.forget(piece);
      this.#begin(piece, error === null ? kept : null);
    });
  }

  #begin(piece: PieceIndex, stored: Bitfield | null): void {
    const { scheduler, now } = this.#owner;
    if (scheduler.pieceReady(piece, stored)) this.#verify(piece);
    scheduler.fillHungry(now());
  }

  /** Step 2: a `piece` message began: one block, or as many in a row as the peer has said that it sends. */
  blockBegins(inflow: Inflow<R>, index: number, begin: number, length: number): void {
    const { geometry } = this.#owner;
    const arrival = inflow.arrival;
    arrival.isStoring = false;
    arrival.lengthBytes = 0;
    const piece = geometry.asPiece(index);
    const count = piece === NONE ? 0 : geometry.asRun(piece, begin, length);
    if (piece === NONE || count === 0 || count > inflow.runBlocks) {
      inflow.remote.close(`sent a block that does not exist: piece ${index}, begin ${begin}, length ${length}`);
      return;
    }
    arrival.piece = piece;
    arrival.begin = begin;
    arrival.end = begin + length;
    this.#nextBlock(inflow, arrival);
  }

  /** The block at `arrival.begin` begins. */
  #nextBlock(inflow: Inflow<R>, arrival: Arrival): void {
    const { geometry, scheduler } = this.#owner;
    const { piece, begin } = arrival;
    const block = geometry.blockAt(begin);
    arrival.block = block;
    arrival.lengthBytes = geometry.blockLength(piece, block);
    arrival.blockEnd = begin + arrival.lengthBytes;
    const verdict = scheduler.blockArriving(inflow.slot, piece, block);
    arrival.isStoring = verdict === 'wanted';
    if (verdict === 'unrequested' && ++inflow.unrequestedBlocks > UNREQUESTED_TOLERANCE) {
      inflow.remote.close('sent too many blocks that were not requested');
    }
  }

  /** Step 3: bytes go to their final place, those of blocks in a row at once; each block that is whole counts. */
  blockBytes(inflow: Inflow<R>, source: Buffer, start: number, end: number): void {
    const { arrival } = inflow;
    const { storage, scheduler } = this.#owner;
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
      if (this.#blockEnds(inflow, arrival)) isComplete = true;
      if (arrival.begin === arrival.end || inflow.remote.isClosing) break;
      if (wasStoring) {
        const bytes = this.#wholeBlocks(inflow, arrival, end - at);
        at += bytes;
        if (bytes > 0 && scheduler.becomesWhole(piece)) isComplete = true;
        if (arrival.begin === arrival.end) break;
      }
      this.#nextBlock(inflow, arrival);
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
  #wholeBlocks(inflow: Inflow<R>, arrival: Arrival, mostBytes: number): number {
    const { geometry, scheduler } = this.#owner;
    const { piece, begin } = arrival;
    const isToEnd = arrival.end - begin <= mostBytes;
    const bytes = isToEnd ? arrival.end - begin : mostBytes;
    const count = isToEnd ? Math.ceil(bytes / BLOCK_LENGTH_BYTES) : Math.floor(bytes / BLOCK_LENGTH_BYTES);
    if (count === 0) return 0;
    const first = geometry.blockAt(begin);
    const stored = scheduler.blocksStored(inflow.slot, piece, first, count, inflow.remote.lastReadMs);
    if (stored === 0) return 0;
    inflow.unrequestedBlocks = Math.max(0, inflow.unrequestedBlocks - stored);
    const storedBytes = geometry.runLength(piece, first, stored);
    arrival.begin += storedBytes;
    return storedBytes;
  }

  /** Step 4: the block is whole. Returns whether the piece is. */
  #blockEnds(inflow: Inflow<R>, arrival: Arrival): boolean {
    const { scheduler } = this.#owner;
    const { piece, block, lengthBytes, isStoring } = arrival;
    const nowMs = inflow.remote.lastReadMs;
    arrival.isStoring = false;
    if (!isStoring) {
      scheduler.blockDiscarded(inflow.slot, piece, block, lengthBytes, nowMs);
      return false;
    }
    if (inflow.unrequestedBlocks > 0) inflow.unrequestedBlocks--;
    return scheduler.blockStored(inflow.slot, piece, block, nowMs);
  }

  /** Step 5: all blocks are stored; a worker hashes the piece in place. */
  #verify(piece: PieceIndex): void {
    this.#busy++;
    this.#owner.storage.verifyPiece(piece, (outcome) => {
      this.#settled();
      if (outcome === true) this.#pieceGood(piece);
      else if (outcome === false) this.#pieceBad(piece);
      else this.#notVerified(piece, outcome);
    });
  }

  /** Its blocks are all there still, in memory or on the disk: the same is done again. */
  #notVerified(piece: PieceIndex, error: HaulError): void {
    this.#owner.diskFailed(error, piece, () => {
      if (!this.#owner.isClosed) this.#verify(piece);
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
    const { trouble, have, storage, scheduler } = this.#owner;
    trouble.good(piece);
    have.set(piece);
    storage.closePiece(piece);
    scheduler.pieceVerified(piece);
    this.#owner.pieceVerified(piece);
  }

  /** Step 6, bad: remember what each sender gave, then fetch the blocks again. */
  #pieceBad(piece: PieceIndex): void {
    const owner = this.#owner;
    owner.trouble.good(piece);
    this.corruptBytes += owner.geometry.pieceLength(piece);
    const senders = this.#senders(piece);
    this.#digest(piece, (digests) => {
      if (owner.isClosed) return;
      owner.scheduler.pieceFailed(piece);
      // Asked after the digest: by then word of it has come. What another program spoiled in place convicts nobody, but
      // it is not fetched without a pause either.
      const isEvidence = digests instanceof Uint8Array && !owner.storage.hasOtherWriter(piece);
      this.#badPieces.failed(piece, senders, isEvidence ? digests : null, owner.now());
      const sole = soleSender(senders);
      // A web server has nobody to blame for its file.
      if (isEvidence && sole?.remote.isWebSeed === true) this.#ban(piece, [sole]);
      owner.scheduler.fillHungry(owner.now());
    });
  }

  /** Who sent each block; null: it has left. */
  #senders(piece: PieceIndex): (Inflow<R> | null)[] {
    const { geometry, scheduler } = this.#owner;
    return Array.from({ length: geometry.blockCount(piece) }, (_, block) => {
      const slot = scheduler.view.senderOf(piece, block as BlockIndex);
      return slot === NONE ? null : this.#owner.inflowAt(slot);
    });
  }

  #digest(piece: PieceIndex, done: (digests: Uint8Array | HaulError) => void): void {
    this.#busy++;
    this.#owner.storage.digestBlocks(piece, (digests) => {
      this.#settled();
      done(digests);
    });
  }

  #ban(piece: PieceIndex, guilty: Iterable<Inflow<R>>): void {
    for (const inflow of guilty) {
      if (this.#owner.isClosed || this.#convicted.has(inflow)) continue;
      this.#convicted.add(inflow);
      const { remote } = inflow;
      remote.badPiece(piece, this.#owner.now());
      // Before it is cut off: perhaps it does not know.
      remote.flush();
      const reason = `sent corrupt data: piece ${piece}`;
      this.#owner.onBanned(remote, reason);
      remote.close(reason);
    }
  }

  /** Once a second. */
  tick(nowMs: number): void {
    this.#badPieces.tick(nowMs);
  }

  /** The peer gave a bad copy of the piece and is not asked for it now. */
  isWithheld(inflow: Inflow<R>, piece: PieceIndex): boolean {
    return this.#badPieces.isWithheld(inflow, piece);
  }

  /** Pieces that the peer says it has and is not asked for. */
  withheldFrom(inflow: Inflow<R>): number {
    return this.#badPieces.withheldFrom(inflow);
  }

  /** The peer says that it has the piece no more. */
  peerLacks(inflow: Inflow<R>, piece: PieceIndex): void {
    this.#badPieces.forget(inflow, piece);
  }

  peerGone(inflow: Inflow<R>): void {
    this.#badPieces.forget(inflow, null);
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
