/**
 * An idle peer asks for blocks asked of others: in the endgame any, while room is exhausted only those asked for long
 * ago. Where the peers that were asked are silent for as long, they are given up: three of them would hold the block
 * until the last one's time is out. Who is late with a block of its own takes over none: a few that hold blocks back
 * would pass them from one to the next.
 */

import type { PeerSlot } from '../../metainfo/geometry.js';
import type { Holdings } from '../peers/holdings.js';
import type { Peers } from '../peers/peers.js';
import { grown } from '../peers/slot-rows.js';
import type { Availability } from '../pieces/availability.js';
import { ARRIVING, type OpenPieces, READY, REQUESTED } from '../pieces/open-pieces.js';
import { SKIP } from '../pieces/priority.js';
import type { SchedulerSink } from '../sink.js';
import type { Allowance } from './allowance.js';
import type { Incoming } from './incoming.js';
import { type Ledger, MAX_HOLDERS } from './ledger.js';
import type { Pipeline } from './pipeline.js';
import type { Requests } from './requests.js';
import type { Snubbing } from './snubbing.js';

/** Requests an idle peer may have for blocks asked of others. More is waste: the block is on its way from two sides. */
const TAKE_OVER_DEPTH = 2;
/** Time between two looks in vain: in the endgame, and while room is exhausted. */
const LOOK_ENDGAME_MS = 100;
const LOOK_EXHAUSTED_MS = 500;
/** With more peers than this each looks less often. */
const LOOKING_PEERS = 64;
/** A request may be taken over by an idle peer, or from a silent one, after this long. */
const AGED_MS = 2_000;
/**
 * A block that began and has not ended after this long is stuck, when somebody else could fetch it: below 3 KB/s from a
 * peer that never gave a block, below 1.6 KB/s from one that did.
 */
const STUCK_UNPROVEN_MS = 5_000;
const STUCK_MS = 10_000;
/**
 * The same of the former at the end, for somebody who did give: the download waits for that block alone. Of the latter
 * so many times what it took for a block before, and a second at least: a quick one that vanished is not waited for.
 */
const STUCK_AT_END_MS = 3_000;
const ANSWERS_AT_END = 2;
const ANSWERS_AT_END_MIN_MS = 1_000;

export interface EndgameParts {
  readonly peers: Peers;
  readonly open: OpenPieces;
  readonly ledger: Ledger;
  readonly incoming: Incoming;
  readonly requests: Requests;
  readonly snubbing: Snubbing;
  readonly pipeline: Pipeline;
  readonly availability: Availability;
  readonly holdings: Holdings;
  readonly allowance: Allowance;
  readonly sink: SchedulerSink;
  readonly random: () => number;
}

export class Endgame {
  readonly #p: EndgameParts;
  /** When each peer may look again: a look in vain costs a walk over all open blocks. */
  #lookAgainMs = new Float64Array(0);

  constructor(parts: EndgameParts) {
    this.#p = parts;
  }

  grow(rows: number): void {
    this.#lookAgainMs = grown(this.#lookAgainMs, rows);
  }

  joined(slot: number): void {
    this.#lookAgainMs[slot] = 0;
  }

  mayLook(slot: number, nowMs: number): boolean {
    return this.#lookAgainMs[slot]! <= nowMs;
  }

