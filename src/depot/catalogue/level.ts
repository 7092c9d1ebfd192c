/**
 * The catalogue in LevelDB, in one folder of the depot's own. One process has it at a time. Reads go to what is on the
 * disk; changes go through the one writer. See `keys.ts` for what is kept and how.
 *
 * After a write that failed (a full disk) LevelDB takes nothing more, or would lose what comes behind the torn end of
 * its log; it can be read. With the next write it is opened anew, which cuts that end off and needs some room. What
 * failed may show up then all the same, and is taken back: who was told no may have acted on it.
 */
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import type { ClassicLevel } from 'classic-level';
import { fromSystemError, HaulError } from '../../errors.js';
import { auditRows } from './audit.js';
import { decodeBlob, decodeCounts, encodeCounts } from './counts.js';
import {
  ageKey,
  behind,
  blobKey,
  CATALOGUE_VERSION,
  COUNTS_KEY,
  infoHashInKey,
  type KeyRange,
  keysBefore,
  keysFrom,
  nameInKey,
  rowKey,
  rowsBehind,
  useKey,
  VERSION_KEY,
} from './keys.js';
import { damagedCatalogue, fromLevelError } from './level-errors.js';
import type {
  ArtifactRow,
  Catalogue,
  CatalogueCounts,
  ListPage,
  ListQuery,
  PutOutcome,
  PutRules,
  RowFacts,
} from './port.js';
import { checkRow, decidePut, decodeRow, holdsFor, isWellFormed } from './row.js';
import { type Operation, Writer } from './writer.js';

const ROWS_MAX = 1000;
/** Of one read of many: the longest keys and values of a page. Bytes. */
const READ_BYTES = 4 * 1024 * 1024;
/** To open it anew LevelDB writes a table of what its log holds (4 MiB), and files of a few KiB. */
const REOPEN_BYTES = 8 * 1024 * 1024;
/** What LevelDB leaves in its folder beside CURRENT, which names the first of them. */
const LEVEL_FILE = /^(?:MANIFEST-\d+|\d+\.(?:ldb|sst|log))$/;

export interface LevelOptions {
  /** Told of each damaged row that house-keeping left out. */
  readonly onDamaged?: (error: HaulError) => void;
}

/** Only the depot needs it, and it is native: it is loaded when the first catalogue is opened. */
function loadLevel(): typeof ClassicLevel {
  return (createRequire(import.meta.url)('classic-level') as typeof import('classic-level')).ClassicLevel;
}

/**
 * Opens it, and makes it where it is not there yet.
 * @param folder for it alone
 * @throws HaulError IN_USE (another process has it), BAD_DATA (damaged, or of a newer version), and those of the disk
 */
export async function openLevelCatalogue(folder: string, options: LevelOptions = {}): Promise<LevelCatalogue> {
  const place = resolve(folder);
  const files = await filesIn(place);
  if (!files.includes('CURRENT') && files.some((name) => LEVEL_FILE.test(name))) {
    throw damagedCatalogue(place, 'its file CURRENT is missing');
  }
  const Level = loadLevel();
  const database = new Level<string, string>(place);
  try {
    await database.open();
    const isNew = await readHead(database, place);
    return new LevelCatalogue(database, place, isNew, options);
  } catch (error) {
    await database.close().catch(() => {});
    throw fromLevelError(error, 'open', place);
  }
}

/** Of its folder, which is made where it is not there. */
async function filesIn(place: string): Promise<string[]> {
  try {
    if (!existsSync(place)) {
      await mkdir(place, { recursive: true });
      const parent = await open(dirname(place));
      await parent.sync().finally(() => parent.close());
    }
    return await readdir(place);
  } catch (error) {
    throw fromSystemError(error, 'open catalogue', place);
  }
}

/** @returns whether it is new */
async function readHead(database: ClassicLevel<string, string>, place: string): Promise<boolean> {
  const [version, counts] = await database.getMany([VERSION_KEY, COUNTS_KEY]);
  if (version === undefined) {
    const [first] = await database.keys({ limit: 1 }).all();
    if (first !== undefined) throw damagedCatalogue(place, 'it names no version');
    const head = [
      { type: 'put' as const, key: VERSION_KEY, value: String(CATALOGUE_VERSION) },
      { type: 'put' as const, key: COUNTS_KEY, value: encodeCounts({ names: 0, blobs: 0, blobBytes: 0 }) },
    ];
    await database.batch(head, { sync: true });
    return true;
  }
  if (!/^[1-9]\d{0,8}$/.test(version)) throw damagedCatalogue(place, 'its version is none');
  if (Number(version) > CATALOGUE_VERSION) {
    const message =
      `the catalogue ${place} is of version ${version}, and this program knows up to ${CATALOGUE_VERSION}: ` +
      'use the newer program that wrote it';
    throw new HaulError('BAD_DATA', message, { version: Number(version) });
  }
  decodeCounts(counts);
  return false;
}

export class LevelCatalogue implements Catalogue {
  /** It was not there when it was opened: where blobs are, it was lost. */
  readonly isNew: boolean;
  readonly #database: ClassicLevel<string, string>;
  readonly #place: string;
  readonly #writer: Writer;
  readonly #onDamaged: (error: HaulError) => void;
  /** So often it was opened again. */
  #reopened = 0;
  #reopening: Promise<void> | null = null;
  /** What takes a write back that failed; null: none did. */
  #undo: Operation[] | null = null;
  #closing: Promise<void> | null = null;

