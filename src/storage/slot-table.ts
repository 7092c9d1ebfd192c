import { NO_SLOT } from './oldest-first.js';

const CHUNK_UNITS = 1024;

/** Slot by unit number, in chunks made on demand: a torrent may have 2^27 units. */
export class SlotTable {
  /** Slot + 1, so that 0 is none. */
  readonly #chunks: (Int32Array | undefined)[] = [];

  /** NO_SLOT: it has none. */
  of(unit: number): number {
    const chunk = this.#chunks[Math.floor(unit / CHUNK_UNITS)];
    return chunk === undefined ? NO_SLOT : chunk[unit % CHUNK_UNITS]! - 1;
  }

  /** @param slot NO_SLOT: none from now on */
  set(unit: number, slot: number): void {
    const at = Math.floor(unit / CHUNK_UNITS);
    this.#chunks[at] ??= new Int32Array(CHUNK_UNITS);
    this.#chunks[at][unit % CHUNK_UNITS] = slot + 1;
  }
}
