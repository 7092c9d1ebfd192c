/**
 * Pieces from the front to the back, as far as a swarm with a web seed can do that without being slower: for one who
 * takes the whole as it becomes verified, and can wait.
 *
 *   pieces   |#####.#.##..#.#.......................|
 *   window         [ `SHARE` of all     )              `HIGH` while they are missing: rarest first among them
 *   turn           0 1 2 3 0 1 2 3 0 1 2 3 0 1 2 3     four leeches, ours is one of them
 *
 * All leeches want the same pieces then, and whoever asks the web seed for one that another has just asked for brings
 * the swarm nothing new. So they take turns at it: those without everything are ranked by a number that all know of
 * each, and the piece `i` is for the one of rank `i` modulo their count. Each takes its own in order, those of the
 * window first; whoever is through with them takes what others have left in the window, so that nobody is waited for.
 * Nobody has to agree: with other views of who is there, or peers that know nothing of turns, some pieces come twice.
 *
 * Invariant: `#first` is the first piece that is wanted and missing, and what is raised lies before `#end`.
 */
import type { Holdings } from '../peers/holdings.js';
import type { Peers } from '../peers/peers.js';
import type { Availability } from './availability.js';
import type { OpenPieces } from './open-pieces.js';
import type { Turns } from './picker.js';
import { HIGH, NORMAL } from './priority.js';
import type { Urgent } from './urgent.js';

/** Of all pieces. Smaller: more of them are asked for twice. Larger: more is left to hand over in the end. */
const SHARE = 3 / 8;
/** Pieces of the window that are for each leech, at least: where they are many the window is large. */
const TURNS = 8;
const NOTHING = -1;

export interface ForwardParts {
  readonly peers: Peers;
  readonly holdings: Holdings;
  readonly availability: Availability;
  readonly open: OpenPieces;
  readonly urgent: Urgent;
}

export class Forward implements Turns {
  readonly #p: ForwardParts;
  readonly #ownNumber: number;
  /** By slot; of a peer without a number nobody knows the rank. */
  readonly #numbers = new Map<number, number>();
  readonly #webSeeds = new Set<number>();
  #first = 0;
  #end = 0;
  #rank = 0;
  #leeches = 1;
  #isRanked = false;

  /** @param ownNumber by which others know us. */
  constructor(parts: ForwardParts, ownNumber: number) {
    this.#p = parts;
    this.#ownNumber = ownNumber;
  }

  /** @param number null: it has none. */
  joined(slot: number, number: number | null): void {
    if (number !== null) this.#numbers.set(slot, number);
    this.#isRanked = false;
  }

  left(slot: number): void {
    this.#numbers.delete(slot);
    this.#webSeeds.delete(slot);
    this.#isRanked = false;
  }

  /** A peer has everything now, or no longer. */
  changed(): void {
    this.#isRanked = false;
  }

  /** It chokes nobody. From now on there are turns. */
  isWebSeed(slot: number): void {
    this.#webSeeds.add(slot);
    this.verified();
  }

  /** Also at a seed of the wire, but with a web seed at hand: most of those whose turn it is are choked there. */
  hasTurns(): boolean {
    return this.#webSeeds.size > 0;
  }

  /** A piece more is here. Without a web seed there is no window. */
  verified(): void {
    if (this.#webSeeds.size === 0) return;
    const { peers, holdings, availability, open, urgent } = this.#p;
    while (this.#first < peers.pieceCount && holdings.isNeeded[this.#first] === 0) this.#first++;
    if (!this.#isRanked) this.#findRank();
    const pieces = Math.max(Math.ceil(peers.pieceCount * SHARE), TURNS * this.#leeches);
    const end = Math.min(peers.pieceCount, this.#first + pieces);
    for (; this.#end < end; this.#end++) {
      const piece = this.#end;
      if (holdings.isNeeded[piece] === 0 || urgent.keep(piece, HIGH)) continue;
      if (availability.priority(piece) === NORMAL) holdings.setPriority(piece, HIGH, open.recordOf(piece) >= 0);
    }
  }

  /** For one that has everything: a piece that no leech has, if there is one. */
  pick(): number {
    const { pieceCount } = this.#p.peers;
    for (const own of [this.#ownIn(this.#first, this.#end, HIGH), this.#ownIn(this.#end, pieceCount, NORMAL)])
      if (own !== NOTHING) return own;
    const order = this.#p.availability.order(HIGH);
    if (order !== null && order.size > 0) {
      const rarest = order.pieceAt(order.firstIndex(0));
      if (this.#isNew(rarest)) return rarest;
    }
    return NOTHING;
  }

  #ownIn(begin: number, end: number, priority: number): number {
    const order = this.#p.availability.order(priority);
    if (order === null || order.size === 0) return NOTHING;
    if (!this.#isRanked) this.#findRank();
    const over = begin % this.#leeches;
    let piece = begin - over + this.#rank;
    if (piece < begin) piece += this.#leeches;
    for (; piece < end; piece += this.#leeches) if (order.has(piece) && this.#isNew(piece)) return piece;
    return NOTHING;
  }

  #isNew(piece: number): boolean {
    const { availability } = this.#p;
    return availability.copies(piece) === availability.seedCount;
  }

  #findRank(): void {
    const { partial } = this.#p.peers;
    this.#rank = 0;
    this.#leeches = 1;
    for (let index = 0; index < partial.size; index++) {
      const number = this.#numbers.get(partial.at(index));
      if (number === undefined) continue;
      this.#leeches++;
      if (number < this.#ownNumber) this.#rank++;
    }
    this.#isRanked = true;
  }
}
