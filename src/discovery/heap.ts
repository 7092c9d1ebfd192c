/** A binary heap whose items know their place, so that any of them can be removed in O(log n). Pure. */

export interface HeapItem {
  /**
   * Index in the heap that holds the item, −1 when in none. Written by the heap only; an item is in one heap at a time.
   */
  heapAt: number;
}

export class Heap<T extends HeapItem> {
  readonly #items: T[] = [];
  readonly #isBefore: (a: T, b: T) => boolean;

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The first item in order, or null. */
  peek(): T | null {
    return this.#items[0] ?? null;
  }

  /** Some item among the later half: cheap to reach, and not one of the best. Null when empty. */
  last(): T | null {
    return this.#items.at(-1) ?? null;
  }

  push(item: T): void {
    if (item.heapAt !== -1) throw new Error('item is already in a heap');
    item.heapAt = this.#items.length;
    this.#items.push(item);
    this.#up(item.heapAt);
  }

  /** The item must be in this heap. */
  remove(item: T): void {
    const at = item.heapAt;
    if (this.#items[at] !== item) throw new Error('item is not in this heap');
    const moved = this.#items.pop()!;
    item.heapAt = -1;
    if (moved === item) return;
    this.#items[at] = moved;
    moved.heapAt = at;
    this.#up(at);
    this.#down(moved.heapAt);
  }

  #up(at: number): void {
    for (let child = at; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!this.#isBefore(this.#items[child]!, this.#items[parent]!)) return;
      this.#swap(child, parent);
      child = parent;
    }
  }

  #down(at: number): void {
    for (let parent = at; ; ) {
      let child = parent * 2 + 1;
      if (child >= this.#items.length) return;
      if (child + 1 < this.#items.length && this.#isBefore(this.#items[child + 1]!, this.#items[child]!)) child++;
      if (!this.#isBefore(this.#items[child]!, this.#items[parent]!)) return;
      this.#swap(child, parent);
      parent = child;
    }
  }

  #swap(a: number, b: number): void {
    const first = this.#items[a]!;
    const second = this.#items[b]!;
    this.#items[a] = second;
    this.#items[b] = first;
    second.heapAt = a;
    first.heapAt = b;
  }
}
