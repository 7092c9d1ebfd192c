/**
 * All that changes the catalogue, one group after the other: what waits while a group is written makes the next one, so
 * that many small changes share one batch and one sync. A change sees those before it; what a caller was told is on the
 * disk. The row, the keys by which it is found, the count of its blob and the counts of all are one batch, so a crash
 * leaves them all as they were or all as they are.
 */
import { HaulError } from '../../errors.js';
import { type BlobCount, decodeBlob, decodeCounts, encodeBlob, encodeCounts } from './counts.js';
import { blobKey, COUNTS_KEY, indexKeys, markKey, rowKey } from './keys.js';
import type { ArtifactRow, CatalogueCounts, NoteMark } from './port.js';
import { decodeRow, encodeRow } from './row.js';

/** Changes in one batch: its rows are read first, all at once. */
const GROUP_CHANGES = 1000;

export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string };

/** A batch, and what takes it back. */
export interface Batch {
  readonly operations: Operation[];
  readonly undo: Operation[];
}

/** What the writer needs of a database. */
export interface Backing {
  /** Resolves when it is certain what all changes before came to. */
  settle(): Promise<void>;
  getMany(keys: string[]): Promise<readonly (string | undefined)[]>;
  write(batch: Batch, sync: boolean): Promise<void>;
  /** All of a group is there now, and nobody has been told. */
  changed(rows: ReadonlyMap<string, ArtifactRow | null | HaulError>): void;
  /** It may be there or not. */
  failed(): void;
}

/**
 * What one change does: told the row that is there, it says which is there after it. `undefined`: it stays.
 */
export interface Verdict<T> {
  readonly next: ArtifactRow | null | undefined;
  readonly outcome: T;
  /** Notes that may not agree then. */
  readonly marks?: readonly NoteMark[];
  readonly unmarks?: readonly NoteMark[];
}

interface Change {
  readonly name: string;
  /** The blob that may come to be named. */
  readonly sha256: string | null;
  readonly isDurable: boolean;
  decide(row: ArtifactRow | null): Verdict<unknown>;
  resolve(outcome: never): void;
  reject(error: unknown): void;
}

export class Writer {
  readonly #backing: Backing;
  #waiting: Change[] = [];
  #running: Promise<void> | null = null;
  #isClosed = false;

  constructor(backing: Backing) {
    this.#backing = backing;
  }

  /**
   * @param sha256 the blob that the row may name when this is done
   * @param isDurable resolves when it is synced
   */
  change<T>(
    name: string,
    sha256: string | null,
    isDurable: boolean,
    decide: (row: ArtifactRow | null) => Verdict<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(new HaulError('CLOSED', 'the catalogue is closed'));
        return;
      }
      this.#waiting.push({ name, sha256, isDurable, decide, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Nothing is taken any more; what waits is written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    // Those of the same turn go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#writeGroup(this.#waiting.splice(0, GROUP_CHANGES));
    this.#running = null;
  }

  /** Never rejects: each change is told. */
  async #writeGroup(changes: readonly Change[]): Promise<void> {
    try {
      await this.#backing.settle();
      const group = await Group.read(this.#backing, changes);
      const decided = changes.flatMap((change) => {
        try {
          return [{ change, outcome: group.apply(change) }];
        } catch (error) {
          change.reject(error);
          return [];
        }
      });
      const batch = group.batch();
      const isDurable = changes.some((change) => change.isDurable);
      if (batch.operations.length > 0) await this.#backing.write(batch, isDurable);
      this.#backing.changed(group.rows);
      for (const { change, outcome } of decided) change.resolve(outcome as never);
    } catch (error) {
      this.#backing.failed();
      for (const change of changes) change.reject(error);
    }
  }
}

/** What is known while a group is made: rows and blobs as the changes before left them. */
class Group {
  #counts: CatalogueCounts;
  readonly #rows: Map<string, ArtifactRow | null | HaulError>;
  readonly #blobs: Map<string, BlobCount | null | HaulError>;
  readonly #operations: Operation[] = [];
  /** By key: the value before all this; undefined: there was none. */
  readonly #before = new Map<string, string | undefined>();
  /** As they were before. */
  readonly #changedBlobs = new Map<string, BlobCount | null>();
  readonly #countsBefore: CatalogueCounts;

  private constructor(
    rows: Map<string, ArtifactRow | null | HaulError>,
    blobs: Map<string, BlobCount | null | HaulError>,
    counts: CatalogueCounts,
  ) {
    this.#rows = rows;
    this.#blobs = blobs;
    this.#counts = counts;
    this.#countsBefore = counts;
  }

