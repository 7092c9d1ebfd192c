/**
 * Tops up the request pipelines: which blocks each peer is asked for, which pieces are opened ahead of them, and what
 * happens when there is nothing left to ask for.
 *
 *   fill:  what readers wait for -> missing blocks of ready pieces (oldest piece first, blocks in order)
 *          -> open pieces ahead -> endgame
 *
 * Open pieces are finished before new ones are asked for, except where the peer could open a rarer one: it would fetch
 * what many have, while what it alone has stays rare. Look-ahead is counted in time (the peer's depth again, or half of
 * what all want), so that requests never wait for a prefault and a slow peer does not sit on room it cannot use.
 * Room is finite. When it is exhausted, idle peers may take over requests that have aged (as in the endgame), and a
 * piece that no unchoked, punctual peer can finish is closed (relief.ts).
 */
import type { PieceIndex } from '../../metainfo/geometry.js';
import type { Holdings } from '../peers/holdings.js';
import type { Peers } from '../peers/peers.js';
import type { Availability } from '../pieces/availability.js';
import type { OpenPieces } from '../pieces/open-pieces.js';
import type { Picker } from '../pieces/picker.js';
import { SKIP } from '../pieces/priority.js';
import { RarityBar } from '../pieces/rarity-bar.js';
import type { Urgent } from '../pieces/urgent.js';
import type { SchedulerSink } from '../sink.js';
import type { Allowance } from './allowance.js';
import type { Endgame } from './endgame.js';
import type { Ledger } from './ledger.js';
import { MIN_DEPTH, type Pipeline } from './pipeline.js';
import type { Probing } from './probing.js';
import type { Reading } from './reading.js';
import type { Relief } from './relief.js';
import { type RequestLine, TURN_BLOCKS } from './request-line.js';
import type { Requests } from './requests.js';

/** So many of the line may find nothing to ask for before the others have to wait for the next look. */
const MAX_VAIN_TRIES = 8;

export interface FillerParts {
  readonly peers: Peers;
  readonly open: OpenPieces;
  readonly ledger: Ledger;
  readonly requests: Requests;
  readonly endgame: Endgame;
  readonly probing: Probing;
  readonly line: RequestLine;
  readonly allowance: Allowance;
  readonly pipeline: Pipeline;
  readonly picker: Picker;
  readonly availability: Availability;
  readonly urgent: Urgent;
  readonly reading: Reading;
  readonly sink: SchedulerSink;
  /** Blocks that fit in the open pieces the owner allows. */
  readonly roomBlocks: number;
  readonly holdings: Holdings;
  readonly relief: Relief;
}

export class Filler {
  readonly #p: FillerParts;
  readonly #bar: RarityBar;
  /** `sink.openPiece` said no and nothing was closed since. */
  #isRefused = false;
  /** A piece was closed for an urgent one, and none was opened since. */
  #hasMadeRoom = false;
  /** What was closed for it made no room: nothing more is, for a second. */
  #isRoomInVain = false;
  /** Blocks went back since the hungry looked last. */
  #hasFreed = false;

  constructor(parts: FillerParts) {
    this.#p = parts;
    this.#bar = new RarityBar(parts.peers, parts.picker, parts.availability);
  }

  /** Room came back. */
  roomFreed(): void {
    this.#isRefused = false;
  }

  /** Blocks went back of a peer that is not asked again now: others are, when the rest of what it says is read. */
  blocksFreed(): void {
    this.#hasFreed = true;
  }

