/**
 * All that a depot keeps, put into another store and catalogue: blobs by their digest, rows as they are noted beside
 * them. The old one is only read, and may serve and take meanwhile; what changes is found by the next pass, and passes
 * are repeated until one finds nothing to do. It can be stopped and begun again at any time: what is there already is
 * not read again. Every byte is hashed by the store that takes it, and a blob of another digest is not kept.
 *
 * Of two blobs of one name the one that was published later has it, as in `rebuild.ts`. Names that only the new depot
 * has stay there, unless it is to be a mirror.
 */
import { HaulError } from '../errors.js';
import { forEachConcurrently } from '../storage/concurrently.js';
import type { ArtifactRow, Catalogue } from './catalogue/port.js';
import { rowToJson } from './catalogue/row.js';
import { Locks } from './locks.js';
import { shortName } from './names.js';
import { notedRow } from './noted-rows.js';
import { isUnreadable } from './store/codes.js';
import type { BlobStat, BlobStore, FinishedUpload, PieceRecord } from './store/port.js';

const BLOBS_AT_ONCE = 8;
const PAGE_ROWS = 1000;
/** A depot that is busy all the time is never done: the last pass is made when it was stopped. */
const PASSES_MAX = 5;
/** Told in full; all are counted. */
const TOLD_MAX = 1000;

export interface MigrateProgress {
  readonly pass: number;
  /** Of blobs that are in place, and of the part that is there of those on their way. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly blobs: number;
  readonly totalBlobs: number;
}

export interface MigrateReport {
  readonly passes: number;
  /** That the old depot has. */
  readonly blobs: number;
  readonly names: number;
  /** Put into the new one, in all passes. */
  readonly copiedBlobs: number;
  readonly copiedBytes: number;
  readonly putNames: number;
  readonly removedNames: number;
  /** The last pass found nothing to do. */
  readonly isSettled: boolean;
  /** Names that have other, later bytes at the new depot: they stay. The first 1000. */
  readonly conflicts: readonly string[];
  /** What could not be read or believed, a line each. The first 1000. */
  readonly faults: readonly string[];
  readonly faultCount: number;
}

export interface MigrateOptions {
  readonly from: Pick<BlobStore, 'list' | 'names' | 'pieces' | 'read'>;
  /** Nobody else changes it meanwhile. */
  readonly to: { readonly store: BlobStore; readonly catalogue: Catalogue };
  /** Names that the old depot does not have go at the new one. */
  readonly isMirror?: boolean;
  readonly onProgress?: (progress: MigrateProgress) => void;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since 1970; default now. */
  readonly now?: () => number;
}

/** @throws HaulError ABORTED, and those of either store and of the catalogue; what was put is there then */
export async function migrateDepot(options: MigrateOptions): Promise<MigrateReport> {
  const migration = new Migration(options);
  let pass: Pass;
  do pass = await migration.pass();
  while (pass.changes > 0 && migration.passes < PASSES_MAX);
  return migration.report(pass);
}

/** What one pass found. */
class Pass {
  readonly names = new Set<string>();
  readonly faults: string[] = [];
  readonly conflicts: string[] = [];
  faultCount = 0;
  /** In the new depot. */
  changes = 0;
  blobs = 0;

  fault(line: string): void {
    this.faultCount++;
    if (this.faults.length < TOLD_MAX) this.faults.push(line);
  }
}

class Migration {
  readonly #options: MigrateOptions;
  readonly #locks = new Locks();
  readonly #nowMs: number;
  passes = 0;
  #copiedBlobs = 0;
  #copiedBytes = 0;
  #putNames = 0;
  #removedNames = 0;

  constructor(options: MigrateOptions) {
    this.#options = options;
    this.#nowMs = Math.floor((options.now ?? Date.now)());
  }

