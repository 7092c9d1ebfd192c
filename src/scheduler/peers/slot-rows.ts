/**
 * Tables with a row per slot start short and are replaced by longer ones as peers join: a torrent that nobody is
 * connected to must cost next to nothing, and thousands of them are seeded by one engine. Whoever reads a table reads
 * it from its owner, each time.
 */

/** A longer copy: rows keep their values, new rows hold `fill`. */
export function grown<T extends Uint8Array | Int32Array | Float64Array>(table: T, rows: number, fill = 0): T {
  const longer = new (table.constructor as new (length: number) => T)(rows);
  longer.set(table);
  longer.fill(fill, table.length);
  return longer;
}

export interface SlotTables {
  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void;
}

/** Rows of all tables when the first peer joins. */
const FIRST_ROWS = 4;

/**
 * Keeps the tables of one torrent equally long. Slots are given out from 0: the most peers there ever were, to the next
 * power of two.
 */
export class SlotRows {
  readonly #maxSlots: number;
  readonly #tables: readonly SlotTables[];
  #rows = 0;

  constructor(maxSlots: number, tables: readonly SlotTables[]) {
    this.#maxSlots = maxSlots;
    this.#tables = tables;
  }

  /** Makes sure that there is a row for this slot. */
  include(slot: number): void {
    if (slot < this.#rows) return;
    if (slot >= this.#maxSlots) throw new Error(`slot ${slot} is not below ${this.#maxSlots}`);
    this.#rows = Math.min(this.#maxSlots, Math.max(FIRST_ROWS, 2 ** Math.ceil(Math.log2(slot + 1))));
    for (const table of this.#tables) table.grow(this.#rows);
  }
}
