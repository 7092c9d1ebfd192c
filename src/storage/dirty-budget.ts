/**
 * Bytes that are written and not yet on the device, over all torrents of an engine. Who has less than an even part of
 * what may be dirty goes on whatever the others do: a slow device holds up its own torrents. So with n of them dirty
 * there are at most 1 + 1/2 + … + 1/n times the limit.
 */

export interface Dirty {
  readonly dirtyBytes: number;
  /** Something became clean, here or elsewhere. */
  lookForRoom(): void;
}

export class DirtyBudget {
  readonly limitBytes: number;
  #bytes = 0;
  readonly #dirty = new Set<Dirty>();

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  isFull(one: Dirty): boolean {
    return this.#bytes >= this.limitBytes && one.dirtyBytes >= this.limitBytes / Math.max(1, this.#dirty.size);
  }

  /** The bytes of one have become more or, below zero, less. */
  changed(one: Dirty, bytes: number): void {
    this.#bytes += bytes;
    if (one.dirtyBytes > 0) this.#dirty.add(one);
    else this.#dirty.delete(one);
    if (bytes >= 0) return;
    one.lookForRoom();
    for (const other of [...this.#dirty]) if (other !== one) other.lookForRoom();
  }
}
