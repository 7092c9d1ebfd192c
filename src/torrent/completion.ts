/** The promise `done` of a torrent, and the next one when there is something to wait for again. */
import type { HaulError } from '../errors.js';

export class Completion {
  promise!: Promise<void>;
  /** The last promise was resolved, not rejected. */
  isDone = false;
  #isSettled = true;
  /** Null once it is settled: thousands of torrents seed and rest. */
  #settle: { resolve: () => void; reject: (error: HaulError) => void } | null = null;

  constructor() {
    this.renew();
  }

  /** Another promise, if this one is settled. */
  renew(): void {
    if (!this.#isSettled) return;
    this.#isSettled = false;
    this.isDone = false;
    this.promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // It need not be awaited: a failure nobody waits for must not end the embedder's process.
    this.promise.catch(() => {});
  }

  /** False: it was settled before. */
  resolve(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    this.isDone = true;
    this.#settle!.resolve();
    this.#settle = null;
    return true;
  }

  reject(error: HaulError): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#settle!.reject(error);
    this.#settle = null;
  }
}
