/**
 * One group of changes in one transaction: the rows are read and locked, each change is told the row as those before it
 * left it, and what comes of all is written at once, with the counts of the blobs and of all. Rows are locked in the
 * order of their bytes, names before blobs, so that two depots never wait for each other in a circle.
 *
 * What no lock can hold is a row that is not there yet: who finds that another depot made it meanwhile throws `Again`,
 * and the group is decided anew.
 */
import { HaulError } from '../../../errors.js';
import type { ArtifactRow, NoteMark } from '../port.js';
import type { Verdict } from '../writer.js';
import type { Row, Run } from './connections.js';
import type { PgResult } from './driver.js';
import { sql } from './migrations.js';
import { columnsOfMarks } from './note-marks.js';
import { Again } from './pg-errors.js';
import { bytesOf, COLUMN_TYPES, COLUMNS, columnsOf, numberOf, rowOfText } from './row-text.js';

export interface GroupChange {
  readonly name: string;
  /** The blob that may come to be named. */
  readonly sha256: string | null;
  /** The lease of that blob must be ours still; null: nobody has to have it. */
  readonly lease: string | null;
  decide(row: ArtifactRow | null): Verdict<unknown>;
}

/** Who writes: `turn` is one more than what its row holds. */
export interface WriterId {
  readonly id: string;
  /** Whose leases are ours. */
  readonly holder: string;
  readonly turn: number;
}

export type Outcome = { readonly outcome: unknown } | { readonly error: unknown };

interface Blob {
  readonly names: number;
  readonly lengthBytes: number;
}

export interface GroupResult {
  readonly outcomes: readonly Outcome[];
  /** Something was written: the turn was taken. */
  readonly hasWritten: boolean;
}

/** @throws Again; PgFailure */
export async function applyGroup(
  run: Run,
  schema: string,
  changes: readonly GroupChange[],
  writer: WriterId,
): Promise<GroupResult> {
  const group = new Group(run, schema);
  await group.read(changes, writer);
  const outcomes = changes.map((change): Outcome => {
    try {
      return { outcome: group.apply(change) };
    } catch (error) {
      return { error };
    }
  });
  return { outcomes, hasWritten: await group.write(writer) };
}

class Group {
  readonly #run: Run;
  readonly #schema: string;
  readonly #before = new Map<string, ArtifactRow | null | HaulError>();
  readonly #rows = new Map<string, ArtifactRow | null | HaulError>();
  readonly #blobs = new Map<string, Blob | HaulError>();
  /** How many names more or less. */
  readonly #deltas = new Map<string, { delta: number; readonly lengthBytes: number }>();
  readonly #marks: NoteMark[] = [];
  #leases: ReadonlySet<string> = new Set();
  #names = 0;

  constructor(run: Run, schema: string) {
    this.#run = run;
    this.#schema = schema;
  }

