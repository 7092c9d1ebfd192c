/**
 * `npm run bench -- cold [options]`: a seed whose file is not in the page cache. Many peers ask for blocks all over it,
 * one "hot" peer for the beginning, which was read before: it shows whether those who wait for the disk hold up those
 * who need not.
 *
 *   --size 8G  --folder DIR  --storage mapped,positional   in turns   --piece-length 1M  --threads N
 *   --peers 50  --depth 4 requests of 16 KiB each  --hot 8M  --hot-gap-ms 2
 *   --seconds 20  --turns 3  --small  --out FILE
 *
 * The folder must be on a disk (default: the system's for temporary files). Before each turn the file's pages are
 * dropped and what is left is counted: pagesResidentBeforePercent. Every 16th block is compared with the file
 * afterwards.
 *
 * coldMbPerSec, coldBlocksPerSec: what the cold peers got. coldP50Ms, hotP50Ms …: from the request to the last byte of
 * its block, seen by the readers. leastSharePercent: the cold peer that got least, 100 is an even share.
 * diskBytesPerServedByte: read from the device by the seed ÷ payload sent. seed…: of the seed while they read
 * (bench/README.md). Loop figures are those of a 1 ms timer.
 */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startChild } from '../lab/child.js';
import { Scope } from '../lab/scope.js';
import { BLOCK_LENGTH_BYTES } from '../src/config.js';
import type { Done } from './support/cold-readers.js';
import { FILE_NAME, fileSystemOf, type Job, makeJobs } from './support/job.js';
import { count, length, lengths, makeFolder, positive, someOf } from './support/options.js';
import { dropFromCache, residentPercent } from './support/page-cache.js';
import { Results } from './support/results.js';
import {
  event,
  loopFigures,
  mainThreadFigures,
  meter,
  OUR_PEER,
  quitOurs,
  startSide,
  useFigures,
} from './support/sides.js';

const READERS = fileURLToPath(new URL('./support/cold-readers.js', import.meta.url));
const STORAGES = ['mapped', 'positional'] as const;

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', default: '8G' },
      'piece-length': { type: 'string', default: '1M' },
      folder: { type: 'string', default: os.tmpdir() },
      storage: { type: 'string', multiple: true, default: ['mapped', 'positional'] },
      threads: { type: 'string' },
      peers: { type: 'string', default: '50' },
      depth: { type: 'string', default: '4' },
      hot: { type: 'string', default: '8M' },
      'hot-gap-ms': { type: 'string', default: '2' },
      seconds: { type: 'string', default: '20' },
      turns: { type: 'string', default: '3' },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  if (!values.small) return values;
  return { ...values, size: '16M', 'piece-length': '256K', peers: '8', hot: '1M', seconds: '0.3', turns: '1' };
}

type Values = ReturnType<typeof parseOptions>;

/** Bytes this process caused to be read from a device (proc(5) io), also by faults of its mappings. */
function diskReadBytes(pid: number): number {
  return Number(/^read_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))![1]);
}

/** One turn: a new seed, a cold file, the readers for some seconds. @throws when a block is not the file's */
async function runCold(job: Job, storage: string, values: Values): Promise<Record<string, number>> {
  const scope = new Scope();
  const file = path.join(job.dataFolder, FILE_NAME);
  dropFromCache(file);
  const pagesResidentBeforePercent = residentPercent(file);
  try {
    const seedWords = [...OUR_PEER, 'seed', job.torrent, job.dataFolder, '--storage', storage];
    const seed = await startSide(scope, values.threads ? [...seedWords, '--threads', values.threads] : seedWords);
    const words = ['--peers', values.peers, '--depth', values.depth, '--hot-bytes', String(length('hot', values.hot))];
    words.push('--hot-gap-ms', values['hot-gap-ms'], '--seconds', values.seconds);
    const readers = startChild(scope, process.execPath, [READERS, String(seed.port), job.torrent, file, ...words]);
    await event(readers, 'ready');
    seed.child.send('begin');
    const use = meter(seed.child.pid, seed.idleBytes);
    const diskBefore = diskReadBytes(seed.child.pid);
    readers.send('go');
    const done = (await event(readers, 'done')) as unknown as Done;
    const used = use();
    const diskBytes = diskReadBytes(seed.child.pid) - diskBefore;
    const loop = await quitOurs(seed.child);
    await event(readers, 'checked');
    if (done.coldBlocks === 0 || done.hotBlocks === 0) throw new Error('nothing was served');
    const servedBytes = (done.coldBlocks + done.hotBlocks) * BLOCK_LENGTH_BYTES;
    return {
      ...loopFigures('seed', loop, used),
      ...readerFigures(done),
      diskBytesPerServedByte: diskBytes / servedBytes,
      ...useFigures('seed', used, servedBytes),
      ...mainThreadFigures('seed', used, servedBytes),
      pagesResidentBeforePercent,
    };
  } finally {
    await scope.close();
  }
}

function readerFigures({ seconds, coldBlocks, cold, hot, leastSharePercent }: Done): Record<string, number> {
  return {
    coldMbPerSec: (coldBlocks * BLOCK_LENGTH_BYTES) / 1e6 / seconds,
    coldBlocksPerSec: coldBlocks / seconds,
    coldP50Ms: cold.p50Ms,
    coldP99Ms: cold.p99Ms,
    coldMaxMs: cold.maxMs,
    hotP50Ms: hot.p50Ms,
    hotP99Ms: hot.p99Ms,
    hotMaxMs: hot.maxMs,
    leastSharePercent,
  };
}

async function runTurns(values: Values, storages: readonly string[], results: Results): Promise<void> {
  const scope = new Scope();
  try {
    const pieceLengths = lengths('piece-length', values['piece-length']);
    const lengthBytes = length('size', values.size);
    const jobs = await makeJobs(scope, { folder: values.folder, lengthBytes, pieceLengths });
    const turns = count('turns', values.turns);
    for (let turn = 0; turn < turns; turn++) {
      for (const job of jobs) {
        for (const storage of storages) {
          const parameters = {
            storage,
            sizeMiB: lengthBytes / 2 ** 20,
            pieceKiB: job.pieceLengthBytes / 1024,
            peers: Number(values.peers),
            depth: Number(values.depth),
            fileSystem: job.fileSystem,
          };
          const run = { series: 'swarmhaul', turn, parameters, figures: await runCold(job, storage, values) };
          results.add(run);
          process.stdout.write(`${JSON.stringify(run)}\n`);
        }
      }
    }
  } finally {
    await scope.close();
  }
}

/** Before gigabytes are written. @throws what cannot be measured */
function check(values: Values): void {
  length('size', values.size);
  length('hot', values.hot);
  lengths('piece-length', values['piece-length']);
  for (const name of ['peers', 'depth', 'turns'] as const) count(name, values[name]);
  for (const name of ['hot-gap-ms', 'seconds'] as const) positive(name, values[name]);
  if (values.threads !== undefined) count('threads', values.threads);
}

export async function main(argv: readonly string[]): Promise<void> {
  const values = parseOptions(argv);
  check(values);
  const storages = someOf('storage', values.storage, STORAGES);
  await makeFolder(values.folder);
  const results = new Results('cold', {
    argv,
    parameters: { turns: Number(values.turns), seconds: Number(values.seconds) },
  });
  if (fileSystemOf(values.folder) === 'tmpfs')
    results.skip('swarmhaul', 'the folder is on tmpfs, where nothing can be cold; name one on a disk with --folder');
  else await runTurns(values, storages, results);
  await results.finish();
}
