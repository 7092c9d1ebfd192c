/**
 * Who asks next when there is not enough room for all. Four requests to each of a thousand peers cost as many small
 * reads and writes as there are blocks; so only some ask, for a longer run of blocks each, and whoever has got them all
 * goes to the end of the line.
 */
import { grown } from '../peers/slot-rows.js';

/** Requests of one turn. */
export const TURN_BLOCKS = 16;
/** With fewer peers at work than this a few slow ones would hold everybody up. */
const MIN_AT_WORK = 64;

export class RequestLine {
  /** Blocks that may be under way from all peers. */
  readonly budgetBlocks: number;
  readonly #isPossible: boolean;
  #line: Int32Array;
  #isWaiting: Uint8Array;
  #first = 0;
  #size = 0;

  constructor(roomBlocks: number) {
    this.budgetBlocks = Math.floor(roomBlocks / 2);
    this.#isPossible = this.budgetBlocks >= TURN_BLOCKS * MIN_AT_WORK;
    this.#line = new Int32Array(0);
    this.#isWaiting = new Uint8Array(0);
  }

  /** So many serve us that their even shares are too small. */
  isCrowded(servingCount: number): boolean {
    return this.#isPossible && servingCount * TURN_BLOCKS > this.budgetBlocks;
  }

  /** What would be under way if it were there, given what is. */
  wantedBlocks(underWayBlocks: number): number {
    return underWayBlocks + Math.min(this.#size * TURN_BLOCKS, Math.max(0, this.budgetBlocks - underWayBlocks));
  }

  get size(): number {
    return this.#size;
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    const line = new Int32Array(rows);
    for (let place = 0; place < this.#size; place++)
      line[place] = this.#line[(this.#first + place) % this.#line.length]!;
    this.#line = line;
    this.#first = 0;
    this.#isWaiting = grown(this.#isWaiting, rows);
  }

  /** To the end of the line, unless the peer stands in it. */
  wait(slot: number): void {
    if (this.#isWaiting[slot] !== 0) return;
    this.#isWaiting[slot] = 1;
    this.#line[(this.#first + this.#size++) % this.#line.length] = slot;
  }

  /** Back to where `next` took it from: there was nothing for anybody. */
  staysFirst(slot: number): void {
    this.#isWaiting[slot] = 1;
    this.#first = (this.#first + this.#line.length - 1) % this.#line.length;
    this.#line[this.#first] = slot;
    this.#size++;
  }

  /** The one that waits longest; it may have left or been choked meanwhile. */
  next(): number {
    const slot = this.#line[this.#first]!;
    this.#first = (this.#first + 1) % this.#line.length;
    this.#size--;
    this.#isWaiting[slot] = 0;
    return slot;
  }
}
