/**
 * Which torrents are ticked when. Those that do something: always. Quiet ones, seeds without a peer say: when something
 * of theirs is due, and else a few a second in turn, so that thousands cost no more than some. Pure: time is an
 * argument.
 */
import { Heap } from '../discovery/heap.js';

export interface Visited {
  /** @param isSecond once a second; the other ticks are for who is held back */
  tick(nowMs: number, isSecond: boolean): void;
  /** Nothing has to be done before that, unless it is stirred; not in the future: it is busy. Asked after a tick. */
  quietUntilMs(nowMs: number): number;
}

/** Quiet ones ticked in a second, at least: so many are looked after as closely as busy ones. */
export const VISITS_PER_SECOND = 16;
/** With more of them each is visited within so many seconds: announces have intervals of half an hour. */
const ROUND_SECONDS = 300;

interface Quiet<T> {
  readonly item: T;
  dueMs: number;
  heapAt: number;
}

export class Visits<T extends Visited> {
  readonly #busy = new Set<T>();
  /** Whoever was visited least recently comes first. */
  readonly #quiet = new Map<T, Quiet<T>>();
  readonly #due = new Heap<Quiet<T>>((a, b) => a.dueMs < b.dueMs);
  #firstToTick = 0;

  get quietCount(): number {
    return this.#quiet.size;
  }

  /** New, or something has happened to it: it is busy until it says otherwise. */
  stir(item: T): void {
    this.#leaveQuiet(item);
    this.#busy.add(item);
  }

  delete(item: T): void {
    this.#leaveQuiet(item);
    this.#busy.delete(item);
  }

  tick(nowMs: number, isSecond: boolean): void {
    const busy = [...this.#busy];
    // Each is the first in its turn: what they share is often gone before the last one asks.
    this.#firstToTick = (this.#firstToTick + 1) % Math.max(1, busy.length);
    for (let i = 0; i < busy.length; i++) busy[(this.#firstToTick + i) % busy.length]!.tick(nowMs, isSecond);
    if (!isSecond) return;
    for (const item of busy) if (this.#busy.has(item)) this.#file(item, nowMs);
    this.#visitSome(nowMs);
  }

  #visitSome(nowMs: number): void {
    let left = Math.max(VISITS_PER_SECOND, Math.ceil(this.#quiet.size / ROUND_SECONDS));
    const visited = new Set<T>();
    for (let first = this.#due.peek(); first !== null && first.dueMs <= nowMs && left > 0; first = this.#due.peek()) {
      if (visited.has(first.item)) break;
      visited.add(first.item);
      this.#visit(first.item, nowMs);
      left--;
    }
    for (const item of [...firstOf(this.#quiet.keys(), left)]) {
      if (!visited.has(item)) this.#visit(item, nowMs);
    }
  }

  #visit(item: T, nowMs: number): void {
    this.stir(item);
    item.tick(nowMs, true);
    if (this.#busy.has(item)) this.#file(item, nowMs);
  }

  #file(item: T, nowMs: number): void {
    const dueMs = item.quietUntilMs(nowMs);
    if (dueMs <= nowMs) return;
    this.#busy.delete(item);
    const quiet: Quiet<T> = { item, dueMs, heapAt: -1 };
    this.#quiet.set(item, quiet);
    if (dueMs < Number.POSITIVE_INFINITY) this.#due.push(quiet);
  }

  #leaveQuiet(item: T): void {
    const quiet = this.#quiet.get(item);
    if (quiet === undefined) return;
    this.#quiet.delete(item);
    if (quiet.heapAt !== -1) this.#due.remove(quiet);
  }
}

function* firstOf<T>(items: Iterable<T>, count: number): Iterable<T> {
  let left = count;
  for (const item of items) {
    if (left-- <= 0) return;
    yield item;
  }
}
