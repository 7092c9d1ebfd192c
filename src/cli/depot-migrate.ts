/** `haul depot migrate`: what one depot keeps is put into another, while the old one may serve. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { MigrateProgress, MigrateReport } from '../depot/migrate.js';
import type { BlobStore } from '../depot/store/port.js';
import { fromSystemError, HaulError } from '../errors.js';
import { count, formatBytes, formatSeconds, printable } from './format.js';
import type { Output } from './output.js';
import type { Context, Outcome } from './run.js';
import { Pace } from './sample.js';
import { resourceFields } from './usage.js';

/** Shown to people; machines get up to a thousand. */
const SHOWN = 20;

export interface MigratePlaces {
  /** The old one: its folder, or "s3://bucket/prefix". */
  readonly from: string;
  /** The folder of the new one. */
  readonly data: string;
  /** URL of PostgreSQL for the names of the new one; else they are in the folder. */
  readonly catalogue: string | undefined;
  /** "s3://bucket/prefix" for the blobs of the new one; else they are in the folder. */
  readonly store: string | undefined;
  readonly storeCacheBytes: number | undefined;
  readonly torrentFromBytes: number | undefined;
  readonly isMirror: boolean;
}

export async function migrate({ output, signal }: Context, places: MigratePlaces): Promise<Outcome> {
  const { from, data, isMirror } = places;
  const [{ migrateDepot }, { openStoreOf, openStoreToRead }, { openChosenCatalogue }] = await Promise.all([
    import('../depot/migrate.js'),
    import('../depot/open-store.js'),
    import('../depot/open-catalogue.js'),
  ]);
  const closers: (() => Promise<void>)[] = [];
  const started = performance.now();
  const pace = new Pace();
  let done: MigrateProgress = { pass: 1, doneBytes: 0, totalBytes: 0, blobs: 0, totalBlobs: 0 };
  const view = output.progress(() => ({
    name: from,
    phase: 'copying',
    totalBytes: done.totalBytes,
    ...pace.at(done.doneBytes, done.totalBytes),
  }));
  try {
    const old = await openStoreToRead(from);
    closers.push(() => old.close());
    const store: BlobStore = await openStoreOf(places);
    closers.push(() => store.close());
    const catalogue = await openChosenCatalogue(store, places);
    closers.push(() => catalogue.close());
    const onProgress = (progress: MigrateProgress): void => {
      done = progress;
    };
    await takeSecret(from, data);
    const report = await migrateDepot({ from: old, to: { store, catalogue }, isMirror, onProgress, signal });
    view.stop();
    return sayMigrated(output, report, (performance.now() - started) / 1000);
  } finally {
    view.stop();
    for (const close of closers.reverse()) await close();
  }
}

/** Passkeys are made with it: without it announce URLs that are out would be refused. One that is there stays. */
async function takeSecret(from: string, data: string): Promise<void> {
  const [{ replaceFile }, { readFile }] = await Promise.all([
    import('../depot/replace-file.js'),
    import('node:fs/promises'),
  ]);
  const file = join(data, 'secret');
  try {
    const secret = await readFile(join(from, 'secret'));
    if (!existsSync(file)) await replaceFile(file, secret, 0o600);
  } catch (error) {
    // An old one that never served has none.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fromSystemError(error, 'copy the secret to', file);
  }
}

function sayMigrated(output: Output, report: MigrateReport, seconds: number): Outcome {
  const { faults, faultCount, conflicts, isSettled, ...figures } = report;
  for (const fault of output.isJson ? faults : faults.slice(0, SHOWN)) output.warn(fault);
  const outcome = faultCount === 0 ? 'done' : 'failed';
  const fields = { outcome, ...figures, isSettled, conflicts, faults, faultCount, seconds };
  output.event('migrated', { ...fields, ...resourceFields() }, migratedText(report, seconds));
  return outcome;
}

function migratedText(report: MigrateReport, seconds: number): string {
  const { names, blobs, copiedBlobs, copiedBytes, removedNames, conflicts, faultCount, isSettled } = report;
  const lines = conflicts
    .slice(0, SHOWN)
    .map((name) => `${printable(name, 2000)}: there are other bytes, published later: they stay`);
  if (removedNames > 0) lines.push(`${count(removedNames, 'name')} that the old depot does not have removed`);
  if (!isSettled) lines.push('the old depot is busy: stop it, and run this again for the rest');
  if (faultCount > 0) lines.push(`${count(faultCount, 'fault')}: those did not come`);
  const copied = `${count(copiedBlobs, 'blob')} copied, ${formatBytes(copiedBytes)}`;
  lines.push(`${count(names, 'name')} of ${count(blobs, 'blob')} are there; ${copied} in ${formatSeconds(seconds)}`);
  return lines.join('\n');
}

/** @throws HaulError BAD_ARGUMENT */
export function checkPlaces(from: string | undefined, data: string): string {
  if (from === undefined)
    throw new HaulError('BAD_ARGUMENT', '--from: name the folder of the old depot', { option: 'from' });
  if (from === data) throw new HaulError('BAD_ARGUMENT', '--from and --to are the same folder', { option: 'from' });
  return from;
}
