/**
 * Space that torrents of an engine were promised and have not reserved yet, by device: the file system still counts it
 * as free, and another torrent must not begin on it. Between processes there is no such promise.
 */
import type { Coverage } from './coverage.js';

export class SpaceLedger {
  readonly #promises = new Map<number, Set<Pick<Coverage, 'leftBytes'>>>();
  readonly #lastTurn = new Map<number, Promise<unknown>>();

  /** @param device as stat(2) numbers it */
  promisedBytes(device: number): number {
    let sum = 0;
    for (const { leftBytes } of this.#promises.get(device) ?? []) sum += leftBytes;
    return sum;
  }

  /** @param coverage what is left of it is promised, less and less. @returns what ends the promise */
  promise(device: number, coverage: Pick<Coverage, 'leftBytes'>): () => void {
    if (coverage.leftBytes === 0) return () => {};
    const promises = this.#promises.get(device) ?? new Set();
    this.#promises.set(device, promises.add(coverage));
    return () => {
      promises.delete(coverage);
      if (promises.size === 0 && this.#promises.get(device) === promises) this.#promises.delete(device);
    };
  }

  /** One after the other on a device: who looks at what is free reserves, or is promised, before the next one looks. */
  turn<T>(device: number, run: () => Promise<T>): Promise<T> {
    const before = this.#lastTurn.get(device) ?? Promise.resolve();
    const mine = before.then(run);
    const ended = mine.then(
      () => {},
      () => {},
    );
    this.#lastTurn.set(device, ended);
    void ended.then(() => {
      if (this.#lastTurn.get(device) === ended) this.#lastTurn.delete(device);
    });
    return mine;
  }
}
