/**
 * What many hold of something that is bounded: connections, bytes that wait. Pure.
 * Nobody is refused. When all is given out the newcomer's own group gives way if it holds its share already, else whoever has held for
 * longest: a crowd behind one address gets all of it while nobody else asks, and nothing of what others need.
 * Invariant: `total` is the sum of all weights, and no group is empty.
 */

export interface ShareLimits {
  /** Of all weights together. */
  readonly total: number;
  /** Of one group, once all is given out. */
  readonly share: number;
}

interface Group {
  sum: number;
  /** In the order in which they came: the oldest first. */
  readonly holders: Set<unknown>;
}

interface Holding {
  readonly key: string;
  readonly weight: number;
}

export class ShareTable<Holder> {
  readonly #limits: ShareLimits;
  readonly #give: (holder: Holder) => void;
  readonly #holdings = new Map<Holder, Holding>();
  readonly #groups = new Map<string, Group>();
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

  /** All holders, the oldest first. */
  holders(): IterableIterator<Holder> {
    return this.#holdings.keys();
  }

  /** From now on it holds so much, and is the newest. It never gives way itself here, even if it alone is more than all. */
  set(holder: Holder, key: string, weight: number): void {
    this.delete(holder);
    while (this.total + weight > this.#limits.total && this.total > 0) this.#turnOut(this.#victim(key, weight));
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { sum: 0, holders: new Set() };
      this.#groups.set(key, group);
    }
    group.sum += weight;
    group.holders.add(holder);
    this.#holdings.set(holder, { key, weight });
    this.total += weight;
  }

  delete(holder: Holder): void {
    const holding = this.#holdings.get(holder);
    if (holding === undefined) return;
    this.#holdings.delete(holder);
    this.total -= holding.weight;
    const group = this.#groups.get(holding.key)!;
    group.sum -= holding.weight;
    group.holders.delete(holder);
    if (group.holders.size === 0) this.#groups.delete(holding.key);
  }

  #victim(key: string, weight: number): Holder {
    const own = this.#groups.get(key);
    const from = own !== undefined && own.sum + weight > this.#limits.share ? own.holders : this.#holdings.keys();
    for (const holder of from) return holder as Holder;
    throw new Error('nobody holds what is given out');
  }

  #turnOut(holder: Holder): void {
    this.delete(holder);
    this.#give(holder);
  }
}
