/**
 * The scheduler of one torrent: which blocks are asked of whom, who is served, when to give up on a request. Pure:
 * peers are slot numbers, the clock and the dice are arguments, everything it wants done goes to the sink.
 *
 * This file composes; the parts are peers (who has what), availability (rarity), open-pieces and ledger (block states),
 * requests (their life), filler (what to ask for), picker (what to open), pipeline (how much), snubbing, choker.
 * Every call is O(1) per block. Calls about a piece that changes hands (opened, verified, closed) may touch all peers.
 */
import type { Bitfield } from '../metainfo/bitfield.js';
import type { BlockIndex, PeerSlot, PieceIndex } from '../metainfo/geometry.js';
import { Allowance } from './ask/allowance.js';
import { Arrivals } from './ask/arrivals.js';
import { Filler } from './ask/filler.js';
import { Ledger } from './ask/ledger.js';
import { Pipeline } from './ask/pipeline.js';
import { RequestLine } from './ask/request-line.js';
import { Requests } from './ask/requests.js';
import { Snubbing } from './ask/snubbing.js';
import { SchedulerFacts } from './facts.js';
import { checkInvariants } from './invariants.js';
import type { SchedulerOptions } from './options.js';
import { Holdings } from './peers/holdings.js';
import { Peers } from './peers/peers.js';
import { SlotRows } from './peers/slot-rows.js';
import { Traffic } from './peers/traffic.js';
import { Availability } from './pieces/availability.js';
import { OPENING, OpenPieces, type READY, VERIFYING } from './pieces/open-pieces.js';
import { Picker, type Runs } from './pieces/picker.js';
import { checkPriorities, checkPriority, type Priority } from './pieces/priority.js';
import { Choker } from './serve/choker.js';
import { Hoarders } from './serve/hoarders.js';
import { SuperSeed } from './serve/super-seed.js';
import type { BlockVerdict } from './sink.js';

export type { SchedulerLimits, SchedulerOptions } from './options.js';

export class Scheduler extends SchedulerFacts {
  readonly #peers: Peers;
  readonly #availability: Availability;
  readonly #open: OpenPieces;
  readonly #ledger: Ledger;
  readonly #requests: Requests;
  readonly #pipeline: Pipeline;
  readonly #snubbing: Snubbing;
  readonly #picker: Picker;
  readonly #holdings: Holdings;
  readonly #filler: Filler;
  readonly #arrivals: Arrivals;
  readonly #choker: Choker;
  readonly #traffic: Traffic;
  readonly #superSeed: SuperSeed | null;
  readonly #hoarders: Hoarders;
  readonly #rows: SlotRows;
  #second = Number.NEGATIVE_INFINITY;