  async pass(): Promise<Pass> {
    const { from, onProgress } = this.#options;
    const pass = new Pass();
    this.passes++;
    const all: BlobStat[] = [];
    for await (const blob of from.list()) all.push(blob);
    const totalBytes = all.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    let doneBytes = 0;
    const told = { pass: this.passes, totalBytes, totalBlobs: all.length };
    await forEachConcurrently(all, BLOBS_AT_ONCE, async (blob) => {
      let copiedBytes = 0;
      await this.#blob(blob, pass, (bytes) => {
        copiedBytes += bytes;
        doneBytes += bytes;
        onProgress?.({ ...told, doneBytes, blobs: pass.blobs });
      });
      pass.blobs++;
      doneBytes += blob.lengthBytes - copiedBytes;
      onProgress?.({ ...told, doneBytes, blobs: pass.blobs });
    });
    const isMirror = this.#options.isMirror === true;
    // A name that moved from a blob that was not looked at yet to one that was not listed was seen nowhere.
    const isMoving = (isMirror || pass.changes === 0) && (await this.#hasOtherBlobs(all));
    if (isMoving) pass.changes++;
    else if (isMirror) await this.#removeOthers(pass);
    return pass;
  }

  /** The old depot has others than those. */
  async #hasOtherBlobs(all: readonly BlobStat[]): Promise<boolean> {
    const gone = new Set(all.map(({ sha256 }) => sha256));
    for await (const { sha256 } of this.#options.from.list()) if (!gone.delete(sha256)) return true;
    return gone.size > 0;
  }

  report(last: Pass): MigrateReport {
    return {
      passes: this.passes,
      blobs: last.blobs,
      names: last.names.size,
      copiedBlobs: this.#copiedBlobs,
      copiedBytes: this.#copiedBytes,
      putNames: this.#putNames,
      removedNames: this.#removedNames,
      isSettled: last.changes === 0,
      conflicts: last.conflicts,
      faults: last.faults,
      faultCount: last.faultCount,
    };
  }

  /** One that vanishes meanwhile was removed by the old depot: the next pass does not find it. */
  async #blob(blob: BlobStat, pass: Pass, onCopied: (bytes: number) => void): Promise<void> {
    this.#throwIfStopped();
    try {
      const released = await this.#locks.run(blob.sha256, () => this.#move(blob, pass, onCopied));
      for (const row of released) await this.#release(row);
    } catch (error) {
      if (!HaulError.is(error) || (error.code !== 'NOT_FOUND' && error.code !== 'BAD_DATA')) throw error;
      if (error.code === 'BAD_DATA') pass.fault(error.message);
      else pass.changes++;
    }
  }

  /** Under the lock of its digest. @returns rows of other blobs that lost their name to it */
  async #move(blob: BlobStat, pass: Pass, onCopied: (bytes: number) => void): Promise<ArtifactRow[]> {
    const { from, to } = this.#options;
    const { sha256, lengthBytes } = blob;
    const notes = await asDamage(sha256, from.names(sha256));
    // Nobody's: an upload that is not named yet, or one that is about to be removed.
    if (notes.size === 0) return [];
    const record = await asDamage(sha256, from.pieces(sha256));
    if (record === null) return [];
    const rows: ArtifactRow[] = [];
    for (const [name, text] of notes) {
      const row = notedRow(name, text, blob, record);
      if (typeof row === 'string') pass.fault(`beside the blob ${sha256}: ${row}`);
      else rows.push(row);
    }
    const released: ArtifactRow[] = [];
    let isThere = (await to.store.stat(sha256))?.lengthBytes === lengthBytes;
    for (const row of rows) {
      pass.names.add(row.name);
      const known = await to.catalogue.get(row.name);
      if (known !== null && known.sha256 !== sha256 && known.createdMs > row.createdMs) {
        if (pass.conflicts.length < TOLD_MAX) pass.conflicts.push(shortName(row.name));
        continue;
      }
      if (known !== null && isThere && isSameRow(known, row)) continue;
      // Fetched or not, it is wanted: it is not to go as unused on the day of the move.
      const wished = { ...row, usedMs: Math.max(row.usedMs, this.#nowMs) };
      if (!isThere) await this.#copy(blob, record, wished, onCopied);
      isThere = true;
      const replaced = await this.#put(wished);
      if (replaced !== null) released.push(replaced);
      pass.changes++;
      this.#putNames++;
    }
    return released;
  }

  async #copy(blob: BlobStat, record: PieceRecord, row: ArtifactRow, onCopied: (bytes: number) => void): Promise<void> {
    const { from, to, signal } = this.#options;
    const { sha256, lengthBytes } = blob;
    const piecesFromBytes = record.pieces === null ? Number.POSITIVE_INFINITY : 0;
    const upload = await to.store.create({ lengthBytes, piecesFromBytes, sha256 });
    try {
      const slices = from.read(sha256, { begin: 0, end: lengthBytes })[Symbol.asyncIterator]();
      try {
        for (;;) {
          this.#throwIfStopped();
          const { value, done } = await asDamage(sha256, slices.next());
          if (done === true) break;
          // What was read is valid until the next; what is written is the store's.
          await upload.write(Buffer.from(value));
          onCopied(value.length);
        }
      } finally {
        await slices.return?.();
      }
      const finished = await upload.finish();
      if (finished.sha256 !== sha256 || !hasPieces(finished, record))
        throw new HaulError('BAD_DATA', `the blob ${sha256} is damaged: ${shortName(row.name)}`, { sha256 });
      if (signal?.aborted === true) this.#throwIfStopped();
      await to.store.commit(upload, { name: row.name, row: rowToJson(row) });
    } finally {
      await upload.abort();
    }
    this.#copiedBlobs++;
    this.#copiedBytes += lengthBytes;
  }

  /** The note before the row, as when it is published. @returns the row of another blob that it replaced */
  async #put(row: ArtifactRow): Promise<ArtifactRow | null> {
    const { store, catalogue } = this.#options.to;
    await store.note(row.sha256, row.name, rowToJson(row));
    const outcome = await catalogue.put(row, { overwrite: true, onlyIfNew: false });
    // A pin stays with a name that is put again.
    const there = await catalogue.get(row.name);
    if (there !== null && there.isPinned !== row.isPinned) await catalogue.pin(row.name, row.isPinned);
    return outcome.kind === 'replaced' ? outcome.row : null;
  }

  /** A row is gone from the new depot: so is its blob, if no other names it. */
  async #release({ name, sha256 }: ArtifactRow): Promise<void> {
    const { store, catalogue } = this.#options.to;
    await this.#locks.run(sha256, async () => {
      if ((await catalogue.get(name))?.sha256 !== sha256) await store.note(sha256, name, null);
      if (!(await catalogue.isNamed(sha256))) await store.remove(sha256);
    });
  }

  async #removeOthers(pass: Pass): Promise<void> {
    const { catalogue } = this.#options.to;
    // Not all of the old names are known: none can be told to be gone.
    if (pass.faultCount > 0) return;
    let cursor: string | null = null;
    do {
      this.#throwIfStopped();
      const page = await catalogue.list({ prefix: '', cursor, limit: PAGE_ROWS });
      for (const row of page.rows) {
        if (pass.names.has(row.name)) continue;
        const gone = await catalogue.remove(row.name, { sha256: row.sha256, createdMs: row.createdMs });
        if (gone === null) continue;
        await this.#release(gone);
        pass.changes++;
        this.#removedNames++;
      }
      cursor = page.cursor;
    } while (cursor !== null);
  }

  #throwIfStopped(): void {
    if (this.#options.signal?.aborted === true)
      throw new HaulError('ABORTED', 'the move was stopped; run it again to go on');
  }
}

/** What the disk of the old depot does not give is a fault of that blob; one of the new depot's ends the move. */
async function asDamage<T>(sha256: string, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    throw new HaulError('BAD_DATA', `the blob ${sha256} cannot be read: ${error.message}`, { sha256 }, error);
  }
}

/** When it was used last is each depot's own. */
function isSameRow(a: ArtifactRow, b: ArtifactRow): boolean {
  const facts = ({ usedMs: _, ...row }: ArtifactRow): string => rowToJson({ ...row, usedMs: 0 });
  return facts(a) === facts(b);
}

function hasPieces({ pieces, pieceLengthBytes }: FinishedUpload, record: PieceRecord): boolean {
  if (pieces === null || record.pieces === null) return pieces === record.pieces;
  return pieceLengthBytes === record.pieceLengthBytes && Buffer.compare(pieces, record.pieces) === 0;
}
