/**
 * Pieces from the front to the back, as far as a swarm with a web seed can do that without being slower: for one who
 * takes the whole as it becomes verified, and can wait.
 *
 *   pieces   |#####.#.##..#.#.......................|
 *   window         [ `SHARE` of all     )              `HIGH` while they are missing: rarest first among them
 *   turn           0 1 2 3 0 1 2 3 0 1 2 3 0 1 2 3     four leeches, ours is one of them
 *
 * All leeches want the same pieces then, and whoever asks the web seed for one that another has just asked for brings
 * the swarm nothing new. So they take turns at it: each piece is for one of them (`turn-takers.ts`). Each takes its own
 * in order, those of the window first, as long as nobody who passes pieces on has them (`proven-copies.ts`); whoever is
 * through with them takes what others have left in the window, so that nobody is waited for. Nobody has to agree: with
 * other views of who is there, or peers that know nothing of turns, some pieces come twice.
 *
 * Invariant: `#first` is the first piece that is wanted and missing, and what is raised lies before `#end`.
 */
import type { PeerSlot } from '../../metainfo/geometry.js';
import type { Holdings } from '../peers/holdings.js';
import type { Peers } from '../peers/peers.js';
import type { Availability } from './availability.js';
import { Backlog, OURS } from './backlog.js';
import type { OpenPieces } from './open-pieces.js';
import type { Turns } from './picker.js';
import { HIGH, NORMAL, type Priority } from './priority.js';
import { ProvenCopies } from './proven-copies.js';
import type { RarityOrder } from './rarity-order.js';
import { TurnTakers } from './turn-takers.js';
import type { Urgent } from './urgent.js';

/** Of all pieces. Smaller: more of them are asked for twice. Larger: more is left to hand over in the end. */
const SHARE = 3 / 8;
/** Pieces of the window that are for each leech, at least: where they are many the window is large. */
const TURNS = 8;
/** So many leeches, and half of all, must have something for us before we ask no seed. */
const LEAST_LEECHES = 2;
/** Who has so many times what others have on average, and some pieces more or less, gets on as they do; */
const LEAST_SHARE = 0.95;
const MOST_SHARE = 1.15;
const SPARE_PIECES = 4;
/** before that it cannot be told. */
const FIRST_PIECES = 8;
const NOTHING = -1;

export interface ForwardParts {
  readonly peers: Peers;
  readonly holdings: Holdings;
  readonly availability: Availability;
  readonly open: OpenPieces;
  readonly urgent: Urgent;
}

/** Of our own pieces of one priority with so many copies none before `from` can be had. */
interface Cursor {
  from: number;
  copies: number;
}

export class Forward implements Turns {
  readonly #p: ForwardParts;
  readonly #takers: TurnTakers;
  readonly #proven: ProvenCopies;
  readonly #backlog: Backlog;
  readonly #webSeeds = new Set<number>();
  #first = 0;
  #end = 0;
  readonly #ownHigh: Cursor = { from: 0, copies: 0 };
  readonly #ownNormal: Cursor = { from: 0, copies: 0 };
  /** Pieces that the user wants before others, not here yet: while there are any, they come first, the rarest first. */
  readonly #wanted = new Set<number>();

  /** @param ownNumber by which others know us. */
  constructor(parts: ForwardParts, ownNumber: number) {
    this.#p = parts;
    const { peers, holdings, availability } = parts;
    this.#backlog = new Backlog(peers);
    this.#takers = new TurnTakers(peers, ownNumber, this.#backlog);
    this.#proven = new ProvenCopies(peers, availability);
    // What it has alone is fetched by somebody else, in turns, before all ask a seed for it in the end.
    this.#takers.onOut = (slot) => {
      if (this.#proven.forget(slot)) this.#searchAnew();
    };
    if (availability.hasPriorities)
      for (let piece = 0; piece < peers.pieceCount; piece++)
        if (holdings.isNeeded[piece] !== 0 && availability.priority(piece) === HIGH) this.#wanted.add(piece);
  }

  /** @param number null: it has none. */
  joined(slot: number, number: number | null): void {
    this.#takers.joined(slot, number);
  }

  /** What it has is still known. */
  left(slot: number): void {
    this.#takers.left(slot);
    this.forget(slot);
    this.#webSeeds.delete(slot);
  }

  /** The peer has a piece more. */
  gained(slot: number, piece: number): void {
    this.#proven.gained(slot, piece);
    this.#backlog.gained(slot, piece);
    this.#takers.peerGot(slot);
  }

