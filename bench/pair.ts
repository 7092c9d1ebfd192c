/**
 * `npm run bench -- pair [--size 2G] [--turns 3] [--piece-length 1M] [--folder /dev/shm] [--storage mapped|positional] [--only ours] [--small]`
 * One seed and one leech as processes on loopback, Swarmhaul and libtorrent in turns, on the same bytes in one run.
 * Rate is bytes ÷ time from the leech's "ready" to its "done"; CPU, memory and faults are read from /proc by this process.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createWorkPool } from '../src/hash/pool.js';
import { createTorrent } from '../src/metainfo/create.js';
import { type Child, startChild } from '../test/support/child.js';
import { PACKAGE_ROOT } from '../test/support/root.js';
import { Scope } from '../test/support/scope.js';
import { sha256File } from '../test/support/tree.js';
import { makeFile, parseLength } from './support/make-file.js';
import { cpuSeconds, type ProcessUse, resetPeak, sampleProcess, usedBetween } from './support/procstat.js';

const DEADLINE_MS = 600_000;
const ENGINE_PEER = fileURLToPath(new URL('./support/engine-peer.js', import.meta.url));
const LT_PEER = path.join(PACKAGE_ROOT, 'bench/support/lt_pair.py');

interface Contender {
  readonly name: string;
  readonly command: readonly string[];
}

export interface PairRun {
  readonly name: string;
  readonly mbPerSec: number;
  readonly leechCpuPerGb: number;
  readonly seedCpuPerGb: number;
  readonly leechPeakMiB: number;
  readonly seedPeakMiB: number;
  /** Main thread of the leech, per block; for libtorrent its network thread is another one: not comparable, left out. */
  readonly leechMainMicrosPerBlock: number | null;
  readonly leechMainMinorFaultsPerGb: number | null;
  readonly seedMainMinorFaultsPerGb: number | null;
  readonly leechLoopP99Ms: number | null;
}

interface Side {
  readonly child: Child;
  readonly port: number;
  readonly startMs: number;
  use(): ProcessUse;
}

interface Job {
  readonly torrent: string;
  readonly dataFolder: string;
  readonly workFolder: string;
  readonly lengthBytes: number;
  readonly sha256: string;
}

async function startSide(
  scope: Scope,
  contender: Contender,
  role: string,
  folder: string,
  job: Job,
  peer?: number,
): Promise<Side> {
  const [command = '', ...args] = contender.command;
  const peers = peer === undefined ? [] : ['--peer', `127.0.0.1:${peer}`];
  const child = startChild(scope, command, [...args, role, job.torrent, folder, ...peers]);
  const line = await child.line(
    '"ready"',
    DEADLINE_MS,
    (text) => text.includes('"event":') && /"(ready|error)"/.test(text),
  );
  const said = JSON.parse(line) as { event: string; port?: number; message?: string };
  if (said.event !== 'ready') throw new Error(`${contender.name} ${role}: ${said.message}`);
  resetPeak(child.pid);
  const before = sampleProcess(child.pid);
  return {
    child,
    port: said.port ?? 0,
    startMs: performance.now(),
    use: () => usedBetween(before, sampleProcess(child.pid)),
  };
}

async function runPair(contender: Contender, job: Job): Promise<PairRun> {
  const scope = new Scope();
  const output = await mkdtemp(path.join(job.workFolder, 'leech-'));
  scope.defer(() => rm(output, { recursive: true, force: true }));
  try {
    const seed = await startSide(scope, contender, 'seed', job.dataFolder, job);
    const leech = await startSide(scope, contender, 'leech', output, job, seed.port);
    const line = await leech.child.line('"done"', DEADLINE_MS, (text) => /"event": ?"(done|error)"/.test(text));
    const seconds = (performance.now() - leech.startMs) / 1000;
    if (line.includes('"error"')) throw new Error(line);
    const [leechUse, seedUse] = [leech.use(), seed.use()];
    const loop = await quit(contender, leech.child);
    await quit(contender, seed.child);
    const copy = path.join(output, path.basename(job.torrent, '.torrent'));
    if ((await sha256File(copy)) !== job.sha256)
      throw new Error(`${contender.name}: the copy differs from the original`);
    return figures(contender, job, seconds, leechUse, seedUse, loop);
  } finally {
    await scope.close();
  }
}

