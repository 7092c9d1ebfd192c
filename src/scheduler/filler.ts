/**
 * Tops up the request pipelines: which blocks each peer is asked for, which pieces are opened ahead of them, and what happens
 * when there is nothing left to ask for.
 *
 *   fill:  missing blocks of ready pieces (oldest piece first, blocks in order) -> open pieces ahead -> endgame
 *
 * Open pieces are finished before new ones are asked for; rarity decides what is opened. Look-ahead is counted in time (the peer's
 * depth again, 3 s of its rate), so that requests never wait for a prefault and a slow peer does not sit on room it cannot use.
 * Room is finite. When it is exhausted, idle peers may take over requests that have aged (as in the endgame), and a piece that no
 * unchoked, punctual peer can finish is closed: at once when nothing is stored of it, else after `STUCK_MS` of starvation.
 */
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Availability } from './availability.js';
import type { Holdings } from './holdings.js';
import { type Ledger, MAX_HOLDERS } from './ledger.js';
import { MISSING, type OpenPieces, READY, REQUESTED } from './open-pieces.js';
import type { Peers } from './peers.js';
import type { Picker } from './picker.js';
import { MIN_DEPTH, type Pipeline } from './pipeline.js';
import type { Requests } from './requests.js';
import type { SchedulerSink } from './sink.js';

/** Requests an idle peer may have for blocks asked of others. More is waste: the block is on its way from two sides. */
const ENDGAME_DEPTH = 2;
/** While room is exhausted, a request may be taken over by an idle peer after this long. */
const AGED_MS = 2_000;
/** Starvation after which a half-stored piece is given up. */
const STUCK_MS = 10_000;
/** Time between two looks in vain for requests to take over: in the endgame, and while room is exhausted. */
const LOOK_ENDGAME_MS = 100;
const LOOK_EXHAUSTED_MS = 500;
const NEVER = -1;

export interface FillerParts {
  readonly peers: Peers;
  readonly open: OpenPieces;
  readonly ledger: Ledger;
  readonly requests: Requests;
  readonly pipeline: Pipeline;
  readonly picker: Picker;
  readonly availability: Availability;
  readonly sink: SchedulerSink;
  readonly random: () => number;
  /** Blocks that fit in the open pieces the owner allows. */
  readonly roomBlocks: number;
  readonly holdings: Holdings;
}

export class Filler {
  readonly #p: FillerParts;
  /** `sink.openPiece` said no and nothing was closed since. */
  #isRefused = false;
  #starvingSinceMs = NEVER;

  constructor(parts: FillerParts) {
    this.#p = parts;
  }

  /** Room came back. */
  roomFreed(): void {
    this.#isRefused = false;
  }

