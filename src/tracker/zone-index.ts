/**
 * Which slots of a `PeerTable` are in which zone. Pure. A table without zones has none of these.
 * Invariant, between two calls of the table: every slot is in exactly one group of the order of its kind, at the place
 * noted for it.
 */
import { type ZoneGroup, ZoneOrder } from './zone-order.js';

export class ZoneIndex {
  readonly seeds = new ZoneOrder();
  readonly leeches = new ZoneOrder();
  /** By slot; undefined only while the table moves it. */
  readonly #groups: (ZoneGroup | undefined)[] = [];
  readonly #places: number[] = [];

  keyOf(slot: number): string {
    return this.#groups[slot]!.key;
  }

  /** Rank of a slot among those of its kind. */
  rankOf(slot: number): number {
    const group = this.#groups[slot]!;
    return group.order.rank(group.key) + this.#places[slot]!;
  }

  add(slot: number, key: string, isSeed: boolean): void {
    const group = (isSeed ? this.seeds : this.leeches).add(key, slot);
    this.#groups[slot] = group;
    this.#places[slot] = group.slots.length - 1;
  }

  remove(slot: number): void {
    const group = this.#groups[slot]!;
    const place = this.#places[slot]!;
    const moved = group.order.remove(group, place);
    if (moved >= 0) this.#places[moved] = place;
    this.#groups[slot] = undefined;
  }

  /** The table exchanges two slots, of which one may be removed. */
  swap(a: number, b: number): void {
    const group = this.#groups[a];
    const place = this.#places[a]!;
    this.#set(a, this.#groups[b], this.#places[b]!);
    this.#set(b, group, place);
  }

  /** The table has only so many slots now. */
  truncate(count: number): void {
    this.#groups.length = count;
    this.#places.length = count;
  }

  #set(slot: number, group: ZoneGroup | undefined, place: number): void {
    this.#groups[slot] = group;
    this.#places[slot] = place;
    if (group !== undefined) group.slots[place] = slot;
  }
}