function figures(
  contender: Contender,
  job: Job,
  seconds: number,
  leech: ProcessUse,
  seed: ProcessUse,
  loop: number | null,
): PairRun {
  const gigabytes = job.lengthBytes / 1e9;
  const isOurs = contender.name.startsWith('swarmhaul');
  return {
    name: contender.name,
    mbPerSec: job.lengthBytes / 1e6 / seconds,
    leechCpuPerGb: cpuSeconds(leech.process) / gigabytes,
    seedCpuPerGb: cpuSeconds(seed.process) / gigabytes,
    leechPeakMiB: leech.peakResidentBytes / 2 ** 20,
    seedPeakMiB: seed.peakResidentBytes / 2 ** 20,
    leechMainMicrosPerBlock: isOurs ? (cpuSeconds(leech.mainThread) * 1e6) / (job.lengthBytes / 16_384) : null,
    leechMainMinorFaultsPerGb: isOurs ? leech.mainThread.minorFaults / gigabytes : null,
    seedMainMinorFaultsPerGb: isOurs ? seed.mainThread.minorFaults / gigabytes : null,
    leechLoopP99Ms: loop,
  };
}

/** Ends a side; our own tells of its event loop. */
async function quit(contender: Contender, child: Child): Promise<number | null> {
  child.send('quit');
  const isOurs = contender.name.startsWith('swarmhaul');
  const line = isOurs ? await child.line('"figures"', DEADLINE_MS, (text) => text.includes('"figures"')) : null;
  await child.exited;
  return line === null ? null : (JSON.parse(line) as { p99Ms: number }).p99Ms;
}

function contenders(storage: readonly string[], only: string | undefined): Contender[] {
  const ours = storage.map((kind) => ({
    name: kind === 'auto' ? 'swarmhaul' : `swarmhaul (${kind})`,
    command: [process.execPath, ENGINE_PEER, '--storage', kind],
  }));
  if (only === 'ours') return ours;
  if (!existsSync('/usr/bin/python3')) {
    process.stderr.write('libtorrent: skipped, there is no /usr/bin/python3 (apt-get install python3-libtorrent)\n');
    return ours;
  }
  return [...ours, { name: 'libtorrent', command: ['/usr/bin/python3', LT_PEER] }];
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function medians(runs: readonly PairRun[]): Record<string, number | string> {
  const row: Record<string, number | string> = {};
  for (const key of Object.keys(runs[0]!) as (keyof PairRun)[]) {
    const values = runs.map((run) => run[key]);
    if (typeof values[0] === 'number') row[key] = Number(median(values as number[]).toPrecision(4));
  }
  return row;
}

async function makeJob(scope: Scope, folder: string, lengthBytes: number, pieceLengthBytes: number): Promise<Job> {
  await mkdir(folder, { recursive: true });
  const workFolder = await mkdtemp(path.join(folder, 'swarmhaul-pair-'));
  scope.defer(() => rm(workFolder, { recursive: true, force: true }));
  const dataFolder = path.join(workFolder, 'data');
  await mkdir(dataFolder);
  const file = path.join(dataFolder, 'image.bin');
  await makeFile(file, lengthBytes, 1);
  const pool = createWorkPool({ threads: os.availableParallelism() });
  const torrent = path.join(workFolder, 'image.bin.torrent');
  await writeFile(torrent, await createTorrent(file, { pieceLengthBytes }, pool));
  await pool.close();
  return { torrent, dataFolder, workFolder, lengthBytes, sha256: await sha256File(file) };
}

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', default: '2G' },
      turns: { type: 'string', default: '3' },
      'piece-length': { type: 'string', default: '1M' },
      folder: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir() },
      storage: { type: 'string', multiple: true, default: ['auto'] },
      only: { type: 'string' },
      small: { type: 'boolean', default: false },
      'no-warm-up': { type: 'boolean', default: false },
    },
  });
  const lengthBytes = values.small ? 32 * 2 ** 20 : parseLength(values.size);
  const turns = values.small ? 1 : Number(values.turns);
  const scope = new Scope();
  try {
    const job = await makeJob(scope, values.folder, lengthBytes, parseLength(values['piece-length']));
    const entrants = contenders(values.storage, values.only);
    // The first run after a large file was written is not like the others.
    if (!values.small && !values['no-warm-up']) await runPair(entrants[0]!, job);
    const runs: PairRun[] = [];
    for (let turn = 0; turn < turns; turn++) {
      for (const entrant of entrants) {
        const run = await runPair(entrant, job);
        runs.push(run);
        process.stdout.write(`${JSON.stringify(run)}\n`);
      }
    }
    const table = Object.fromEntries(
      entrants.map(({ name }) => [name, medians(runs.filter((run) => run.name === name))]),
    );
    process.stdout.write(`medians of ${turns} turns, ${lengthBytes} bytes, sha256 ${job.sha256.slice(0, 16)}\n`);
    console.table(table);
  } finally {
    await scope.close();
  }
}
