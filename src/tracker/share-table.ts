/**
 * What many hold of something that is bounded: connections, bytes that wait. Pure.
 * Nobody is refused. When all is given out the newcomer's own group gives way if it holds its share already, else
 * whoever has held for longest: a crowd behind one address gets all of it while nobody else asks, and nothing of what
 * others need.
 * Invariant: `total` is the sum of all weights, and no group is empty. Every holding stands in two rings, of all and of
 * its group, the oldest behind the head; a `Map` has the same order, but finding its first costs as much as was deleted
 * before it.
 */

export interface ShareLimits {
  /** Of all weights together. */
  readonly total: number;
  /** Of one group, once all is given out. */
  readonly share: number;
}

class Ring<T> {
  previous: Ring<T> = this;
  next: Ring<T> = this;
  /** Null: the head of a ring. */
  readonly value: T | null;

  constructor(value: T | null) {
    this.value = value;
  }

  /** Puts a link before this one: at the end, when this is the head. */
  append(link: Ring<T>): void {
    link.previous = this.previous;
    link.next = this;
    this.previous.next = link;
    this.previous = link;
  }

  unlink(): void {
    this.previous.next = this.next;
    this.next.previous = this.previous;
  }
}

interface Group<Holder> {
  sum: number;
  readonly head: Ring<Holder>;
}

interface Holding<Holder> {
  readonly key: string;
  readonly weight: number;
  readonly inAll: Ring<Holder>;
  readonly inGroup: Ring<Holder>;
}

export class ShareTable<Holder> {
  readonly #limits: ShareLimits;
  readonly #give: (holder: Holder) => void;
  readonly #holdings = new Map<Holder, Holding<Holder>>();
  readonly #groups = new Map<string, Group<Holder>>();
  readonly #head = new Ring<Holder>(null);
  total = 0;

  /** @param give is called for who must give way, after it has left the table. */
  constructor(limits: ShareLimits, give: (holder: Holder) => void) {
    this.#limits = limits;
    this.#give = give;
  }

  get count(): number {
    return this.#holdings.size;
  }

  has(holder: Holder): boolean {
    return this.#holdings.has(holder);
  }

  sumOf(key: string): number {
    return this.#groups.get(key)?.sum ?? 0;
  }

  /** Null: there is none. @param key of a group; without: of all */
  oldest(key?: string): Holder | null {
    return (key === undefined ? this.#head : this.#groups.get(key)?.head)?.next.value ?? null;
  }

  newest(key: string): Holder | null {
    return this.#groups.get(key)?.head.previous.value ?? null;
  }

  /** The group that holds most; null: there is none. Looks at all of them. */
  heaviest(): string | null {
    let [heaviest, most]: [string | null, number] = [null, 0];
    for (const [key, { sum }] of this.#groups) if (sum > most) [heaviest, most] = [key, sum];
    return heaviest;
  }

  holders(): IterableIterator<Holder> {
    return this.#holdings.keys();
  }

  /**
   * From now on it holds so much, and is the newest. It never gives way itself here, even if it alone is more than all.
   */
  set(holder: Holder, key: string, weight: number): void {
    this.delete(holder);
    while (this.total + weight > this.#limits.total && this.total > 0) this.#turnOut(this.#victim(key, weight));
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { sum: 0, head: new Ring<Holder>(null) };
      this.#groups.set(key, group);
    }
    const holding = { key, weight, inAll: new Ring(holder), inGroup: new Ring(holder) };
    group.sum += weight;
    group.head.append(holding.inGroup);
    this.#head.append(holding.inAll);
    this.#holdings.set(holder, holding);
    this.total += weight;
  }

  delete(holder: Holder): void {
    const holding = this.#holdings.get(holder);
    if (holding === undefined) return;
    this.#holdings.delete(holder);
    holding.inAll.unlink();
    holding.inGroup.unlink();
    this.total -= holding.weight;
    const group = this.#groups.get(holding.key)!;
    group.sum -= holding.weight;
    if (group.head.next === group.head) this.#groups.delete(holding.key);
  }

  #victim(key: string, weight: number): Holder {
    const own = this.#groups.get(key);
    return (own !== undefined && own.sum + weight > this.#limits.share ? own.head : this.#head).next.value!;
  }

  #turnOut(holder: Holder): void {
    this.delete(holder);
    this.#give(holder);
  }
}
