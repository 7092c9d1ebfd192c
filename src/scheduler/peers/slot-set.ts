/**
 * A set of small integers in typed arrays: add, delete, has and indexed access are O(1), nothing is allocated but by
 * `grow`.
 */
import { grown } from './slot-rows.js';

export class SlotSet {
  #items: Int32Array;
  #places: Int32Array;
  #size = 0;

  /** @param limit members are in [0, limit). */
  constructor(limit: number) {
    this.#items = new Int32Array(limit);
    this.#places = new Int32Array(limit).fill(-1);
  }

  /** Members may be up to `limit` from now on. */
  grow(limit: number): void {
    this.#items = grown(this.#items, limit);
    this.#places = grown(this.#places, limit, -1);
  }

  get size(): number {
    return this.#size;
  }

  has(item: number): boolean {
    return this.#places[item]! >= 0;
  }

  /** Members in no meaningful order. Deleting during a walk is safe when walking from the last index down. */
  at(index: number): number {
    return this.#items[index]!;
  }

  add(item: number): void {
    if (this.#places[item]! >= 0) return;
    this.#places[item] = this.#size;
    this.#items[this.#size++] = item;
  }

  delete(item: number): void {
    const place = this.#places[item]!;
    if (place < 0) return;
    const last = this.#items[--this.#size]!;
    this.#items[place] = last;
    this.#places[last] = place;
    this.#places[item] = -1;
  }
}
