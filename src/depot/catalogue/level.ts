/**
 * The catalogue in LevelDB, in one folder of the depot's own. One process has it at a time. Reads go to what is on the
 * disk; changes go through the one writer. See `keys.ts` for what is kept and how.
 */
import { HaulError } from '../../errors.js';
import { OwnLocks } from '../locks.js';
import { auditRows } from './audit.js';
import { decodeBlob, decodeCounts } from './counts.js';
import {
  ageKey,
  behind,
  blobKey,
  COUNTS_KEY,
  infoHashInKey,
  type KeyRange,
  keysBefore,
  keysFrom,
  markInKey,
  markKey,
  nameInKey,
  rowKey,
  rowsBehind,
  useKey,
} from './keys.js';
import type { LevelDatabase } from './level-database.js';
import { openLevelDatabase } from './level-database.js';
import type {
  ArtifactRow,
  Catalogue,
  CatalogueCounts,
  ListPage,
  ListQuery,
  MarkQuery,
  NoteMark,
  PutOutcome,
  PutRules,
  RowFacts,
} from './port.js';
import { RecentRows } from './recent-rows.js';
import { checkRow, decidePut, decodeRow, holdsFor, isNotedAs, isWellFormed, marksOf } from './row.js';
import { Writer } from './writer.js';

const ROWS_MAX = 1000;
/** Rows of one portion of `touch`: some 5 ms of the main thread. */
const TOUCHED_AT_ONCE = 100;
/** Of one read of many: the longest keys and values of a page. Bytes. */
const READ_BYTES = 4 * 1024 * 1024;

export interface LevelOptions {
  /** Told of each damaged row that house-keeping left out. */
  readonly onDamaged?: (error: HaulError) => void;
}

/**
 * Opens it, and makes it where it is not there yet.
 * @param folder for it alone
 * @throws HaulError IN_USE (another process has it), BAD_DATA (damaged, or of a newer version), and those of the disk
 */
export async function openLevelCatalogue(folder: string, options: LevelOptions = {}): Promise<LevelCatalogue> {
  return new LevelCatalogue(await openLevelDatabase(folder), options);
}

export class LevelCatalogue extends OwnLocks implements Catalogue {
  /** It was not there when it was opened: where blobs are, it was lost. */
  readonly isNew: boolean;
  readonly #database: LevelDatabase;
  readonly #writer: Writer;
  readonly #recent = new RecentRows();
  readonly #onDamaged: (error: HaulError) => void;
  #closing: Promise<void> | null = null;

