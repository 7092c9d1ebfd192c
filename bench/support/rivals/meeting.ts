/**
 * One transfer between two contenders, watched from outside. The seed is there first, with its data checked, where it
 * checks any. The clock is the whole process of the leech: from before it is started to "verified and on the device".
 * It says that it has all, or ends by itself; then the bench syncs the file, which costs something only where the
 * program did not. `startSec` is the part before the copy takes up space on disk, `syncSec` what came after the
 * program's own end; `transferMbPerSec` leaves out both.
 * CPU is that of the whole leech, with that of the sync, and of the seed in the same time; memory is looked at from
 * outside all the while.
 */
import { statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Namespace, openNamespace } from '../../../lab/namespace.js';
import { Scope } from '../../../lab/scope.js';
import type { PeerAddress, TestTracker } from '../../../lab/tracker.js';
import { withTrackers } from '../../../src/metainfo/torrent.js';
import { watchEndedChildren } from '../children-use.js';
import { costFigures } from '../costs.js';
import { watchDirty } from '../dirty.js';
import { watchConnections } from '../held-connections.js';
import { checkCopy, type Job, outputFolder } from '../job.js';
import { watchMemory } from '../memory-watch.js';
import { sampleProcess, type ThreadUse } from '../procstat.js';
import { DEADLINE_MS, type LoopFigures, mainThreadFigures, meter } from '../sides.js';
import { syncFile } from '../sync-file.js';
import type { Rival, RivalJob, Running } from './rival.js';

export interface Meeting {
  readonly seed: Rival;
  readonly leech: Rival;
  readonly job: Job;
  readonly tracker: TestTracker;
  readonly connections: number;
}

export interface MeetingResult {
  readonly figures: Record<string, number>;
  readonly checksum: string;
}

const HERE = '127.0.0.1';
/** Looking at the copy costs microseconds. */
const WATCH_MS = 4;

/** The moment when the copy took up space, at the latest when it was complete. */
async function firstBlockMs(copy: string, completing: Promise<void>): Promise<number> {
  let isOver = false;
  completing.then(
    () => {
      isOver = true;
    },
    () => {
      isOver = true;
    },
  );
  const deadline = performance.now() + DEADLINE_MS;
  while (!isOver && (statSync(copy, { throwIfNoEntry: false })?.blocks ?? 0) === 0) {
    if (performance.now() > deadline) throw new Error('the leech received nothing');
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  }
  return performance.now();
}

async function trackedTorrent(job: Job, tracker: string): Promise<string> {
  const file = path.join(job.workFolder, `tracked-${new URL(tracker).hostname}.torrent`);
  await writeFile(file, withTrackers(await readFile(job.torrent), [[tracker]]));
  return file;
}

/** One seed under so many addresses: those of 127.0.0.0/8 where more than one is wanted. */
function addressesOf(host: string, port: number, connections: number): PeerAddress[] {
  if (connections === 1) return [{ host, port }];
  return Array.from({ length: connections }, (_, i) => ({ host: `127.0.${i >> 7}.${(i & 127) + 1}`, port }));
}

interface Transfer {
  readonly startMs: number;
  readonly firstMs: number;
  readonly completeMs: number;
  readonly endMs: number;
}

function rateFigures({ startMs, firstMs, completeMs, endMs }: Transfer, lengthBytes: number): Record<string, number> {
  const megabytes = lengthBytes / 1e6;
  return {
    mbPerSec: (megabytes * 1000) / (endMs - startMs),
    wholeSec: (endMs - startMs) / 1000,
    startSec: (firstMs - startMs) / 1000,
    syncSec: (endMs - completeMs) / 1000,
    transferMbPerSec: (megabytes * 1000) / Math.max(1, completeMs - firstMs),
  };
}

function loopFigures(role: 'leech' | 'seed', loop: LoopFigures | undefined): Record<string, number> {
  if (loop === undefined) return {};
  return {
    [`${role}LoopP50Ms`]: loop.p50Ms,
    [`${role}LoopP99Ms`]: loop.p99Ms,
    [`${role}LoopMaxMs`]: loop.maxMs,
    [`${role}GcMs`]: loop.gcMs,
  };
}

