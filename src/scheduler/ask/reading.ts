/**
 * What readers wait for is asked for before all else: the missing blocks of urgent pieces in order, and blocks of the
 * piece that a reader waits for a second time, where who was asked for them is late or much slower than who could give
 * them. At most two peers are asked for a block, and only blocks of awaited pieces: the rest of a window comes in time.
 */
import type { Holdings } from '../peers/holdings.js';
import type { Peers } from '../peers/peers.js';
import { type OpenPieces, READY, REQUESTED } from '../pieces/open-pieces.js';
import type { Urgent } from '../pieces/urgent.js';
import { CELLS_PER_BLOCK, type Ledger } from './ledger.js';
import type { Pipeline } from './pipeline.js';
import type { Requests } from './requests.js';

/** Most blocks that a peer is asked for beside another one, in one look. */
const DOUBLES_AT_ONCE = 2;
/** Between two looks: each walks over the blocks of a piece. */
const LOOK_MS = 20;
/** Who takes so many times as long as another peer is not waited for. */
const MUCH_SLOWER = 2;
/** Who was expected so much earlier, in its usual time of an answer, is late. */
const LATE = 1.5;

export interface ReadingParts {
  readonly urgent: Urgent;
  readonly open: OpenPieces;
  readonly ledger: Ledger;
  readonly peers: Peers;
  readonly holdings: Holdings;
  readonly pipeline: Pipeline;
  readonly requests: Requests;
}

export class Reading {
  readonly #p: ReadingParts;
  #lookAgainMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ReadingParts) {
    this.#p = parts;
  }

  /** Returns how many requests were made. @param run most blocks in one message */
  ask(slot: number, room: number, run: number, nowMs: number): number {
    const { urgent, open, peers, requests } = this.#p;
    let made = this.#askAgain(slot, room, nowMs);
    for (const piece of urgent.pieces) {
      if (made >= room) break;
      const record = open.recordOf(piece);
      if (record < 0 || open.phase[record] !== READY || open.missing(record) === 0) continue;
      if (!peers.has(slot, piece)) continue;
      const most = Math.min(room - made, this.#share(piece, record));
      made += requests.askMissing(slot, record, most, Math.min(run, 2 ** Math.floor(Math.log2(most))), nowMs);
    }
    return made;
  }

  /** Of a piece that somebody waits for each peer is asked for an even part: it comes over all of their links. */
  #share(piece: number, record: number): number {
    const { urgent, open, holdings } = this.#p;
    if (!urgent.awaited.includes(piece)) return Number.POSITIVE_INFINITY;
    return Math.ceil(open.blockCount[record]! / Math.max(1, holdings.servingCount));
  }

  /** What was asked for of other pieces is taken back, where it has not begun to come: it goes behind. */
  takeBack(): void {
    const { urgent, open, requests } = this.#p;
    for (let place = 0; place < open.records.size; place++) {
      const record = open.records.at(place);
      if (open.phase[record] !== READY || urgent.has(open.pieceOf[record]!)) continue;
      if (open.requested(record) > 0) requests.cancelRecord(record);
    }
  }

  /** An open piece of which nothing is here or on its way, and that nobody reads; -1: there is none. */
  spare(): number {
    const { urgent, open } = this.#p;
    for (let place = open.records.size - 1; place >= 0; place--) {
      const record = open.records.at(place);
      const isUntouched = open.missing(record) === open.blockCount[record];
      if (isUntouched && open.phase[record] === READY && !urgent.has(open.pieceOf[record]!)) return record;
    }
    return -1;
  }

  #askAgain(slot: number, room: number, nowMs: number): number {
    const { urgent, open, peers, pipeline } = this.#p;
    const answerMs = pipeline.answerMs(slot);
    if (nowMs < this.#lookAgainMs || answerMs < 0) return 0;
    let made = 0;
    for (const piece of urgent.awaited) {
      const record = open.recordOf(piece);
      if (record < 0 || open.phase[record] !== READY || open.requested(record) === 0) continue;
      this.#lookAgainMs = nowMs + LOOK_MS;
      if (!peers.has(slot, piece)) continue;
      made += this.#double(slot, record, Math.min(room, DOUBLES_AT_ONCE) - made, answerMs, nowMs);
    }
    return made;
  }

  #double(slot: number, record: number, limit: number, answerMs: number, nowMs: number): number {
    const { open, requests } = this.#p;
    let made = 0;
    for (let block = 0; block < open.blockCount[record]! && made < limit; block++) {
      const index = open.indexOf(record, block);
      if (open.state[index] !== REQUESTED || !this.#isBetter(slot, index, answerMs, nowMs)) continue;
      requests.ask(slot, record, block, nowMs);
      made++;
    }
    return made;
  }

  /** One peer alone was asked for it, and this one would most likely be quicker from now on. */
  #isBetter(slot: number, index: number, answerMs: number, nowMs: number): boolean {
    const { ledger, pipeline } = this.#p;
    if (ledger.find(index, slot) >= 0 || ledger.holders(index) !== 1 || ledger.findFree(index) < 0) return false;
    for (let cell = index * CELLS_PER_BLOCK; cell < (index + 1) * CELLS_PER_BLOCK; cell++) {
      if (ledger.slot[cell] === -1 || ledger.isLax[cell] !== 0) continue;
      const waitedMs = nowMs - ledger.askedMs[cell]!;
      if (waitedMs < answerMs) return false;
      const usualMs = pipeline.answerMs(ledger.slot[cell]!);
      return usualMs < 0 || waitedMs > LATE * usualMs || usualMs - waitedMs > MUCH_SLOWER * answerMs;
    }
    return false;
  }
}
