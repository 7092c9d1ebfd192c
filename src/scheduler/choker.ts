/**
 * Whom we upload to. Every 10 s the interested peers are ranked by the 20 s average of what they gave us, or, when we are complete,
 * of what they take; all slots but one go to the first, the last one is optimistic and moves every third round.
 *
 * Invariant: an unchoked peer is interested, and at most `uploadSlots` are unchoked; no slot is free while an interested peer is choked.
 * It must not know what the peers have; the two rates and the flags are all it reads.
 */
import type { PeerSlot } from '../metainfo/geometry.js';
import type { Peers } from './peers.js';
import type { RollingRates } from './rate.js';
import type { SchedulerSink } from './sink.js';
import { grown } from './slot-rows.js';

export const ROUND_MS = 10_000;
/** The optimistic slot moves every third round; a peer is new for as long. */
const OPTIMISTIC_ROUNDS = 3;
const NEW_PEER_WEIGHT = 3;
/** BEP 3 practice: who gave nothing for a minute although we want from it is not paid back. */
const ANTI_SNUB_MS = 60_000;
/** A seed's regular slot may be passed on after this long. */
const SEED_TURN_MS = 60_000;
const NOBODY = -1;

export class Choker {
  readonly #peers: Peers;
  readonly #given: RollingRates;
  readonly #taken: RollingRates;
  readonly #sink: SchedulerSink;
  readonly #random: () => number;
  readonly #slots: number;
  /** When the peer was last choked or unchoked by us. */
  #sinceMs: Float64Array;
  /** When the peer last got the optimistic slot; its join time before that. */
  #turnMs: Float64Array;
  #optimistic = NOBODY;
  #unchoked = 0;
  #roundMs = Number.NEGATIVE_INFINITY;
  #round = 0;

  /** @param rates what peers gave us and what they took. @param uploadSlots Infinity: everyone interested is unchoked. */
  constructor(
    peers: Peers,
    rates: { readonly given: RollingRates; readonly taken: RollingRates },
    sink: SchedulerSink,
    options: { readonly rows: number; readonly uploadSlots: number; readonly random: () => number },
  ) {
    this.#peers = peers;
    this.#given = rates.given;
    this.#taken = rates.taken;
    this.#sink = sink;
    this.#random = options.random;
    this.#slots = Math.max(0, options.uploadSlots);
    this.#sinceMs = new Float64Array(options.rows);
    this.#turnMs = new Float64Array(options.rows);
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.#sinceMs = grown(this.#sinceMs, rows);
    this.#turnMs = grown(this.#turnMs, rows);
  }

  /** Slot that is unchoked whatever it gives, or -1. */
  get optimistic(): number {
    return this.#optimistic;
  }

  joined(slot: number, nowMs: number): void {
    this.#sinceMs[slot] = nowMs;
    this.#turnMs[slot] = nowMs;
  }

  /** The peer's row is still readable; nothing is sent to it. */
  left(slot: number, nowMs: number): void {
    if (this.#optimistic === slot) this.#optimistic = NOBODY;
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
    if (this.#optimistic === slot) this.#optimistic = NOBODY;
    this.#choke(slot, nowMs);
    this.#giveFreeSlots(nowMs);
  }

  tick(nowMs: number, isComplete: boolean): void {
    if (nowMs - this.#roundMs < ROUND_MS) return;
    this.#roundMs = nowMs;
    const moveOptimistic = this.#round % OPTIMISTIC_ROUNDS === 0;
    this.#round++;
    if (this.#slots === Number.POSITIVE_INFINITY || this.#slots === 0) return;
    const ranked = isComplete ? this.#rankTakers(nowMs, moveOptimistic) : this.#rankGivers(nowMs);
    this.#award(ranked, moveOptimistic, nowMs);
  }

  /** The first of the ranking get the regular slots, the optimistic peer one more; what is left over goes by turns. */
  #award(ranked: number[], moveOptimistic: boolean, nowMs: number): void {
    const chosen = new Set(ranked.slice(0, Math.max(0, this.#slots - 1)));
    const rest = this.#interested().filter((slot) => !chosen.has(slot));
    if (moveOptimistic || chosen.has(this.#optimistic)) this.#optimistic = this.#pickOptimistic(rest, nowMs);
    else if (this.#optimistic === NOBODY) this.#optimistic = this.#pickOptimistic(rest, nowMs);
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

  /** Interested peers that may be paid back, best first; equal ones by chance, those unchoked before others. */
  #rankGivers(nowMs: number): number[] {
    const peers = this.#peers;
    const eligible = this.#interested().filter(
      (slot) => peers.isInterested[slot] === 0 || nowMs - peers.gaveMs[slot]! <= ANTI_SNUB_MS,
    );
    return this.#shuffle(eligible)
      .map((slot) => ({ slot, rate: this.#given.average(slot, nowMs), kept: peers.isChoking[slot] === 0 ? 1 : 0 }))
      .sort((a, b) => b.rate - a.rate || b.kept - a.kept)
      .map(({ slot }) => slot);
  }

  /**
   * As a seed: fastest takers first, equal ones by how long they wait. So that fast takers do not keep their slots for ever, the regular
   * one that had its slot longest goes to the end whenever the optimistic slot moves.
   */
  #rankTakers(nowMs: number, mayRotate: boolean): number[] {
    const peers = this.#peers;
    const ranked = this.#shuffle(this.#interested())
      .map((slot) => ({ slot, rate: this.#taken.average(slot, nowMs), sinceMs: this.#sinceMs[slot]! }))
      .sort((a, b) => b.rate - a.rate || a.sinceMs - b.sinceMs)
      .map(({ slot }) => slot);
    if (!mayRotate || ranked.length <= this.#slots) return ranked;
    const held = ranked.filter((slot) => peers.isChoking[slot] === 0 && slot !== this.#optimistic);
    held.sort((a, b) => this.#sinceMs[a]! - this.#sinceMs[b]!);
    const oldest = held[0];
    if (oldest === undefined || nowMs - this.#sinceMs[oldest]! < SEED_TURN_MS) return ranked;
    return [...ranked.filter((slot) => slot !== oldest), oldest];
  }

  /**
   * New peers three times as likely as others. Among the old, whoever waited longest for the optimistic slot, and never the one that
   * has it while there is another: pure chance would need hours to be fair.
   */
  #pickOptimistic(candidates: number[], nowMs: number): number {
    const others = candidates.filter((slot) => slot !== this.#optimistic);
    const pool = this.#shuffle(others.length > 0 ? others : candidates);
    const fresh = pool.filter((slot) => nowMs - this.#peers.joinedMs[slot]! < OPTIMISTIC_ROUNDS * ROUND_MS);
    const old = pool.filter((slot) => !fresh.includes(slot));
    const weight = fresh.length * NEW_PEER_WEIGHT;
    const group = this.#random() * (weight + old.length) < weight ? fresh : old;
    let best = NOBODY;
    for (const slot of group) if (best === NOBODY || this.#turnMs[slot]! < this.#turnMs[best]!) best = slot;
    if (best !== NOBODY) this.#turnMs[best] = nowMs;
    return best;
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
  }

  #unchoke(slot: number, nowMs: number): void {
    this.#peers.isChoking[slot] = 0;
    this.#sinceMs[slot] = nowMs;
    this.#unchoked++;
    this.#sink.choke(slot as PeerSlot, false);
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
