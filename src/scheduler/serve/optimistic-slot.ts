/**
 * The one slot that is given whatever a peer gives, so that newcomers begin and better partners are found. It is shared
 * by time, not by turns: these end early when the peer leaves or earns a regular slot.
 */
import type { Peers } from '../peers/peers.js';
import { grown } from '../peers/slot-rows.js';

/** A turn of the slot, in rounds of the choker, and at most. */
export const TURN_ROUNDS = 3;
export const TURN_MS = TURN_ROUNDS * 10_000;
/**
 * While newcomers wait, that many turns of four are theirs; the fourth is not, so that who joins again and again gains
 * little.
 */
const NEWCOMERS_IN_A_ROW = 3;
/**
 * Who joined within two turns comes before newcomers of before: in a large swarm those may be dozens, and they have got
 * data from somebody.
 */
const FRESH_MS = 2 * TURN_MS;
export const NOBODY = -1;

export class OptimisticSlot {
  /** The peer that has the slot, or NOBODY. */
  holder = NOBODY;
  readonly #peers: Peers;
  /**
   * How long the peer had the slot; who joins begins behind the others, but a newcomer's turn does not depend on it.
   */
  #servedMs: Float64Array;
  /** 1: the peer has not had the slot yet. */
  #isNew: Uint8Array;
  /** Nobody who is interested had the slot for less than this (see `#dueMs`). */
  #levelMs = 0;
  #newcomersInARow = 0;
  #turnBeganMs = 0;
  #turnRounds = 0;

  constructor(peers: Peers, rows: number) {
    this.#peers = peers;
    this.#servedMs = new Float64Array(rows);
    this.#isNew = new Uint8Array(rows);
  }

  grow(rows: number): void {
    this.#servedMs = grown(this.#servedMs, rows);
    this.#isNew = grown(this.#isNew, rows);
  }

  joined(slot: number): void {
    this.#servedMs[slot] = this.#levelMs + TURN_MS;
    this.#isNew[slot] = 1;
  }

  /** A round of the choker begins. */
  roundBegins(): void {
    this.#turnRounds++;
  }

  get isTurnOver(): boolean {
    return this.holder === NOBODY || this.#turnRounds >= TURN_ROUNDS;
  }

  /** The peer leaves, or wants nothing any more, or has a slot of another kind. */
  vacate(slot: number, nowMs: number): void {
    if (this.holder !== slot || slot === NOBODY) return;
    this.#servedMs[slot]! += Math.min(TURN_MS, nowMs - this.#turnBeganMs);
    this.holder = NOBODY;
  }

  /**
   * Three turns of four go to newcomers while some wait, the others to whoever had the slot for the least time; and
   * never to the one that has it while there is another. Pure chance would need hours to be fair, and so would counting
   * turns.
   * @param candidates in an order of chance. @param sinceMs when each was last choked or unchoked, by slot.
   */
  move(candidates: readonly number[], sinceMs: Float64Array, nowMs: number): void {
    this.vacate(this.holder, nowMs);
    const pool = [...candidates];
    if (pool.length === 0) return;
    const newcomers = pool.filter((slot) => this.#isNew[slot] !== 0);
    const isForNewcomers = newcomers.length > 0 && this.#newcomersInARow < NEWCOMERS_IN_A_ROW;
    const waiting = (a: number, b: number): number => sinceMs[a]! - sinceMs[b]!;
    const due = (a: number, b: number): number =>
      this.#dueMs(a) - this.#dueMs(b) || this.#isNew[a]! - this.#isNew[b]! || waiting(a, b);
    // All neighbours of a newcomer see the same order: the fresh ones by chance, or the neighbours would all choose the
    // same one.
    const fresh = newcomers.find((slot) => nowMs - this.#peers.joinedMs[slot]! <= FRESH_MS);
    const next = isForNewcomers ? (fresh ?? newcomers.sort(waiting)[0]!) : pool.sort(due)[0]!;
    this.#newcomersInARow = isForNewcomers ? this.#newcomersInARow + 1 : 0;
    this.#servedMs[next] = this.#dueMs(next);
    if (!isForNewcomers) this.#levelMs = Math.max(this.#levelMs, this.#servedMs[next]!);
    this.#isNew[next] = 0;
    this.holder = next;
    this.#turnBeganMs = nowMs;
    this.#turnRounds = 0;
  }

  /** Who had no use for the slot for long (regular, or not interested) is ahead of the others by one turn at most. */
  #dueMs(slot: number): number {
    return Math.max(this.#servedMs[slot]!, this.#levelMs - TURN_MS);
  }
}
