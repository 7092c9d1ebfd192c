/**
 * Whose turn it is where several wait for one limit: bytes are shared evenly, however many wait in each and however
 * much one takes at once. This is surplus round robin: a turn brings a quantum of credit, and who took more than it had
 * is passed over until that is made up for. Who waits for nothing gets nothing and saves nothing, so no capacity is
 * left idle; who comes anew is served within one round, and others that keep coming starve nobody. Pure.
 */

export interface Sharer {
  /** What it may take before others have their turn: `Turns` adds, and what is taken is taken off. */
  creditBytes: number;
  readonly hasWaiting: boolean;
  /** Nothing may pass now, by limits of its own or by what all share. */
  readonly isSpent: boolean;
  /** Wakes who waits first, and on until one has taken something. @returns false: nobody did */
  wakeNext(): boolean;
}

export class Turns {
  /** Who is woken takes soon, not at once: a turn is one that is woken. */
  readonly takesLater: boolean;
  /** Those with somebody waiting. The first has its turn. */
  readonly #ring = new Set<Sharer>();
  /** Who has got its credit for this turn. */
  #current: Sharer | null = null;

  constructor(takesLater: boolean) {
    this.takesLater = takesLater;
  }

  /** Somebody waits in it. */
  enter(sharer: Sharer): void {
    this.#ring.add(sharer);
  }

  leave(sharer: Sharer): void {
    this.#ring.delete(sharer);
    if (this.#current === sharer) this.#current = null;
  }

  /**
   * Wakes who may take something while there is something to take.
   * @param quantumBytes credit of a turn, > 0
   * @param isDry what all share is used up
   */
  serve(quantumBytes: number, isDry: () => boolean): void {
    // Those in a row that take nothing.
    let idle = 0;
    while (idle < this.#ring.size && !isDry()) {
      const sharer = this.#ring.values().next().value!;
      if (sharer.isSpent) {
        idle++;
        this.#passOver(sharer);
        continue;
      }
      if (this.#current !== sharer) {
        this.#current = sharer;
        sharer.creditBytes = Math.min(0, sharer.creditBytes) + quantumBytes;
      }
      const mayTake = sharer.creditBytes > 0;
      const took = mayTake && sharer.wakeNext();
      idle = mayTake && !took ? idle + 1 : 0;
      if (!sharer.hasWaiting) this.leave(sharer);
      else if (!took || this.takesLater || sharer.creditBytes <= 0) this.#passOver(sharer);
    }
  }

  /** To the end of the round. */
  #passOver(sharer: Sharer): void {
    this.leave(sharer);
    this.#ring.add(sharer);
  }
}