  static async read(backing: Backing, changes: readonly Change[]): Promise<Group> {
    const names = [...new Set(changes.map((change) => change.name))];
    const [text, ...values] = await backing.getMany([COUNTS_KEY, ...names.map(rowKey)]);
    const counts = decodeCounts(text);
    const rows = new Map(names.map((name, index) => [name, readOne(name, values[index], decodeRow)]));
    const digests = new Set(changes.flatMap(({ sha256 }) => (sha256 === null ? [] : [sha256])));
    for (const row of rows.values()) if (row !== null && !HaulError.is(row)) digests.add(row.sha256);
    const wanted = [...digests];
    const found = await backing.getMany(wanted.map(blobKey));
    const blobs = new Map(wanted.map((sha256, index) => [sha256, readOne(sha256, found[index], decodeBlob)]));
    return new Group(rows, blobs, counts);
  }

  get rows(): ReadonlyMap<string, ArtifactRow | null | HaulError> {
    return this.#rows;
  }

  /** @throws HaulError BAD_DATA where the row is damaged, and whatever the change throws; nothing is changed then */
  apply(change: Change): unknown {
    const old = this.#rows.get(change.name)!;
    if (HaulError.is(old)) throw old;
    const { next, outcome, marks = [], unmarks = [] } = change.decide(old);
    if (next !== undefined) this.#replace(change.name, old, next);
    for (const mark of marks) this.#change(markKey(mark), undefined, '');
    for (const mark of unmarks) this.#change(markKey(mark), '', undefined);
    return outcome;
  }

  /** All that is to be written. */
  batch(): Batch {
    if (this.#operations.length === 0) return { operations: [], undo: [] };
    for (const [sha256, before] of this.#changedBlobs) {
      this.#change(blobKey(sha256), encoded(before, encodeBlob), encoded(this.#blob(sha256), encodeBlob));
    }
    this.#change(COUNTS_KEY, encodeCounts(this.#countsBefore), encodeCounts(this.#counts));
    return { operations: this.#operations, undo: [...this.#before].map(([key, value]) => operation(key, value)) };
  }

  #change(key: string, before: string | undefined, value: string | undefined): void {
    this.#operations.push(operation(key, value));
    if (!this.#before.has(key)) this.#before.set(key, before);
  }

  #replace(name: string, old: ArtifactRow | null, next: ArtifactRow | null): void {
    // What is damaged is thrown before anything is changed.
    if (old !== null) this.#blob(old.sha256);
    const known = next === null ? null : this.#blob(next.sha256);
    if (next !== null && known !== null && known.lengthBytes !== next.lengthBytes) {
      const facts = { sha256: next.sha256 };
      throw new HaulError('BAD_ARGUMENT', `the blob ${next.sha256} has ${known.lengthBytes} bytes`, facts);
    }
    const oldKeys = old === null ? [] : indexKeys(old);
    const nextKeys = next === null ? [] : indexKeys(next);
    for (const key of oldKeys) if (!nextKeys.includes(key)) this.#change(key, '', undefined);
    for (const key of nextKeys) if (!oldKeys.includes(key)) this.#change(key, undefined, '');
    this.#change(rowKey(name), encoded(old, encodeRow), encoded(next, encodeRow));
    this.#rows.set(name, next);
    const names = this.#counts.names + (next === null ? 0 : 1) - (old === null ? 0 : 1);
    this.#counts = { ...this.#counts, names };
    if (old?.sha256 === next?.sha256) return;
    if (next !== null) this.#count(next, 1);
    if (old !== null) this.#count(old, -1);
  }

  #blob(sha256: string): BlobCount | null {
    const blob = this.#blobs.get(sha256) ?? null;
    if (HaulError.is(blob)) throw blob;
    return blob;
  }

  #count({ sha256, lengthBytes }: ArtifactRow, by: 1 | -1): void {
    const blob = this.#blob(sha256);
    const before = blob?.names ?? 0;
    const names = Math.max(0, before + by);
    if (!this.#changedBlobs.has(sha256)) this.#changedBlobs.set(sha256, blob);
    this.#blobs.set(sha256, names === 0 ? null : { names, lengthBytes });
    const step = names > 0 && before === 0 ? 1 : names === 0 && before > 0 ? -1 : 0;
    const { blobs, blobBytes } = this.#counts;
    this.#counts = { ...this.#counts, blobs: blobs + step, blobBytes: blobBytes + step * lengthBytes };
  }
}

function encoded<T>(value: T | null, encode: (value: T) => string): string | undefined {
  return value === null ? undefined : encode(value);
}

function operation(key: string, value: string | undefined): Operation {
  return value === undefined ? { type: 'del', key } : { type: 'put', key, value };
}

/** A value that is damaged concerns those alone who want it. */
function readOne<T>(
  key: string,
  value: string | undefined,
  decode: (key: string, value: string) => T,
): T | null | HaulError {
  if (value === undefined) return null;
  try {
    return decode(key, value);
  } catch (error) {
    if (HaulError.is(error)) return error;
    throw error;
  }
}
