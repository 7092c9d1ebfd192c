/**
 * The life of a request: asked, arriving, stored; or timed out, rejected, cancelled, forgotten. Keeps block states
 * (open-pieces.ts) and the ledger (ledger.ts) in step; every step is O(1) per block.
 *
 * Invariant: a block is REQUESTED exactly while it has a firm request, ARRIVING while its sender's row of `Incoming`
 * names it.
 * A request we let go of while the peer may still answer leaves a credit (`late`): that many blocks are late, not
 * unrequested.
 */
import type { BlockIndex, PeerSlot, PieceIndex } from '../../metainfo/geometry.js';
import type { Peers } from '../peers/peers.js';
import { ARRIVING, MISSING, type OpenPieces, READY, REQUESTED, STORED } from '../pieces/open-pieces.js';
import type { BlockVerdict, SchedulerSink } from '../sink.js';
import type { Incoming } from './incoming.js';
import { CELLS_PER_BLOCK, type Ledger } from './ledger.js';

export class Requests {
  readonly #open: OpenPieces;
  readonly #ledger: Ledger;
  readonly #peers: Peers;
  readonly #incoming: Incoming;
  readonly #sink: SchedulerSink;

  constructor(open: OpenPieces, ledger: Ledger, peers: Peers, incoming: Incoming, sink: SchedulerSink) {
    this.#open = open;
    this.#ledger = ledger;
    this.#peers = peers;
    this.#incoming = incoming;
    this.#sink = sink;
  }

  /** Requests that are waited for: firm ones, and the probe of a snubbed peer. */
  pending(slot: number): number {
    return this.#ledger.firm[slot]! + (this.#ledger.probe[slot] === -1 ? 0 : 1);
  }

  /**
   * Asks for a block and holds it. The block is MISSING, or REQUESTED from others (endgame) with a free or lax cell
   * left.
   */
  ask(slot: number, record: number, block: number, nowMs: number): void {
    this.#askRun(slot, record, block, 1, nowMs);
  }

  /**
   * Asks for the missing blocks of a record in order, up to `room` of them. Returns how many.
   * @param run most blocks in one message. What goes together is not split for want of room: it is asked for when there
   * is more.
   */
  askMissing(slot: number, record: number, room: number, run: number, nowMs: number): number {
    let made = 0;
    while (made < room && this.#open.missing(record) > 0) {
      const block = this.#open.firstMissing(record);
      const count = run === 1 ? 1 : this.#open.missingRun(record, block, run);
      if (count > room - made) break;
      this.#askRun(slot, record, block, count, nowMs);
      made += count;
    }
    return made;
  }

