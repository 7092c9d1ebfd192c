/**
 * Whom we upload to. Every 10 s, on fast links more often, the interested peers are ranked by the 20 s average of what
 * they gave us, or, when we are complete, of what they take; all slots but one go to the first, the last one is
 * optimistic and moves after three rounds. With many slots one more lifts who has nothing to give.
 *
 * Invariant: an unchoked peer is interested, and at most `uploadSlots` are unchoked besides those that leave theirs
 * unused (idle-slots.ts), of which there are at most some times as many; no slot is free while an interested peer is
 * choked.
 * Of what the peers have it knows the number of pieces only.
 */
import type { PeerSlot } from '../../metainfo/geometry.js';
import type { Peers } from '../peers/peers.js';
import type { RollingRates } from '../peers/rate.js';
import { grown } from '../peers/slot-rows.js';
import type { SchedulerSink } from '../sink.js';
import type { Hoarders } from './hoarders.js';
import { IdleSlots, LOOK_SECONDS } from './idle-slots.js';
import { Lifting } from './lifting.js';
import { NOBODY, OptimisticSlot } from './optimistic-slot.js';
import type { SuperSeed } from './super-seed.js';

export const ROUND_MS = 10_000;
/** A round is over earlier when each slot gave so many pieces on average. */
const TRIAL_PIECES = 8;
const MIN_ROUND_MS = 1_000;
/** With fewer slots none is given to who has nothing for us. */
const LIFTING_SLOTS = 8;
/** BEP 3 practice: who gave nothing for a minute although we want from it is not paid back. */
const ANTI_SNUB_MS = 60_000;
/** A seed's regular slot is kept for this long by whoever takes something, and may be passed on after that. */
const SEED_TURN_MS = 60_000;
/** As a super-seed: who has less than this share of what the peers have on average needs pieces that others want. */
const LAGGING_SHARE = 0.98;
/**
 * For each slot so many peers at most stay unchoked that do not use it: what is kept in memory for each of them is
 * little.
 */