  /** Most requests this peer should have now. Its share of the room bounds it: else the first peers took it all. */
  target(slot: number): number {
    const share = Math.floor(this.#p.roomBlocks / (2 * Math.max(1, this.#p.holdings.servingCount)));
    return Math.min(this.#p.pipeline.depth(slot), Math.max(MIN_DEPTH, share));
  }

  /** Returns how many requests were made, of this peer or of those before it in the line. */
  fill(slot: number, nowMs: number): number {
    const { peers, holdings, picker } = this.#p;
    if (this.#hasFreed && !this.#mayAsk(slot, nowMs)) this.fillHungry(nowMs);
    if (!peers.active.has(slot) || peers.isPeerChoking[slot] !== 0 || holdings.wantedOf(slot) === 0) {
      peers.hungry.delete(slot);
      return 0;
    }
    if (peers.pausedUntilMs[slot]! > nowMs) {
      peers.hungry.add(slot);
      return 0;
    }
    if (picker.restsAt(slot)) {
      peers.hungry.add(slot);
      return 0;
    }
    if (peers.isSnubbed[slot] !== 0) return this.#probe(slot, nowMs);
    if (this.#isCrowded()) return this.#fillInTurn(slot, nowMs);
    const target = this.target(slot);
    return this.#fillTo(slot, target, this.#p.pipeline.runBlocks(slot, this.#allowed(target)), nowMs);
  }

  /** What of so many blocks our own limit lets in. */
  #allowed(blocks: number): number {
    return Math.min(blocks, this.#p.allowance.blocks - this.#p.ledger.firmCount);
  }

  /** Those who wait for a small allowance stand in no line: it has no room for a turn. */
  #isCrowded(): boolean {
    const { allowance, holdings, line } = this.#p;
    return allowance.blocks >= line.budgetBlocks && line.isCrowded(holdings.servingCount);
  }

  /** Too many peers for the room (request-line.ts); while nobody waits and there is room, each is topped up as ever. */
  #fillInTurn(slot: number, nowMs: number): number {
    const { ledger, peers, line, pipeline } = this.#p;
    peers.hungry.delete(slot);
    const mustWait = line.size > 0 || ledger.firmCount + TURN_BLOCKS > line.budgetBlocks;
    if (mustWait) pipeline.starved(slot);
    if (mustWait && ledger.firm[slot]! > 0) return 0;
    line.wait(slot);
    return this.#serveLine(nowMs, MAX_VAIN_TRIES);
  }

  /** Those who wait longest ask for what is there, until so many found nothing. */
  #serveLine(nowMs: number, vainTries: number): number {
    const { ledger, open, peers, pipeline, line } = this.#p;
    let made = 0;
    let tries = vainTries;
    while (line.size > 0 && tries > 0 && ledger.firmCount + TURN_BLOCKS <= line.budgetBlocks) {
      const slot = line.next();
      if (!this.#mayAsk(slot, nowMs)) continue;
      const run = pipeline.turnBlocks(slot, TURN_BLOCKS);
      const count = this.#fillTo(slot, Math.min(TURN_BLOCKS, pipeline.depth(slot)), run, nowMs);
      made += count;
      peers.hungry.delete(slot);
      if (count > 0 || ledger.firm[slot]! > 0) continue;
      if (open.readyBlocks === 0 && !this.#isOver()) {
        line.staysFirst(slot);
        break;
      }
      line.wait(slot);
      tries--;
    }
    return made;
  }

  /** False also for those that are looked after elsewhere. */
  #mayAsk(slot: number, nowMs: number): boolean {
    const { peers, holdings } = this.#p;
    if (!peers.active.has(slot) || peers.isPeerChoking[slot] !== 0 || holdings.wantedOf(slot) === 0) return false;
    if (peers.isSnubbed[slot] === 0 && peers.pausedUntilMs[slot]! <= nowMs) return true;
    peers.hungry.add(slot);
    return false;
  }

  /** @param longestRun most blocks in one message; room for fewer may be left over. */
  #fillTo(slot: number, most: number, longestRun: number, nowMs: number): number {
    const { peers, ledger, pipeline, line, urgent, reading } = this.#p;
    const isHurried = urgent.isHurried(nowMs);
    const target = isHurried ? Math.min(most, MIN_DEPTH) : most;
    const run = isHurried ? 1 : longestRun;
    const room = this.#allowed(target - ledger.firm[slot]!);
    if (this.#allowed(1) <= 0) return this.#notAllowed(slot, nowMs);
    if (room < run) {
      peers.hungry.delete(slot);
      return 0;
    }
    let made = urgent.pieces.length === 0 ? 0 : reading.ask(slot, room, run, nowMs);
    if (this.#mayNotOpen()) this.#bar.clear();
    else this.#bar.set(slot);
    made += this.#takeMissing(slot, room - made, run, nowMs);
    const { blocksPerPiece } = this.#p.open.geometry;
    // All peers live on the same supply: with fifty of them a few pieces ready are gone before the next ones are.
    const ahead = Math.max(target, Math.ceil(line.wantedBlocks(ledger.firmCount) / 2));
    this.#openAhead(slot, room - made + ahead + (ahead >= blocksPerPiece ? 2 * blocksPerPiece : 0));
    if (made < room && ledger.firm[slot]! < MIN_DEPTH) {
      // Better a common block than an idle peer, while the rarer pieces are made ready.
      this.#bar.clear();
      made += this.#takeMissing(slot, Math.min(room - made, MIN_DEPTH - ledger.firm[slot]!), 1, nowMs);
    }
    if (room - made >= run) {
      made += this.#takeOver(slot, nowMs);
      pipeline.starved(slot);
      peers.hungry.add(slot);
    } else peers.hungry.delete(slot);
    return made;
  }

  /** Our own limit lets in no more than is asked for: the peer looks again, and nobody thinks the less of it. */
  #notAllowed(slot: number, nowMs: number): 0 {
    const { peers, ledger, pipeline, allowance } = this.#p;
    allowance.usedUp();
    pipeline.starved(slot);
    if (ledger.firm[slot] === 0) peers.gaveMs[slot] = nowMs;
    peers.hungry.add(slot);
    return 0;
  }

  /** Punctual peers first: a snubbed one must not take the room that came back. */
  fillHungry(nowMs: number): void {
    const { peers, open } = this.#p;
    this.#hasFreed = false;
    this.#serveLine(nowMs, MAX_VAIN_TRIES);
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
    const { peers, availability, relief } = this.#p;
    this.#isRefused = false;
    this.#isRoomInVain = false;
    this.#p.allowance.tick(nowMs);
    this.#tickLine(nowMs);
    if (availability.hasPriorities) relief.dropAllSkipped(nowMs);
    for (const wantSnubbed of [0, 1]) {
      for (let index = peers.hungry.size - 1; index >= 0; index--) {
        const slot = peers.hungry.at(index);
        if (peers.isSnubbed[slot] === wantSnubbed) this.fill(slot, nowMs);
      }
      if (wantSnubbed === 0 && relief.relieve(this.#isStarving(), nowMs)) this.fillHungry(nowMs);
    }
  }

  #tickLine(nowMs: number): void {
    const { peers, line } = this.#p;
    if (this.#isCrowded()) this.#serveLine(nowMs, line.size);
    else while (line.size > 0) peers.hungry.add(line.next());
  }

  #mayNotOpen(): boolean {
    return this.#isRefused || this.#p.open.count >= this.#p.open.capacity || this.#p.availability.pickableCount === 0;
  }

  /** Endgame: every needed piece is open and every block of them asked for or stored. */
  #isOver(): boolean {
    const { availability, open } = this.#p;
    if (availability.pickableCount > 0) return false;
    if (open.supplyBlocks === 0 || !availability.hasPriorities) return open.supplyBlocks === 0;
    for (let place = 0; place < open.records.size; place++) {
      const record = open.records.at(place);
      if (open.missing(record) > 0 && !this.#isSkipped(record)) return false;
    }
    return true;
  }

  #isSkipped(record: number): boolean {
    return this.#p.availability.priority(this.#p.open.pieceOf[record]!) === SKIP;
  }

  /** @param run most blocks in one message; room for fewer may be left over. */
  #takeMissing(slot: number, room: number, run: number, nowMs: number): number {
    const { open, peers, requests } = this.#p;
    let made = 0;
    for (let record = open.firstServable(); record >= 0 && made < room; ) {
      const next = open.nextServable(record);
      if (peers.has(slot, open.pieceOf[record]!) && this.#bar.admits(open.pieceOf[record]!)) {
        made += requests.askMissing(slot, record, room - made, run, nowMs);
      }
      record = next;
    }
    return made;
  }

