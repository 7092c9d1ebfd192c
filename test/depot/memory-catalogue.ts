/** A catalogue in memory: what tests of others use, and the proof that the suite asks for nothing of LevelDB's. */
import { markKey } from '../../src/depot/catalogue/keys.js';
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
} from '../../src/depot/catalogue/port.js';
import { checkRow, decidePut, holdsFor, isNotedAs, isWellFormed, marksOf } from '../../src/depot/catalogue/row.js';
import { OwnLocks } from '../../src/depot/locks.js';
import { HaulError } from '../../src/errors.js';

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export class MemoryCatalogue extends OwnLocks implements Catalogue {
  readonly #rows = new Map<string, ArtifactRow>();
  readonly #marks = new Map<string, NoteMark>();
  #isClosed = false;

  async get(name: string): Promise<ArtifactRow | null> {
    return this.#open.get(name) ?? null;
  }

  async settled(name: string): Promise<ArtifactRow | null> {
    return this.get(name);
  }

  async put(row: ArtifactRow, rules: PutRules): Promise<PutOutcome> {
    checkRow(row);
    const other = [...this.#open.values()].find(({ sha256 }) => sha256 === row.sha256);
    const { outcome, stored } = decidePut(this.#rows.get(row.name) ?? null, row, rules);
    if (stored !== null && other !== undefined && other.lengthBytes !== row.lengthBytes) {
      throw new HaulError('BAD_ARGUMENT', `the blob ${row.sha256} has ${other.lengthBytes} bytes`);
    }
    if (stored === null) return outcome;
    this.#mark(marksOf(this.#rows.get(row.name) ?? null, stored, rules.mark, isNotedAs(row, stored, rules)));
    this.#rows.set(row.name, stored);
    return outcome;
  }

  async remove(name: string, onlyIf?: RowFacts, mark?: string): Promise<ArtifactRow | null> {
    const row = this.#open.get(name);
    if (row === undefined || !holdsFor(row, onlyIf)) return null;
    this.#mark(marksOf(row, null, mark));
    this.#rows.delete(name);
    return row;
  }

  async list({ prefix, cursor, limit }: ListQuery): Promise<ListPage> {
    if (cursor !== null && !isWellFormed(cursor))
      throw new HaulError('BAD_ARGUMENT', 'the cursor is none', { option: 'cursor' });
    if (!isWellFormed(prefix)) return { rows: [], cursor: null };
    const rows = [...this.#open.values()]
      .filter(({ name }) => name.startsWith(prefix) && (cursor === null || byBytes(name, cursor) > 0))
      .sort((a, b) => byBytes(a.name, b.name));
    const page = rows.slice(0, limit);
    return { rows: page, cursor: rows.length > limit ? page.at(-1)!.name : null };
  }

  async isNamed(sha256: string): Promise<boolean> {
    return [...this.#open.values()].some((row) => row.sha256 === sha256);
  }

  async byInfoHash(infoHash: string): Promise<ArtifactRow | null> {
    return [...this.#open.values()].find((row) => row.infoHash === infoHash) ?? null;
  }

  async *infoHashes(): AsyncGenerator<string> {
    yield* new Set([...this.#open.values()].flatMap(({ infoHash }) => (infoHash === null ? [] : [infoHash])));
  }

  async touch(used: ReadonlyMap<string, number>): Promise<void> {
    for (const [name, usedMs] of used) {
      const row = this.#open.get(name);
      if (row !== undefined && row.usedMs < usedMs) this.#rows.set(name, { ...row, usedMs });
    }
  }

  async pin(name: string, isPinned: boolean, mark?: string): Promise<ArtifactRow | null> {
    const row = this.#open.get(name);
    if (row === undefined) return null;
    const next = { ...row, isPinned };
    if (row.isPinned !== isPinned) this.#mark(marksOf(row, next, mark, false));
    this.#rows.set(name, next);
    return next;
  }

  async marks({ sha256, after, limit }: MarkQuery): Promise<readonly NoteMark[]> {
    const found = [...this.#marks].filter(([, mark]) => sha256 === undefined || mark.sha256 === sha256);
    const behind = after === null ? found : found.filter(([key]) => byBytes(key, markKey(after)) > 0);
    return behind
      .sort(([a], [b]) => byBytes(a, b))
      .slice(0, limit)
      .map(([, mark]) => mark);
  }

  async unmark(marks: readonly NoteMark[]): Promise<void> {
    for (const mark of marks) this.#marks.delete(markKey(mark));
  }

  #mark(marks: readonly NoteMark[]): void {
    for (const mark of marks) this.#marks.set(markKey(mark), mark);
  }

  async expiring(nowMs: number, limit: number, after: ArtifactRow | null = null): Promise<readonly ArtifactRow[]> {
    const order = (a: ArtifactRow, b: ArtifactRow) => a.expiresMs! - b.expiresMs! || byBytes(a.name, b.name);
    return [...this.#open.values()]
      .filter(({ isPinned, expiresMs }) => !isPinned && expiresMs !== null && expiresMs < nowMs)
      .filter((row) => after === null || order(row, after) > 0)
      .sort(order)
      .slice(0, limit);
  }

  async leastUsed(limit: number, after: ArtifactRow | null = null): Promise<readonly ArtifactRow[]> {
    const order = (a: ArtifactRow, b: ArtifactRow) => a.usedMs - b.usedMs || byBytes(a.name, b.name);
    return [...this.#open.values()]
      .filter((row) => !row.isPinned && (after === null || order(row, after) > 0))
      .sort(order)
      .slice(0, limit);
  }

  async counts(): Promise<CatalogueCounts> {
    const rows = [...this.#open.values()];
    const blobs = new Map(rows.map(({ sha256, lengthBytes }) => [sha256, lengthBytes]));
    return { names: rows.length, blobs: blobs.size, blobBytes: [...blobs.values()].reduce((sum, n) => sum + n, 0) };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  get #open(): Map<string, ArtifactRow> {
    if (this.#isClosed) throw new HaulError('CLOSED', 'the catalogue is closed');
    return this.#rows;
  }
}
