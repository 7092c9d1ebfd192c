/** Words that wait to be written: a queue with a bound, of which the oldest are dropped. Pure. */
import type { SharedWrite } from './port.js';

/** So many are a second of the busiest tracker; each costs some 200 bytes. */
export const WAITING_MAX = 50_000;

export interface WaitingWrite extends Omit<SharedWrite, 'ageMs'> {
  readonly saidAtMs: number;
}

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

  /** The oldest, at most so many. */
  take(count: number): WaitingWrite[] {
    const taken = this.#items.slice(this.#head, this.#head + count);
    this.#head += taken.length;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    }
    return taken;
  }

  #compact(): void {
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}