/** From here on: the leech runs, the seed is watched. */
async function transfer(scope: Scope, meeting: Meeting, seed: Running, leechJob: RivalJob, copy: string) {
  const { job } = meeting;
  const [endedChildren, seedUse, dirty] = [watchEndedChildren(), meter(seed.pid), watchDirty()];
  scope.defer(() => void dirty());
  const held = meeting.connections > 1 ? watchConnections(seed.port) : null;
  scope.defer(() => void held?.());
  const startMs = performance.now();
  const leech = await meeting.leech.start(scope, leechJob);
  const memories = [watchMemory(leech.pid), watchMemory(seed.pid)] as const;
  for (const end of memories) scope.defer(() => void end());
  const completing = leech.complete();
  completing.catch(() => {}); // Looked at below.
  const firstMs = await firstBlockMs(copy, completing);
  await completing;
  const completeMs = performance.now();
  const seedUsed = seedUse();
  await leech.synced?.();
  const leechSample = leech.endsItself === true ? null : sampleProcess(leech.pid);
  const leechUsed = leechSample?.process ?? endedChildren();
  const sync = syncFile(copy);
  const times = { startMs, firstMs, completeMs, endMs: performance.now() };
  const [leechMemory, seedMemory] = [memories[0](), memories[1]()];
  const mostDirtyMiB = dirty();
  const withSync: ThreadUse = { ...leechUsed, systemSeconds: leechUsed.systemSeconds + sync.cpuSeconds };
  const loops = [await leech.stop(), await seed.stop()] as const;
  return {
    ...rateFigures(times, job.lengthBytes),
    ...costFigures(
      { use: withSync, memory: leechMemory },
      { use: seedUsed.process, memory: seedMemory },
      job.lengthBytes,
    ),
    syncCpuSecPerGb: sync.cpuSeconds / (job.lengthBytes / 1e9),
    ...(isOurs(meeting.seed) ? mainThreadFigures('seed', seedUsed, job.lengthBytes) : {}),
    ...loopFigures('leech', loops[0]),
    ...loopFigures('seed', loops[1]),
    ...(job.fileSystem === 'tmpfs' ? {} : { mostDirtyMiB }),
    ...(held === null ? {} : { heldConnections: held() }),
  };
}

const isOurs = (rival: Rival) => rival.name.startsWith('swarmhaul');

/** @throws when the transfer fails or the copy is not the original */
export async function meet(meeting: Meeting): Promise<MeetingResult> {
  const { job, tracker, connections } = meeting;
  const scope = new Scope();
  const output = await outputFolder(job);
  scope.defer(output.remove);
  tracker.pinned.length = 0;
  try {
    const needsNamespace = meeting.seed.needsNamespace || meeting.leech.needsNamespace;
    const namespace = needsNamespace ? await openNamespace(scope) : undefined;
    const jobOf = async (rival: Rival, rest: Pick<RivalJob, 'role' | 'folder' | 'peers'>): Promise<RivalJob> => {
      const inside: Namespace | undefined = rival.needsNamespace ? namespace : undefined;
      const url = tracker.url(inside?.hostAddress ?? HERE);
      const torrent = await trackedTorrent(job, url);
      return { torrent, untracked: job.torrent, tracker: url, connections, namespace: inside, ...rest };
    };
    const seedJob = await jobOf(meeting.seed, { role: 'seed', folder: job.dataFolder, peers: [] });
    const seed = await meeting.seed.start(scope, seedJob);
    const outside = meeting.leech.needsNamespace ? namespace!.hostAddress : HERE;
    const peers = addressesOf(seedJob.namespace?.address ?? outside, seed.port, connections);
    tracker.pinned.push(...peers);
    const leechJob = await jobOf(meeting.leech, { role: 'leech', folder: output.folder, peers });
    const figures = await transfer(scope, meeting, seed, leechJob, output.copy);
    return { figures, checksum: await checkCopy(meeting.leech.name, output.copy, job) };
  } finally {
    await scope.close();
  }
}
