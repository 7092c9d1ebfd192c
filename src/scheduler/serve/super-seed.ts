/**
 * Super-seeding (BEP 16): we have everything and say that we have nothing, then reveal pieces to one peer at a time, so
 * that each piece leaves here once and the swarm spreads the rest. Which piece is revealed to whom, and when all of it
 * is over.
 *
 *   piece:  untaken, no copy outside -> taken (revealed to an unchoked peer, to be fetched) -> out (a peer said HAVE)
 *           ^                             | its taker was choked, left or is late              |
 *           +-----------------------------+                                                    |
 *           +--------------------------------- its last holder left ---------------------------+
 *
 * BEP 16 reveals the next piece when another peer has the last one. On fast links that would leave the link idle for a
 * round trip and a hash per piece, so two things are counted instead. Pieces revealed and not yet had (`open`) fill a
 * window that grows while pieces come back quickly. Pieces had by this peer alone (`kept`) may be passed on in good
 * time; a peer that does not do so is held back while there are others to serve.
 *
 * Invariant: the candidates are exactly the pieces that are neither out nor taken, in order of how often they were
 * revealed; a piece has at most one taker, an unchoked peer. Everything is O(1) per HAVE, and O(pieces) when a peer
 * leaves or sends a bitfield.
 */

import type { PeerSlot, PieceIndex } from '../../metainfo/geometry.js';
import type { Clock } from '../clock.js';
import type { Peers } from '../peers/peers.js';
import type { RollingRates } from '../peers/rate.js';
import type { Availability } from '../pieces/availability.js';
import { RarityOrder } from '../pieces/rarity-order.js';
import type { SchedulerSink } from '../sink.js';
import { OwedHaves } from './owed-haves.js';
import { Reveals } from './reveals.js';

/** A peer that does not want what it was shown (it fetches some files only) is shown one more. */
const SHOW_MORE_MS = 2_000;
/**
 * When every piece is out, we rest for this share of the time it took before all may be asked of us: the peers have
 * nearly everything by then and many hands; what we sent would be a second copy. Where they cannot reach each other it
 * costs them that time.
 */
const REST_SHARE = 0.2;
const REST_MAX_MS = 600_000;
/** Peers are here and nobody took anything for this long: what they want is out, at peers that do not pass it on. */
const IDLE_MS = 60_000;
const NOBODY = -1;

export interface SuperSeedParts {
  readonly peers: Peers;
  /** Copies outside. */
  readonly availability: Availability;
  /** What peers take from us. */
  readonly taken: RollingRates;
  readonly sink: SchedulerSink;
  readonly random: () => number;
  readonly clock: Clock;
}

export class SuperSeed {
  readonly #p: SuperSeedParts;
  readonly #pieceCount: number;
  /** To how many of the peers that are here a piece was revealed. */
  readonly #revealedTo: Int32Array;
  /** Pieces that nobody fetches and nobody has, by reveals. */
  readonly #candidates: RarityOrder;
  readonly #isOut: Uint8Array;
  /** The unchoked peer that fetches the piece. */
  readonly #taker: Int32Array;
  /** The only peer that has the piece, when it is to pass it on. */
  readonly #keeper: Int32Array;
  readonly #reveals: (Reveals | undefined)[] = [];
  readonly #owed: OwedHaves;
  #unseenCount: number;
  /** When the first of the peers came. */
  #beganMs = 0;
  /** Since when every piece is out, or NaN. */
  #allSeenMs = Number.NaN;
  /** When somebody took something, or the first of the peers came. */
  #usedMs = 0;
  /** Unchoked peers that are not held back. */
  #freeTakers = 0;
  #isActive = true;
  /**
   * Somebody was shown all pieces but one. The last would tell it that we are a seed: many say no HAVE to seeds, and
   * libtorrent leaves a seed that it learns of while it wants nothing. So we end here, and the last HAVE comes right
   * behind one that it wants.
   */
  #isFound = false;

  constructor(parts: SuperSeedParts) {
    this.#p = parts;
    this.#pieceCount = parts.peers.pieceCount;
    this.#revealedTo = new Int32Array(this.#pieceCount);
    this.#candidates = new RarityOrder(this.#revealedTo, 0, () => true, parts.random);
    this.#isOut = new Uint8Array(this.#pieceCount);
    this.#taker = new Int32Array(this.#pieceCount).fill(NOBODY);
    this.#keeper = new Int32Array(this.#pieceCount).fill(NOBODY);
    this.#owed = new OwedHaves(this.#pieceCount, parts.sink);
    this.#unseenCount = this.#pieceCount;
  }