  constructor(database: ClassicLevel<string, string>, place: string, isNew: boolean, options: LevelOptions) {
    this.#database = database;
    this.#place = place;
    this.isNew = isNew;
    this.#onDamaged = options.onDamaged ?? (() => {});
    const getMany = (keys: string[]) => this.#reading(() => database.getMany(keys));
    this.#writer = new Writer({ getMany, write: (operations, sync) => this.#write(operations, sync) });
  }

  async get(name: string): Promise<ArtifactRow | null> {
    if (!isWellFormed(name)) return null;
    const value = await this.#reading(() => this.#database.get(rowKey(name)));
    return value === undefined ? null : decodeRow(name, value);
  }

  async put(row: ArtifactRow, rules: PutRules): Promise<PutOutcome> {
    checkRow(row);
    return this.#writer.change(row.name, row.sha256, true, (old) => {
      const { outcome, stored } = decidePut(old, row, rules);
      return { next: stored ?? undefined, outcome };
    });
  }

  async remove(name: string, onlyIf?: RowFacts): Promise<ArtifactRow | null> {
    if (!isWellFormed(name)) return null;
    return this.#writer.change(name, null, true, (row) =>
      row === null || !holdsFor(row, onlyIf) ? { next: undefined, outcome: null } : { next: null, outcome: row },
    );
  }

  async pin(name: string, isPinned: boolean): Promise<ArtifactRow | null> {
    if (!isWellFormed(name)) return null;
    return this.#writer.change(name, null, true, (row) => {
      if (row === null || row.isPinned === isPinned) return { next: undefined, outcome: row };
      const next = { ...row, isPinned };
      return { next, outcome: next };
    });
  }

  async touch(used: ReadonlyMap<string, number>): Promise<void> {
    const changes = [...used].filter(([name, usedMs]) => isWellFormed(name) && Number.isSafeInteger(usedMs));
    const done = changes.map(([name, usedMs]) =>
      this.#writer.change(name, null, false, (row) => ({
        next: row !== null && row.usedMs < usedMs ? { ...row, usedMs } : undefined,
        outcome: undefined,
      })),
    );
    const failures = (await Promise.allSettled(done)).filter((settled) => settled.status === 'rejected');
    // A damaged row among many is for those to find who want it.
    const failure = failures.find(({ reason }) => !(HaulError.is(reason) && reason.code === 'BAD_DATA'));
    if (failure !== undefined) throw failure.reason;
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
    const value = await this.#reading(() => this.#database.get(blobKey(sha256)));
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
    return decodeCounts(await this.#reading(() => this.#database.get(COUNTS_KEY)));
  }

  /** What does not agree in all that is kept, one line each; for tests and checks: it reads everything. */
  async audit(): Promise<string[]> {
    const all: [string, string][] = [];
    await this.#reading(async () => {
      all.length = 0;
      for await (const entry of this.#database.iterator()) all.push(entry);
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
    const values = await this.#reading(() => this.#database.getMany(names.map(rowKey)));
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
    return this.#reading(async () => {
      const bounds = gt === undefined ? { gte: gte!, lt } : { gt, lt };
      const iterator = this.#database.iterator({ ...bounds, highWaterMarkBytes: READ_BYTES });
      try {
        const entries: [string, string][] = [];
        while (entries.length < limit) {
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

  /** One read; where it fell into a moment in which all is opened anew, it is done again behind that. */
  async #reading<T>(read: () => Promise<T>): Promise<T> {
    for (;;) {
      await this.#reopening?.catch(() => {});
      const reopened = this.#reopened;
      if (this.#closing !== null && this.#database.status !== 'open') {
        throw new HaulError('CLOSED', 'the catalogue is closed');
      }
      try {
        if (this.#database.status !== 'open') await this.#reopen();
        return await read();
      } catch (error) {
        if (this.#reopening !== null || this.#reopened !== reopened) continue;
        throw fromLevelError(error, 'read', this.#place);
      }
    }
  }

  async #write(operations: Operation[], sync: boolean): Promise<void> {
    if (this.#undo !== null) await this.#heal(this.#undo);
    try {
      await this.#database.batch(operations, { sync });
    } catch (error) {
      this.#undo = await this.#before(operations);
      throw fromLevelError(error, 'write', this.#place);
    }
  }

  /** What restores all that these would have changed; nothing where even that cannot be read. */
  async #before(operations: readonly Operation[]): Promise<Operation[]> {
    const keys = [...new Set(operations.map(({ key }) => key))];
    try {
      const values = await this.#database.getMany(keys);
      return keys.map((key, index) => {
        const value = values[index];
        return value === undefined ? { type: 'del', key } : { type: 'put', key, value };
      });
    } catch {
      return [];
    }
  }

  async #heal(undo: Operation[]): Promise<void> {
    try {
      const { bavail, bsize } = await statfs(this.#place);
      if (bavail * bsize < REOPEN_BYTES) {
        const message = `write catalogue ${this.#place}: no space left on the device; free some`;
        throw new HaulError('NO_SPACE', message, { operation: 'write', where: this.#place });
      }
      await this.#reopen();
      if (undo.length > 0) await this.#database.batch(undo, { sync: true });
      this.#undo = null;
    } catch (error) {
      throw fromLevelError(error, 'write', this.#place);
    }
  }

  #reopen(): Promise<void> {
    this.#reopening ??= (async () => {
      await this.#database.close();
      await this.#database.open();
      this.#reopened++;
    })().finally(() => {
      this.#reopening = null;
    });
    return this.#reopening;
  }
}
