/** Words that wait to be written: a queue with a bound, of which the oldest are dropped. Pure. */
import type { SharedWrite } from './port.js';

/** Each costs some 200 bytes, and waits two seconds at most while the table works. */
export const WAITING_MAX = 50_000;

/** A score of milliseconds since 1970 has room for it. */
const TURN_MS = 1 / 16;

export type WaitingWrite = Omit<SharedWrite, 'ageMs'>;

export class WaitingWrites {
  #items: WaitingWrite[] = [];
  #head = 0;
  droppedCount = 0;

  get count(): number {
    return this.#items.length - this.#head;
  }

  push(write: WaitingWrite): void {
    if (this.count >= WAITING_MAX) {
      this.#head++;
      this.droppedCount++;
    }
    this.#items.push(write);
    if (this.#head > WAITING_MAX) this.#compact();
  }

  /**
   * The oldest, at most so many, as if all were said now, but for a moment between a word that ends another and those
   * around it: whoever reads them sees them in their order.
   */
  take(count: number): SharedWrite[] {
    const writes: SharedWrite[] = [];
    let ageMs = 0;
    const end = Math.min(this.#items.length, this.#head + count);
    for (let at = end - 1; at >= this.#head; at--) {
      const write = this.#items[at]!;
      const isTurn = write.drops.length > 0;
      if (isTurn) ageMs += TURN_MS;
      writes.push({ ...write, ageMs });
      if (isTurn) ageMs += TURN_MS;
    }
    this.#head = end;
    if (this.#head > WAITING_MAX || this.count === 0) this.#compact();
    return writes.reverse();
  }

  clear(): void {
    this.droppedCount += this.count;
    this.#items = [];
    this.#head = 0;
  }

  #compact(): void {
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}
