/**
 * Which open pieces are given up, so that their room serves whoever can use it: peers of this torrent that starve, or
 * other torrents that wait for memory.
 *
 * A piece with something stored, that no peer can finish now, goes only after `STUCK_MS`: its peers may come back. What
 * is open for others to come is closed for the sake of other torrents as far as nobody here will ask for it soon.
 * A piece skipped while open is finished if something is stored and peers we need serve it, else closed.
 */
import type { PieceIndex } from '../../metainfo/geometry.js';
import type { Holdings } from '../peers/holdings.js';
import type { Peers } from '../peers/peers.js';
import type { Availability } from '../pieces/availability.js';
import { type OpenPieces, READY } from '../pieces/open-pieces.js';
import { SKIP } from '../pieces/priority.js';
import type { SchedulerSink } from '../sink.js';
import type { Ledger } from './ledger.js';
import type { RequestLine } from './request-line.js';
import type { Requests } from './requests.js';

/** Starvation after which a half-stored piece is given up. */
const STUCK_MS = 10_000;
/** Looks further apart are not about the same want of room. */
const LOOKS_APART_MS = 3_000;
/** Pieces beside what peers ask for now: one is filled while the next is made ready. */
const PIECES_AHEAD = 2;
const NEVER = -1;

export interface ReliefParts {
  readonly peers: Peers;
  readonly open: OpenPieces;
  readonly line: RequestLine;
  readonly ledger: Ledger;
  readonly requests: Requests;
  readonly availability: Availability;
  readonly holdings: Holdings;
  readonly sink: SchedulerSink;
  /** Most requests this peer should have now. */
  readonly target: (slot: number) => number;
  /** A piece is open no more. */
  readonly roomFreed: () => void;
}

export class Relief {
  readonly #p: ReliefParts;
  #starvingSinceMs = NEVER;
  /** Others wait, and a half-stored piece is of no use to anybody, since then. */
  #stuckSinceMs = NEVER;
  #lookedMs = NEVER;

  constructor(parts: ReliefParts) {
    this.#p = parts;
  }

  /** Closes what cannot be finished when a punctual peer starves for room. True when something was closed. */
  relieve(isStarving: boolean, nowMs: number): boolean {
    if (!isStarving) {
      this.#starvingSinceMs = NEVER;
      return false;
    }
    if (this.#starvingSinceMs === NEVER) this.#starvingSinceMs = nowMs;
    const victim = this.#victim(nowMs - this.#starvingSinceMs >= STUCK_MS, nowMs);
    if (victim < 0) return false;
    this.close(victim);
    this.#starvingSinceMs = NEVER;
    return true;
  }

  /** Other torrents wait for memory: what is of no use here is closed. Looked at once a second or so while they do. */
  giveWay(nowMs: number): void {
    this.#closeSurplus(nowMs);
    if (nowMs - this.#lookedMs > LOOKS_APART_MS) this.#stuckSinceMs = NEVER;
    this.#lookedMs = nowMs;
    const victim = this.#victim(true, nowMs);
    if (victim < 0) this.#stuckSinceMs = NEVER;
    else if (this.#stuckSinceMs === NEVER) this.#stuckSinceMs = nowMs;
    else if (nowMs - this.#stuckSinceMs >= STUCK_MS) this.close(victim);
  }

  dropAllSkipped(nowMs: number): void {
    const { records } = this.#p.open;
    for (let place = records.size - 1; place >= 0; place--) this.dropSkipped(records.at(place), nowMs);
  }

  /** Closes a piece that is skipped, unless it is to be finished. */
  dropSkipped(record: number, nowMs: number): void {
    const { open, availability } = this.#p;
    const isSkipped = availability.priority(open.pieceOf[record]!) === SKIP;
    if (!isSkipped || open.phase[record] !== READY || open.arriving(record) > 0) return;
    const isServed = open.missing(record) === 0 || this.#isServed(open.pieceOf[record]!, nowMs);
    if (open.stored(record) > 0 && isServed) return;
    this.close(record);
    // Whoever was asked for its blocks may have nothing asked of it now.
    this.#p.peers.callServing();
  }

  /** All that was asked of it is taken back. */
  close(record: number): void {
    const { open, requests, sink } = this.#p;
    const piece = open.pieceOf[record]!;
    requests.cancelRecord(record);
    sink.closePiece(piece as PieceIndex);
    this.giveBack(record);
  }

  /** The record is no longer open, there is room for another; its piece may be picked again. */
  giveBack(record: number): void {
    const piece = this.#p.open.pieceOf[record]!;
    this.#p.open.close(record);
    this.#p.holdings.offer(piece);
    this.#p.roomFreed();
  }

  /** Pieces of which nothing is stored or asked for, beyond what peers will ask for. */
  #closeSurplus(nowMs: number): void {
    const { open } = this.#p;
    const wanted = this.#wantedBlocks(nowMs);
    for (let place = open.records.size - 1; place >= 0; place--) {
      const record = open.records.at(place);
      if (!this.#isIdle(record) || open.stored(record) > 0) continue;
      const isSpare = open.supplyBlocks - open.missing(record) >= wanted;
      if (isSpare || !this.#isServed(open.pieceOf[record]!, nowMs)) this.close(record);
    }
  }

  /** What is to be open ahead for the peers that serve us now. */
  #wantedBlocks(nowMs: number): number {
    const { peers, open, line } = this.#p;
    let most = 0;
    for (let index = 0; index < peers.active.size; index++) {
      const slot = peers.active.at(index);
      if (this.#serves(slot, nowMs)) most = Math.max(most, this.#p.target(slot));
    }
    if (most === 0) return 0;
    return (
      2 * Math.max(most, line.wantedBlocks(this.#p.ledger.firmCount)) + PIECES_AHEAD * open.geometry.blocksPerPiece
    );
  }

  /** The piece with least stored that no peer can finish now, or -1. */
  #victim(mayLose: boolean, nowMs: number): number {
    const { open } = this.#p;
    let victim = -1;
    for (let place = 0; place < open.records.size; place++) {
      const record = open.records.at(place);
      if (!this.#isIdle(record) || (open.stored(record) > 0 && !mayLose)) continue;
      if (victim >= 0 && open.stored(victim) <= open.stored(record)) continue;
      if (!this.#isServed(open.pieceOf[record]!, nowMs)) victim = record;
    }
    return victim;
  }

  #isIdle(record: number): boolean {
    const { open } = this.#p;
    return open.phase[record] === READY && open.requested(record) + open.arriving(record) === 0;
  }

  /** An unchoked, punctual and willing peer that we are interested in has the piece. */
  #isServed(piece: number, nowMs: number): boolean {
    const { peers } = this.#p;
    for (let index = 0; index < peers.active.size; index++) {
      const slot = peers.active.at(index);
      if (this.#serves(slot, nowMs) && peers.has(slot, piece)) return true;
    }
    return false;
  }

  #serves(slot: number, nowMs: number): boolean {
    const { peers } = this.#p;
    if (peers.isPeerChoking[slot] !== 0 || peers.isSnubbed[slot] !== 0 || peers.isInterested[slot] === 0) return false;
    return peers.pausedUntilMs[slot]! <= nowMs;
  }
}