  /**
   * Looks through all open pieces, from a random one on. Returns how many requests were made.
   *
   * @param target most requests that the peer should have.
   * @param isOver the endgame: every block is as good as another. Where a second copy costs much time of our own limit,
   * only aged ones.
   */
  look(slot: number, target: number, isOver: boolean, nowMs: number): number {
    const { open, ledger, random, allowance, availability } = this.#p;
    if (ledger.firm[slot]! >= (isOver ? TAKE_OVER_DEPTH : 1)) return 0;
    const most = Math.min(TAKE_OVER_DEPTH, target) - ledger.firm[slot]!;
    const limit = Math.min(most, allowance.blocks - ledger.firmCount);
    const mayDouble = isOver && !allowance.isCostly;
    const { size } = open.records;
    const offset = Math.floor(random() * size);
    let made = 0;
    for (let step = 0; step < size && made < limit; step++) {
      const record = open.records.at((offset + step) % size);
      if (availability.priority(open.pieceOf[record]!) === SKIP) continue;
      made += this.#from(slot, record, limit - made, mayDouble, nowMs);
    }
    if (made > 0) return made;
    const crowd = Math.max(1, this.#p.holdings.servingCount / LOOKING_PEERS);
    this.#lookAgainMs[slot] = nowMs + crowd * (isOver ? LOOK_ENDGAME_MS : LOOK_EXHAUSTED_MS);
    return made;
  }

  /**
   * From a random block of the record on. Returns how many requests were made.
   *
   * @param limit most requests.
   * @param mayDouble also what was asked for just now.
   */
  #from(slot: number, record: number, limit: number, mayDouble: boolean, nowMs: number): number {
    const { open, random, requests } = this.#p;
    if (open.phase[record] !== READY || open.requested(record) + open.arriving(record) === 0) return 0;
    if (!this.#p.peers.has(slot, open.pieceOf[record]!)) return 0;
    if (open.arriving(record) > 0) this.#dropStuck(slot, record, mayDouble, nowMs);
    if (this.#isLate(slot, nowMs)) return 0;
    const blocks = open.blockCount[record]!;
    const offset = Math.floor(random() * blocks);
    let made = 0;
    for (let step = 0; step < blocks && made < limit; step++) {
      const block = (offset + step) % blocks;
      if (!this.#mayAsk(slot, open.indexOf(record, block), mayDouble, nowMs)) continue;
      requests.ask(slot, record, block, nowMs);
      made++;
    }
    return made;
  }

  /** It was asked for a block long ago and has not answered. */
  #isLate(slot: number, nowMs: number): boolean {
    const { ledger } = this.#p;
    const oldest = ledger.first(slot);
    return oldest >= 0 && ledger.isLax[oldest] === 0 && ledger.askedMs[oldest]! <= nowMs - AGED_MS;
  }

  /** Whose block is stuck is dropped: nobody else may write its place before. */
  #dropStuck(slot: number, record: number, isOver: boolean, nowMs: number): void {
    const { open, peers, incoming, sink, pipeline } = this.#p;
    const isHurried = isOver && pipeline.hasAnswered(slot);
    for (let block = 0; block < open.blockCount[record]!; block++) {
      const index = open.indexOf(record, block);
      if (open.state[index] !== ARRIVING) continue;
      const sender = open.sender[index]!;
      if (sender === slot || peers.isHeldBack[sender] !== 0) continue;
      const limitMs = this.#stuckMs(sender, isHurried, nowMs);
      if (nowMs - incoming.sinceMs[sender]! > limitMs) sink.drop(sender as PeerSlot, 'stalled');
    }
  }

  #stuckMs(sender: number, isHurried: boolean, nowMs: number): number {
    const { peers, pipeline } = this.#p;
    if (pipeline.hasAnswered(sender)) {
      const limitMs = Math.max(STUCK_MS, pipeline.timeoutMs(sender));
      if (!isHurried) return limitMs;
      return Math.min(limitMs, Math.max(ANSWERS_AT_END_MIN_MS, ANSWERS_AT_END * pipeline.answerMs(sender)));
    }
    // Many that stall must not take a block over from each other for that time each.
    const limitMs = isHurried ? STUCK_AT_END_MS : STUCK_UNPROVEN_MS;
    return nowMs - peers.unchokedMs[sender]! > limitMs + AGED_MS ? AGED_MS : limitMs;
  }

  #mayAsk(slot: number, index: number, mayDouble: boolean, nowMs: number): boolean {
    const { open, ledger } = this.#p;
    if (open.state[index] !== REQUESTED) return false;
    if (!mayDouble && ledger.newestFirmMs(index) > nowMs - AGED_MS) return false;
    // Also when it was late with it: it gives again, and most likely has the request in its queue.
    if (ledger.find(index, slot) >= 0) return false;
    return ledger.holders(index) < MAX_HOLDERS || this.#isFreed(index, nowMs);
  }

  /** One of those that were asked has given nothing since: it is late, for all of its blocks. */
  #isFreed(index: number, nowMs: number): boolean {
    const silent = this.#p.requests.silentHolder(index, nowMs - AGED_MS);
    if (silent < 0) return false;
    this.#p.snubbing.giveUp(silent);
    return true;
  }
}