  /** Opens pieces until this peer finds `goal` blocks to ask for in opening and ready ones, or room runs out. */
  #openAhead(slot: number, goal: number): void {
    const { open, picker, availability, sink, urgent } = this.#p;
    if (urgent.isPickable && (this.#isRefused || open.count >= open.capacity)) this.#makeRoom(slot);
    if (this.#mayNotOpen()) return;
    let supply = this.#supply(slot, goal);
    while ((supply < goal || urgent.isPickable) && open.count < open.capacity) {
      const piece = picker.pick(slot);
      if (piece < 0 || (supply >= goal && !urgent.has(piece))) return;
      if (!sink.openPiece(piece as PieceIndex)) {
        this.#isRefused = true;
        this.#isRoomInVain = this.#hasMadeRoom;
        return;
      }
      this.#hasMadeRoom = false;
      availability.close(piece);
      picker.opened(slot, piece);
      if (picker.randomPieces > 0) picker.randomPieces--;
      supply += open.blockCount[open.open(piece)]!;
    }
  }

  /** For a piece that somebody reads, and this peer has: one that was opened ahead and is untouched waits. */
  #makeRoom(slot: number): void {
    const { reading, relief, picker, urgent } = this.#p;
    if (this.#isRoomInVain || !urgent.has(picker.pick(slot))) return;
    const spare = reading.spare();
    if (spare < 0) return;
    relief.close(spare);
    this.#hasMadeRoom = true;
  }

  /** Missing blocks that this peer can serve, counted up to `goal`. */
  #supply(slot: number, goal: number): number {
    const { open, peers } = this.#p;
    if (open.supplyBlocks < goal || (peers.isUniform[slot] !== 0 && !this.#bar.isSet)) return open.supplyBlocks;
    let supply = 0;
    for (let place = 0; place < open.records.size && supply < goal; place++) {
      const record = open.records.at(place);
      if (open.missing(record) === 0 || !peers.has(slot, open.pieceOf[record]!)) continue;
      if (this.#bar.admits(open.pieceOf[record]!)) supply += open.missing(record);
    }
    return supply;
  }

  /** The peer has nothing else to do: see endgame.ts. */
  #takeOver(slot: number, nowMs: number): number {
    const { endgame, availability } = this.#p;
    if (!endgame.mayLook(slot, nowMs)) return 0;
    const isOver = this.#isOver();
    if (!isOver && (availability.pickableCount === 0 || !this.#mayNotOpen())) return 0;
    return endgame.look(slot, this.target(slot), isOver, nowMs);
  }

  #probe(slot: number, nowMs: number): number {
    const { peers, probing } = this.#p;
    if (probing.isUnderWay(slot)) {
      peers.hungry.delete(slot);
      return 0;
    }
    peers.hungry.add(slot);
    const made = probing.try(slot, nowMs);
    if (made < 0) this.#openAhead(slot, 1);
    return Math.max(0, made);
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
}
