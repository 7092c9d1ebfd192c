/**
 * The scheduler of one torrent: which blocks are asked of whom, who is served, when to give up on a request. Pure:
 * peers are slot numbers, the clock and the dice are arguments, everything it wants done goes to the sink.
 *
 * The parts are put together in `parts.ts`, and what may be asked of them is in `view.ts`.
 * Every call is O(1) per block. Calls about a piece that changes hands (opened, verified, closed) may touch all peers.
 */
import type { Bitfield } from '../metainfo/bitfield.js';
import type { BlockIndex, PeerSlot, PieceIndex } from '../metainfo/geometry.js';
import { checkInvariants } from './invariants.js';
import type { SchedulerOptions } from './options.js';
import { makeParts, type SchedulerParts } from './parts.js';
import { OPENING, type READY, VERIFYING } from './pieces/open-pieces.js';
import type { Runs } from './pieces/picker.js';
import { checkPriority, type Priority } from './pieces/priority.js';
import type { BlockVerdict } from './sink.js';
import { SchedulerView } from './view.js';

export type { SchedulerLimits, SchedulerOptions } from './options.js';

export class Scheduler {
  /** What may be asked of its state. */
  readonly view: SchedulerView;
  readonly #p: SchedulerParts;
  #second = Number.NEGATIVE_INFINITY;

