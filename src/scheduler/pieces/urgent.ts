/**
 * Pieces that somebody reads along with: the next ones of each reader, in order. They have the highest priority while
 * they are in a window, and their own again behind it.
 * Invariant: what is urgent is wanted; `#own` has the priority of each urgent piece, and of no other.
 */
import type { Holdings } from '../peers/holdings.js';
import type { Availability } from './availability.js';
import type { OpenPieces } from './open-pieces.js';
import { type Level, type Priority, SKIP, URGENT } from './priority.js';

/** Requests for other pieces are few for no longer than that: making a piece ready takes some milliseconds. */
const HURRY_MS = 200;

export interface UrgentParts {
  readonly availability: Availability;
  readonly holdings: Holdings;
  readonly open: OpenPieces;
}

export class Urgent {
  /** In the order in which they are wanted. */
  pieces: readonly number[] = [];
  /** Somebody waits for these now. */
  awaited: readonly number[] = [];
  readonly #p: UrgentParts;
  readonly #own = new Map<number, Priority>();
  #hurriedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(parts: UrgentParts) {
    this.#p = parts;
  }

  /** Those that are verified, or skipped, are left out. */
  set(pieces: readonly number[], awaited: readonly number[]): void {
    const next = new Set(pieces);
    for (const [piece, own] of this.#own) {
      if (next.has(piece)) continue;
      this.#own.delete(piece);
      this.#setLevel(piece, own);
    }
    const { isVerified } = this.#p.holdings;
    for (const piece of next) {
      const level = this.#p.availability.priority(piece);
      if (isVerified[piece] !== 0 || level === SKIP || level === URGENT) continue;
      this.#own.set(piece, level);
      this.#setLevel(piece, URGENT);
    }
    this.pieces = [...next].filter((piece) => this.#own.has(piece));
    this.awaited = awaited.filter((piece) => this.#own.has(piece));
  }

  has(piece: number): boolean {
    return this.#own.has(piece);
  }

  /** Its own priority, which it has again when it is urgent no more; null: it is not urgent. */
  ownOf(piece: number): Priority | null {
    return this.#own.get(piece) ?? null;
  }

  /** Its own priority changes. True: that is for later, it is urgent now. */
  keep(piece: number, priority: Priority): boolean {
    if (!this.#own.has(piece)) return false;
    this.#own.set(piece, priority);
    if (priority !== SKIP) return true;
    this.#own.delete(piece);
    this.pieces = this.pieces.filter((each) => each !== piece);
    return false;
  }

  /** One of them is not open yet. */
  get isPickable(): boolean {
    const order = this.#p.availability.order(URGENT);
    return order !== null && order.size > 0;
  }

  /** Somebody begins to read elsewhere: until the first piece there is ready, little else is asked for. */
  hurry(nowMs: number): void {
    this.#hurriedUntilMs = nowMs + HURRY_MS;
  }

  isHurried(nowMs: number): boolean {
    return nowMs < this.#hurriedUntilMs;
  }

  /** The first of them can be asked for. */
  ready(): void {
    this.#hurriedUntilMs = Number.NEGATIVE_INFINITY;
  }

  #setLevel(piece: number, level: Level): void {
    this.#p.holdings.setPriority(piece, level, this.#p.open.recordOf(piece) >= 0);
  }
}
