/**
 * Tables with a row per slot start short and are replaced by longer ones as peers join: a torrent that nobody is connected to
 * must cost next to nothing, and thousands of them are seeded by one engine. Whoever reads a table reads it from its owner, each time.
 */

/** A longer copy: rows keep their values, new rows hold `fill`. */
export function grown<T extends Uint8Array | Int32Array | Float64Array>(table: T, rows: number, fill = 0): T {
  const longer = new (table.constructor as new (length: number) => T)(rows);
  longer.set(table);
  longer.fill(fill, table.length);
  return longer;
}