  #askRun(slot: number, record: number, first: number, count: number, nowMs: number): void {
    for (let block = first; block < first + count; block++) {
      this.#put(slot, this.#open.indexOf(record, block), false, nowMs);
      this.#open.move(record, block, REQUESTED);
    }
    this.#sink.request(slot as PeerSlot, this.#open.pieceOf[record] as PieceIndex, first as BlockIndex, count);
  }

  /**
   * Tries a snubbed peer with a MISSING block, which stays missing for the others. False: enough are tried with it
   * already.
   */
  probe(slot: number, record: number, block: number, nowMs: number): boolean {
    const index = this.#open.indexOf(record, block);
    if (this.#ledger.find(index, slot) < 0 && this.#ledger.findFree(index) < 0) return false;
    this.#ledger.probe[slot] = this.#put(slot, index, true, nowMs);
    this.#sink.request(slot as PeerSlot, this.#open.pieceOf[record] as PieceIndex, block as BlockIndex, 1);
    return true;
  }

  #put(slot: number, index: number, isLax: boolean, nowMs: number): number {
    if (this.pending(slot) === 0) this.#peers.waitingSinceMs[slot] = nowMs;
    let cell = this.#ledger.find(index, slot);
    if (cell >= 0) {
      // Asked again after a time-out: both requests may be answered.
      this.#owe(slot);
      this.#free(cell);
    } else {
      cell = this.#ledger.findFree(index);
      if (cell < 0) {
        cell = this.#ledger.findLax(index);
        if (cell < 0) throw new Error('no cell is left for this block');
        this.#cancel(cell);
      }
    }
    this.#ledger.take(cell, slot, isLax, nowMs);
    return cell;
  }

  /** A rejected request (BEP 6), or a block that begins: the request is answered. True when there was one. */
  answer(slot: number, record: number, block: number): boolean {
    const cell = this.#ledger.find(this.#open.indexOf(record, block), slot);
    if (cell < 0) return false;
    this.#release(cell);
    return true;
  }

  /** All requests of a peer go back. `isOwed`: it may still answer them. */
  releaseAll(slot: number, isOwed: boolean): void {
    for (let cell = this.#ledger.first(slot); cell >= 0; ) {
      const next = this.#ledger.next(cell);
      if (isOwed) this.#owe(slot);
      this.#release(cell);
      cell = next;
    }
  }

  /** The same for one piece: the peer may still answer. @param record −1: not open */
  releaseRecord(slot: number, record: number): void {
    if (record < 0) return;
    for (let cell = this.#ledger.first(slot); cell >= 0; ) {
      const next = this.#ledger.next(cell);
      if (this.#open.recordAt(Math.floor(cell / CELLS_PER_BLOCK)) === record) {
        this.#owe(slot);
        this.#release(cell);
      }
      cell = next;
    }
  }

  /** The peer is late: its blocks are anyone's again, its answers still welcome. */
  timeOut(slot: number): void {
    this.#ledger.probe[slot] = -1;
    for (let cell = this.#ledger.first(slot); cell >= 0; cell = this.#ledger.next(cell)) {
      if (this.#ledger.isLax[cell] !== 0) continue;
      this.#ledger.setLax(cell, true);
      this.#settle(Math.floor(cell / CELLS_PER_BLOCK));
    }
  }

  /** The peer delivers again: what nobody else took meanwhile it most likely has queued for us. */
  revive(slot: number): void {
    this.#ledger.probe[slot] = -1;
    for (let cell = this.#ledger.first(slot); cell >= 0; cell = this.#ledger.next(cell)) {
      const index = Math.floor(cell / CELLS_PER_BLOCK);
      if (this.#open.state[index] !== MISSING) continue;
      this.#ledger.setLax(cell, false);
      const record = this.#open.recordAt(index);
      this.#open.move(record, index - this.#open.indexOf(record, 0), REQUESTED);
    }
  }

  /** A peer that was firmly asked for the block before that time and has given nothing since; or -1. */
  silentHolder(index: number, beforeMs: number): number {
    const begin = index * CELLS_PER_BLOCK;
    for (let cell = begin; cell < begin + CELLS_PER_BLOCK; cell++) {
      const slot = this.#ledger.slot[cell]!;
      if (slot === -1 || this.#ledger.isLax[cell] !== 0 || this.#ledger.askedMs[cell]! > beforeMs) continue;
      if (this.#peers.waitingSinceMs[slot]! <= beforeMs && this.#peers.isHeldBack[slot] === 0) return slot;
    }
    return -1;
  }

  /** First lax request of a peer whose block is still missing, as a block index; or -1. */
  oldestLate(slot: number): number {
    for (let cell = this.#ledger.first(slot); cell >= 0; cell = this.#ledger.next(cell)) {
      const index = Math.floor(cell / CELLS_PER_BLOCK);
      if (this.#ledger.isLax[cell] !== 0 && this.#open.state[index] === MISSING) return index;
    }
    return -1;
  }

  /** A block begins to arrive; the first to begin owns it. */
  arrive(slot: number, piece: number, block: number, nowMs: number): BlockVerdict {
    if (this.#incoming.block[slot] !== -1) throw new Error(`slot ${slot} begins a block inside another`);
    const record = this.#open.recordOf(piece);
    const index = record < 0 ? -1 : this.#open.indexOf(record, block);
    const cell = record < 0 ? -1 : this.#ledger.find(index, slot);
    let askedMs = Number.NaN;
    if (cell >= 0) {
      askedMs = this.#ledger.askedMs[cell]!;
      this.#release(cell);
    } else if (this.#ledger.late[slot]! > 0) this.#ledger.late[slot]!--;
    else return 'unrequested';
    if (record < 0 || this.#open.phase[record] !== READY || this.#open.state[index]! >= ARRIVING) return 'duplicate';
    this.#open.move(record, block, ARRIVING);
    this.#open.sender[index] = slot;
    this.#incoming.block[slot] = index;
    this.#incoming.sinceMs[slot] = nowMs;
    this.#incoming.askedMs[slot] = askedMs;
    return 'wanted';
  }

  /** True when the piece is now complete. Others who were asked for the block get a cancel. */
  store(slot: number, piece: number, block: number): boolean {
    const record = this.#open.recordOf(piece);
    const index = record < 0 ? -1 : this.#open.indexOf(record, block);
    if (index < 0 || this.#incoming.block[slot] !== index)
      throw new Error(`stored a block that slot ${slot} did not begin`);
    this.#incoming.block[slot] = -1;
    this.#open.move(record, block, STORED);
    const begin = index * CELLS_PER_BLOCK;
    for (let cell = begin; cell < begin + CELLS_PER_BLOCK; cell++)
      if (this.#ledger.slot[cell] !== -1) this.#cancel(cell);
    return this.#open.stored(record) === this.#open.blockCount[record];
  }

  /**
   * Whole blocks in a row came at once: `arrive` and `store` in one step, for as long as they were asked of this peer,
   * of nobody else, and in time. Returns how many were; the next one is to be looked at by itself. When the first was
   * asked for is `Incoming.askedMs` then.
   */
  storeRun(slot: number, piece: number, first: number, count: number): number {
    if (this.#incoming.block[slot] !== -1) throw new Error(`slot ${slot} stores a run inside a block`);
    const record = this.#open.recordOf(piece);
    if (record < 0 || this.#open.phase[record] !== READY) return 0;
    const begin = this.#open.indexOf(record, first);
    let index = begin;
    for (; index < begin + count; index++) {
      const cell = this.#ledger.onlyCell(index, slot);
      if (cell < 0 || this.#ledger.isLax[cell] !== 0 || this.#open.state[index] !== REQUESTED) break;
      if (index === begin) this.#incoming.askedMs[slot] = this.#ledger.askedMs[cell]!;
      this.#ledger.free(cell);
    }
    this.#open.storeRun(record, begin, index - begin, slot);
    return index - begin;
  }

  /** The block that was arriving from this peer, if any, is not going to be whole. */
  abort(slot: number): void {
    const index = this.#incoming.block[slot]!;
    if (index < 0) return;
    this.#incoming.block[slot] = -1;
    this.#open.sender[index] = -1;
    const record = this.#open.recordAt(index);
    const to = this.#ledger.holders(index) > 0 ? REQUESTED : MISSING;
    this.#open.move(record, index - this.#open.indexOf(record, 0), to);
  }

  /** Takes back every request for blocks of a record that is about to be closed. */
  cancelRecord(record: number): void {
    const begin = this.#open.indexOf(record, 0) * CELLS_PER_BLOCK;
    const end = begin + this.#open.blockCount[record]! * CELLS_PER_BLOCK;
    for (let cell = begin; cell < end; cell++) if (this.#ledger.slot[cell] !== -1) this.#cancel(cell);
  }

  #cancel(cell: number): void {
    const slot = this.#ledger.slot[cell]! as PeerSlot;
    const index = Math.floor(cell / CELLS_PER_BLOCK);
    const record = this.#open.recordAt(index);
    this.#owe(slot);
    this.#release(cell);
    // It may have nothing else to answer, and then nothing of it would let us ask it again.
    if (this.#peers.isPeerChoking[slot] === 0) this.#peers.hungry.add(slot);
    const block = (index - this.#open.indexOf(record, 0)) as BlockIndex;
    this.#sink.cancel(slot, this.#open.pieceOf[record] as PieceIndex, block);
  }

  #release(cell: number): void {
    const wasFirm = this.#ledger.isLax[cell] === 0;
    this.#free(cell);
    if (wasFirm) this.#settle(Math.floor(cell / CELLS_PER_BLOCK));
  }

  #free(cell: number): void {
    const slot = this.#ledger.slot[cell]!;
    if (this.#ledger.probe[slot] === cell) this.#ledger.probe[slot] = -1;
    this.#ledger.free(cell);
  }

  #owe(slot: number): void {
    this.#ledger.late[slot]!++;
  }

  /** A firm request is gone: without another one the block is missing. */
  #settle(index: number): void {
    if (this.#open.state[index] !== REQUESTED || this.#ledger.holders(index) > 0) return;
    const record = this.#open.recordAt(index);
    this.#open.move(record, index - this.#open.indexOf(record, 0), MISSING);
  }
}
