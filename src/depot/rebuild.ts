/**
 * The catalogue made anew of what lies beside the blobs. It is written beside the old one and takes its place when it
 * is whole; the old one is kept until the next time. A crash between the two leaves no catalogue, which
 * `open-catalogue.ts` does not take for an empty one: it is run again then.
 *
 * A blob of which nobody knows a name gets one, so that it can be looked at and is not swept. What was noted is first
 * brought up to the old catalogue's marks where those can be read, as a start would do it: a name whose removal was
 * acknowledged just before the depot was killed does not come back.
 */
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import { forceFolder } from '../storage/force.js';
import { openLevelCatalogue } from './catalogue/level.js';
import type { ArtifactRow } from './catalogue/port.js';
import { rowToJson } from './catalogue/row.js';
import { openCatalogueCopy } from './catalogue-copy.js';
import { fullName } from './names.js';
import { infoHashIn, notedRow } from './noted-rows.js';
import { everyMark } from './notes.js';
import { isUnreadable } from './store/codes.js';
import type { BlobStat, BlobStore, Sidecar } from './store/port.js';

/** Where blobs without a name go. */
const FOUND = 'lost+found';
const PUT_AT_ONCE = 512;

export interface RebuildOptions {
  readonly store: BlobStore;
  /** Folder of the catalogue; nobody has it open. Or what puts the rows in their place, and says where the old are. */
  readonly catalogue: string | ((rows: readonly ArtifactRow[]) => Promise<string | null>);
  readonly onProgress?: (blobs: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since 1970; default now. */
  readonly now?: () => number;
}

/** Two blobs say that they have this name: the one that was published later has it. */
export interface NameConflict {
  readonly name: string;
  readonly keptSha256: string;
  readonly otherSha256: string;
}

export interface RebuildReport {
  readonly blobs: number;
  readonly names: number;
  /** Names that were made up for blobs without one: artifacts/lost+found/<SHA-256>. */
  readonly found: readonly string[];
  readonly conflicts: readonly NameConflict[];
  /** What could not be believed, one line each. */
  readonly faults: readonly string[];
  /** Where the old catalogue is now, or null: there was none. */
  readonly old: string | null;
}

/** @throws HaulError IN_USE, ABORTED, and those of the disk; the old catalogue is as it was then */
export async function rebuildCatalogue(options: RebuildOptions): Promise<RebuildReport> {
  const { catalogue } = options;
  const removed = typeof catalogue === 'string' ? await settleMarks(options.store, catalogue) : new Set<string>();
  const collected = await collect(options, removed);
  const rows = [...collected.rows.values()];
  const old = typeof catalogue === 'string' ? await writeBeside(catalogue, rows) : await catalogue(rows);
  await noteWhatIsNew(options.store, collected);
  const { blobs, found, conflicts, faults } = collected;
  return { blobs, names: rows.length, found, conflicts, faults, old };
}

/** @returns blobs that lost a name */
async function settleMarks(store: BlobStore, place: string): Promise<ReadonlySet<string>> {
  const removed = new Set<string>();
  const old = await openCatalogueCopy(store, place).catch((error: unknown) => {
    if (HaulError.is(error)) return null;
    throw error;
  });
  if (old === null) return removed;
  try {
    for await (const { sha256, name } of everyMark(old.catalogue)) {
      const row = await old.catalogue.get(name);
      const isNamed = row?.sha256 === sha256;
      // A note beside what is not there would be the first word about a blob that comes later.
      if ((await store.stat(sha256)) !== null) await store.note(sha256, name, isNamed ? rowToJson(row) : null);
      if (!isNamed) removed.add(sha256);
    }
  } catch (error) {
    // It is damaged, which is why it is made anew.
    if (!HaulError.is(error) || error.code !== 'BAD_DATA') throw error;
  } finally {
    await old.close();
  }
  return removed;
}

/** @returns where the old one is */
async function writeBeside(place: string, rows: readonly ArtifactRow[]): Promise<string | null> {
  const fresh = `${place}.new`;
  await rm(fresh, { recursive: true, force: true });
  try {
    await write(fresh, rows);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
  return swap(place, fresh);
}

interface Collected {
  readonly rows: Map<string, ArtifactRow>;
  readonly found: string[];
  readonly conflicts: NameConflict[];
  readonly faults: string[];
  blobs: number;
}

/** @param removed blobs whose last name was removed: what has none is to go */
async function collect(
  { store, onProgress, signal, now = Date.now }: RebuildOptions,
  removed: ReadonlySet<string>,
): Promise<Collected> {
  const collected: Collected = { rows: new Map(), found: [], conflicts: [], faults: [], blobs: 0 };
  for await (const blob of store.list()) {
    if (signal?.aborted === true) throw new HaulError('ABORTED', 'the catalogue is as it was: it was stopped');
    collected.blobs++;
    const sidecar = await sidecarOf(store, blob, collected.faults);
    if (sidecar !== null && !(removed.has(blob.sha256) && sidecar.names.size === 0))
      addRows(blob, sidecar, collected, Math.floor(now()));
    onProgress?.(collected.blobs);
  }
  return collected;
}

/** Beside the blobs, so that the next time gives the same. The catalogue is in its place: what fails here is said. */
async function noteWhatIsNew(store: BlobStore, { rows, found, conflicts, faults }: Collected): Promise<void> {
  const note = async (sha256: string, name: string, row: ArtifactRow | null): Promise<void> => {
    try {
      await store.note(sha256, name, row === null ? null : rowToJson(row));
    } catch (error) {
      if (!HaulError.is(error)) throw error;
      faults.push(error.message);
    }
  };
  for (const name of found) {
    const row = rows.get(name)!;
    await note(row.sha256, name, row);
  }
  // A blob that lost its only name is swept with its notes when the depot starts, unless somebody looks at it before.
  const named = new Set([...rows.values()].map(({ sha256 }) => sha256));
  for (const { name, otherSha256 } of conflicts) if (named.has(otherSha256)) await note(otherSha256, name, null);
}

async function sidecarOf(store: BlobStore, { sha256 }: BlobStat, faults: string[]): Promise<Sidecar | null> {
  try {
    return await store.sidecar(sha256);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    faults.push(error.message);
    return null;
  }
}

function addRows(blob: BlobStat, sidecar: Sidecar, collected: Collected, nowMs: number): void {
  let isNamed = false;
  for (const [name, text] of sidecar.names) {
    const row = notedRow(name, text, blob, sidecar);
    if (typeof row === 'string') collected.faults.push(`beside the blob ${blob.sha256}: ${row}`);
    else {
      isNamed = true;
      addRow(row, collected);
    }
  }
  if (isNamed) return;
  const row = foundRow(blob, sidecar, nowMs);
  collected.found.push(row.name);
  collected.rows.set(row.name, row);
}

function addRow(row: ArtifactRow, { rows, conflicts }: Collected): void {
  const other = rows.get(row.name);
  if (other === undefined) {
    rows.set(row.name, row);
    return;
  }
  const isLater = row.createdMs > other.createdMs || (row.createdMs === other.createdMs && row.sha256 > other.sha256);
  const [kept, gone] = isLater ? [row, other] : [other, row];
  rows.set(row.name, kept);
  conflicts.push({ name: row.name, keptSha256: kept.sha256, otherSha256: gone.sha256 });
}

function foundRow({ sha256, lengthBytes }: BlobStat, sidecar: Sidecar, nowMs: number): ArtifactRow {
  const name = fullName('artifacts', `${FOUND}/${sha256}`);
  return {
    name,
    sha256,
    lengthBytes,
    infoHash: infoHashIn(name, sidecar),
    contentType: null,
    createdMs: nowMs,
    expiresMs: null,
    usedMs: nowMs,
    isPinned: false,
    replicas: null,
  };
}

async function write(folder: string, all: readonly ArtifactRow[]): Promise<void> {
  const catalogue = await openLevelCatalogue(folder);
  try {
    for (let begin = 0; begin < all.length; begin += PUT_AT_ONCE) {
      const group = all.slice(begin, begin + PUT_AT_ONCE);
      await Promise.all(group.map((row) => catalogue.put(row, { overwrite: true, onlyIfNew: false })));
    }
  } finally {
    await catalogue.close();
  }
}

/** @returns where the old one is */
async function swap(place: string, fresh: string): Promise<string | null> {
  const old = existsSync(place) ? `${place}.old` : null;
  try {
    if (old !== null) {
      await rm(old, { recursive: true, force: true });
      await rename(place, old);
    }
    await rename(fresh, place);
    await forceFolder(dirname(place));
    return old;
  } catch (error) {
    throw fromSystemError(error, 'put the new catalogue at', place);
  }
}

/** Where the catalogue is in a data folder. */
export function catalogueIn(data: string): string {
  return join(data, 'catalogue');
}
