/**
 * Whom we upload to. Every 10 s, on fast links more often, the interested peers are ranked by the 20 s average of what they gave us, or,
 * when we are complete, of what they take; all slots but one go to the first, the last one is optimistic and moves after three rounds. With
 * many slots one more lifts who has nothing to give.
 *
 * Invariant: an unchoked peer is interested, and at most `uploadSlots` are unchoked; no slot is free while an interested peer is choked.
 * Of what the peers have it knows the number of pieces only.
 */
import type { PeerSlot } from '../metainfo/geometry.js';
import type { Outlets } from './outlets.js';
import type { Peers } from './peers.js';
import type { RollingRates } from './rate.js';
import type { SchedulerSink } from './sink.js';
import { grown } from './slot-rows.js';
import type { SuperSeed } from './super-seed.js';

export const ROUND_MS = 10_000;
/** A round is over earlier when each slot gave so many pieces on average. */
const TRIAL_PIECES = 8;
const MIN_ROUND_MS = 1_000;
/** With fewer slots none is given to who has nothing for us. */
const LIFTING_SLOTS = 8;
/** A turn of the optimistic slot, in rounds, and at most. */
const TURN_ROUNDS = 3;
export const TURN_MS = TURN_ROUNDS * ROUND_MS;
/** While newcomers wait, that many turns of four are theirs; the fourth is not, so that who joins again and again gains little. */
const NEWCOMERS_IN_A_ROW = 3;
/** Who joined within two turns comes before newcomers of before: in a large swarm those may be dozens, and they have got data from somebody. */
const FRESH_MS = 2 * TURN_MS;
/** BEP 3 practice: who gave nothing for a minute although we want from it is not paid back. */
const ANTI_SNUB_MS = 60_000;
/** A seed's regular slot is kept for this long by whoever takes something, and may be passed on after that. */
const SEED_TURN_MS = 60_000;
/** As a super-seed: who has less than this share of what the peers have on average needs pieces that others want. */
const LAGGING_SHARE = 0.98;
const NOBODY = -1;

export interface ChokerRates {
  /** What peers gave us and what they took. */
  readonly given: RollingRates;
  readonly taken: RollingRates;
  /** To all peers, ever. */
  readonly uploadedBytes: number;
  /** What a peer took since it joined. */
  tookBytes(slot: number): number;
}

export class Choker {
  readonly #peers: Peers;
  readonly #rates: ChokerRates;
  readonly #given: RollingRates;
  readonly #taken: RollingRates;
  readonly #sink: SchedulerSink;
  readonly #random: () => number;
  readonly #slots: number;
  readonly #pieceLengthBytes: number;
  readonly #outlets: Outlets;
  readonly #superSeed: SuperSeed | null;
  /** When the peer was last choked or unchoked by us. */
  #sinceMs: Float64Array;
  /** How long the peer had the optimistic slot; who joins begins behind the others, but a newcomer's turn does not depend on it. */
  #servedMs: Float64Array;
  /** 1: the peer has not had the optimistic slot yet. */
  #isNew: Uint8Array;
  /** Pieces that the peer had when it was last lifted (see `#liftOne`); -1 before that. */
  #liftedPieces: Int32Array;
  /** Nobody who is interested had the slot for less than this (see `#dueMs`). */
  #levelMs = 0;
  #newcomersInARow = 0;
  #optimistic = NOBODY;
  #turnBeganMs = 0;
  #turnRounds = 0;
  #unchoked = 0;
  #roundMs = Number.NEGATIVE_INFINITY;
  /** Uploaded when the round began. */
  #roundBytes = 0;

  /** @param uploadSlots Infinity: everyone interested is unchoked. */
  constructor(
    peers: Peers,
    rates: ChokerRates,
    sink: SchedulerSink,
    options: {
      readonly rows: number;
      readonly uploadSlots: number;
      readonly pieceLengthBytes: number;
      readonly random: () => number;
      readonly outlets: Outlets;
      readonly superSeed?: SuperSeed | null;
    },
  ) {
    this.#peers = peers;
    this.#rates = rates;
    this.#pieceLengthBytes = options.pieceLengthBytes;
    this.#given = rates.given;
    this.#taken = rates.taken;
    this.#sink = sink;
    this.#random = options.random;
    this.#slots = Math.max(0, options.uploadSlots);
    this.#outlets = options.outlets;
    this.#superSeed = options.superSeed ?? null;
    this.#sinceMs = new Float64Array(options.rows);
    this.#servedMs = new Float64Array(options.rows);
    this.#isNew = new Uint8Array(options.rows);
    this.#liftedPieces = new Int32Array(options.rows);
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.#sinceMs = grown(this.#sinceMs, rows);
    this.#servedMs = grown(this.#servedMs, rows);
    this.#isNew = grown(this.#isNew, rows);
    this.#liftedPieces = grown(this.#liftedPieces, rows);
  }

