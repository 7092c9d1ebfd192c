/** What one peer has asked for and not yet got: a first-in first-out ring of (piece, begin, length), grown as needed. */

const FIRST_CAPACITY = 32;

export class RequestQueue {
  #ring = new Int32Array(FIRST_CAPACITY * 3);
  #capacity = FIRST_CAPACITY;
  #head = 0;
  #length = 0;
  /** How many entries from the head have had their read-ahead started. */
  aheadCount = 0;
  /** Bytes of those entries. */
  aheadBytes = 0;

  get length(): number {
    return this.#length;
  }

  push(piece: number, begin: number, length: number): void {
    if (this.#length === this.#capacity) this.#grow();
    const at = ((this.#head + this.#length) % this.#capacity) * 3;
    this.#ring[at] = piece;
    this.#ring[at + 1] = begin;
    this.#ring[at + 2] = length;
    this.#length++;
  }

  pieceAt(index: number): number {
    return this.#ring[((this.#head + index) % this.#capacity) * 3]!;
  }

  beginAt(index: number): number {
    return this.#ring[((this.#head + index) % this.#capacity) * 3 + 1]!;
  }

  lengthAt(index: number): number {
    return this.#ring[((this.#head + index) % this.#capacity) * 3 + 2]!;
  }

  /** Removes the oldest entry. */
  shift(): void {
    if (this.aheadCount > 0) {
      this.aheadCount--;
      this.aheadBytes -= this.lengthAt(0);
    }
    this.#head = (this.#head + 1) % this.#capacity;
    this.#length--;
  }

  /** Removes the first equal entry (BEP 3 `cancel`); false when there is none. */
  remove(piece: number, begin: number, length: number): boolean {
    for (let i = 0; i < this.#length; i++) {
      if (this.pieceAt(i) !== piece || this.beginAt(i) !== begin || this.lengthAt(i) !== length) continue;
      if (i < this.aheadCount) {
        this.aheadCount--;
        this.aheadBytes -= length;
      }
      for (let k = i; k > 0; k--) this.#copy(k - 1, k);
      this.#head = (this.#head + 1) % this.#capacity;
      this.#length--;
      return true;
    }
    return false;
  }

  clear(): void {
    this.#head = 0;
    this.#length = 0;
    this.aheadCount = 0;
    this.aheadBytes = 0;
  }

  #copy(from: number, to: number): void {
    const source = ((this.#head + from) % this.#capacity) * 3;
    const target = ((this.#head + to) % this.#capacity) * 3;
    this.#ring.copyWithin(target, source, source + 3);
  }

  #grow(): void {
    const grown = new Int32Array(this.#capacity * 2 * 3);
    const tail = this.#ring.subarray(this.#head * 3);
    grown.set(tail);
    grown.set(this.#ring.subarray(0, this.#head * 3), tail.length);
    this.#ring = grown;
    this.#capacity *= 2;
    this.#head = 0;
  }
}