  /** Throws RangeError when `priorities` are not one per piece. */
  constructor(options: SchedulerOptions) {
    this.#p = makeParts(options);
    this.view = new SchedulerView(this.#p);
  }

  // What we want

  /** Every piece that is not skipped is verified. */
  get isComplete(): boolean {
    return this.#p.holdings.needCount === 0;
  }

  /**
   * A piece skipped while open may still be finished; with nothing stored it is closed (`sink.closePiece`). Interest
   * follows at once; call `fillHungry` after the last piece of a batch. O(peers + copies). Throws RangeError.
   */
  setPriority(piece: PieceIndex, priority: Priority, nowMs: number): void {
    this.#p.clock.tell(nowMs);
    checkPriority(priority);
    const record = this.#p.open.recordOf(piece);
    this.#p.forward?.priorityChanged(piece, priority);
    if (this.#p.urgent.keep(piece, priority)) return;
    this.#p.holdings.setPriority(piece, priority, record >= 0);
    if (record >= 0) this.#p.relief.dropSkipped(record, nowMs);
  }

  /**
   * What readers want next, in order, in place of what was urgent before: it goes before all else, and its blocks may
   * be asked of two peers where it is awaited. What is verified or skipped is left out. O(peers + copies) for each
   * piece that comes or goes. Call `fillHungry` then.
   */
  setUrgent(pieces: readonly PieceIndex[], awaited: readonly PieceIndex[], nowMs: number): void {
    this.#p.clock.tell(nowMs);
    this.#p.urgent.set(pieces, awaited);
  }

  /** A reader begins where nothing is: requests for what is not urgent go back. Call `fillHungry` then. */
  makeWay(nowMs: number): void {
    this.#p.clock.tell(nowMs);
    this.#p.reading.takeBack();
    this.#p.urgent.hurry(nowMs);
  }

  // Peers come and go

  /** @param number that all who know the peer know of it; null: there is none */
  addPeer(slot: PeerSlot, nowMs: number, number: number | null = null): void {
    this.#p.clock.tell(nowMs);
    this.#p.rows.include(slot);
    this.#p.peers.join(slot, nowMs);
    this.#p.open.forgetSender(slot);
    this.#p.pipeline.join(slot);
    this.#p.ledger.joined(slot);
    this.#p.incoming.joined(slot);
    this.#p.snubbing.joined(slot);
    this.#p.endgame.joined(slot);
    this.#p.picker.forget(slot);
    this.#p.picker.setRuns(slot, 'none');
    this.#p.traffic.joined(slot, nowMs);
    this.#p.choker.joined(slot, nowMs);
    this.#p.hoarders.joined(slot);
    this.#p.superSeed?.joined(slot);
    this.#p.forward?.joined(slot, number);
  }

  /** All its requests go back, a block under way is missing again. Nothing is sent to it any more. */
  removePeer(slot: PeerSlot, nowMs: number): void {
    this.#p.clock.tell(nowMs);
    if (!this.#p.peers.active.has(slot)) return;
    this.#p.requests.abort(slot);
    this.#p.requests.releaseAll(slot, false);
    this.#p.peers.isInterested[slot] = 0;
    this.#p.forward?.left(slot);
    this.#p.holdings.haveNone(slot);
    this.#p.superSeed?.left(slot);
    this.#p.hoarders.left(slot);
    this.#p.choker.left(slot, nowMs);
    this.#p.peers.leave(slot);
  }

  /** Both sides support the fast extension (BEP 6): a choke leaves requests standing until answered or rejected. */
  setFast(slot: PeerSlot, isFast: boolean): void {
    this.#p.peers.isFast[slot] = isFast ? 1 : 0;
  }

  /** BEP 10 `reqq`. */
  setReqq(slot: PeerSlot, reqq: number): void {
    this.#p.pipeline.setReqq(slot, reqq);
  }

  /** The peer serves up to so many blocks, a power of two, of a piece in one message; runs of pieces suit it best. */
  setRunBlocks(slot: PeerSlot, blocks: number, runs: Runs = 'none'): void {
    this.#p.pipeline.setRunBlocks(slot, blocks);
    this.#p.picker.setRuns(slot, runs);
    if (runs === 'anywhere') this.#p.forward?.isWebSeed(slot);
  }

  // What peers have

  /** A canonical bitfield (see `isCanonicalBitfield`) of this torrent; replaces what the peer had. */
  peerBitfield(slot: PeerSlot, bits: Uint8Array): void {
    this.#p.requests.releaseAll(slot, true);
    this.#p.forward?.forget(slot);
    this.#p.holdings.bitfield(slot, bits);
    this.#p.forward?.saidAnew(slot);
    this.#p.superSeed?.hadMany(slot);
  }

  peerHave(slot: PeerSlot, piece: PieceIndex): void {
    if (!this.#p.holdings.have(slot, piece)) return;
    this.#p.forward?.gained(slot, piece);
    if (this.isComplete) this.#p.hoarders.had(slot, piece, this.#p.availability.copies(piece));
    this.#p.superSeed?.had(slot, piece);
  }

  /** The peer has it no more, or is not asked for it: requests go back. Super-seeds go on. O(1), a seed O(pieces). */
  peerLacks(slot: PeerSlot, piece: PieceIndex): void {
    if (this.isSuperSeeding) return;
    this.#p.requests.releaseRecord(slot, this.#p.open.recordOf(piece));
    if (this.#p.peers.has(slot, piece)) this.#p.forward?.lost(slot, piece);
    this.#p.holdings.lack(slot, piece);
  }

  /** BEP 6 */
  peerHaveAll(slot: PeerSlot): void {
    this.#p.forward?.forget(slot);
    this.#p.holdings.haveAll(slot);
    this.#p.forward?.saidAnew(slot);
    this.#p.superSeed?.hadMany(slot);
  }

  // Who chokes, who is interested

  peerChoked(slot: PeerSlot, nowMs: number): void {
    this.#p.clock.tell(nowMs);
    if (this.#p.peers.isPeerChoking[slot] !== 0) return;
    this.#p.holdings.setPeerChoking(slot, true);
    this.#p.peers.hungry.delete(slot);
    if (this.#p.snubbing.choked(slot)) this.#p.filler.fillHungry(nowMs);
  }

  peerUnchoked(slot: PeerSlot, nowMs: number): void {
    this.#p.clock.tell(nowMs);
    if (this.#p.peers.isPeerChoking[slot] === 0) return;
    this.#p.holdings.setPeerChoking(slot, false);
    this.#p.snubbing.unchoked(slot, nowMs);
    this.#p.pipeline.restart(slot);
    if (this.#p.holdings.wantedOf(slot) > 0) this.#p.peers.hungry.add(slot);
  }

  peerInterested(slot: PeerSlot, isInterested: boolean, nowMs: number): void {
    this.#p.clock.tell(nowMs);
    const flag = isInterested ? 1 : 0;
    if (this.#p.peers.isPeerInterested[slot] === flag) return;
    this.#p.peers.isPeerInterested[slot] = flag;
    this.#p.choker.interestChanged(slot, nowMs);
  }

  // Super-seeding (BEP 16)

  /** Greet peers as if we had nothing. Ends when every piece was seen at some peer; the rest is `sink.reveal`'s. */
  get isSuperSeeding(): boolean {
    return this.#p.superSeed?.isActive ?? false;
  }

  /** Requests for a piece that was not revealed to the peer are refused. */
  mayServe(slot: PeerSlot, piece: PieceIndex): boolean {
    return this.#p.superSeed === null || this.#p.superSeed.mayServe(slot, piece);
  }

  // What the owner decides

  /** Told once a second or so: what the peer asked for waits for us, so that it is not to blame for taking nothing. */
  setHeldUp(slot: PeerSlot, isHeldUp: boolean): void {
    this.#p.peers.isHeldUp[slot] = isHeldUp ? 1 : 0;
  }

  /**
   * Told before each tick: for so long since the last one we left unread what the peer sent, for the sake of our own
   * limit. Whatever we wait for from it, that time does not count.
   */
  setHeldBack(slot: PeerSlot, heldMs: number, nowMs: number): void {
    const { peers, ledger, incoming, allowance } = this.#p;
    peers.isHeldBack[slot] = heldMs > 0 ? 1 : 0;
    if (heldMs <= 0) return;
    peers.shiftClocks(slot, heldMs, nowMs);
    ledger.shiftClocks(slot, heldMs, nowMs);
    incoming.shiftClocks(slot, heldMs, nowMs);
    allowance.heldBack();
  }

  /** Pieces in order, or rarest first, from the next one on. */
  setSequential(isSequential: boolean): void {
    this.#p.picker.isSequential = isSequential;
  }

  /** Our own limit is another one now, bytes per second; Infinity: none. Call `fillHungry` then. */
  setDownloadLimit(bytesPerSec: number): void {
    this.#p.allowance.setLimit(bytesPerSec);
  }

  // Requests

  /** Tops the pipeline up, returns how many requests went to the sink. Once per socket read, unchoke, HAVE. */
  fill(slot: PeerSlot, nowMs: number): number {
    this.#p.clock.tell(nowMs);
    return this.#p.filler.fill(slot, nowMs);
  }

  /** Fills the peers that had nothing to ask for. Call it when pieces became ready or room came back. */
  fillHungry(nowMs: number): void {
    this.#p.clock.tell(nowMs);
    this.#p.filler.roomFreed();
    this.#p.filler.fillHungry(nowMs);
  }

  /** Other torrents wait for the memory of open pieces: those of no use now are closed (`sink.closePiece`). */
  giveWay(nowMs: number): void {
    this.#p.clock.tell(nowMs);
    this.#p.relief.giveWay(nowMs);
  }

  /** Most requests the peer should have now. */
  requestTarget(slot: PeerSlot): number {
    return this.#p.filler.target(slot);
  }

  requestRejected(slot: PeerSlot, piece: PieceIndex, block: BlockIndex, nowMs: number): void {
    this.#p.clock.tell(nowMs);
    const record = this.#p.open.recordOf(piece);
    if (record < 0 || !this.#p.requests.answer(slot, record, block)) {
      if (this.#p.ledger.late[slot]! > 0) this.#p.ledger.late[slot]!--;
      return;
    }
    if (this.#p.snubbing.rejected(slot, nowMs)) this.#p.filler.blocksFreed();
  }

  // Blocks and pieces

  blockArriving(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): BlockVerdict {
    return this.#p.arrivals.begins(slot, piece, block, this.#p.clock.nowMs);
  }

  /** True when the piece is now complete: start its verification, then answer `pieceVerified` or `pieceFailed`. */
  blockStored(slot: PeerSlot, piece: PieceIndex, block: BlockIndex, nowMs: number): boolean {
    this.#p.clock.tell(nowMs);
    return this.#p.arrivals.stored(slot, piece, block, nowMs);
  }

  /**
   * Whole blocks in a row have come from a peer of which no block is under way. Returns how many of them were wanted,
   * and are now as after `blockStored`; the next one is for `blockArriving`. After any, ask `becomesWhole`.
   */
  blocksStored(slot: PeerSlot, piece: PieceIndex, first: BlockIndex, count: number, nowMs: number): number {
    this.#p.clock.tell(nowMs);
    return this.#p.arrivals.storedRun(slot, piece, first, count, nowMs);
  }

  /** True when `blocksStored` made the open piece complete: as when `blockStored` says so. */
  becomesWhole(piece: PieceIndex): boolean {
    return this.#p.arrivals.becomesWhole(piece);
  }

  /** The bytes of a block that was 'duplicate' or 'unrequested' have passed. */
  blockDiscarded(_slot: PeerSlot, _piece: number, _block: number, lengthBytes: number, nowMs: number): void {
    this.#p.clock.tell(nowMs);
    this.#p.traffic.wastedBytes += lengthBytes;
  }

  /** The peer vanished inside a 'wanted' block; see `removePeer`. */
  blockAborted(slot: PeerSlot, _piece: PieceIndex, _block: BlockIndex): void {
    this.#p.requests.abort(slot);
  }

  /** Answers `sink.openPiece`: blocks may be asked for, but for those that are here. True: all are (`blockStored`). */
  pieceReady(piece: PieceIndex, stored: Bitfield | null = null): boolean {
    const record = this.#recordIn(piece, OPENING);
    this.#p.open.ready(record);
    if (stored !== null) this.#p.open.restore(record, stored);
    const isComplete = this.#p.open.missing(record) === 0;
    if (isComplete) this.#p.open.verifying(record);
    if (this.#p.urgent.has(piece)) {
      this.#p.urgent.ready();
      this.#p.peers.callServing();
    }
    this.#p.relief.dropSkipped(record, this.#p.clock.nowMs);
    return isComplete;
  }

  /** Answers `sink.openPiece`: it could not be made ready. Also ends a ready piece that cannot be stored any more. */
  pieceAbandoned(piece: PieceIndex): void {
    const record = this.#p.open.recordOf(piece);
    if (record < 0) return;
    if (this.#p.open.arriving(record) > 0) throw new Error(`piece ${piece} is abandoned while a block of it arrives`);
    this.#p.requests.cancelRecord(record);
    this.#p.relief.giveBack(record);
  }

  pieceVerified(piece: PieceIndex): void {
    const { forward, open } = this.#p;
    const record = this.#recordIn(piece, VERIFYING);
    const senders = forward === null ? [] : open.senders(record);
    open.close(record);
    this.#p.filler.roomFreed();
    this.#p.holdings.verified(piece);
    forward?.verified(piece, senders);
  }

  /**
   * All blocks are missing again; the piece stays open, unless it is skipped. Returns the senders of its blocks, each
   * once, also those who left.
   */
  pieceFailed(piece: PieceIndex): readonly PeerSlot[] {
    const record = this.#recordIn(piece, VERIFYING);
    const senders = this.#p.open.restart(record);
    this.#p.relief.dropSkipped(record, this.#p.clock.nowMs);
    return senders;
  }

  // Rates

  /** A block of the piece goes to the peer: who passes on what it gets is served first. */
  blockServed(slot: PeerSlot, piece: PieceIndex): void {
    this.#p.hoarders.serves(slot, piece);
  }

  bytesUploaded(slot: PeerSlot, bytes: number, nowMs: number): void {
    this.#p.clock.tell(nowMs);
    this.#p.traffic.took(slot, bytes, nowMs);
  }

  // Time

  /** Call every second or more often: time-outs, choke rounds, rates, another look for the hungry. O(peers). */
  tick(nowMs: number): void {
    this.#p.clock.tell(nowMs);
    const second = Math.floor(nowMs / 1000);
    const isNewSecond = second > this.#second;
    this.#second = Math.max(this.#second, second);
    const { active } = this.#p.peers;
    for (let index = 0; index < active.size; index++) {
      const slot = active.at(index);
      if (isNewSecond && this.#p.peers.isPeerChoking[slot] === 0 && this.#p.peers.isSnubbed[slot] === 0) {
        this.#p.pipeline.secondEnded(slot, this.#p.traffic.given.lastSecond(slot, nowMs));
      }
      this.#p.snubbing.check(slot, nowMs);
    }
    this.#p.choker.tick(nowMs, this.isComplete);
    this.#p.superSeed?.tick();
    this.#p.filler.tick(nowMs);
  }

  #recordIn(piece: number, phase: typeof OPENING | typeof READY | typeof VERIFYING): number {
    const record = this.#p.open.recordOf(piece);
    if (record < 0 || this.#p.open.phase[record] !== phase) throw new Error(`piece ${piece} is not in phase ${phase}`);
    return record;
  }

  /** Throws when the parts disagree. Thorough and slow, for tests. */
  checkInvariants(): void {
    checkInvariants(this.#p);
  }
}
