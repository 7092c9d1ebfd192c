/**
 * A first-in first-out ring of up to four integers with an optional time, grown as needed: nothing is allocated per
 * entry.
 */

const FIRST_CAPACITY = 8;

export class Fifo {
  #a = new Int32Array(FIRST_CAPACITY);
  #b = new Int32Array(FIRST_CAPACITY);
  #c = new Int32Array(FIRST_CAPACITY);
  #d = new Int32Array(FIRST_CAPACITY);
  #times = new Float64Array(FIRST_CAPACITY);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(a: number, b: number, c = 0, timeMs = 0, d = 0): void {
    if (this.#length === this.#a.length) this.#grow();
    const at = this.#at(this.#length++);
    this.#a[at] = a;
    this.#b[at] = b;
    this.#c[at] = c;
    this.#d[at] = d;
    this.#times[at] = timeMs;
  }

  /** Fields of the oldest entry; there must be one. */
  get a(): number {
    return this.#a[this.#head]!;
  }

  get b(): number {
    return this.#b[this.#head]!;
  }

  get c(): number {
    return this.#c[this.#head]!;
  }

  get d(): number {
    return this.#d[this.#head]!;
  }

  get timeMs(): number {
    return this.#times[this.#head]!;
  }

  /** Time of the newest entry; there must be one. */
  get lastMs(): number {
    return this.#times[this.#at(this.#length - 1)]!;
  }

  shift(): void {
    this.#head = (this.#head + 1) & (this.#a.length - 1);
    this.#length--;
  }

  clear(): void {
    this.#length = 0;
  }

  /** True when an entry with these two fields is there. */
  includes(a: number, b: number): boolean {
    for (let index = 0; index < this.#length; index++) {
      const at = this.#at(index);
      if (this.#a[at] === a && this.#b[at] === b) return true;
    }
    return false;
  }

  forEach(visit: (a: number, b: number, c: number, d: number) => void): void {
    for (let index = 0; index < this.#length; index++) {
      const at = this.#at(index);
      visit(this.#a[at]!, this.#b[at]!, this.#c[at]!, this.#d[at]!);
    }
  }

  /** Removes the oldest entry with these two fields; false when there is none. O(length). */
  remove(a: number, b: number): boolean {
    for (let index = 0; index < this.#length; index++) {
      const at = this.#at(index);
      if (this.#a[at] !== a || this.#b[at] !== b) continue;
      for (let later = index + 1; later < this.#length; later++) this.#copy(this.#at(later), this.#at(later - 1));
      this.#length--;
      return true;
    }
    return false;
  }

  #at(index: number): number {
    return (this.#head + index) & (this.#a.length - 1);
  }

  #copy(from: number, to: number): void {
    this.#a[to] = this.#a[from]!;
    this.#b[to] = this.#b[from]!;
    this.#c[to] = this.#c[from]!;
    this.#d[to] = this.#d[from]!;
    this.#times[to] = this.#times[from]!;
  }

  #grow(): void {
    const old = { a: this.#a, b: this.#b, c: this.#c, d: this.#d, times: this.#times, head: this.#head };
    const mask = old.a.length - 1;
    this.#a = new Int32Array(old.a.length * 2);
    this.#b = new Int32Array(old.a.length * 2);
    this.#c = new Int32Array(old.a.length * 2);
    this.#d = new Int32Array(old.a.length * 2);
    this.#times = new Float64Array(old.a.length * 2);
    for (let index = 0; index < this.#length; index++) {
      const from = (old.head + index) & mask;
      this.#a[index] = old.a[from]!;
      this.#b[index] = old.b[from]!;
      this.#c[index] = old.c[from]!;
      this.#d[index] = old.d[from]!;
      this.#times[index] = old.times[from]!;
    }
    this.#head = 0;
  }
}
