/**
 * How many copies of each piece the swarm has, and the pieces we may still open in order of rarity.
 *
 *   order:   [ closed: open or verified | level 1: 0 copies | level 2: 1 copy | … ]
 *   starts:    ^0                         ^starts[1]          ^starts[2]
 *
 * Invariant: `order` is a permutation of all pieces, sorted by level; inside a level the order is random.
 * One copy more or less moves a piece across one border: O(1). Closing or returning a piece crosses at most `copies + 1`
 * borders; that happens once per opened piece. Peers that have everything are one number added to every piece.
 */
import { grown } from './slot-rows.js';

export class Availability {
  readonly #order: Int32Array;
  readonly #positions: Int32Array;
  readonly #levels: Int32Array;
  readonly #copies: Int32Array;
  #starts: Int32Array;
  readonly #random: () => number;
  readonly #pickableBytes: Uint8Array;
  /** One bit per piece that may be opened, in the byte order of BEP 3 `bitfield`, padded with zeros to whole words. */
  readonly pickableWords: Uint32Array;
  /** Peers that have every piece and are not counted piece by piece. */
  seedCount = 0;

  /** @param maxPeers most peers counted at once. @param isPickable which pieces may be opened at the beginning. */
  constructor(pieceCount: number, maxPeers: number, isPickable: (piece: number) => boolean, random: () => number) {
    this.#random = random;
    this.#order = new Int32Array(pieceCount);
    this.#positions = new Int32Array(pieceCount);
    this.#levels = new Int32Array(pieceCount);
    this.#copies = new Int32Array(pieceCount);
    this.#starts = new Int32Array(maxPeers + 3).fill(pieceCount);
    this.pickableWords = new Uint32Array(Math.ceil(pieceCount / 32));
    this.#pickableBytes = new Uint8Array(this.pickableWords.buffer);
    let closed = 0;
    for (let piece = 0; piece < pieceCount; piece++) if (!isPickable(piece)) this.#order[closed++] = piece;
    this.#starts[0] = 0;
    this.#starts[1] = closed;
    let end = closed;
    for (let piece = 0; piece < pieceCount; piece++) {
      if (!isPickable(piece)) continue;
      const at = closed + Math.floor(random() * (end - closed + 1));
      this.#order[end++] = this.#order[at]!;
      this.#order[at] = piece;
      this.#levels[piece] = 1;
      this.#pickableBytes[piece >> 3]! |= 0x80 >> (piece & 7);
    }
    for (let at = 0; at < pieceCount; at++) this.#positions[this.#order[at]!] = at;
  }

  /** At most `maxPeers` are counted from now on. */
  grow(maxPeers: number): void {
    this.#starts = grown(this.#starts, maxPeers + 3, this.#order.length);
  }

  /** Copies of a piece among connected peers. */
  copies(piece: number): number {
    return this.#copies[piece]! + this.seedCount;
  }

  isPickable(piece: number): boolean {
    return this.#levels[piece]! > 0;
  }

  get pickableCount(): number {
    return this.#order.length - this.#starts[1]!;
  }

  /** Index into the order of the rarest pickable piece with at least this many copies outside of seeds. Walk up to `pickableEnd`. */
  firstIndex(minCopies: 0 | 1): number {
    return this.#starts[minCopies + 1]!;
  }

  get pickableEnd(): number {
    return this.#order.length;
  }

  pieceAt(index: number): number {
    return this.#order[index]!;
  }

  /** A peer got a copy. */
  increment(piece: number): void {
    this.#copies[piece]!++;
    const level = this.#levels[piece]!;
    if (level === 0) return;
    this.#raise(piece, level);
    this.#scatter(piece, level + 1);
  }

  /** A peer with a copy left. */
  decrement(piece: number): void {
    this.#copies[piece]!--;
    const level = this.#levels[piece]!;
    if (level === 0) return;
    this.#lower(piece, level);
    this.#scatter(piece, level - 1);
  }

  /** The piece is being fetched: it may not be picked again. */
  close(piece: number): void {
    for (let level = this.#levels[piece]!; level > 0; level--) this.#lower(piece, level);
    this.#pickableBytes[piece >> 3]! &= ~(0x80 >> (piece & 7));
  }

  /** The piece was given up: it may be picked again. */
  reopen(piece: number): void {
    const goal = this.#copies[piece]! + 1;
    for (let level = this.#levels[piece]!; level < goal; level++) this.#raise(piece, level);
    this.#scatter(piece, goal);
    this.#pickableBytes[piece >> 3]! |= 0x80 >> (piece & 7);
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

  /** A piece that crossed a border lies at the edge of its level; left there, ties would go by arrival and not by chance. */
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
      const bit = (this.#pickableBytes[piece >> 3]! & (0x80 >> (piece & 7))) !== 0;
      if (bit !== level > 0) throw new Error(`piece ${piece}: pickable bit and level differ`);
    }
  }
}
