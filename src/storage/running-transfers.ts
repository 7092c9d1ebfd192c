/** Transfers of one storage that are under way. How one ended is told later, in a turn of the event loop of its own. */
import type { HaulError } from '../errors.js';

export class RunningTransfers {
  readonly #all = new Set<Promise<void>>();

  get size(): number {
    return this.#all.size;
  }

  /** A `done` that throws is a broken invariant and must crash. */
  track<T>(transfer: Promise<T>, onGood: (result: T) => void, onBad: (error: HaulError) => void): void {
    const run = transfer.then(
      (result) => setImmediate(onGood, result),
      (error: HaulError) => setImmediate(onBad, error),
    );
    const tracked = run.then(() => new Promise<void>((resolve) => setImmediate(resolve)));
    this.#all.add(tracked);
    void tracked.then(() => this.#all.delete(tracked));
  }

  /** Those that are under way now have ended, and were told. */
  async idle(): Promise<void> {
    await Promise.all(this.#all);
  }
}