  /** Slot that is unchoked whatever it gives, or -1. */
  get optimistic(): number {
    return this.#optimistic;
  }

  joined(slot: number, nowMs: number): void {
    this.#sinceMs[slot] = nowMs;
    this.#servedMs[slot] = this.#levelMs + TURN_MS;
    this.#isNew[slot] = 1;
    this.#liftedPieces[slot] = -1;
  }

  /** The peer's row is still readable; nothing is sent to it. */
  left(slot: number, nowMs: number): void {
    if (this.#optimistic === slot) this.#endTurn(nowMs);
    if (this.#peers.isChoking[slot] !== 0) return;
    this.#peers.isChoking[slot] = 1;
    this.#peers.isPeerInterested[slot] = 0;
    this.#unchoked--;
    this.#giveFreeSlots(nowMs);
  }

  interestChanged(slot: number, nowMs: number): void {
    if (this.#peers.isPeerInterested[slot] !== 0) {
      if (this.#unchoked < this.#slots) this.#unchoke(slot, nowMs);
      return;
    }
    if (this.#peers.isChoking[slot] !== 0) return;
    if (this.#optimistic === slot) this.#endTurn(nowMs);
    this.#choke(slot, nowMs);
    this.#giveFreeSlots(nowMs);
  }

  tick(nowMs: number, isComplete: boolean): void {
    if (!this.#isRoundOver(nowMs)) return;
    this.#roundMs = nowMs;
    this.#roundBytes = this.#rates.uploadedBytes;
    this.#turnRounds++;
    if (this.#slots === Number.POSITIVE_INFINITY || this.#slots === 0) return;
    const isTurnOver = this.#optimistic === NOBODY || this.#turnRounds >= TURN_ROUNDS;
    const ranked = isComplete ? this.#rankTakers(nowMs, isTurnOver) : this.#liftOne(this.#rankGivers(nowMs));
    this.#award(ranked, isTurnOver, nowMs);
  }

  /**
   * Ten seconds, or less on fast links: where every slot has given some pieces meanwhile everybody had a fair trial, and a whole image may
   * be through in ten seconds. Of 400 hosts of 300 MB/s, 3 GB each, 99 % were done after 11.9 s instead of 13.5.
   */
  #isRoundOver(nowMs: number): boolean {
    const passedMs = nowMs - this.#roundMs;
    if (passedMs >= ROUND_MS) return true;
    // A super-seed's slots change hands once a round, and a piece that is cut off leaves twice.
    if (this.#superSeed?.isActive === true) return false;
    return (
      passedMs >= MIN_ROUND_MS &&
      this.#rates.uploadedBytes - this.#roundBytes >= this.#slots * TRIAL_PIECES * this.#pieceLengthBytes
    );
  }

  /** The first of the ranking get the regular slots, the optimistic peer one more; what is left over goes by turns. */
  #award(ranked: number[], isTurnOver: boolean, nowMs: number): void {
    const chosen = new Set(ranked.slice(0, Math.max(0, this.#slots - 1)));
    const rest = this.#interested().filter((slot) => !chosen.has(slot));
    if (isTurnOver || chosen.has(this.#optimistic)) this.#moveOptimistic(rest, nowMs);
    if (this.#optimistic !== NOBODY) chosen.add(this.#optimistic);
    for (const slot of rest) {
      if (chosen.size >= this.#slots) break;
      if (this.#peers.isChoking[slot] === 0) chosen.add(slot);
    }
    for (const slot of this.#interested()) {
      if (this.#peers.isChoking[slot] === 0 && !chosen.has(slot)) this.#choke(slot, nowMs);
    }
    for (const slot of chosen) if (this.#peers.isChoking[slot] !== 0) this.#unchoke(slot, nowMs);
    this.#giveFreeSlots(nowMs);
  }

  /**
   * Interested peers that may be paid back, best first, equal ones by chance. Of those who give nothing the choked come first, the longest
   * waiting before others: whoever got a slot and does not give anything for it must not keep it while somebody else might.
   */
  #rankGivers(nowMs: number): number[] {
    const peers = this.#peers;
    const eligible = this.#interested().filter(
      (slot) =>
        peers.isSnubbed[slot] === 0 && (peers.isInterested[slot] === 0 || nowMs - peers.gaveMs[slot]! <= ANTI_SNUB_MS),
    );
    return this.#shuffle(eligible)
      .map((slot) => ({ slot, rate: this.#given.average(slot, nowMs), isServed: peers.isChoking[slot] === 0 ? 1 : 0 }))
      .sort((a, b) => b.rate - a.rate || a.isServed - b.isServed || this.#sinceMs[a.slot]! - this.#sinceMs[b.slot]!)
      .map(({ slot }) => slot);
  }

  /**
   * As a seed: fastest takers first, equal ones by how long they wait; but who takes anything keeps a slot for its minute, so that chance in
   * the rates does not share the time out. So that fast takers do not keep their slots for ever, the regular one that had its slot longest
   * goes to the end when a turn of the optimistic slot is over.
   */
  #rankTakers(nowMs: number, mayRotate: boolean): number[] {
    const ranked = this.#shuffle(this.#interested())
      .map((slot) => {
        const rate = this.#taken.average(slot, nowMs);
        const isKept = rate > 0 && this.#isRegular(slot) && nowMs - this.#sinceMs[slot]! < SEED_TURN_MS;
        return { slot, rank: isKept ? Number.POSITIVE_INFINITY : rate, sinceMs: this.#sinceMs[slot]! };
      })
      .sort((a, b) => (a.rank === b.rank ? a.sinceMs - b.sinceMs : b.rank - a.rank))
      .map(({ slot }) => slot);
    if (this.#superSeed?.isActive === true) return this.#rankOutlets(ranked, this.#superSeed);
    const isLast = this.#outlets.last(ranked, (slot) => this.#rates.tookBytes(slot));
    ranked.sort((a, b) => isLast(a) - isLast(b));
    if (!mayRotate || ranked.length <= this.#slots) return ranked;
    const held = ranked.filter((slot) => this.#isRegular(slot));
    held.sort((a, b) => this.#sinceMs[a]! - this.#sinceMs[b]!);
    const oldest = held[0];
    if (oldest === undefined || nowMs - this.#sinceMs[oldest]! < SEED_TURN_MS) return ranked;
    return [...ranked.filter((slot) => slot !== oldest), oldest];
  }

  /**
   * The last regular slot goes to the peer that has least among those that have nothing for us. Where all trade, who falls behind has
   * nothing to trade with and stays behind: one host of 400 stood still for 8 of 10 s. It must have got on since we last lifted it: who
   * hides what it has gets one round.
   */
  #liftOne(ranked: number[]): number[] {
    if (this.#slots < LIFTING_SLOTS) return ranked;
    const last = this.#slots - 2;
    const { isInterested, isSnubbed, pieces } = this.#peers;
    let poorest = NOBODY;
    for (const slot of this.#interested()) {
      if (isInterested[slot] !== 0 || isSnubbed[slot] !== 0 || pieces[slot]! <= this.#liftedPieces[slot]!) continue;
      if (poorest === NOBODY || pieces[slot]! < pieces[poorest]!) poorest = slot;
    }
    if (poorest === NOBODY) return ranked;
    this.#liftedPieces[poorest] = pieces[poorest]!;
    const others = ranked.filter((slot) => slot !== poorest);
    return [...others.slice(0, last), poorest, ...others.slice(last)];
  }

  #isRegular(slot: number): boolean {
    return this.#peers.isChoking[slot] === 0 && slot !== this.#optimistic;
  }

  /**
   * Super-seeding: those who pass on what they get, fastest takers first. They keep their slots, for the pieces that a choked peer did not
   * finish leave here twice; the others get the data from them. But whoever falls behind has nothing that others want, so nobody pays it back
   * and it falls behind further: such a peer takes the place of the one that has most, unless half of the slots went that way already.
   */
  #rankOutlets(ranked: number[], superSeed: SuperSeed): number[] {
    const { pieces, isChoking } = this.#peers;
    const heldBack = ranked.filter((slot) => superSeed.isHeldBack(slot));
    const outlets = ranked.filter((slot) => !superSeed.isHeldBack(slot));
    const mean = outlets.reduce((sum, slot) => sum + pieces[slot]!, 0) / outlets.length;
    const byPieces = [...outlets].sort((a, b) => pieces[a]! - pieces[b]!);
    const lagging = byPieces.filter((slot) => pieces[slot]! < LAGGING_SHARE * mean);
    const last = lagging.find((slot) => isChoking[slot] !== 0);
    const regular = byPieces.filter((slot) => this.#isRegular(slot));
    const first = regular.at(-1);
    const helpedCount = regular.filter((slot) => lagging.includes(slot)).length;
    if (last === undefined || first === undefined || 2 * helpedCount >= regular.length)
      return [...outlets, ...heldBack];
    return [last, ...outlets.filter((slot) => slot !== last && slot !== first), first, ...heldBack];
  }

  /**
   * Three turns of four go to newcomers while some wait, the others to whoever had the slot for the least time; and never to the one
   * that has it while there is another. Pure chance would need hours to be fair, and so would counting turns: they end early when
   * the peer leaves or earns a regular slot.
   */
  #moveOptimistic(candidates: number[], nowMs: number): void {
    const others = candidates.filter((slot) => slot !== this.#optimistic);
    if (this.#optimistic !== NOBODY) this.#endTurn(nowMs);
    const pool = this.#shuffle(others.length > 0 ? others : candidates);
    if (pool.length === 0) return;
    const newcomers = pool.filter((slot) => this.#isNew[slot] !== 0);
    const isForNewcomers = newcomers.length > 0 && this.#newcomersInARow < NEWCOMERS_IN_A_ROW;
    const waiting = (a: number, b: number): number => this.#sinceMs[a]! - this.#sinceMs[b]!;
    const due = (a: number, b: number): number =>
      this.#dueMs(a) - this.#dueMs(b) || this.#isNew[a]! - this.#isNew[b]! || waiting(a, b);
    // All neighbours of a newcomer see the same order: the fresh ones by chance, or the neighbours would all choose the same one.
    const fresh = newcomers.find((slot) => nowMs - this.#peers.joinedMs[slot]! <= FRESH_MS);
    const next = isForNewcomers ? (fresh ?? newcomers.sort(waiting)[0]!) : pool.sort(due)[0]!;
    this.#newcomersInARow = isForNewcomers ? this.#newcomersInARow + 1 : 0;
    this.#servedMs[next] = this.#dueMs(next);
    if (!isForNewcomers) this.#levelMs = Math.max(this.#levelMs, this.#servedMs[next]!);
    this.#isNew[next] = 0;
    this.#optimistic = next;
    this.#turnBeganMs = nowMs;
    this.#turnRounds = 0;
  }

  /** Who had no use for the slot for long (regular, or not interested) is ahead of the others by one turn at most. */
  #dueMs(slot: number): number {
    return Math.max(this.#servedMs[slot]!, this.#levelMs - TURN_MS);
  }

  #endTurn(nowMs: number): void {
    this.#servedMs[this.#optimistic]! += Math.min(TURN_MS, nowMs - this.#turnBeganMs);
    this.#optimistic = NOBODY;
  }

  /** Choked interested peers get what is free, the longest waiting first. */
  #giveFreeSlots(nowMs: number): void {
    while (this.#unchoked < this.#slots) {
      let best = NOBODY;
      for (let index = 0; index < this.#peers.active.size; index++) {
        const slot = this.#peers.active.at(index);
        if (this.#peers.isPeerInterested[slot] === 0 || this.#peers.isChoking[slot] === 0) continue;
        if (best === NOBODY || this.#sinceMs[slot]! < this.#sinceMs[best]!) best = slot;
      }
      if (best === NOBODY) return;
      this.#unchoke(best, nowMs);
    }
  }

  #interested(): number[] {
    const slots: number[] = [];
    for (let index = 0; index < this.#peers.active.size; index++) {
      const slot = this.#peers.active.at(index);
      if (this.#peers.isPeerInterested[slot] !== 0) slots.push(slot);
    }
    return slots;
  }

  #shuffle(slots: number[]): number[] {
    for (let index = slots.length - 1; index > 0; index--) {
      const other = Math.floor(this.#random() * (index + 1));
      const slot = slots[index]!;
      slots[index] = slots[other]!;
      slots[other] = slot;
    }
    return slots;
  }

  #choke(slot: number, nowMs: number): void {
    this.#peers.isChoking[slot] = 1;
    this.#sinceMs[slot] = nowMs;
    this.#unchoked--;
    this.#sink.choke(slot as PeerSlot, true);
    this.#superSeed?.choked(slot, true);
  }

  #unchoke(slot: number, nowMs: number): void {
    this.#peers.isChoking[slot] = 0;
    this.#sinceMs[slot] = nowMs;
    this.#unchoked++;
    this.#sink.choke(slot as PeerSlot, false);
    this.#superSeed?.choked(slot, false);
  }

  /** For tests. */
  checkInvariants(): void {
    let unchoked = 0;
    let waiting = 0;
    for (let index = 0; index < this.#peers.active.size; index++) {
      const slot = this.#peers.active.at(index);
      const isInterested = this.#peers.isPeerInterested[slot] !== 0;
      if (this.#peers.isChoking[slot] === 0) unchoked++;
      else if (isInterested) waiting++;
      if (this.#peers.isChoking[slot] === 0 && !isInterested)
        throw new Error(`slot ${slot} is unchoked without interest`);
    }
    if (unchoked !== this.#unchoked) throw new Error('unchoked peers are miscounted');
    if (unchoked > this.#slots) throw new Error('more peers unchoked than slots');
    if (waiting > 0 && unchoked < this.#slots) throw new Error('a slot is free while a peer waits');
  }
}