  /** Throws RangeError when `priorities` are not one per piece. */
  constructor(options: SchedulerOptions) {
    const { geometry, have, sink, random, limits, priorities = null, isSequential = false } = options;
    if (priorities !== null) checkPriorities(priorities, geometry.pieceCount);
    const peers = new Peers(0, geometry.pieceCount);
    const availability = new Availability(geometry.pieceCount, 0, (piece) => !have.has(piece), random, priorities);
    const traffic = new Traffic(0);
    const ledger = new Ledger(0);
    const open = new OpenPieces(geometry, Math.max(1, limits.openPieces), geometry.pieceCount - have.count, ledger);
    const allowance = new Allowance(limits.downloadBytesPerSec ?? Number.POSITIVE_INFINITY);
    const picker = new Picker(availability, peers, 0, have.count, random, isSequential);
    super({ peers, availability, traffic, open, ledger, allowance, picker });
    this.#peers = peers;
    this.#availability = availability;
    this.#open = open;
    this.#ledger = ledger;
    const requests = new Requests(open, ledger, peers, sink);
    this.#requests = requests;
    const pipeline = new Pipeline(0, limits.requestsPerPeer);
    this.#pipeline = pipeline;
    const snubbing = new Snubbing(peers, pipeline, requests, sink);
    this.#snubbing = snubbing;
    const parts = { peers, open, ledger, availability, requests, pipeline, snubbing };
    this.#arrivals = new Arrivals({ ...parts, geometry, traffic });
    this.#picker = picker;
    picker.prefer(options.begun ?? []);
    const holdings = new Holdings(peers, availability, picker, have, sink);
    this.#holdings = holdings;
    this.#traffic = traffic;
    // A single piece cannot be shown before we are known for a seed.
    const isSuper = options.isSuperSeeding === true && have.isFull && geometry.pieceCount > 1;
    this.#superSeed = isSuper
      ? new SuperSeed({ peers, availability, taken: traffic.taken, sink, random, clock: holdings })
      : null;
    const { pieceLengthBytes } = geometry;
    const hoarders = new Hoarders(geometry.pieceCount, pieceLengthBytes);
    this.#hoarders = hoarders;
    const { uploadSlots, maxSlots } = limits;
    const choking = { rows: 0, uploadSlots, pieceLengthBytes, random, hoarders, superSeed: this.#superSeed };
    this.#choker = new Choker(peers, traffic, sink, choking);
    const roomBlocks = Math.max(1, limits.openPieces) * geometry.blocksPerPiece;
    const line = new RequestLine(roomBlocks);
    this.#filler = new Filler({ ...parts, picker, holdings, sink, random, roomBlocks, line, allowance });
    const tables = [peers, availability, ledger, pipeline, picker, traffic, this.#choker, line, hoarders];
    this.#rows = new SlotRows(maxSlots, this.#superSeed === null ? tables : [...tables, this.#superSeed]);
  }

  // What we want

  /** Every piece that is not skipped is verified. */
  get isComplete(): boolean {
    return this.#holdings.needCount === 0;
  }

  /**
   * A piece skipped while open may still be finished; with nothing stored it is closed (`sink.closePiece`). Interest
   * follows at once; call `fillHungry` after the last piece of a batch. O(peers + copies). Throws RangeError.
   */
  setPriority(piece: PieceIndex, priority: Priority, nowMs: number): void {
    this.#clock(nowMs);
    checkPriority(priority);
    const record = this.#open.recordOf(piece);
    this.#holdings.setPriority(piece, priority, record >= 0);
    if (record >= 0) this.#filler.dropSkipped(record, nowMs);
  }

  // Peers come and go

  addPeer(slot: PeerSlot, nowMs: number): void {
    this.#clock(nowMs);
    this.#rows.include(slot);
    this.#peers.join(slot, nowMs);
    this.#open.forgetSender(slot);
    this.#pipeline.join(slot);
    this.#picker.forget(slot);
    this.#picker.setRuns(slot, 'none');
    this.#traffic.joined(slot, nowMs);
    this.#choker.joined(slot, nowMs);
    this.#hoarders.joined(slot);
    this.#superSeed?.joined(slot);
  }

  /** All its requests go back, a block under way is missing again. Nothing is sent to it any more. */
  removePeer(slot: PeerSlot, nowMs: number): void {
    this.#clock(nowMs);
    if (!this.#peers.active.has(slot)) return;
    this.#requests.abort(slot);
    this.#requests.releaseAll(slot, false);
    this.#peers.isInterested[slot] = 0;
    this.#holdings.haveNone(slot);
    this.#superSeed?.left(slot);
    this.#hoarders.left(slot);
    this.#choker.left(slot, nowMs);
    this.#peers.leave(slot);
  }

  /** Both sides support the fast extension (BEP 6): a choke leaves requests standing until answered or rejected. */
  setFast(slot: PeerSlot, isFast: boolean): void {
    this.#peers.isFast[slot] = isFast ? 1 : 0;
  }

  /** BEP 10 `reqq`. */
  setReqq(slot: PeerSlot, reqq: number): void {
    this.#pipeline.setReqq(slot, reqq);
  }

  /** The peer serves up to so many blocks, a power of two, of a piece in one message; runs of pieces suit it best. */
  setRunBlocks(slot: PeerSlot, blocks: number, runs: Runs = 'none'): void {
    this.#pipeline.setRunBlocks(slot, blocks);
    this.#picker.setRuns(slot, runs);
  }

  // What peers have

  /** A canonical bitfield (see `isCanonicalBitfield`) of this torrent; replaces what the peer had. */
  peerBitfield(slot: PeerSlot, bits: Uint8Array): void {
    this.#requests.releaseAll(slot, true);
    this.#holdings.bitfield(slot, bits);
    this.#superSeed?.hadMany(slot);
  }

  peerHave(slot: PeerSlot, piece: PieceIndex): void {
    if (!this.#holdings.have(slot, piece)) return;
    if (this.isComplete) this.#hoarders.had(slot, piece, this.copies(piece));
    this.#superSeed?.had(slot, piece);
  }

  /** The peer has it no more, or is not asked for it: requests go back. Super-seeds go on. O(1), a seed O(pieces). */
  peerLacks(slot: PeerSlot, piece: PieceIndex): void {
    if (this.isSuperSeeding) return;
    this.#requests.releaseRecord(slot, this.#open.recordOf(piece));
    this.#holdings.lack(slot, piece);
  }

  peerHaveAll(slot: PeerSlot): void {
    this.#holdings.haveAll(slot);
    this.#superSeed?.hadMany(slot);
  }

  // Who chokes, who is interested

  peerChoked(slot: PeerSlot, nowMs: number): void {
    this.#clock(nowMs);
    if (this.#peers.isPeerChoking[slot] !== 0) return;
    this.#holdings.setPeerChoking(slot, true);
    this.#peers.hungry.delete(slot);
    if (this.#snubbing.choked(slot)) this.#filler.fillHungry(nowMs);
  }

  peerUnchoked(slot: PeerSlot, nowMs: number): void {
    this.#clock(nowMs);
    if (this.#peers.isPeerChoking[slot] === 0) return;
    this.#holdings.setPeerChoking(slot, false);
    this.#snubbing.unchoked(slot, nowMs);
    this.#pipeline.restart(slot);
    if (this.#holdings.wantedOf(slot) > 0) this.#peers.hungry.add(slot);
  }

  peerInterested(slot: PeerSlot, isInterested: boolean, nowMs: number): void {
    this.#clock(nowMs);
    const flag = isInterested ? 1 : 0;
    if (this.#peers.isPeerInterested[slot] === flag) return;
    this.#peers.isPeerInterested[slot] = flag;
    this.#choker.interestChanged(slot, nowMs);
  }

  // Super-seeding (BEP 16)

  /** Greet peers as if we had nothing. Ends when every piece was seen at some peer; the rest is `sink.reveal`'s. */
  get isSuperSeeding(): boolean {
    return this.#superSeed?.isActive ?? false;
  }

  /** Requests for a piece that was not revealed to the peer are refused. */
  mayServe(slot: PeerSlot, piece: PieceIndex): boolean {
    return this.#superSeed === null || this.#superSeed.mayServe(slot, piece);
  }

  // Requests

  /** Tops the pipeline up, returns how many requests went to the sink. Once per socket read, unchoke, HAVE. */
  fill(slot: PeerSlot, nowMs: number): number {
    this.#clock(nowMs);
    return this.#filler.fill(slot, nowMs);
  }

  /** Fills the peers that had nothing to ask for. Call it when pieces became ready or room came back. */
  fillHungry(nowMs: number): void {
    this.#clock(nowMs);
    this.#filler.roomFreed();
    this.#filler.fillHungry(nowMs);
  }

  /** Other torrents wait for the memory of open pieces: those of no use now are closed (`sink.closePiece`). */
  giveWay(nowMs: number): void {
    this.#clock(nowMs);
    this.#filler.giveWay(nowMs);
  }

  /** Most requests the peer should have now. */
  requestTarget(slot: PeerSlot): number {
    return this.#filler.target(slot);
  }

  requestRejected(slot: PeerSlot, piece: PieceIndex, block: BlockIndex, nowMs: number): void {
    this.#clock(nowMs);
    const record = this.#open.recordOf(piece);
    if (record < 0 || !this.#requests.answer(slot, record, block)) {
      if (this.#peers.late[slot]! > 0) this.#peers.late[slot]!--;
      return;
    }
    if (this.#snubbing.rejected(slot, nowMs)) this.#filler.blocksFreed();
  }

  // Blocks and pieces

  blockArriving(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): BlockVerdict {
    return this.#arrivals.begins(slot, piece, block, this.#holdings.nowMs);
  }

  /** True when the piece is now complete: start its verification, then answer `pieceVerified` or `pieceFailed`. */
  blockStored(slot: PeerSlot, piece: PieceIndex, block: BlockIndex, nowMs: number): boolean {
    this.#clock(nowMs);
    return this.#arrivals.stored(slot, piece, block, nowMs);
  }

  /**
   * Whole blocks in a row have come from a peer of which no block is under way. Returns how many of them were wanted,
   * and are now as after `blockStored`; the next one is for `blockArriving`. After any, ask `becomesWhole`.
   */
  blocksStored(slot: PeerSlot, piece: PieceIndex, first: BlockIndex, count: number, nowMs: number): number {
    this.#clock(nowMs);
    return this.#arrivals.storedRun(slot, piece, first, count, nowMs);
  }

  /** True when `blocksStored` made the open piece complete: as when `blockStored` says so. */
  becomesWhole(piece: PieceIndex): boolean {
    return this.#arrivals.becomesWhole(piece);
  }

  /** The bytes of a block that was 'duplicate' or 'unrequested' have passed. */
  blockDiscarded(_slot: PeerSlot, _piece: number, _block: number, lengthBytes: number, nowMs: number): void {
    this.#clock(nowMs);
    this.#traffic.wastedBytes += lengthBytes;
  }

  /** The peer vanished inside a 'wanted' block; see `removePeer`. */
  blockAborted(slot: PeerSlot, _piece: PieceIndex, _block: BlockIndex): void {
    this.#requests.abort(slot);
  }

  /** Answers `sink.openPiece`: blocks may be asked for, but for those that are here. True: all are (`blockStored`). */
  pieceReady(piece: PieceIndex, stored: Bitfield | null = null): boolean {
    const record = this.#recordIn(piece, OPENING);
    this.#open.ready(record);
    if (stored !== null) this.#open.restore(record, stored);
    const isComplete = this.#open.missing(record) === 0;
    if (isComplete) this.#open.verifying(record);
    this.#filler.dropSkipped(record, this.#holdings.nowMs);
    return isComplete;
  }

  /** Answers `sink.openPiece`: it could not be made ready. Also ends a ready piece that cannot be stored any more. */
  pieceAbandoned(piece: PieceIndex): void {
    const record = this.#open.recordOf(piece);
    if (record < 0) return;
    if (this.#open.arriving(record) > 0) throw new Error(`piece ${piece} is abandoned while a block of it arrives`);
    this.#requests.cancelRecord(record);
    this.#filler.giveBack(record);
  }

  pieceVerified(piece: PieceIndex): void {
    this.#open.close(this.#recordIn(piece, VERIFYING));
    this.#filler.roomFreed();
    this.#holdings.verified(piece);
  }

  /**
   * All blocks are missing again; the piece stays open, unless it is skipped. Returns the senders of its blocks, each
   * once, also those who left.
   */
  pieceFailed(piece: PieceIndex): readonly PeerSlot[] {
    const record = this.#recordIn(piece, VERIFYING);
    const senders = this.#open.restart(record);
    this.#filler.dropSkipped(record, this.#holdings.nowMs);
    return senders;
  }

  /** A block of the piece goes to the peer: who passes on what it gets is served first. */
  blockServed(slot: PeerSlot, piece: PieceIndex): void {
    this.#hoarders.serves(slot, piece);
  }

  bytesUploaded(slot: PeerSlot, bytes: number, nowMs: number): void {
    this.#clock(nowMs);
    this.#traffic.took(slot, bytes, nowMs);
  }

  // Time

  /** Call every second or more often: time-outs, choke rounds, rates, another look for the hungry. O(peers). */
  tick(nowMs: number): void {
    this.#clock(nowMs);
    const second = Math.floor(nowMs / 1000);
    const isNewSecond = second > this.#second;
    this.#second = Math.max(this.#second, second);
    const { active } = this.#peers;
    for (let index = 0; index < active.size; index++) {
      const slot = active.at(index);
      if (isNewSecond && this.#peers.isPeerChoking[slot] === 0 && this.#peers.isSnubbed[slot] === 0) {
        this.#pipeline.secondEnded(slot, this.#traffic.given.lastSecond(slot, nowMs));
      }
      this.#snubbing.check(slot, nowMs);
    }
    this.#choker.tick(nowMs, this.isComplete);
    this.#superSeed?.tick();
    this.#filler.tick(nowMs);
  }

  /** Calls without a clock use the latest time seen. */
  #clock(nowMs: number): void {
    if (nowMs > this.#holdings.nowMs) this.#holdings.nowMs = nowMs;
  }

  #recordIn(piece: number, phase: typeof OPENING | typeof READY | typeof VERIFYING): number {
    const record = this.#open.recordOf(piece);
    if (record < 0 || this.#open.phase[record] !== phase) throw new Error(`piece ${piece} is not in phase ${phase}`);
    return record;
  }

  /** Throws when the parts disagree. Thorough and slow, for tests. */
  checkInvariants(): void {
    this.#superSeed?.checkInvariants();
    checkInvariants({
      peers: this.#peers,
      availability: this.#availability,
      picker: this.#picker,
      open: this.#open,
      ledger: this.#ledger,
      choker: this.#choker,
      holdings: this.#holdings,
    });
  }
}