  constructor(database: LevelDatabase, options: LevelOptions) {
    super();
    this.#database = database;
    this.isNew = database.isNew;
    this.#onDamaged = options.onDamaged ?? (() => {});
    this.#writer = new Writer({
      settle: () => database.settle(),
      getMany: (keys) => database.reading((level) => level.getMany(keys)),
      write: (batch, sync) => database.write(batch, sync),
      changed: (rows) => this.#recent.changed(rows),
      failed: () => this.#recent.clear(),
    });
  }

  async get(name: string): Promise<ArtifactRow | null> {
    if (!isWellFormed(name)) return null;
    const recent = this.#closing === null ? this.#recent.get(name) : null;
    if (recent !== null) return recent;
    const { groups } = this.#recent;
    const value = await this.#database.reading((level) => level.get(rowKey(name)));
    if (value === undefined) return null;
    const row = decodeRow(name, value);
    this.#recent.found(row, groups);
    return row;
  }

  async put(row: ArtifactRow, rules: PutRules): Promise<PutOutcome> {
    checkRow(row);
    return this.#writer.change(row.name, row.sha256, true, (old) => {
      const { outcome, stored } = decidePut(old, row, rules);
      if (stored === null) return { next: undefined, outcome };
      return { next: stored, outcome, marks: marksOf(old, stored, rules.mark, isNotedAs(row, stored, rules)) };
    });
  }

  async remove(name: string, onlyIf?: RowFacts, mark?: string): Promise<ArtifactRow | null> {
    if (!isWellFormed(name)) return null;
    return this.#writer.change(name, null, true, (row) =>
      row === null || !holdsFor(row, onlyIf)
        ? { next: undefined, outcome: null }
        : { next: null, outcome: row, marks: marksOf(row, null, mark) },
    );
  }

  async pin(name: string, isPinned: boolean, mark?: string): Promise<ArtifactRow | null> {
    if (!isWellFormed(name)) return null;
    return this.#writer.change(name, null, true, (row) => {
      if (row === null || row.isPinned === isPinned) return { next: undefined, outcome: row };
      const next = { ...row, isPinned };
      return { next, outcome: next, marks: marksOf(row, next, mark, false) };
    });
  }

  async marks({ sha256 = '', after, limit }: MarkQuery): Promise<readonly NoteMark[]> {
    const range = behind(keysFrom(`p${sha256}`), after && markKey(after));
    const found = await this.#range(range, Math.min(ROWS_MAX, Math.max(1, limit)));
    return found.flatMap(([key]) => markInKey(key) ?? []);
  }

  async unmark(marks: readonly NoteMark[]): Promise<void> {
    const [first] = marks;
    if (first === undefined) return;
    await this.#writer.change(first.name, null, false, () => ({ next: undefined, outcome: null, unmarks: marks }));
  }

  async touch(used: ReadonlyMap<string, number>): Promise<void> {
    const changes = [...used].filter(([name, usedMs]) => isWellFormed(name) && Number.isSafeInteger(usedMs));
    const failures: PromiseRejectedResult[] = [];
    // Portion by portion: who reads or publishes meanwhile waits for one of them, not for ten thousand names.
    for (let at = 0; at < changes.length; at += TOUCHED_AT_ONCE) {
      const done = changes.slice(at, at + TOUCHED_AT_ONCE).map(([name, usedMs]) =>
        this.#writer.change(name, null, false, (row) => ({
          next: row !== null && row.usedMs < usedMs ? { ...row, usedMs } : undefined,
          outcome: undefined,
        })),
      );
      failures.push(...(await Promise.allSettled(done)).filter((settled) => settled.status === 'rejected'));
    }
    // A damaged row among many is for those to find who want it.
    const failure = failures.find(({ reason }) => !(HaulError.is(reason) && reason.code === 'BAD_DATA'));
    if (failure !== undefined) throw failure.reason;
  }

  async settled(name: string): Promise<ArtifactRow | null> {
    if (!isWellFormed(name)) return null;
    return this.#writer.change(name, null, true, (row) => ({ next: undefined, outcome: row }));
  }

  async list({ prefix, cursor, limit }: ListQuery): Promise<ListPage> {
    if (cursor !== null && !isWellFormed(cursor))
      throw new HaulError('BAD_ARGUMENT', 'the cursor is none', { option: 'cursor' });
    if (!isWellFormed(prefix)) return { rows: [], cursor: null };
    const wanted = Math.min(ROWS_MAX, Math.max(1, Math.floor(limit) || 1));
    const found = await this.#range(rowsBehind(prefix, cursor), wanted + 1);
    const rows = found.slice(0, wanted).map(([key, value]) => decodeRow(key.slice(1), value));
    return { rows, cursor: found.length > wanted ? rows[wanted - 1]!.name : null };
  }

  async isNamed(sha256: string): Promise<boolean> {
    const value = await this.#database.reading((level) => level.get(blobKey(sha256)));
    return value !== undefined && decodeBlob(sha256, value).names > 0;
  }

  async byInfoHash(infoHash: string): Promise<ArtifactRow | null> {
    if (!/^[0-9a-f]{40}$/.test(infoHash)) return null;
    for (const [key] of await this.#range(keysFrom(`i${infoHash}`), ROWS_MAX)) {
      const row = await this.get(nameInKey(key));
      // It may have gone since.
      if (row !== null && row.infoHash === infoHash) return row;
    }
    return null;
  }

  async *infoHashes(): AsyncGenerator<string> {
    let range: KeyRange = keysFrom('i');
    for (;;) {
      const found = await this.#range(range, ROWS_MAX);
      let last = '';
      for (const [key] of found) {
        const infoHash = infoHashInKey(key);
        if (infoHash !== last) yield infoHash;
        last = infoHash;
      }
      if (found.length < ROWS_MAX) return;
      // Behind all names of the last one.
      range = { gt: keysFrom(`i${last}`).lt, lt: range.lt };
    }
  }

  async expiring(nowMs: number, limit: number, after: ArtifactRow | null = null): Promise<readonly ArtifactRow[]> {
    return this.#rowsOf(behind(keysBefore(nowMs), after && ageKey(after)), limit);
  }

  async leastUsed(limit: number, after: ArtifactRow | null = null): Promise<readonly ArtifactRow[]> {
    return this.#rowsOf(behind(keysFrom('u'), after && useKey(after)), limit);
  }

  async counts(): Promise<CatalogueCounts> {
    return decodeCounts(await this.#database.reading((level) => level.get(COUNTS_KEY)));
  }

  /** What does not agree in all that is kept, one line each; for tests and checks: it reads everything. */
  async audit(): Promise<string[]> {
    const all: [string, string][] = [];
    await this.#database.reading(async (level) => {
      all.length = 0;
      for await (const entry of level.iterator()) all.push(entry);
    });
    return auditRows(all);
  }

  close(): Promise<void> {
    this.#closing ??= this.#writer.close().then(() => this.#database.close());
    return this.#closing;
  }

  /** @param limit at most, of rows */
  async #rowsOf(range: KeyRange, limit: number): Promise<readonly ArtifactRow[]> {
    const wanted = Math.min(ROWS_MAX, Math.max(0, Math.floor(limit)));
    if (wanted === 0) return [];
    const names = (await this.#range(range, wanted)).map(([key]) => nameInKey(key));
    const values = await this.#database.reading((level) => level.getMany(names.map(rowKey)));
    return values.flatMap((value, index) => {
      if (value === undefined) return [];
      try {
        return [decodeRow(names[index]!, value)];
      } catch (error) {
        this.#onDamaged(error as HaulError);
        return [];
      }
    });
  }

  #range({ gte, gt, lt }: KeyRange, limit: number): Promise<[string, string][]> {
    return this.#database.reading(async (level) => {
      const bounds = gt === undefined ? { gte: gte!, lt } : { gt, lt };
      const iterator = level.iterator({ ...bounds, highWaterMarkBytes: READ_BYTES });
      try {
        const entries = await iterator.nextv(limit);
        while (entries.length > 0 && entries.length < limit) {
          const more = await iterator.nextv(limit - entries.length);
          if (more.length === 0) break;
          for (const entry of more) entries.push(entry);
        }
        return entries;
      } finally {
        await iterator.close();
      }
    });
  }
}
