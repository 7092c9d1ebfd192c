/**
 * What one peer has asked for and not yet got: a first-in first-out ring of (piece, begin, length), grown as needed.
 *
 * A request that was cancelled leaves a hole, stepped over when its turn comes; a table of chains finds it in O(1),
 * because a flood of cancels must cost no more than any other message. A run (one request for several blocks in a row)
 * may lose blocks of it to cancels; the others come out as one part for each stretch that is left.
 * Invariant: the first place of a queue that is not empty is no hole, and every request is in the chain of its hash.
 */
import { BLOCK_LENGTH_BYTES, DEFAULTS } from '../config.js';

const FIRST_CAPACITY = 32;
/**
 * Piece, begin, length, how many units of memory a read-ahead of it touches that the requests before it did not, and
 * one bit for each of its blocks that was cancelled or sent before the others.
 */
const FIELDS = 5;
const GONE = 4;
/** Peers ask for the blocks of a few pieces by turns: units seen that lately are not counted again. */
const LATE_UNITS = 4;
/** More than the units of any piece, so that one number names a unit of the torrent. */
const UNITS_PER_PIECE = 2 ** 12;
/** In place of a piece: the request was cancelled. */
const HOLE = -1;
const END = -1;

export class RequestQueue {
  #ring = new Int32Array(FIRST_CAPACITY * FIELDS);
  /** A power of two. */
  #capacity = FIRST_CAPACITY;
  /** Places are counted up for ever (below 2^53) and wrapped by the capacity. */
  #head = 0;
  #tail = 0;
  #length = 0;
  /** First place of each chain, and the next place after each: ring positions, or END. */
  #first = new Int32Array(FIRST_CAPACITY).fill(END);
  #next = new Int32Array(FIRST_CAPACITY);
  /** Odd multipliers of the hash: a peer that does not know them cannot make long chains. */
  readonly #salts: readonly [number, number, number];
  /** The place after the last one whose read-ahead was started. */
  #ahead = 0;
  /** Bytes of the requests whose read-ahead was started, and units that these touch, near enough. */
  aheadBytes = 0;
  aheadUnits = 0;
  readonly #unitBytes: number;
  /** Units of the requests that came last. */
  readonly #lateUnits = new Float64Array(LATE_UNITS).fill(-1);
  #lateUnitAt = 0;
  #newestUnit = -1;

  /**
   * @param random a generator of [0, 1).
   * @param unitBytes what becomes resident as one, of a piece from its begin on.
   */
  constructor(random: () => number, unitBytes: number = DEFAULTS.residentUnitBytes) {
    this.#unitBytes = unitBytes;
    const salt = (): number => Math.floor(random() * 2 ** 32) | 1;
    this.#salts = [salt(), salt(), salt()];
  }

  /** Requests that wait, cancelled ones not counted. */
  get length(): number {
    return this.#length;
  }

