/**
 * What the cache holds, chunks and whole blobs alike, the longest unused first, and what goes when it is too much.
 * Nothing in use goes. It knows no files: what is evicted is told. Pure.
 */
import { S3_LIMITS } from './limits.js';

interface Entry {
  readonly lengthBytes: number;
  readonly evict: () => Promise<unknown>;
  uses: number;
}

export class CacheRoom {
  readonly #maxBytes: number;
  readonly #otherBytes: () => number;
  /** The longest unused first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  /** @param otherBytes of what lies there, too, and cannot be evicted: uploads */
  constructor(maxBytes: number, otherBytes: () => number) {
    this.#maxBytes = maxBytes;
    this.#otherBytes = otherBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  add(key: string, lengthBytes: number, evict: () => Promise<unknown>): void {
    this.forget(key);
    this.#entries.set(key, { lengthBytes, evict, uses: 0 });
    this.#bytes += lengthBytes;
  }

  /** It was used. */
  touch(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  /** It is in use until the function is called. */
  use(key: string): () => void {
    this.touch(key);
    const entry = this.#entries.get(key);
    if (entry === undefined) return () => {};
    entry.uses++;
    let isOver = false;
    return () => {
      if (!isOver) entry.uses--;
      isOver = true;
    };
  }

  /** It is gone. */
  forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.lengthBytes;
  }

  /**
   * Evicts until so many more bytes fit below the mark: a tenth below it where anything has to go.
   * @returns whether they fit
   */
  async make(lengthBytes: number): Promise<boolean> {
    const used = (): number => this.#bytes + this.#otherBytes() + lengthBytes;
    if (used() <= this.#maxBytes) return true;
    const going: Promise<unknown>[] = [];
    for (const [key, entry] of [...this.#entries]) {
      if (used() <= this.#maxBytes * S3_LIMITS.cacheLow) break;
      if (entry.uses > 0) continue;
      this.forget(key);
      going.push(entry.evict().catch(() => {}));
    }
    await Promise.all(going);
    return used() <= this.#maxBytes;
  }
}
