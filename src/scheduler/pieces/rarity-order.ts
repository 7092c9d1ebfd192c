/**
 * The pieces of one priority that may be opened, in order of rarity.
 *
 *   order:   [ closed: not among them | level 1: 0 copies | level 2: 1 copy | … ]
 *   starts:    ^0                       ^starts[1]          ^starts[2]
 *
 * Invariant: `order` is a permutation of all pieces, sorted by level; inside a level the order is random.
 * One copy more or less moves a piece across one border: O(1). Adding or removing a piece crosses at most `copies + 1`
 * borders; that happens once per opened piece. Who owns the copies (availability.ts) changes them before it calls.
 */
import { grown } from '../peers/slot-rows.js';

export class RarityOrder {
  readonly #order: Int32Array;
  readonly #positions: Int32Array;
  readonly #levels: Int32Array;
  readonly #copies: Int32Array;
  #starts: Int32Array;
  readonly #random: () => number;
  /** One bit per piece of the order, in the byte order of BEP 3 `bitfield`, padded with zeros to whole words. */
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;

  /**
   * @param copies per piece, shared with the owner. @param maxCopies most copies of a piece.
   * @param isMember pieces of the order at the beginning; those have no copies yet.
   */
  constructor(copies: Int32Array, maxCopies: number, isMember: (piece: number) => boolean, random: () => number) {
    const { length } = copies;
    this.#random = random;
    this.#copies = copies;
    this.#order = new Int32Array(length);
    this.#positions = new Int32Array(length);
    this.#levels = new Int32Array(length);
    this.#starts = new Int32Array(maxCopies + 3).fill(length);
    this.words = new Uint32Array(Math.ceil(length / 32));
    this.bytes = new Uint8Array(this.words.buffer);
    let closed = 0;
    for (let piece = 0; piece < length; piece++) if (!isMember(piece)) this.#order[closed++] = piece;
    this.#starts[0] = 0;
    this.#starts[1] = closed;
    let end = closed;
    for (let piece = 0; piece < length; piece++) {
      if (!isMember(piece)) continue;
      const at = closed + Math.floor(random() * (end - closed + 1));
      this.#order[end++] = this.#order[at]!;
      this.#order[at] = piece;
      this.#levels[piece] = 1;
      this.bytes[piece >> 3]! |= 0x80 >> (piece & 7);
    }
    for (let at = 0; at < length; at++) this.#positions[this.#order[at]!] = at;
  }

  /** A piece has at most `maxCopies` from now on. */
  grow(maxCopies: number): void {
    this.#starts = grown(this.#starts, maxCopies + 3, this.#order.length);
  }

  has(piece: number): boolean {
    return this.#levels[piece]! > 0;
  }

  /** Pieces in the order. */
  get size(): number {
    return this.#order.length - this.#starts[1]!;
  }

  /** Index of the rarest piece with at least this many copies. Walk up to `end`. */
  firstIndex(minCopies: 0 | 1): number {
    return this.#starts[minCopies + 1]!;
  }

  get end(): number {
    return this.#order.length;
  }

  pieceAt(index: number): number {
    return this.#order[index]!;
  }

  /** A copy more of any piece. */
  gained(piece: number): void {
    const level = this.#levels[piece]!;
    if (level === 0) return;
    this.#raise(piece, level);
    this.#scatter(piece, level + 1);
  }

  /** A copy less of any piece. */
  lost(piece: number): void {
    const level = this.#levels[piece]!;
    if (level === 0) return;
    this.#lower(piece, level);
    this.#scatter(piece, level - 1);
  }

  remove(piece: number): void {
    let at = this.#positions[piece]!;
    for (let level = this.#levels[piece]!; level > 0; level--) {
      const border = this.#starts[level]!++;
      if (border !== at) at = this.#fill(at, border);
    }
    this.#place(piece, at, 0);
    this.bytes[piece >> 3]! &= ~(0x80 >> (piece & 7));
  }

  add(piece: number): void {
    const goal = this.#copies[piece]! + 1;
    let at = this.#positions[piece]!;
    for (let level = this.#levels[piece]!; level < goal; level++) {
      const border = --this.#starts[level + 1]!;
      if (border !== at) at = this.#fill(at, border);
    }
    this.#place(piece, at, goal);
    this.#scatter(piece, goal);
    this.bytes[piece >> 3]! |= 0x80 >> (piece & 7);
  }

  /**
   * Fills a hole of the order from another place, which is the hole now. Empty levels need nothing but their border
   * moved.
   */
  #fill(hole: number, from: number): number {
    const other = this.#order[from]!;
    this.#order[hole] = other;
    this.#positions[other] = hole;
    return from;
  }

  #place(piece: number, at: number, level: number): void {
    this.#order[at] = piece;
    this.#positions[piece] = at;
    this.#levels[piece] = level;
  }

  #raise(piece: number, level: number): void {
    const border = this.#starts[level + 1]! - 1;
    this.#move(piece, border);
    this.#starts[level + 1] = border;
    this.#levels[piece] = level + 1;
  }

  #lower(piece: number, level: number): void {
    const border = this.#starts[level]!;
    this.#move(piece, border);
    this.#starts[level] = border + 1;
    this.#levels[piece] = level - 1;
  }

  /**
   * A piece that crossed a border lies at the edge of its level; left there, ties would go by arrival and not by
   * chance.
   */
  #scatter(piece: number, level: number): void {
    const begin = this.#starts[level]!;
    this.#move(piece, begin + Math.floor(this.#random() * (this.#starts[level + 1]! - begin)));
  }

  #move(piece: number, to: number): void {
    const from = this.#positions[piece]!;
    const other = this.#order[to]!;
    this.#order[to] = piece;
    this.#order[from] = other;
    this.#positions[piece] = to;
    this.#positions[other] = from;
  }

  /** Throws when the order, the borders and the counts disagree. For tests: O(pieces). */
  checkInvariants(): void {
    const { length } = this.#order;
    let level = 0;
    for (let at = 0; at < length; at++) {
      const piece = this.#order[at]!;
      while (at >= this.#starts[level + 1]!) level++;
      if (this.#positions[piece] !== at) throw new Error(`piece ${piece} is not where it says`);
      if (this.#levels[piece] !== level) throw new Error(`piece ${piece} lies in level ${level}, not its own`);
      if (level > 0 && this.#copies[piece] !== level - 1) throw new Error(`piece ${piece}: copies and level differ`);
      const bit = (this.bytes[piece >> 3]! & (0x80 >> (piece & 7))) !== 0;
      if (bit !== level > 0) throw new Error(`piece ${piece}: bit and level differ`);
    }
  }
}