  push(piece: number, begin: number, length: number): void {
    if (this.#tail - this.#head === this.#capacity) this.#rebuild();
    const position = this.#tail++ & (this.#capacity - 1);
    this.#put(position, piece, begin, length, this.#newUnits(piece, begin, length), 0);
    this.#length++;
  }

  /** The oldest request, or the first part of what is left of it. The queue must not be empty. */
  get piece(): number {
    return this.#ring[this.#position(this.#head)]!;
  }

  get begin(): number {
    const at = this.#position(this.#head);
    return this.#ring[at + 1]! + firstBlock(this.#ring[at + GONE]!) * BLOCK_LENGTH_BYTES;
  }

  get lengthBytes(): number {
    const at = this.#position(this.#head);
    return this.#ring[at + GONE] === 0 ? this.#ring[at + 2]! : partLength(this.#ring[at + 2]!, this.#ring[at + GONE]!);
  }

  /** Removes what `begin` and `lengthBytes` name. */
  shift(): void {
    const at = this.#position(this.#head);
    if (this.#ring[at + GONE] !== 0 && this.#shiftPart(at)) return;
    if (this.#head < this.#ahead) this.#countAhead(at, -1);
    this.#unchain(
      this.#head & (this.#capacity - 1),
      this.#hash(this.#ring[at]!, this.#ring[at + 1]!, this.#ring[at + 2]!),
    );
    this.#head++;
    this.#length--;
    this.#skipHoles();
  }

  /**
   * Removes one equal request (BEP 3 `cancel`); false when there is none.
   * @param visit each part that was left of it
   */
  remove(piece: number, begin: number, length: number, visit?: (begin: number, length: number) => void): boolean {
    const position = this.#find(piece, begin, length);
    if (position === END) return false;
    if (visit !== undefined) eachPart(begin, length, this.#ring[position * FIELDS + GONE]!, visit);
    this.#drop(position);
    this.#skipHoles();
    return true;
  }

  /** Removes one block of such a request: 0 is its first. False when there is none, or its block is gone already. */
  removeBlock(piece: number, begin: number, length: number, block: number): boolean {
    const position = this.#find(piece, begin, length);
    if (position === END) return false;
    const at = position * FIELDS;
    const gone = this.#ring[at + GONE]!;
    if ((gone & (1 << block)) !== 0) return false;
    this.#ring[at + GONE] = gone | (1 << block);
    if (partLength(length, gone | (1 << block)) === 0) {
      this.#drop(position);
      this.#skipHoles();
    }
    return true;
  }

  /** Removes all requests for a piece. Returns what was left of them, oldest first. */
  removePiece(piece: number): { begin: number; length: number }[] {
    const removed: { begin: number; length: number }[] = [];
    this.forEach((itsPiece, begin, length) => {
      if (itsPiece === piece) removed.push({ begin, length });
    });
    for (let place = this.#head; place < this.#tail; place++) {
      if (this.#ring[this.#position(place)] === piece) this.#drop(place & (this.#capacity - 1));
    }
    this.#skipHoles();
    return removed;
  }

  /** Position of one equal request, or END. */
  #find(piece: number, begin: number, length: number): number {
    let position = this.#first[this.#hash(piece, begin, length)]!;
    for (; position !== END; position = this.#next[position]!) {
      const at = position * FIELDS;
      if (this.#ring[at] === piece && this.#ring[at + 1] === begin && this.#ring[at + 2] === length) break;
    }
    return position;
  }

  /** Makes a request a hole. */
  #drop(position: number): void {
    const at = position * FIELDS;
    const place = this.#head + ((position - this.#head) & (this.#capacity - 1));
    if (place < this.#ahead) this.#countAhead(at, -1);
    this.#unchain(position, this.#hash(this.#ring[at]!, this.#ring[at + 1]!, this.#ring[at + 2]!));
    this.#ring[at] = HOLE;
    this.#length--;
  }

  /** The first part of the oldest request was sent. False: there is no other. */
  #shiftPart(at: number): boolean {
    let gone = this.#ring[at + GONE]!;
    for (let block = firstBlock(gone); block < 31 && (gone & (1 << block)) === 0; block++) gone |= 1 << block;
    if (partLength(this.#ring[at + 2]!, gone) === 0) return false;
    this.#ring[at + GONE] = gone;
    return true;
  }

  /** Requests in the longest chain: what a cancel costs at most. For tests. */
  get longestChain(): number {
    const lengths = Array.from(this.#first, (first) => {
      let length = 0;
      for (let position = first; position !== END; position = this.#next[position]!) length++;
      return length;
    });
    return Math.max(...lengths);
  }

  /** Each waiting request, oldest first; of one that lost blocks each part. */
  forEach(visit: (piece: number, begin: number, length: number) => void): void {
    for (let place = this.#head; place < this.#tail; place++) {
      const at = this.#position(place);
      const [piece, begin, length] = [this.#ring[at]!, this.#ring[at + 1]!, this.#ring[at + 2]!];
      if (piece !== HOLE) eachPart(begin, length, this.#ring[at + GONE]!, (from, part) => visit(piece, from, part));
    }
  }

  /**
   * Moves on to the next request whose read-ahead was not started yet; false when there is none or a limit is reached.
   */
  advance(limitBytes: number, limitUnits = Number.POSITIVE_INFINITY): boolean {
    if (this.#ahead < this.#head) this.#ahead = this.#head;
    while (this.#ahead < this.#tail && this.aheadBytes < limitBytes && this.aheadUnits < limitUnits) {
      const at = this.#position(this.#ahead++);
      if (this.#ring[at] === HOLE) continue;
      this.#countAhead(at, 1);
      return true;
    }
    return false;
  }

  /** The request that `advance` came to. */
  get aheadPiece(): number {
    return this.#ring[this.#position(this.#ahead - 1)]!;
  }

  get aheadBegin(): number {
    return this.#ring[this.#position(this.#ahead - 1) + 1]!;
  }

  get aheadLengthBytes(): number {
    return this.#ring[this.#position(this.#ahead - 1) + 2]!;
  }

  clear(): void {
    this.#head = 0;
    this.#tail = 0;
    this.#ahead = 0;
    this.#length = 0;
    this.aheadBytes = 0;
    this.aheadUnits = 0;
    this.#lateUnits.fill(-1);
    this.#newestUnit = -1;
    this.#first.fill(END);
  }

  #position(place: number): number {
    return (place & (this.#capacity - 1)) * FIELDS;
  }

  #hash(piece: number, begin: number, length: number): number {
    const [a, b, c] = this.#salts;
    const mixed = Math.imul(piece, a) + Math.imul(begin, b) + Math.imul(length, c);
    // The high bits are the well mixed ones.
    return Math.imul(mixed ^ (mixed >>> 15), a) >>> (Math.clz32(this.#capacity) + 1);
  }

  #countAhead(at: number, sign: 1 | -1): void {
    this.aheadBytes += sign * this.#ring[at + 2]!;
    this.aheadUnits += sign * this.#ring[at + 3]!;
  }

  /** How many units of this range none of the last requests touched. */
  #newUnits(piece: number, begin: number, length: number): number {
    const late = this.#lateUnits;
    const first = piece * UNITS_PER_PIECE + Math.floor(begin / this.#unitBytes);
    const last = piece * UNITS_PER_PIECE + Math.floor((begin + length - 1) / this.#unitBytes);
    let count = 0;
    for (let unit = first; unit <= last; unit++) {
      if (unit === this.#newestUnit || late.includes(unit)) continue;
      this.#newestUnit = unit;
      late[this.#lateUnitAt] = unit;
      this.#lateUnitAt = (this.#lateUnitAt + 1) % LATE_UNITS;
      count++;
    }
    return count;
  }

  #put(position: number, piece: number, begin: number, length: number, units: number, gone: number): void {
    const at = position * FIELDS;
    this.#ring[at] = piece;
    this.#ring[at + 1] = begin;
    this.#ring[at + 2] = length;
    this.#ring[at + 3] = units;
    this.#ring[at + GONE] = gone;
    const hash = this.#hash(piece, begin, length);
    this.#next[position] = this.#first[hash]!;
    this.#first[hash] = position;
  }

  #unchain(position: number, hash: number): void {
    if (this.#first[hash] === position) {
      this.#first[hash] = this.#next[position]!;
      return;
    }
    let before = this.#first[hash]!;
    while (this.#next[before] !== position) before = this.#next[before]!;
    this.#next[before] = this.#next[position]!;
  }

  #skipHoles(): void {
    if (this.#length === 0) {
      this.#head = this.#tail;
      return;
    }
    while (this.#ring[this.#position(this.#head)] === HOLE) this.#head++;
  }

  /** No place is left: without its holes, or else twice as large, the ring has room again. */
  #rebuild(): void {
    const old = this.#ring;
    const oldCapacity = this.#capacity;
    const { head, tail, ahead } = { head: this.#head, tail: this.#tail, ahead: this.#ahead };
    if (this.#length > oldCapacity / 2) {
      this.#capacity = oldCapacity * 2;
      this.#first = new Int32Array(this.#capacity);
      this.#next = new Int32Array(this.#capacity);
    }
    this.#ring = new Int32Array(this.#capacity * FIELDS);
    this.#first.fill(END);
    this.#head = 0;
    this.#tail = 0;
    this.#ahead = 0;
    for (let place = head; place < tail; place++) {
      const at = (place & (oldCapacity - 1)) * FIELDS;
      if (old[at] === HOLE) continue;
      this.#put(this.#tail++, old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!, old[at + GONE]!);
      if (place < ahead) this.#ahead = this.#tail;
    }
  }
}

/** The first block that is not gone; 31: none. */
function firstBlock(gone: number): number {
  return 31 - Math.clz32(~gone & (gone + 1));
}

/** Bytes of the first part that is left of a request of so many bytes; 0: none is. */
function partLength(length: number, gone: number): number {
  const first = firstBlock(gone);
  const blocks = Math.ceil(length / BLOCK_LENGTH_BYTES);
  let end = first;
  while (end < blocks && (gone & (1 << end)) === 0) end++;
  return Math.max(0, Math.min(length, end * BLOCK_LENGTH_BYTES) - first * BLOCK_LENGTH_BYTES);
}

/** Each part that is left of a request: where it begins, and its length. */
function eachPart(begin: number, length: number, gone: number, visit: (begin: number, length: number) => void): void {
  if (gone === 0) {
    visit(begin, length);
    return;
  }
  for (;;) {
    const first = firstBlock(gone);
    const part = partLength(length, gone);
    if (part === 0) return;
    visit(begin + first * BLOCK_LENGTH_BYTES, part);
    for (let block = first; block * BLOCK_LENGTH_BYTES < first * BLOCK_LENGTH_BYTES + part; block++) gone |= 1 << block;
  }
}
