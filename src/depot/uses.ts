/**
 * When names were fetched, on its way to the catalogue. It is told a minute later, in company, and a few names at a
 * time: ten thousand at once took the main thread half a second, of which everybody had a part who asked for something
 * just then. Invariant: one portion is under way at most, beside those that house-keeping asks for; a name is either
 * waiting or in one, and is forgotten at worst.
 */
import type { Catalogue } from './catalogue/port.js';

const FIRST_MS = 60_000;
/** Some 5 ms of the main thread. */
const PORTION_NAMES = 100;
/** Between portions: all that may wait is told in less than a minute, with a hundredth of the main thread. */
const PAUSE_MS = 500;
/** From so many on there is no pause, and what is beyond goes in one portion. */
const FULL_NAMES = 10_000;
/** A catalogue takes none of them: the oldest go. */
const NAMES_MAX = 2 * FULL_NAMES;

export interface UsesOptions {
  readonly catalogue: Pick<Catalogue, 'touch'>;
  /** Calls that later; returns how to prevent it. Default: a timer that keeps no process alive. */
  readonly after?: (ms: number, call: () => void) => () => void;
}

export class Uses {
  readonly #catalogue: Pick<Catalogue, 'touch'>;
  readonly #after: (ms: number, call: () => void) => () => void;
  /** In the order in which they came to wait. */
  readonly #waiting = new Map<string, number>();
  /** Being told. */
  readonly #portions = new Set<ReadonlyMap<string, number>>();
  #prevent: (() => void) | null = null;
  #telling: Promise<void> | null = null;
  #isClosed = false;

  constructor({ catalogue, after = timer }: UsesOptions) {
    this.#catalogue = catalogue;
    this.#after = after;
  }

  /** @param name full. @param atMs milliseconds since 1970 */
  note(name: string, atMs: number): void {
    if (this.#isClosed) return;
    this.#waiting.set(name, atMs);
    if (this.#waiting.size > NAMES_MAX) this.#waiting.delete(this.#waiting.keys().next().value!);
    this.#goOn(FIRST_MS);
  }

  /** When it was used, where the catalogue has not heard of it; null: it has. Milliseconds since 1970. */
  untold(name: string): number | null {
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) return waiting;
    for (const portion of this.#portions) {
      const told = portion.get(name);
      if (told !== undefined) return told;
    }
    return null;
  }

  /** At once, of these. */
  async tell(names: readonly string[]): Promise<void> {
    const taken = new Map<string, number>();
    for (const name of names) {
      const atMs = this.#waiting.get(name);
      if (atMs === undefined) continue;
      taken.set(name, atMs);
      this.#waiting.delete(name);
    }
    await Promise.all([this.#telling, taken.size > 0 ? this.#touch(taken) : null]);
  }

  /** What waits is told at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#prevent?.();
    await this.#telling;
    if (this.#waiting.size > 0) await this.#touch(this.#take(this.#waiting.size));
  }

  #goOn(waitMs: number): void {
    if (this.#telling !== null || this.#isClosed || this.#waiting.size === 0) return;
    if (this.#waiting.size >= FULL_NAMES) this.#tell();
    else this.#prevent ??= this.#after(waitMs, () => this.#tell());
  }

  #tell(): void {
    this.#prevent?.();
    this.#prevent = null;
    const names = Math.max(PORTION_NAMES, this.#waiting.size - FULL_NAMES);
    this.#telling = this.#touch(this.#take(names)).then(() => {
      this.#telling = null;
      this.#goOn(PAUSE_MS);
    });
  }

  #take(names: number): Map<string, number> {
    const taken = new Map<string, number>();
    for (const [name, atMs] of this.#waiting) {
      if (taken.size === names) break;
      taken.set(name, atMs);
      this.#waiting.delete(name);
    }
    return taken;
  }

  /** When rows were used is worth no failure. */
  async #touch(used: ReadonlyMap<string, number>): Promise<void> {
    this.#portions.add(used);
    await this.#catalogue.touch(used).catch(() => {});
    this.#portions.delete(used);
  }
}

function timer(ms: number, call: () => void): () => void {
  const timeout = setTimeout(call, ms).unref();
  return () => clearTimeout(timeout);
}
