/**
 * Slots in the order in which they were added, oldest first; any of them can be taken out. Flat arrays: it happens once
 * per block served.
 */

export const NO_SLOT = -1;

export class OldestFirst {
  #next = new Int32Array(64);
  #previous = new Int32Array(64);
  #oldest = NO_SLOT;
  #newest = NO_SLOT;

  get oldest(): number {
    return this.#oldest;
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.#next = grown(this.#next, rows);
    this.#previous = grown(this.#previous, rows);
  }

  add(slot: number): void {
    this.#next[slot] = NO_SLOT;
    this.#previous[slot] = this.#newest;
    if (this.#newest === NO_SLOT) this.#oldest = slot;
    else this.#next[this.#newest] = slot;
    this.#newest = slot;
  }

  remove(slot: number): void {
    const next = this.#next[slot]!;
    const previous = this.#previous[slot]!;
    if (previous === NO_SLOT) this.#oldest = next;
    else this.#next[previous] = next;
    if (next === NO_SLOT) this.#newest = previous;
    else this.#previous[next] = previous;
  }
}

export function grown(old: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const array = new Int32Array(length);
  array.set(old);
  return array;
}
