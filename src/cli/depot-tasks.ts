/** `haul depot check` and `haul depot rebuild`: work on a depot's folder while no depot runs on it. */
import type { CheckProgress, CheckReport, Finding } from '../depot/check.js';
import type { RebuildReport } from '../depot/rebuild.js';
import type { BlobStore } from '../depot/store/port.js';
import { HaulError } from '../errors.js';
import { count, formatBytes, formatRate, formatSeconds, printable } from './format.js';
import type { Output } from './output.js';
import type { Context, Outcome } from './run.js';
import { Pace } from './sample.js';
import { resourceFields } from './usage.js';

/** Findings shown to people; machines get up to a thousand. */
const SHOWN_FINDINGS = 100;
const SHOWN_NAMES = 20;

export type Task = 'check' | 'rebuild' | 'migrate';

export interface TaskOptions {
  readonly data: string;
  /** URL of PostgreSQL; else it is in the folder. */
  readonly catalogue: string | undefined;
  /** "s3://bucket/prefix"; else blobs are in the folder. */
  readonly store?: string;
  readonly storeCache?: number;
  /** Damaged blobs are not delivered from now on; else a check only reads. */
  readonly withhold?: boolean;
  /** Of what is made in PostgreSQL. */
  readonly torrentFrom?: number;
  readonly from?: string;
  readonly mirror?: boolean;
}

export async function runTask(task: Task, context: Context, options: TaskOptions): Promise<Outcome> {
  const { data, withhold } = options;
  if (task === 'rebuild')
    return withStore(options, { isReadOnly: false, takesOver: true }, (store) => rebuild(context, store, options));
  if (task === 'check') {
    const rules = { isReadOnly: withhold !== true, takesOver: false };
    return withStore(options, rules, (store) => check(context, store, options));
  }
  const { checkPlaces, migrate } = await import('./depot-migrate.js');
  const { catalogue, torrentFrom: torrentFromBytes, mirror, store, storeCache: storeCacheBytes } = options;
  const from = checkPlaces(options.from, data);
  const isMirror = mirror === true;
  return migrate(context, { from, data, catalogue, store, storeCacheBytes, torrentFromBytes, isMirror });
}

/** A folder that is no depot's is not made into one. @throws HaulError NOT_FOUND, IN_USE */
async function withStore(
  { data, store: url, storeCache, catalogue }: TaskOptions,
  rules: { readonly isReadOnly: boolean; readonly takesOver: boolean },
  work: (store: BlobStore) => Promise<Outcome>,
): Promise<Outcome> {
  const { isDepot, openStoreOf } = await import('../depot/open-store.js');
  // One that is elsewhere is there, whatever became of the folder.
  if (url === undefined && !isDepot(data))
    throw new HaulError('NOT_FOUND', `there is no depot in ${data}`, { where: data });
  const store = await openStoreOf({ data, store: url, storeCacheBytes: storeCache, catalogue, ...rules });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

async function check({ output, signal }: Context, store: BlobStore, options: TaskOptions): Promise<Outcome> {
  const [{ checkDepot }, { lookIntoCatalogue }] = await Promise.all([
    import('../depot/check.js'),
    import('../depot/open-catalogue.js'),
  ]);
  const { data } = options;
  const copy = await lookIntoCatalogue(store, options);
  const started = performance.now();
  const pace = new Pace();
  let done: CheckProgress = { hashedBytes: 0, totalBytes: 0, blobs: 0, totalBlobs: 0 };
  const view = output.progress(() => ({
    name: data,
    phase: 'checking',
    totalBytes: done.totalBytes,
    ...pace.at(done.hashedBytes, done.totalBytes),
  }));
  const onProgress = (progress: CheckProgress): void => {
    done = progress;
  };
  try {
    const report = await checkDepot({ store, catalogue: copy.catalogue, onProgress, signal });
    view.stop();
    sayChecked(output, report, (performance.now() - started) / 1000);
    return report.isGood ? 'done' : 'failed';
  } finally {
    view.stop();
    await copy.close();
  }
}

function sayChecked(output: Output, report: CheckReport, seconds: number): void {
  const { isGood, names, blobs, lengthBytes, counts, findings } = report;
  for (const [index, finding] of findings.entries()) {
    const isShown = output.isJson || index < SHOWN_FINDINGS;
    if (isShown) output.event('finding', { ...finding }, findingText(finding));
  }
  const total = Object.values(counts).reduce((sum, found) => sum + found, 0);
  const size = `${count(names, 'name')}, ${count(blobs, 'blob')}, ${formatBytes(lengthBytes)}`;
  const speed = `in ${formatSeconds(seconds)}, ${formatRate(lengthBytes / seconds)}`;
  const fields = { outcome: isGood ? 'done' : 'failed', isGood, names, blobs, lengthBytes, counts, seconds };
  const verdict = isGood ? 'all is good' : `${count(total, 'fault')} found`;
  output.event('checked', { ...fields, ...resourceFields() }, `${size}: ${verdict}, ${speed}`);
}

function findingText({ kind, message }: Finding): string {
  return `${kind}: ${printable(message, 4000)}`;
}

async function rebuild({ output, signal }: Context, store: BlobStore, options: TaskOptions): Promise<Outcome> {
  const [{ rebuildCatalogue }, { rebuildTarget }] = await Promise.all([
    import('../depot/rebuild.js'),
    import('../depot/open-catalogue.js'),
  ]);
  const started = performance.now();
  const report = await rebuildCatalogue({
    store,
    catalogue: await rebuildTarget(store, { ...options, torrentFromBytes: options.torrentFrom }),
    signal,
  });
  const seconds = (performance.now() - started) / 1000;
  const { blobs, names, found, conflicts, faults, old } = report;
  for (const fault of faults) output.warn(fault);
  const fields = { outcome: 'done', blobs, names, found, conflicts, faults, old, seconds };
  output.event('rebuilt', { ...fields, ...resourceFields() }, rebuiltText(report, seconds));
  return 'done';
}

function rebuiltText({ blobs, names, found, conflicts, old }: RebuildReport, seconds: number): string {
  const lines = [
    ...conflicts
      .slice(0, SHOWN_NAMES)
      .map(({ name, keptSha256 }) => `two blobs had the name ${printable(name)}: the later has it, ${keptSha256}`),
    ...found.slice(0, SHOWN_NAMES).map((name) => `a blob without a name is ${name} now`),
    ...(old === null ? [] : [`the old catalogue is in ${printable(old, 4000)}`]),
  ];
  lines.push(`${count(names, 'name')} of ${count(blobs, 'blob')} in ${formatSeconds(seconds)}`);
  return lines.join('\n');
}