  /** The peer has a piece less. */
  lost(slot: number, piece: number): void {
    this.#backlog.lost(slot, piece);
    if (this.#proven.lost(slot, piece)) this.#searchAnew();
  }

  /** Call it before the peer's pieces are others altogether, and `saidAnew` then. */
  forget(slot: number): void {
    this.#backlog.forget(slot);
    if (this.#proven.forget(slot)) this.#searchAnew();
  }

  saidAnew(slot: number): void {
    this.#takers.peerGot(slot);
  }

  /** It chokes nobody. From now on there are turns. */
  isWebSeed(slot: number): void {
    this.#webSeeds.add(slot);
    this.#moveWindow();
  }

  /** The user's own priority of it is another one. What the window did is undone for it; the window begins anew. */
  priorityChanged(piece: number, priority: Priority): void {
    if (priority === HIGH && this.#p.holdings.isNeeded[piece] !== 0) this.#wanted.add(piece);
    else this.#wanted.delete(piece);
    this.#first = Math.min(this.#first, piece);
    this.#end = Math.min(this.#end, piece);
  }

  /** `Turns` */
  offered(piece: number): void {
    this.#ownHigh.from = Math.min(this.#ownHigh.from, piece);
    this.#ownNormal.from = Math.min(this.#ownNormal.from, piece);
  }

  /** Also at a seed of the wire, but with a web seed at hand: most of those whose turn it is are choked there. */
  hasTurns(): boolean {
    return this.#webSeeds.size > 0 && this.#wanted.size === 0;
  }

  /**
   * `Turns`. Our own backlog is too large, and leeches have enough for us: a seed is for what nobody has. Only while we
   * get on as others do, no better and no worse: who is ahead has slow peers and not a thin uplink.
   */
  rests(): boolean {
    if (!this.#takers.isOut || !this.hasTurns()) return false;
    const { peers, holdings, availability } = this.#p;
    const leeches = holdings.servingCount - availability.seedCount;
    const { count, meanPieces } = this.#takers.others();
    if (leeches < LEAST_LEECHES || 2 * leeches < count) return false;
    const own = peers.pieceCount - holdings.needCount;
    const [least, most] = [LEAST_SHARE * meanPieces - SPARE_PIECES, MOST_SHARE * meanPieces + SPARE_PIECES];
    return meanPieces >= FIRST_PIECES && own >= least && own <= most;
  }

  /** @param senders of its blocks */
  verified(piece: number, senders: readonly PeerSlot[]): void {
    this.#wanted.delete(piece);
    for (const slot of senders) if (!this.#takers.isOutAt(slot)) this.#proven.gave(slot);
    this.#backlog.gained(OURS, piece);
    this.#takers.got();
    this.#moveWindow();
  }

  /** Without a web seed there is none. */
  #moveWindow(): void {
    if (!this.hasTurns()) return;
    const { peers, holdings, availability, open, urgent } = this.#p;
    while (this.#first < peers.pieceCount && holdings.isNeeded[this.#first] === 0) this.#first++;
    this.#updateTakers();
    const pieces = Math.max(Math.ceil(peers.pieceCount * SHARE), TURNS * this.#takers.count);
    const end = Math.min(peers.pieceCount, this.#first + pieces);
    const { from } = this.#ownNormal;
    for (; this.#end < end; this.#end++) {
      const piece = this.#end;
      const own = urgent.ownOf(piece) ?? availability.priority(piece);
      if (holdings.isNeeded[piece] === 0 || own !== NORMAL || urgent.keep(piece, HIGH)) continue;
      holdings.setPriority(piece, HIGH, open.recordOf(piece) >= 0);
    }
    // What comes into the window can be had as before.
    this.#ownNormal.from = from;
  }

  /**
   * For one that has everything: a piece that no proven leech has, if there is one and our backlog is small. What few
   * have stands for that where some have nearly all.
   */
  pick(): number {
    const { peers } = this.#p;
    const { availability } = this.#proven;
    const [high, normal] = [availability.order(HIGH), availability.order(NORMAL)];
    const [highCopies, normalCopies] = [fewestIn(high, availability), fewestIn(normal, availability)];
    this.#updateTakers();
    const had = this.#takers.isOut ? (rarestHad(high) ?? rarestHad(normal)) : null;
    if (had !== null) return had;
    const isWindowNew = highCopies <= normalCopies;
    let piece = isWindowNew ? this.#own(high, this.#ownHigh, highCopies, this.#first, this.#end) : NOTHING;
    if (piece === NOTHING && normalCopies <= highCopies)
      piece = this.#own(normal, this.#ownNormal, normalCopies, this.#end, peers.pieceCount);
    if (piece !== NOTHING || !isWindowNew || high === null || high.size === 0) return piece;
    // What others have left.
    return high.pieceAt(high.firstIndex(0));
  }

  #own(order: RarityOrder | null, own: Cursor, copies: number, begin: number, end: number): number {
    if (order === null || order.size === 0) return NOTHING;
    const { availability } = this.#proven;
    const from = Math.max(begin, copies === own.copies ? own.from : 0);
    let piece = this.#takers.firstOwn(from);
    while (piece < end && !(order.has(piece) && availability.copies(piece) === copies))
      piece = this.#takers.firstOwn(piece + 1);
    own.copies = copies;
    own.from = piece;
    return piece < end ? piece : NOTHING;
  }

  #updateTakers(): void {
    if (this.#takers.update()) this.#searchAnew();
  }

  #searchAnew(): void {
    this.#ownHigh.from = 0;
    this.#ownNormal.from = 0;
  }

  /** Throws when one of our own pieces that can be had would not be found. For tests: O(pieces). */
  checkInvariants(): void {
    this.#proven.checkInvariants();
    this.#updateTakers();
    const { availability } = this.#proven;
    const { pieceCount } = this.#p.peers;
    for (let piece = this.#takers.firstOwn(0); piece < pieceCount; piece = this.#takers.firstOwn(piece + 1)) {
      const [own, priority] = piece < this.#end ? [this.#ownHigh, HIGH] : [this.#ownNormal, NORMAL];
      if (piece < this.#first || piece >= own.from || availability.order(priority)?.has(piece) !== true) continue;
      if (availability.copies(piece) === own.copies) throw new Error(`our own piece ${piece} would not be found`);
    }
  }
}

/** The rarest of them that a proven leech has; null: there is none. */
function rarestHad(order: RarityOrder | null): number | null {
  const at = order?.firstIndex(1) ?? 0;
  return order === null || at >= order.end ? null : order.pieceAt(at);
}

/** Copies of the rarest of them. */
function fewestIn(order: RarityOrder | null, availability: Availability): number {
  if (order === null || order.size === 0) return Number.POSITIVE_INFINITY;
  return availability.copies(order.pieceAt(order.firstIndex(0)));
}