  /** Most requests this peer should have now. A peer's share of the room bounds it: else the first few peers would take it all. */
  target(slot: number): number {
    const share = Math.floor(this.#p.roomBlocks / (2 * Math.max(1, this.#p.holdings.servingCount)));
    return Math.min(this.#p.pipeline.depth(slot), Math.max(MIN_DEPTH, share));
  }

  /** Returns how many requests were made. */
  fill(slot: number, nowMs: number): number {
    const { peers, ledger, pipeline } = this.#p;
    if (!peers.active.has(slot) || peers.isPeerChoking[slot] !== 0 || this.#p.holdings.wantedOf(slot) === 0) {
      peers.hungry.delete(slot);
      return 0;
    }
    if (peers.pausedUntilMs[slot]! > nowMs) {
      peers.hungry.add(slot);
      return 0;
    }
    if (peers.isSnubbed[slot] !== 0) return this.#probe(slot, nowMs);
    const target = this.target(slot);
    const room = target - ledger.firm[slot]!;
    if (room <= 0) {
      peers.hungry.delete(slot);
      return 0;
    }
    let made = this.#takeMissing(slot, room, nowMs);
    const { blocksPerPiece } = this.#p.open.geometry;
    this.#openAhead(slot, room - made + target + (target >= blocksPerPiece ? 2 * blocksPerPiece : 0));
    if (made < room) {
      made += this.#takeOver(slot, nowMs);
      pipeline.starved(slot);
      peers.hungry.add(slot);
    } else peers.hungry.delete(slot);
    return made;
  }

  /** Punctual peers first: a snubbed one must not take the room that came back. */
  fillHungry(nowMs: number): void {
    const { peers, open } = this.#p;
    for (const wantSnubbed of [0, 1]) {
      for (let index = peers.hungry.size - 1; index >= 0; index--) {
        // Nothing to give and no way to open more: the rest would only look. The tick still lets everyone look once.
        if (open.readyBlocks === 0 && this.#mayNotOpen() && !this.#isOver()) return;
        if (index >= peers.hungry.size) continue;
        const slot = peers.hungry.at(index);
        if (peers.isSnubbed[slot] === wantSnubbed) this.fill(slot, nowMs);
      }
    }
  }

  /** Once a second or so: the hungry look again, and room held by pieces that cannot be finished is taken back. */
  tick(nowMs: number): void {
    const { peers } = this.#p;
    this.#isRefused = false;
    for (const wantSnubbed of [0, 1]) {
      for (let index = peers.hungry.size - 1; index >= 0; index--) {
        const slot = peers.hungry.at(index);
        if (peers.isSnubbed[slot] === wantSnubbed) this.fill(slot, nowMs);
      }
      if (wantSnubbed === 0 && this.#relieve(nowMs)) this.fillHungry(nowMs);
    }
  }

  #mayNotOpen(): boolean {
    return this.#isRefused || this.#p.open.count >= this.#p.open.capacity || this.#p.availability.pickableCount === 0;
  }

  /** Endgame: every needed piece is open and every block of them asked for or stored. */
  #isOver(): boolean {
    return this.#p.availability.pickableCount === 0 && this.#p.open.supplyBlocks === 0;
  }

  #takeMissing(slot: number, room: number, nowMs: number): number {
    const { open, peers, requests } = this.#p;
    let made = 0;
    for (let record = open.firstServable(); record >= 0 && made < room; ) {
      const next = open.nextServable(record);
      if (peers.has(slot, open.pieceOf[record]!)) {
        for (; made < room && open.missing(record) > 0; made++) {
          requests.ask(slot, record, open.firstMissing(record), nowMs);
        }
      }
      record = next;
    }
    return made;
  }

  /** Opens pieces until this peer finds `goal` blocks to ask for in opening and ready ones, or room runs out. */
  #openAhead(slot: number, goal: number): void {
    const { open, picker, availability, sink } = this.#p;
    if (this.#mayNotOpen()) return;
    let supply = this.#supply(slot, goal);
    while (supply < goal && open.count < open.capacity) {
      const piece = picker.pick(slot);
      if (piece < 0) return;
      if (!sink.openPiece(piece as PieceIndex)) {
        this.#isRefused = true;
        return;
      }
      availability.close(piece);
      if (picker.randomPieces > 0) picker.randomPieces--;
      supply += open.blockCount[open.open(piece)]!;
    }
  }

  /** Missing blocks that this peer can serve, counted up to `goal`. */
  #supply(slot: number, goal: number): number {
    const { open, peers } = this.#p;
    if (open.supplyBlocks < goal || peers.isUniform[slot] !== 0) return open.supplyBlocks;
    let supply = 0;
    for (let place = 0; place < open.records.size && supply < goal; place++) {
      const record = open.records.at(place);
      if (open.missing(record) > 0 && peers.has(slot, open.pieceOf[record]!)) supply += open.missing(record);
    }
    return supply;
  }

  /** An idle peer asks for blocks asked of others: in the endgame any, while room is exhausted only aged requests. */
  #takeOver(slot: number, nowMs: number): number {
    const { open, peers, ledger, random } = this.#p;
    if (peers.lookAgainMs[slot]! > nowMs) return 0;
    const isOver = this.#isOver();
    if (ledger.firm[slot]! >= (isOver ? ENDGAME_DEPTH : 1)) return 0;
    if (!isOver && (this.#p.availability.pickableCount === 0 || !this.#mayNotOpen())) return 0;
    const limit = Math.min(ENDGAME_DEPTH, this.target(slot)) - ledger.firm[slot]!;
    const { size } = open.records;
    const offset = Math.floor(random() * size);
    let made = 0;
    for (let step = 0; step < size && made < limit; step++) {
      const record = open.records.at((offset + step) % size);
      if (open.phase[record] !== READY || open.requested(record) === 0) continue;
      if (!peers.has(slot, open.pieceOf[record]!)) continue;
      made += this.#takeOverFrom(
        slot,
        record,
        limit - made,
        isOver ? Number.POSITIVE_INFINITY : nowMs - AGED_MS,
        nowMs,
      );
    }
    if (made === 0) peers.lookAgainMs[slot] = nowMs + (isOver ? LOOK_ENDGAME_MS : LOOK_EXHAUSTED_MS);
    return made;
  }

