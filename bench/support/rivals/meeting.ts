/**
 * One transfer between two contenders, watched from outside. The clock is the same for all, also for those that say nothing
 * when they begin: it starts when the copy begins to take up space on disk, and ends when the leech says it has all, checked. Ours
 * reserve all space before they dial, so both are inside. What ours then needs to have it on the device, which the others do not
 * promise, is printed apart as `syncSec`.
 * CPU, memory and switches of both sides are counted over the same time, from /proc.
 */
import { statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withTrackers } from '../../../src/metainfo/torrent.js';
import { openNamespace } from '../../../test/support/namespace.js';
import { Scope } from '../../../test/support/scope.js';
import type { TestTracker } from '../../../test/support/tracker.js';
import { watchDirty } from '../dirty.js';
import { checkCopy, type Job, outputFolder } from '../job.js';
import { DEADLINE_MS, loopFigures, mainThreadFigures, meter, useFigures } from '../sides.js';
import type { Rival, RivalJob, Running } from './rival.js';

export interface MeetingResult {
  readonly figures: Record<string, number>;
  readonly checksum: string;
}

const HERE = '127.0.0.1';
/** Looking at the copy costs microseconds. */
const WATCH_MS = 4;

const isOurs = (rival: Rival) => rival.name.startsWith('swarmhaul');

/** Resolves when the copy takes up space. */
async function firstBlock(copy: string, leech: Running): Promise<void> {
  let failure: unknown = null;
  leech.complete().catch((error: unknown) => {
    failure = error;
  });
  const deadline = performance.now() + DEADLINE_MS;
  while ((statSync(copy, { throwIfNoEntry: false })?.blocks ?? 0) === 0) {
    if (failure !== null) throw failure;
    if (performance.now() > deadline) throw new Error('the leech received nothing');
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  }
}

async function trackedTorrent(job: Job, tracker: string): Promise<string> {
  const file = path.join(job.workFolder, `tracked-${new URL(tracker).hostname}.torrent`);
  await writeFile(file, withTrackers(await readFile(job.torrent), [[tracker]]));
  return file;
}

/** @throws when the transfer fails or the copy is not the original */
export async function meet(
  seedRival: Rival,
  leechRival: Rival,
  job: Job,
  tracker: TestTracker,
): Promise<MeetingResult> {
  const scope = new Scope();
  const output = await outputFolder(job);
  scope.defer(output.remove);
  tracker.pinned.length = 0;
  try {
    const needsNamespace = seedRival.needsNamespace || leechRival.needsNamespace;
    const namespace = needsNamespace ? await openNamespace(scope) : undefined;
    const jobOf = async (rival: Rival, rest: Pick<RivalJob, 'role' | 'folder' | 'peers'>): Promise<RivalJob> => {
      const inside = rival.needsNamespace ? namespace : undefined;
      const url = tracker.url(inside?.hostAddress ?? HERE);
      return { torrent: await trackedTorrent(job, url), tracker: url, namespace: inside, ...rest };
    };
    const seedJob = await jobOf(seedRival, { role: 'seed', folder: job.dataFolder, peers: [] });
    const seed = await seedRival.start(scope, seedJob);
    const outside = leechRival.needsNamespace ? namespace!.hostAddress : HERE;
    const address = { host: seedJob.namespace?.address ?? outside, port: seed.port };
    tracker.pinned.push(address);
    const startMs = performance.now();
    const leechJob = await jobOf(leechRival, { role: 'leech', folder: output.folder, peers: [address] });
    const leech = await leechRival.start(scope, leechJob);
    await firstBlock(output.copy, leech);
    const [leechUse, seedUse] = [meter(leech.pid, leech.idleBytes), meter(seed.pid, seed.idleBytes)];
    const beginMs = performance.now();
    const dirty = watchDirty();
    scope.defer(() => void dirty());
    await leech.complete();
    const seconds = (performance.now() - beginMs) / 1000;
    const [used, given] = [leechUse(), seedUse()];
    const mostDirtyMiB = dirty();
    await leech.synced?.();
    const syncSec = (performance.now() - beginMs) / 1000 - seconds;
    const [leechLoop] = [await leech.stop(), await seed.stop()];
    const figures = {
      mbPerSec: job.lengthBytes / 1e6 / seconds,
      ...useFigures('leech', used, job.lengthBytes),
      ...useFigures('seed', given, job.lengthBytes),
      ...(isOurs(leechRival) ? mainThreadFigures('leech', used, job.lengthBytes) : {}),
      ...(isOurs(seedRival) ? mainThreadFigures('seed', given, job.lengthBytes) : {}),
      ...(leechLoop === undefined ? {} : loopFigures('leech', leechLoop, used)),
      ...(job.fileSystem === 'tmpfs' ? {} : { mostDirtyMiB }),
      startSec: (beginMs - startMs) / 1000,
      ...(leech.synced === undefined ? {} : { syncSec }),
    };
    return { figures, checksum: await checkCopy(leechRival.name, output.copy, job) };
  } finally {
    await scope.close();
  }
}
