/**
 * The rows that were read or written last: a fleet asks for one name again and again, and each look into the database
 * is a trip to a thread. Invariant: what is here is what the database had after the last group of changes that ended;
 * what was read while one ended is not put in. Pure.
 */
import { HaulError } from '../../errors.js';
import type { ArtifactRow } from './port.js';

/** Half a megabyte or so. */
const ROWS_MAX = 1_000;

export class RecentRows {
  /** The one used last at the end. */
  readonly #rows = new Map<string, ArtifactRow>();
  #groups = 0;

  /** For `found`: groups of changes that have ended. */
  get groups(): number {
    return this.#groups;
  }

  get(name: string): ArtifactRow | null {
    const row = this.#rows.get(name);
    if (row !== undefined) this.#put(row);
    return row ?? null;
  }

  /** The database has this row. @param groups as they were when it was asked */
  found(row: ArtifactRow, groups: number): void {
    if (groups === this.#groups) this.#put(row);
  }

  /** A group of changes was written. @param rows as they are now; null: there is none; an error: it cannot be read */
  changed(rows: ReadonlyMap<string, ArtifactRow | null | HaulError>): void {
    this.#groups++;
    for (const [name, row] of rows)
      if (row !== null && !HaulError.is(row)) this.#put(row);
      else this.#rows.delete(name);
  }

  /** Nobody knows what the database has. */
  clear(): void {
    this.#groups++;
    this.#rows.clear();
  }

  #put(row: ArtifactRow): void {
    this.#rows.delete(row.name);
    this.#rows.set(row.name, row);
    if (this.#rows.size > ROWS_MAX) this.#rows.delete(this.#rows.keys().next().value!);
  }
}