const IDLE_PER_SLOT = 16;

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
  readonly #hoarders: Hoarders;
  readonly #superSeed: SuperSeed | null;
  /** When the peer was last choked or unchoked by us. */
  #sinceMs: Float64Array;
  readonly #lifting: Lifting;
  readonly #optimistic: OptimisticSlot;
  #unchoked = 0;
  readonly #idle: IdleSlots;
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
      readonly hoarders: Hoarders;
      readonly superSeed?: SuperSeed | null;
      /** See `Lifting`. */
      readonly liftsGivers?: boolean;
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
    this.#hoarders = options.hoarders;
    this.#superSeed = options.superSeed ?? null;
    this.#idle = new IdleSlots(this.#slots);
    this.#idle.grow(options.rows);
    this.#sinceMs = new Float64Array(options.rows);
    this.#optimistic = new OptimisticSlot(peers, options.rows);
    this.#lifting = new Lifting(peers, options.liftsGivers === true ? rates.given : null, options.rows);
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.#idle.grow(rows);
    this.#sinceMs = grown(this.#sinceMs, rows);
    this.#optimistic.grow(rows);
    this.#lifting.grow(rows);
  }

  /** Slot that is unchoked whatever it gives, or -1. */
  get optimistic(): number {
    return this.#optimistic.holder;
  }

  joined(slot: number, nowMs: number): void {
    this.#idle.joined(slot);
    this.#sinceMs[slot] = nowMs;
    this.#optimistic.joined(slot);
    this.#lifting.joined(slot);
  }

  /** The peer's row is still readable; nothing is sent to it. */
  left(slot: number, nowMs: number): void {
    this.#optimistic.vacate(slot, nowMs);
    if (this.#peers.isChoking[slot] !== 0) return;
    this.#peers.isChoking[slot] = 1;
    this.#peers.isPeerInterested[slot] = 0;
    this.#unchoked--;
    this.#idle.choked(slot);
    this.#giveFreeSlots(nowMs);
  }

  interestChanged(slot: number, nowMs: number): void {
    if (this.#peers.isPeerInterested[slot] !== 0) {
      // Nobody else can be waiting.
      if (this.#slots < Number.POSITIVE_INFINITY) this.#giveFreeSlots(nowMs);
      else if (this.#peers.isChoking[slot] !== 0) this.#unchoke(slot, nowMs);
      return;
    }
    if (this.#peers.isChoking[slot] !== 0) return;
    this.#optimistic.vacate(slot, nowMs);
    this.#choke(slot, nowMs);
    this.#giveFreeSlots(nowMs);
  }

  tick(nowMs: number, isComplete: boolean): void {
    // A leech's slots are earned by giving, and who asks it for nothing for a second may be in the endgame: with others
    // let in beside them the last 1 % took up to 3.3 % of the time instead of 2.5 (`npm run sim -- endgame`, 8 seeds).
    if (this.#idle.secondPassed(this.#rates.uploadedBytes, nowMs) && isComplete) this.#lookForIdle(nowMs);
    if (!this.#isRoundOver(nowMs)) return;
    this.#roundMs = nowMs;
    this.#roundBytes = this.#rates.uploadedBytes;
    this.#optimistic.roundBegins();
    if (this.#slots === Number.POSITIVE_INFINITY || this.#slots === 0) return;
    const { isTurnOver } = this.#optimistic;
    const ranked = isComplete ? this.#rankTakers(nowMs, isTurnOver) : this.#liftOne(this.#rankGivers(nowMs), nowMs);
    this.#award(ranked, isTurnOver, nowMs);
  }

  /**
   * Ten seconds, or less on fast links: where every slot has given some pieces meanwhile everybody had a fair trial,
   * and a whole image may be through in ten seconds. Of 400 hosts of 300 MB/s, 3 GB each, 99 % were done after 11.9 s
   * instead of 13.5.
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

  /**
   * Peers that leave their slots unused make room for others, and keep them for themselves while there is room beside
   * them.
   */
  #lookForIdle(nowMs: number): void {
    if (this.#slots === Number.POSITIVE_INFINITY || this.#superSeed?.isActive === true) return;
    const { active, isChoking, isHeldUp } = this.#peers;
    for (let index = 0; index < active.size; index++) {
      const slot = active.at(index);
      if (isChoking[slot] !== 0 || isHeldUp[slot] !== 0) continue;
      if (nowMs - this.#sinceMs[slot]! < (LOOK_SECONDS + 1) * 1000) continue;
      const isBack = this.#idle.look(slot, this.#taken.lastSeconds(slot, LOOK_SECONDS, nowMs));
      if (!isBack || this.#unchoked - this.#idle.count <= this.#idle.limit) continue;
      // Others have its slot by now.
      this.#optimistic.vacate(slot, nowMs);
      this.#choke(slot, nowMs);
    }
    this.#giveFreeSlots(nowMs);
  }

  /** The first of the ranking get the regular slots, the optimistic peer one more; what is left over goes by turns. */
  #award(ranked: number[], isTurnOver: boolean, nowMs: number): void {
    const chosen = new Set(ranked.slice(0, Math.max(0, this.#slots - 1)));
    const rest = this.#interested().filter((slot) => !chosen.has(slot));
    if (isTurnOver || chosen.has(this.#optimistic.holder)) this.#moveOptimistic(rest, nowMs);
    if (this.#optimistic.holder !== NOBODY) chosen.add(this.#optimistic.holder);
    for (const slot of rest) {
      if (chosen.size >= this.#slots) break;
      if (this.#peers.isChoking[slot] === 0) chosen.add(slot);
    }
    for (const slot of this.#interested()) {
      // Idle ones stay beside them, as long as there is room for the chosen.
      const isHarmless = this.#idle.isIdle(slot) && this.#unchoked <= this.#slots * IDLE_PER_SLOT;
      const isInTheWay = this.#peers.isChoking[slot] === 0 && !isHarmless;
      if (isInTheWay && !chosen.has(slot)) this.#choke(slot, nowMs);
    }
    for (const slot of chosen) if (this.#peers.isChoking[slot] !== 0) this.#unchoke(slot, nowMs);
    this.#giveFreeSlots(nowMs);
  }

  /**
   * Interested peers that may be paid back, best first, equal ones by chance. Of those who give nothing the choked come
   * first, the longest waiting before others: whoever got a slot and does not give anything for it must not keep it
   * while somebody else might.
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
   * As a seed: fastest takers first, equal ones by how long they wait; but who takes anything keeps a slot for its
   * minute, so that chance in the rates does not share the time out. So that fast takers do not keep their slots for
   * ever, the regular one that had its slot longest goes to the end when a turn of the optimistic slot is over.
   */
  #rankTakers(nowMs: number, mayRotate: boolean): number[] {
    const ranked = this.#shuffle(this.#interested())
      .map((slot) => {
        const rate = this.#taken.average(slot, nowMs);
        const isKept =
          rate > 0 && !this.#idle.isIdle(slot) && this.#isRegular(slot) && nowMs - this.#sinceMs[slot]! < SEED_TURN_MS;
        return { slot, rank: isKept ? Number.POSITIVE_INFINITY : rate, sinceMs: this.#sinceMs[slot]! };
      })
      .sort((a, b) => (a.rank === b.rank ? a.sinceMs - b.sinceMs : b.rank - a.rank))
      .map(({ slot }) => slot);
    if (this.#superSeed?.isActive === true) return this.#rankPassers(ranked, this.#superSeed);
    const isLast = this.#hoarders.last(ranked, (slot) => this.#rates.tookBytes(slot));
    ranked.sort((a, b) => isLast(a) - isLast(b));
    if (!mayRotate || ranked.length <= this.#slots) return ranked;
    const held = ranked.filter((slot) => this.#isRegular(slot));
    held.sort((a, b) => this.#sinceMs[a]! - this.#sinceMs[b]!);
    const oldest = held[0];
    if (oldest === undefined || nowMs - this.#sinceMs[oldest]! < SEED_TURN_MS) return ranked;
    return [...ranked.filter((slot) => slot !== oldest), oldest];
  }

  /** The last regular slot goes to the one that is lifted. */
  #liftOne(ranked: number[], nowMs: number): number[] {
    if (this.#slots < LIFTING_SLOTS) return ranked;
    const lifted = this.#lifting.next(this.#interested(), nowMs);
    if (lifted === NOBODY) return ranked;
    const last = this.#slots - 2;
    const others = ranked.filter((slot) => slot !== lifted);
    return [...others.slice(0, last), lifted, ...others.slice(last)];
  }

  #isRegular(slot: number): boolean {
    return this.#peers.isChoking[slot] === 0 && slot !== this.#optimistic.holder;
  }

  /**
   * Super-seeding: those who pass on what they get, fastest takers first. They keep their slots, for the pieces that a
   * choked peer did not finish leave here twice; the others get the data from them. But whoever falls behind has
   * nothing that others want, so nobody pays it back and it falls behind further: such a peer takes the place of the
   * one that has most, unless half of the slots went that way already.
   */
  #rankPassers(ranked: number[], superSeed: SuperSeed): number[] {
    const { pieces, isChoking } = this.#peers;
    const heldBack = ranked.filter((slot) => superSeed.isHeldBack(slot));
    const passers = ranked.filter((slot) => !superSeed.isHeldBack(slot));
    const mean = passers.reduce((sum, slot) => sum + pieces[slot]!, 0) / passers.length;
    const byPieces = [...passers].sort((a, b) => pieces[a]! - pieces[b]!);
    const lagging = byPieces.filter((slot) => pieces[slot]! < LAGGING_SHARE * mean);
    const last = lagging.find((slot) => isChoking[slot] !== 0);
    const regular = byPieces.filter((slot) => this.#isRegular(slot));
    const first = regular.at(-1);
    const helpedCount = regular.filter((slot) => lagging.includes(slot)).length;
    if (last === undefined || first === undefined || 2 * helpedCount >= regular.length)
      return [...passers, ...heldBack];
    return [last, ...passers.filter((slot) => slot !== last && slot !== first), first, ...heldBack];
  }

  /** Never to the one that has it while there is another. */
  #moveOptimistic(candidates: number[], nowMs: number): void {
    const others = candidates.filter((slot) => slot !== this.#optimistic.holder);
    this.#optimistic.move(this.#shuffle(others.length > 0 ? others : candidates), this.#sinceMs, nowMs);
  }

  /**
   * Choked interested peers get what is free, the longest waiting first, but before them those that have not left a
   * slot unused. These also take the place of an idle peer when there are too many of them.
   */
  #giveFreeSlots(nowMs: number): void {
    while (this.#unchoked - this.#idle.count < this.#idle.limit) {
      let best = NOBODY;
      let idlest = NOBODY;
      for (let index = 0; index < this.#peers.active.size; index++) {
        const slot = this.#peers.active.at(index);
        if (this.#peers.isPeerInterested[slot] === 0) continue;
        if (this.#peers.isChoking[slot] === 0) {
          if (this.#idle.isIdle(slot) && this.#waitsLonger(slot, idlest)) idlest = slot;
        } else if (this.#waitsLonger(slot, best)) best = slot;
      }
      if (best === NOBODY) return;
      if (this.#unchoked >= this.#slots * (1 + IDLE_PER_SLOT)) {
        if (idlest === NOBODY || this.#idle.hasWasted(best)) return;
        this.#optimistic.vacate(idlest, nowMs);
        this.#choke(idlest, nowMs);
      }
      this.#unchoke(best, nowMs);
    }
  }

  /** Both choked, or both unchoked. */
  #waitsLonger(slot: number, other: number): boolean {
    if (other === NOBODY) return true;
    const order = Number(this.#idle.hasWasted(slot)) - Number(this.#idle.hasWasted(other));
    return order === 0 ? this.#sinceMs[slot]! < this.#sinceMs[other]! : order < 0;
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
    this.#idle.choked(slot);
    this.#sink.choke(slot as PeerSlot, true);
    this.#superSeed?.choked(slot, true);
  }

  #unchoke(slot: number, nowMs: number): void {
    this.#peers.isChoking[slot] = 0;
    this.#sinceMs[slot] = nowMs;
    this.#unchoked++;
    this.#idle.unchoked(slot);
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
    const idle = this.#idle.count;
    if (idle > unchoked || unchoked - idle > this.#slots + this.#idle.most)
      throw new Error('more peers unchoked than slots');
    if (unchoked > this.#slots * (2 + IDLE_PER_SLOT)) throw new Error('too many peers leave their slots unused');
    if (waiting > 0 && unchoked < this.#slots) throw new Error('a slot is free while a peer waits');
  }
}
