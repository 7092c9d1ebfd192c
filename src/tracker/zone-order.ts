/**
 * Slots of one kind, seeds or leeches, in the order of their zones' names, so that a zone with all zones inside it is
 * one range of ranks.
 * Pure. Owns the groups; a Fenwick tree over their sizes (P. M. Fenwick, 1994) leads from a name to a rank and from a
 * rank to a slot in O(log zones). Invariant: groups are sorted, none is empty, no two have one key, and the tree holds
 * their sizes.
 *
 *     keys    ''  'eu/r1/'  'eu/r2/'  'us/'        a key is the zone and a '/', '' for peers without a zone
 *     ranks   0…3   4…9      10…12    13…20        'eu/' has the ranks 4…12
 */

/**
 * Zones of one kind in one table; peers of zones beyond these count as peers without one. A stranger may name a new
 * zone with each announce, and each costs a rebuild of the tree: with so many zones that is four times an ordinary
 * announce.
 */
export const ZONES_MAX = 1024;

export interface ZoneGroup {
  readonly key: string;
  readonly order: ZoneOrder;
  readonly slots: number[];
}

/** Ranks from `begin` up to, not including, `end`. */
export interface RankRange {
  readonly begin: number;
  readonly end: number;
}

export class ZoneOrder {
  count = 0;
  readonly #groups: ZoneGroup[] = [];
  /**
   * From index 1 on; index i holds the sizes of as many groups as the lowest set bit of i says, the last of them group
   * i − 1.
   */
  #tree: Uint32Array = new Uint32Array(8);

  /** Puts a slot at the end of its group. Where there are too many zones that is the group of peers without one. */
  add(key: string, slot: number): ZoneGroup {
    const at = this.#lowerBound(key);
    const known = this.#groups[at];
    if (known?.key === key) {
      known.slots.push(slot);
      this.#change(at, 1);
      this.count++;
      return known;
    }
    if (key !== '' && this.#groups.length >= ZONES_MAX) return this.add('', slot);
    // A copy: the key may be a piece of a request, which would live as long as the group.
    const group = { key: Buffer.from(key, 'latin1').toString('latin1'), order: this, slots: [slot] };
    this.#groups.splice(at, 0, group);
    this.#rebuild();
    this.count++;
    return group;
  }

  /** Takes out what stands at `place` in a group. Returns the slot that stands there now, or −1. */
  remove(group: ZoneGroup, place: number): number {
    const { slots } = group;
    const last = slots.pop()!;
    const isHole = place < slots.length;
    if (isHole) slots[place] = last;
    this.count--;
    const at = this.#lowerBound(group.key);
    if (slots.length > 0) this.#change(at, -1);
    else {
      this.#groups.splice(at, 1);
      this.#rebuild();
    }
    return isHole ? last : -1;
  }

  /** The ranks of a zone and of all zones inside it. @param key not ''. */
  range(key: string): RankRange {
    // '0' follows '/': every key that begins with this one is below it.
    return { begin: this.rank(key), end: this.rank(`${key.slice(0, -1)}0`) };
  }

  /** Slots of all keys below this one: the rank of the first slot of its group. */
  rank(key: string): number {
    let sum = 0;
    for (let i = this.#lowerBound(key); i > 0; i &= i - 1) sum += this.#tree[i]!;
    return sum;
  }

  /** @param rank below `count`. */
  slotAt(rank: number): number {
    const length = this.#groups.length;
    let at = 0;
    let left = rank;
    for (let step = 1 << (31 - Math.clz32(length)); step > 0; step >>= 1) {
      const next = at + step;
      if (next <= length && this.#tree[next]! <= left) {
        at = next;
        left -= this.#tree[next]!;
      }
    }
    return this.#groups[at]!.slots[left]!;
  }

  /** Index of the first group whose key is not below this one. */
  #lowerBound(key: string): number {
    let low = 0;
    let high = this.#groups.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#groups[middle]!.key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #change(at: number, difference: 1 | -1): void {
    for (let i = at + 1; i <= this.#groups.length; i += i & -i) this.#tree[i]! += difference;
  }

  /** O(zones), when the first peer of a zone comes and when the last one goes. */
  #rebuild(): void {
    const length = this.#groups.length;
    if (length >= this.#tree.length) this.#tree = new Uint32Array(this.#tree.length * 2);
    const tree = this.#tree;
    for (let i = 1; i <= length; i++) tree[i] = this.#groups[i - 1]!.slots.length;
    for (let i = 1; i <= length; i++) {
      const above = i + (i & -i);
      if (above <= length) tree[above]! += tree[i]!;
    }
  }
}