  #takeOverFrom(slot: number, record: number, limit: number, askedBeforeMs: number, nowMs: number): number {
    const { open, ledger, requests, random } = this.#p;
    const blocks = open.blockCount[record]!;
    const offset = Math.floor(random() * blocks);
    let made = 0;
    for (let step = 0; step < blocks && made < limit; step++) {
      const block = (offset + step) % blocks;
      const index = open.indexOf(record, block);
      if (open.state[index] !== REQUESTED || ledger.newestFirmMs(index) > askedBeforeMs) continue;
      const own = ledger.find(index, slot);
      if ((own >= 0 && ledger.isLax[own] === 0) || ledger.holders(index) >= MAX_HOLDERS) continue;
      requests.ask(slot, record, block, nowMs);
      made++;
    }
    return made;
  }

  /** One request at a time for a snubbed peer, and not one that others would wait for. */
  #probe(slot: number, nowMs: number): number {
    const { peers, open, requests } = this.#p;
    if (peers.probe[slot] !== -1) {
      peers.hungry.delete(slot);
      return 0;
    }
    peers.hungry.add(slot);
    const late = requests.oldestLate(slot);
    if (late >= 0) {
      const record = open.recordAt(late);
      return requests.probe(slot, record, late - open.indexOf(record, 0), nowMs) ? 1 : 0;
    }
    for (let record = open.firstServable(); record >= 0; record = open.nextServable(record)) {
      if (!peers.has(slot, open.pieceOf[record]!)) continue;
      return requests.probe(slot, record, this.#anyMissing(record), nowMs) ? 1 : 0;
    }
    this.#openAhead(slot, 1);
    return 0;
  }

  /** From a random block on: the first missing ones are what the others are asked for next. */
  #anyMissing(record: number): number {
    const { open, random } = this.#p;
    const blocks = open.blockCount[record]!;
    let block = Math.floor(random() * blocks);
    while (open.state[open.indexOf(record, block)] !== MISSING) block = (block + 1) % blocks;
    return block;
  }

  /** Closes what cannot be finished when a punctual peer starves for room. True when something was closed. */
  #relieve(nowMs: number): boolean {
    const { open, requests, sink } = this.#p;
    if (!this.#isStarving()) {
      this.#starvingSinceMs = NEVER;
      return false;
    }
    if (this.#starvingSinceMs === NEVER) this.#starvingSinceMs = nowMs;
    const mayLose = nowMs - this.#starvingSinceMs >= STUCK_MS;
    let victim = -1;
    for (let place = 0; place < open.records.size; place++) {
      const record = open.records.at(place);
      if (open.phase[record] !== READY || open.requested(record) + open.arriving(record) > 0) continue;
      if (open.stored(record) > 0 && !mayLose) continue;
      if (victim >= 0 && open.stored(victim) <= open.stored(record)) continue;
      if (!this.#isServed(open.pieceOf[record]!, nowMs)) victim = record;
    }
    if (victim < 0) return false;
    const piece = open.pieceOf[victim]!;
    requests.cancelRecord(victim);
    sink.closePiece(piece as PieceIndex);
    this.giveBack(victim);
    this.#isRefused = false;
    this.#starvingSinceMs = NEVER;
    return true;
  }

  /** The record is no longer open; its piece may be picked again. */
  giveBack(record: number): void {
    const { open, availability, picker } = this.#p;
    const piece = open.pieceOf[record]!;
    open.close(record);
    availability.reopen(piece);
    picker.reopened();
  }

  /** A punctual, hungry peer with nothing asked of it could open a piece if there were room. */
  #isStarving(): boolean {
    const { open, peers, ledger, picker } = this.#p;
    if (open.count < open.capacity && !this.#isRefused) return false;
    for (let index = 0; index < peers.hungry.size; index++) {
      const slot = peers.hungry.at(index);
      if (peers.isSnubbed[slot] === 0 && ledger.firm[slot] === 0 && picker.pick(slot) >= 0) return true;
    }
    return false;
  }

  /** An unchoked, punctual and willing peer has the piece. */
  #isServed(piece: number, nowMs: number): boolean {
    const { peers } = this.#p;
    for (let index = 0; index < peers.active.size; index++) {
      const slot = peers.active.at(index);
      if (peers.isPeerChoking[slot] !== 0 || peers.isSnubbed[slot] !== 0) continue;
      if (peers.pausedUntilMs[slot]! <= nowMs && peers.has(slot, piece)) return true;
    }
    return false;
  }
}
