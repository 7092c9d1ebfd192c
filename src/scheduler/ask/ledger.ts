/**
 * The ledger of requests: who was asked for which block, and when. Four fixed cells per block of an open piece; the
 * cells of one peer form a list, oldest first. Nothing is allocated but by `grow` and `growBlocks`.
 *
 * A request is FIRM when it holds its block (the block is REQUESTED) and LAX when it does not: it timed out, or was
 * made to try a snubbed peer. A lax request may still be answered, but others may take the block.
 * Invariant: a peer has at most one cell per block; at most `MAX_HOLDERS` cells of a block are firm.
 */

import { grown } from '../peers/slot-rows.js';
import type { BlockTables } from '../pieces/open-pieces.js';

export const CELLS_PER_BLOCK = 4;
/** Most peers asked for one block in the endgame; the fourth cell remembers a late one. */
export const MAX_HOLDERS = 3;

export class Ledger implements BlockTables {
  slot = new Int32Array(0);
  isLax = new Uint8Array(0);
  askedMs = new Float64Array(0);
  /** Firm and lax requests per peer. */
  firm: Int32Array;
  lax: Int32Array;
  /** Requests we let go of that the peer may still answer: that many of its blocks are late, not unrequested. */
  late: Int32Array;
  /** The one request a snubbed peer is tried with, a cell, or -1. */
  probe: Int32Array;
  /** Firm requests of all peers. */
  firmCount = 0;
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  #head: Int32Array;
  #tail: Int32Array;

  constructor(rows: number) {
    this.firm = new Int32Array(rows);
    this.lax = new Int32Array(rows);
    this.late = new Int32Array(rows);
    this.probe = new Int32Array(rows).fill(-1);
    this.#head = new Int32Array(rows).fill(-1);
    this.#tail = new Int32Array(rows).fill(-1);
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.firm = grown(this.firm, rows);
    this.lax = grown(this.lax, rows);
    this.late = grown(this.late, rows);
    this.probe = grown(this.probe, rows, -1);
    this.#head = grown(this.#head, rows, -1);
    this.#tail = grown(this.#tail, rows, -1);
  }

  joined(slot: number): void {
    this.late[slot] = 0;
    this.probe[slot] = -1;
  }

  growBlocks(blocks: number): void {
    const cells = blocks * CELLS_PER_BLOCK;
    this.slot = grown(this.slot, cells, -1);
    this.isLax = grown(this.isLax, cells);
    this.askedMs = grown(this.askedMs, cells);
    this.#next = grown(this.#next, cells, -1);
    this.#previous = grown(this.#previous, cells, -1);
  }

  /** The cell of this peer at this block, or -1. */
  find(index: number, slot: number): number {
    const begin = index * CELLS_PER_BLOCK;
    for (let cell = begin; cell < begin + CELLS_PER_BLOCK; cell++) if (this.slot[cell] === slot) return cell;
    return -1;
  }

  /** The cell of this peer at this block when nobody else has one there, or -1. */
  onlyCell(index: number, slot: number): number {
    const begin = index * CELLS_PER_BLOCK;
    let found = -1;
    for (let cell = begin; cell < begin + CELLS_PER_BLOCK; cell++) {
      if (this.slot[cell] === slot) found = cell;
      else if (this.slot[cell] !== -1) return -1;
    }
    return found;
  }

  findFree(index: number): number {
    return this.find(index, -1);
  }

  findLax(index: number): number {
    const begin = index * CELLS_PER_BLOCK;
    for (let cell = begin; cell < begin + CELLS_PER_BLOCK; cell++) {
      if (this.slot[cell] !== -1 && this.isLax[cell] !== 0) return cell;
    }
    return -1;
  }

  /** Firm requests for a block. */
  holders(index: number): number {
    const begin = index * CELLS_PER_BLOCK;
    let count = 0;
    for (let cell = begin; cell < begin + CELLS_PER_BLOCK; cell++) {
      if (this.slot[cell] !== -1 && this.isLax[cell] === 0) count++;
    }
    return count;
  }

  /** When a block was last asked for by a firm request; -Infinity when it was not. */
  newestFirmMs(index: number): number {
    const begin = index * CELLS_PER_BLOCK;
    let newest = Number.NEGATIVE_INFINITY;
    for (let cell = begin; cell < begin + CELLS_PER_BLOCK; cell++) {
      if (this.slot[cell] !== -1 && this.isLax[cell] === 0) newest = Math.max(newest, this.askedMs[cell]!);
    }
    return newest;
  }

  /** Oldest request of a peer, or -1. Read `next` before freeing the one at hand. */
  first(slot: number): number {
    return this.#head[slot]!;
  }

  next(cell: number): number {
    return this.#next[cell]!;
  }

  /** Fills a free cell. */
  take(cell: number, slot: number, isLax: boolean, nowMs: number): void {
    this.slot[cell] = slot;
    this.isLax[cell] = isLax ? 1 : 0;
    this.askedMs[cell] = nowMs;
    (isLax ? this.lax : this.firm)[slot]!++;
    if (!isLax) this.firmCount++;
    const tail = this.#tail[slot]!;
    this.#previous[cell] = tail;
    this.#next[cell] = -1;
    if (tail < 0) this.#head[slot] = cell;
    else this.#next[tail] = cell;
    this.#tail[slot] = cell;
  }

  /** As if the peer had been asked for all of it later, but not later than now. */
  shiftClocks(slot: number, ms: number, nowMs: number): void {
    for (let cell = this.#head[slot]!; cell >= 0; cell = this.#next[cell]!)
      this.askedMs[cell] = Math.min(nowMs, this.askedMs[cell]! + ms);
  }

  free(cell: number): void {
    const slot = this.slot[cell]!;
    const next = this.#next[cell]!;
    const previous = this.#previous[cell]!;
    if (previous < 0) this.#head[slot] = next;
    else this.#next[previous] = next;
    if (next < 0) this.#tail[slot] = previous;
    else this.#previous[next] = previous;
    if (this.isLax[cell] !== 0) this.lax[slot]!--;
    else {
      this.firm[slot]!--;
      this.firmCount--;
    }
    this.slot[cell] = -1;
  }

  setLax(cell: number, isLax: boolean): void {
    const slot = this.slot[cell]!;
    const step = isLax ? 1 : -1;
    if ((this.isLax[cell] !== 0) === isLax) return;
    this.isLax[cell] = isLax ? 1 : 0;
    this.lax[slot]! += step;
    this.firm[slot]! -= step;
    this.firmCount -= step;
  }
}