  async #query(text: string, values: readonly unknown[]): Promise<PgResult> {
    return this.#run(sql(text, this.#schema), values);
  }

  async read(changes: readonly GroupChange[], { holder }: WriterId): Promise<void> {
    const names = [...new Set(changes.map(({ name }) => name))];
    const found = await this.#query(
      `select ${COLUMNS} from haul.artifacts where name = any($1::bytea[]) order by name for update`,
      [names.map((name) => Buffer.from(name))],
    );
    for (const name of names) this.#rows.set(name, null);
    for (const columns of found.rows)
      this.#rows.set(
        bytesOf(columns[0]).toString('utf8'),
        readOne(() => rowOfText(columns)),
      );
    for (const [name, row] of this.#rows) this.#before.set(name, row);
    const digests = new Set(changes.flatMap(({ sha256 }) => (sha256 === null ? [] : [sha256])));
    for (const row of this.#rows.values()) if (row !== null && !HaulError.is(row)) digests.add(row.sha256);
    if (digests.size > 0) {
      const blobs = await this.#query(
        'select sha256, names, length_bytes from haul.blobs where sha256 = any($1::bytea[])',
        [hexBytes(digests)],
      );
      this.#takeBlobs(blobs.rows);
    }
    const leases = [...new Set(changes.flatMap(({ lease }) => (lease === null ? [] : [lease])))];
    if (leases.length === 0) return;
    // Who wants to take one over waits for us, and finds the row that we made.
    const held = await this.#query(
      'select key from haul.leases where key = any($1::text[]) and holder = $2 order by key for share',
      [leases, holder],
    );
    this.#leases = new Set(held.rows.map(([key]) => String(key)));
  }

  #takeBlobs(rows: readonly Row[]): void {
    this.#blobs.clear();
    for (const [sha256, names, lengthBytes] of rows) {
      const hex = bytesOf(sha256).toString('hex');
      this.#blobs.set(
        hex,
        readOne(() => blobOf(hex, numberOf(names), numberOf(lengthBytes))),
      );
    }
  }

  /** @throws HaulError BAD_DATA where the row is damaged, IN_USE, and whatever the change throws */
  apply(change: GroupChange): unknown {
    const old = this.#rows.get(change.name)!;
    if (HaulError.is(old)) throw old;
    const { next, outcome, marks = [] } = change.decide(old);
    if (next === undefined) return outcome;
    if (change.lease !== null && !this.#leases.has(change.lease)) throw lostLease(change.sha256!);
    this.#replace(change.name, old, next);
    this.#marks.push(...marks);
    return outcome;
  }

  #replace(name: string, old: ArtifactRow | null, next: ArtifactRow | null): void {
    // What is damaged is thrown before anything is changed.
    if (old !== null && this.#lengthOf(old.sha256) !== old.lengthBytes) throw damagedBlob(old.sha256);
    const lengthBytes = next === null ? null : this.#lengthOf(next.sha256);
    if (lengthBytes !== null && lengthBytes !== next!.lengthBytes) {
      const facts = { sha256: next!.sha256 };
      throw new HaulError('BAD_ARGUMENT', `the blob ${next!.sha256} has ${lengthBytes} bytes`, facts);
    }
    this.#rows.set(name, next);
    if (old?.sha256 === next?.sha256) return;
    if (next !== null) this.#count(next, 1);
    if (old !== null) this.#count(old, -1);
  }

  /** Of a blob that is named, as all changes until now leave it; else null. */
  #lengthOf(sha256: string): number | null {
    const blob = this.#blobs.get(sha256) ?? null;
    if (HaulError.is(blob)) throw blob;
    const change = this.#deltas.get(sha256);
    const names = (blob?.names ?? 0) + (change?.delta ?? 0);
    return names > 0 ? (blob ?? change!).lengthBytes : null;
  }

  #count({ sha256, lengthBytes }: ArtifactRow, by: 1 | -1): void {
    const delta = (this.#deltas.get(sha256)?.delta ?? 0) + by;
    this.#deltas.set(sha256, { delta, lengthBytes });
  }

  /** @returns whether there was anything to write */
  async write({ id, turn }: WriterId): Promise<boolean> {
    const changed = [...this.#rows].filter(([name, row]) => row !== this.#before.get(name));
    // What was put and removed in one group leaves its mark.
    if (changed.length === 0 && this.#marks.length === 0) return false;
    await this.#writeNames(changed as [string, ArtifactRow | null][]);
    const { blobs, blobBytes } = await this.#writeBlobs();
    await this.#writeMarks();
    const taken = await this.#query(
      `update haul.writers set turn = $2, seen = now(), names = names + $3, blobs = blobs + $4,
         blob_bytes = blob_bytes + $5 where id = $1 and turn = $2 - 1`,
      [id, turn, this.#names, blobs, blobBytes],
    );
    // Another process gave it away: ours was silent for long.
    if (taken.rowCount !== 1) throw new Again();
    return true;
  }

  async #writeNames(changed: readonly [string, ArtifactRow | null][]): Promise<void> {
    const gone = changed.filter(([, row]) => row === null).map(([name]) => name);
    const isNew = (name: string): boolean => this.#before.get(name) === null;
    // In the order in which others lock them.
    const byName = (a: ArtifactRow, b: ArtifactRow): number => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
    const rows = changed.flatMap(([, row]) => row ?? []);
    const fresh = rows.filter(({ name }) => isNew(name)).sort(byName);
    const others = rows.filter(({ name }) => !isNew(name));
    this.#names = fresh.length - gone.length;
    if (gone.length > 0) {
      await this.#query('delete from haul.artifacts where name = any($1::bytea[])', [
        gone.map((name) => Buffer.from(name)),
      ]);
    }
    const columns = COLUMNS.split(', ');
    if (others.length > 0) {
      const sets = columns.slice(1).map((column) => `${column} = n.${column}`);
      await this.#query(
        `update haul.artifacts a set ${sets.join(', ')} from unnest(${PARAMETERS}) as n (${COLUMNS})
         where a.name = n.name`,
        columnsOf(others),
      );
    }
    if (fresh.length === 0) return;
    const made = await this.#query(
      `insert into haul.artifacts (${COLUMNS}) select * from unnest(${PARAMETERS}) on conflict do nothing`,
      columnsOf(fresh),
    );
    if (made.rowCount !== fresh.length) throw new Again();
  }

  async #writeMarks(): Promise<void> {
    if (this.#marks.length === 0) return;
    await this.#query(
      `insert into haul.note_marks (sha256, mark, name)
       select * from unnest($1::bytea[], $2::bytea[], $3::bytea[]) on conflict do nothing`,
      columnsOfMarks(this.#marks),
    );
  }

  /** @returns how many blobs more are named, and their bytes */
  async #writeBlobs(): Promise<{ readonly blobs: number; readonly blobBytes: number }> {
    const sum = { blobs: 0, blobBytes: 0 };
    const deltas = [...this.#deltas].filter(([, { delta }]) => delta !== 0).sort(([a], [b]) => (a < b ? -1 : 1));
    if (deltas.length === 0) return sum;
    const there = await this.#query(
      `select sha256, names, length_bytes from haul.blobs where sha256 = any($1::bytea[]) order by sha256 for update`,
      [hexBytes(deltas.map(([sha256]) => sha256))],
    );
    this.#takeBlobs(there.rows);
    const [gone, fresh, others]: [string, number, number][][] = [[], [], []];
    for (const [sha256, { delta, lengthBytes }] of deltas) {
      const blob = this.#blobs.get(sha256) ?? null;
      const names = (HaulError.is(blob) ? 0 : (blob?.names ?? 0)) + delta;
      const isOther = blob !== null && !HaulError.is(blob) && blob.lengthBytes !== lengthBytes;
      // Another depot changed it since, so that what was decided may not hold: it is looked at again.
      if (names < 0 || HaulError.is(blob) || isOther) throw new Again();
      const before = blob?.names ?? 0;
      const step = before === 0 ? 1 : names === 0 ? -1 : 0;
      sum.blobs += step;
      sum.blobBytes += step * lengthBytes;
      (names === 0 ? gone : before === 0 ? fresh : others)!.push([sha256, names, lengthBytes]);
    }
    await this.#storeBlobs(gone!, fresh!, others!);
    return sum;
  }

  async #storeBlobs(
    gone: readonly [string, number, number][],
    fresh: readonly [string, number, number][],
    others: readonly [string, number, number][],
  ): Promise<void> {
    const digests = (blobs: readonly [string, number, number][]) => hexBytes(blobs.map(([sha256]) => sha256));
    if (gone.length > 0) await this.#query('delete from haul.blobs where sha256 = any($1::bytea[])', [digests(gone)]);
    if (others.length > 0) {
      await this.#query(
        `update haul.blobs b set names = n.names from unnest($1::bytea[], $2::bigint[]) as n (sha256, names)
         where b.sha256 = n.sha256`,
        [digests(others), others.map(([, names]) => names)],
      );
    }
    if (fresh.length === 0) return;
    const made = await this.#query(
      `insert into haul.blobs (sha256, names, length_bytes)
       select * from unnest($1::bytea[], $2::bigint[], $3::bigint[]) on conflict do nothing`,
      [digests(fresh), fresh.map(([, names]) => names), fresh.map(([, , lengthBytes]) => lengthBytes)],
    );
    if (made.rowCount !== fresh.length) throw new Again();
  }
}

const PARAMETERS = COLUMN_TYPES.map((type, index) => `$${index + 1}::${type}`).join(', ');

function hexBytes(digests: Iterable<string>): Buffer[] {
  return [...digests].map((sha256) => Buffer.from(sha256, 'hex'));
}

/** A value that is damaged concerns those alone who want it. */
function readOne<T>(read: () => T): T | HaulError {
  try {
    return read();
  } catch (error) {
    if (HaulError.is(error)) return error;
    throw error;
  }
}

function blobOf(sha256: string, names: number, lengthBytes: number): Blob {
  if (!(Number.isSafeInteger(names) && names > 0 && Number.isSafeInteger(lengthBytes) && lengthBytes >= 0))
    throw damagedBlob(sha256);
  return { names, lengthBytes };
}

function damagedBlob(sha256: string): HaulError {
  const message = `what the catalogue knows of the blob ${sha256} is damaged; see: haul depot rebuild`;
  return new HaulError('BAD_DATA', message, { sha256 });
}

function lostLease(sha256: string): HaulError {
  const message = `the blob ${sha256} was given to another depot meanwhile: this one was silent for too long`;
  return new HaulError('IN_USE', message, { sha256 });
}