  /** False once every piece was seen at some peer, the last perhaps on their way: then we are an ordinary seed. */
  get isActive(): boolean {
    return this.#isActive;
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.#candidates.grow(rows);
  }

  /**
   * What was shown to a peer while it was choked may be out when it asks. Where a second peer has it already, others
   * pass it on, and it need not leave here again; unless the peer cannot be told so (BEP 6 `reject`) and would wait.
   */
  mayServe(slot: number, piece: number): boolean {
    if (!this.#isActive) return true;
    if (!this.#reveals[slot]!.knows(piece)) return false;
    return this.#taker[piece] === slot || this.#p.peers.isFast[slot] === 0 || this.#p.availability.copies(piece) < 2;
  }

  /** It does not pass on what it got: others come first. */
  isHeldBack(slot: number): boolean {
    return this.#isActive && this.#reveals[slot]!.isHeldBack;
  }

  joined(slot: number): void {
    if (!this.#isActive) return; // It is greeted with everything.
    this.#reveals[slot] = new Reveals(this.#pieceCount);
    if (this.#p.peers.active.size === 1) this.#beganMs = this.#usedMs = this.#p.clock.nowMs;
    this.#feed(slot);
    this.#considerEnd();
  }

  /** The peer's pieces are out of the availability already. */
  left(slot: number): void {
    this.#owed.forget(slot);
    if (!this.#isActive) return;
    const reveals = this.#reveals[slot]!;
    this.#reveals[slot] = undefined;
    for (const piece of reveals.open.keys()) this.#release(slot, piece);
    for (const piece of reveals.kept.keys()) this.#keeper[piece] = NOBODY;
    for (let piece = 0; piece < this.#pieceCount; piece++) {
      if (!reveals.knows(piece)) continue;
      this.#revealedTo[piece]!--;
      this.#candidates.lost(piece);
    }
    this.#recount();
  }

  /** The peer got one piece. */
  had(slot: number, piece: number): void {
    if (!this.#isActive) return;
    this.#seen(piece);
    const keeper = this.#keeper[piece]!;
    if (keeper !== NOBODY && keeper !== slot) this.#passedOn(keeper, piece);
    this.#arrived(slot, piece);
    this.#feed(slot);
    this.#considerEnd();
  }

  /** The peer said all it has at once. */
  hadMany(slot: number): void {
    if (!this.#isActive) return;
    const reveals = this.#reveals[slot]!;
    for (const piece of [...reveals.open.keys()]) {
      if (!this.#p.peers.has(slot, piece)) continue;
      reveals.open.delete(piece);
      this.#release(slot, piece);
    }
    this.#recount();
    this.#feed(slot);
    // Another seed was there before us: there is no first copy to bring out.
    if (this.#p.peers.isSeed(slot)) this.#end();
    else this.#considerEnd();
  }

  /** We choked or unchoked the peer. What a choked one did not finish is for others, unless its turn comes first. */
  choked(slot: number, isChoked: boolean): void {
    if (!this.#isActive) return;
    const reveals = this.#reveals[slot]!;
    if (isChoked) {
      for (const piece of reveals.open.keys()) this.#release(slot, piece);
      return;
    }
    for (const piece of reveals.open.keys()) {
      reveals.open.set(piece, this.#p.clock.nowMs);
      if (this.#isOut[piece] === 0 && this.#taker[piece] === NOBODY) this.#take(slot, piece);
    }
    this.#feed(slot);
    this.#considerEnd();
  }

  /** Call every second. O(peers). */
  tick(): void {
    const { active } = this.#p.peers;
    if (!this.#isActive) {
      this.#owed.say();
      return;
    }
    this.#freeTakers = 0;
    for (let index = 0; index < active.size; index++) {
      const slot = active.at(index);
      this.#judge(this.#reveals[slot]!);
      if (this.#isServed(slot) && !this.#reveals[slot]!.isHeldBack) this.#freeTakers++;
    }
    for (let index = 0; index < active.size; index++) this.#giveLateBack(active.at(index));
    for (let index = 0; index < active.size; index++) {
      const slot = active.at(index);
      this.#showMore(slot);
      this.#feed(slot);
    }
    if (this.#isIdle()) this.#end();
    else this.#considerEnd();
  }

  /**
   * Pieces that nobody wants never come out, and we would wait for them while peers miss what others keep to
   * themselves.
   */
  #isIdle(): boolean {
    const { taken, clock, peers } = this.#p;
    let isUsed = peers.active.size === 0 || this.#unseenCount === 0;
    for (let index = 0; index < peers.active.size && !isUsed; index++) {
      isUsed = taken.average(peers.active.at(index), clock.nowMs) > 0;
    }
    if (isUsed) this.#usedMs = clock.nowMs;
    return clock.nowMs - this.#usedMs >= IDLE_MS;
  }

  #isServed(slot: number): boolean {
    return this.#p.peers.isChoking[slot] === 0;
  }

  /** Reveals what the peer has room for. One piece keeps a choked peer interested, or it would never be unchoked. */
  #feed(slot: number): void {
    const reveals = this.#reveals[slot]!;
    let room = this.#isServed(slot) ? reveals.window : 1;
    // While nobody passes anything on (peers that cannot reach each other, say) holding back would only leave our link
    // idle.
    if (reveals.isHeldBack && this.#freeTakers > 0) room = 0;
    while (reveals.open.size < room && this.#revealNext(slot, reveals)) {}
  }

  /** The piece that was revealed least, by chance among equals. False: there is none. */
  #revealNext(slot: number, reveals: Reveals): boolean {
    const candidates = this.#candidates;
    // Passes only what the peer was shown and nobody fetched: little.
    for (let index = candidates.firstIndex(0); index < candidates.end; index++) {
      const piece = candidates.pieceAt(index);
      if (reveals.knows(piece)) continue;
      reveals.reveal(piece, this.#p.clock.nowMs);
      this.#revealedTo[piece]!++;
      candidates.gained(piece);
      if (this.#isServed(slot)) this.#take(slot, piece);
      this.#isFound ||= reveals.revealedCount >= this.#pieceCount - 1;
      this.#p.sink.reveal?.(slot as PeerSlot, piece as PieceIndex);
      return true;
    }
    return false;
  }

  #showMore(slot: number): void {
    const reveals = this.#reveals[slot]!;
    if (this.#p.peers.isPeerInterested[slot] !== 0 || reveals.revealedCount >= this.#pieceCount - 2) return;
    if (this.#p.clock.nowMs - reveals.revealedMs >= SHOW_MORE_MS) this.#revealNext(slot, reveals);
  }

  #take(slot: number, piece: number): void {
    this.#taker[piece] = slot;
    this.#candidates.remove(piece);
  }

  #release(slot: number, piece: number): void {
    if (this.#taker[piece] !== slot) return;
    this.#taker[piece] = NOBODY;
    if (this.#isOut[piece] === 0) this.#candidates.add(piece);
  }

  #seen(piece: number): void {
    if (this.#isOut[piece] !== 0) return;
    this.#isOut[piece] = 1;
    this.#unseenCount--;
    this.#candidates.remove(piece);
  }

  /** A revealed piece is at the peer: the window learns how long it took, and the peer is to pass it on. */
  #arrived(slot: number, piece: number): void {
    const reveals = this.#reveals[slot]!;
    const sinceMs = reveals.open.get(piece);
    if (sinceMs === undefined) return;
    const wasFull = reveals.open.size >= reveals.window;
    reveals.open.delete(piece);
    this.#release(slot, piece);
    if (!this.#isServed(slot)) return;
    const { nowMs } = this.#p.clock;
    reveals.took(sinceMs, wasFull, nowMs);
    if (this.#p.availability.copies(piece) > 1) return;
    this.#keeper[piece] = slot;
    reveals.keep(piece, nowMs);
  }

  #passedOn(keeper: number, piece: number): void {
    this.#keeper[piece] = NOBODY;
    const reveals = this.#reveals[keeper]!;
    reveals.kept.delete(piece);
    if (!reveals.isHeldBack) return;
    this.#judge(reveals);
    this.#feed(keeper);
  }

  #judge(reveals: Reveals): void {
    for (const piece of reveals.judge(this.#p.clock.nowMs)) this.#keeper[piece] = NOBODY;
  }

  /** What the peer seems not to want, or cannot get, makes place for something else; others may fetch it. */
  #giveLateBack(slot: number): void {
    if (!this.#isServed(slot)) return;
    const { nowMs } = this.#p.clock;
    const reveals = this.#reveals[slot]!;
    const isIdle = this.#p.taken.average(slot, nowMs) === 0;
    for (const [piece, sinceMs] of reveals.open) {
      if (!reveals.isLate(sinceMs, this.#candidates.size === 0, isIdle, nowMs)) continue;
      reveals.open.delete(piece);
      this.#release(slot, piece);
    }
  }

  /** After many pieces came or went at once. */
  #recount(): void {
    for (let piece = 0; piece < this.#pieceCount; piece++) {
      const copies = this.#p.availability.copies(piece);
      if (copies > 0) this.#seen(piece);
      else if (this.#isOut[piece] !== 0) {
        this.#isOut[piece] = 0;
        this.#unseenCount++;
        if (this.#taker[piece] === NOBODY) this.#candidates.add(piece);
      }
    }
    // Only now: a keeper that passed something on may be shown another piece at once.
    for (let piece = 0; piece < this.#pieceCount; piece++) {
      const keeper = this.#keeper[piece]!;
      if (keeper === NOBODY || (this.#p.availability.copies(piece) === 1 && this.#p.peers.has(keeper, piece))) continue;
      this.#passedOn(keeper, piece);
    }
  }

  #considerEnd(): void {
    if (this.#isFound) {
      this.#end();
      return;
    }
    if (this.#unseenCount > 0) {
      this.#allSeenMs = Number.NaN;
      return;
    }
    const { clock } = this.#p;
    if (Number.isNaN(this.#allSeenMs)) this.#allSeenMs = clock.nowMs;
    const restMs = Math.min(REST_MAX_MS, REST_SHARE * (this.#allSeenMs - this.#beganMs));
    if (clock.nowMs - this.#allSeenMs >= restMs || this.#isEverybodyComplete()) this.#end();
  }

  #isEverybodyComplete(): boolean {
    const { peers } = this.#p;
    for (let index = 0; index < peers.active.size; index++) if (!peers.isSeed(peers.active.at(index))) return false;
    return true;
  }

  /** Peers that came before learn the rest. */
  #end(): void {
    const { active } = this.#p.peers;
    for (let index = 0; index < active.size; index++) {
      const slot = active.at(index);
      const reveals = this.#reveals[slot];
      // Without: it is leaving, and its upload slot went to the peer that this ends with.
      if (reveals !== undefined) this.#owed.add(slot, reveals.revealed);
    }
    this.#reveals.length = 0;
    this.#isActive = false;
    this.#owed.say();
  }

  /** Throws when the books disagree. For tests: O(pieces × peers). */
  checkInvariants(): void {
    if (!this.#isActive) return;
    this.#candidates.checkInvariants();
    const { peers, availability } = this.#p;
    let unseenCount = 0;
    for (let piece = 0; piece < this.#pieceCount; piece++) {
      const copies = availability.copies(piece);
      const taker = this.#taker[piece]!;
      if (copies === 0) unseenCount++;
      if (copies > 0 !== (this.#isOut[piece] !== 0)) throw new Error(`super-seed: piece ${piece} has ${copies} copies`);
      if (this.#candidates.has(piece) !== (copies === 0 && taker === NOBODY))
        throw new Error(`super-seed: piece ${piece} is a candidate or not`);
      if (taker !== NOBODY && !(this.#isServed(taker) && this.#reveals[taker]!.open.has(piece)))
        throw new Error(`super-seed: piece ${piece} is taken by slot ${taker}, which does not fetch it`);
      const keeper = this.#keeper[piece]!;
      if (keeper !== NOBODY && !(copies === 1 && peers.has(keeper, piece) && this.#reveals[keeper]!.kept.has(piece)))
        throw new Error(`super-seed: slot ${keeper} keeps piece ${piece}`);
    }
    if (unseenCount !== this.#unseenCount) throw new Error('super-seed: unseen pieces are miscounted');
  }
}
