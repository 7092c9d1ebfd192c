/** What is being read now, so that house-keeping leaves it. */
import type { ArtifactRow } from './catalogue/port.js';

/** Who reads by HTTP: how often each blob, and each name. */
export class Readers {
  readonly #counts = new Map<string, number>();

  /** @param key SHA-256 or full name */
  has(key: string): boolean {
    return this.#counts.has(key);
  }

  get names(): string[] {
    return [...this.#counts.keys()].filter((key) => key.includes('/'));
  }

  async *read({ sha256, name }: ArtifactRow, slices: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for (const key of [sha256, name]) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    try {
      yield* slices;
    } finally {
      for (const key of [sha256, name]) {
        const left = this.#counts.get(key)! - 1;
        if (left === 0) this.#counts.delete(key);
        else this.#counts.set(key, left);
      }
    }
  }
}
