/**
 * `npm run bench -- memory [--torrents 1,4,50] [--size 1G] [--piece-length 1M] [--storage mapped,positional]
 *   [--as library,command] [--idle 30] [--turns 3] [--folder DIR] [--out FILE] [--small]`
 * How much memory an engine holds while all its torrents are busy, and once they are not: a seed process and a leech
 * process, N torrents between them at once, `--size` in all, every byte zero. The storage is that of both sides.
 * `library`: V8 is left as it is, as for a program that imports the package; `command`: it is told what `haul get` and
 * `haul seed` tell it. All above the idle engine:
 *   leechAnonMiB, leechFileMiB, leechSharedMiB   most of RssAnon, RssFile and RssShmem while it ran
 *   leechPeakMiB                                 the same of all three at one moment
 *   leechIdle…                                   `--idle` seconds after the last torrent was complete
 *   seed…                                        of the seeding process
 * Mapped files of a tmpfs are "shared", of a disk "file".
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startChild } from '../lab/child.js';
import { Scope } from '../lab/scope.js';
import { removeAtEnd } from './support/job.js';
import { type MemoryPeaks, memoryOf, watchMemory } from './support/memory-watch.js';
import { count, counts, length, lengths, makeFolder, positive, someOf } from './support/options.js';
import { Results } from './support/results.js';
import { event } from './support/sides.js';
import { makeHole } from './support/zeros.js';

const HOST = fileURLToPath(new URL('./support/memory-host.js', import.meta.url));
const MIB = 2 ** 20;
const LEAST_PIECES = 4;

interface Point {
  readonly torrents: number;
  readonly storage: 'mapped' | 'positional';
  readonly as: 'library' | 'command';
  readonly pieceLengthBytes: number;
  readonly pieces: number;
}

const sum = ({ anonBytes, fileBytes, sharedBytes }: MemoryPeaks): number => anonBytes + fileBytes + sharedBytes;

function figuresOf(name: string, held: MemoryPeaks, idle: MemoryPeaks, all: number): Record<string, number> {
  return {
    [`${name}AnonMiB`]: (held.anonBytes - idle.anonBytes) / MIB,
    [`${name}FileMiB`]: (held.fileBytes - idle.fileBytes) / MIB,
    [`${name}SharedMiB`]: (held.sharedBytes - idle.sharedBytes) / MIB,
    [`${name}PeakMiB`]: (all - sum(idle)) / MIB,
  };
}

/** One process: what it holds idle, and then what it holds. */
async function startHost(scope: Scope, words: readonly (string | number)[]) {
  const child = startChild(scope, process.execPath, [HOST, ...words.map(String)]);
  const { port } = await event(child, 'ready');
  const idle = memoryOf(child.pid)!;
  const peaks = watchMemory(child.pid);
  const now = (): MemoryPeaks => memoryOf(child.pid)!;
  return { child, port: Number(port), idle, peaks, now };
}

async function measure(point: Point, data: string, folder: string, idleMs: number): Promise<Record<string, number>> {
  const scope = new Scope();
  const output = await mkdtemp(path.join(folder, 'leech-'));
  scope.defer(() => rm(output, { recursive: true, force: true }));
  try {
    const { torrents, pieces, pieceLengthBytes, storage, as } = point;
    const shape = [torrents, pieces, pieceLengthBytes, storage, as];
    const seed = await startHost(scope, ['seed', data, ...shape]);
    const leech = await startHost(scope, ['leech', output, ...shape, seed.port]);
    seed.child.send('go');
    await event(seed.child, 'done');
    const startMs = performance.now();
    leech.child.send('go');
    await event(leech.child, 'done');
    const seconds = (performance.now() - startMs) / 1000;
    const peaks = [leech.peaks(), seed.peaks()] as const;
    await sleep(idleMs);
    return {
      mbPerSec: (torrents * pieces * pieceLengthBytes) / 1e6 / seconds,
      ...figuresOf('leech', peaks[0], leech.idle, peaks[0].residentBytes),
      ...figuresOf('leechIdle', leech.now(), leech.idle, sum(leech.now())),
      ...figuresOf('seed', peaks[1], seed.idle, peaks[1].residentBytes),
      ...figuresOf('seedIdle', seed.now(), seed.idle, sum(seed.now())),
    };
  } finally {
    await scope.close();
  }
}

async function makeData(folder: string, { torrents, pieces, pieceLengthBytes }: Point): Promise<string> {
  const data = path.join(folder, `data-${torrents}-${pieces}-${pieceLengthBytes}`);
  await mkdir(data, { recursive: true });
  for (let number = 0; number < torrents; number++)
    await makeHole(path.join(data, `zeros-${number}.bin`), pieces * pieceLengthBytes);
  return data;
}

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      torrents: { type: 'string', multiple: true, default: ['1,4,50'] },
      size: { type: 'string' },
      'piece-length': { type: 'string', multiple: true, default: ['1M'] },
      storage: { type: 'string', multiple: true, default: ['mapped', 'positional'] },
      as: { type: 'string', multiple: true, default: ['library', 'command'] },
      idle: { type: 'string' },
      turns: { type: 'string' },
      folder: { type: 'string', default: os.tmpdir() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const torrents = values.small ? [1, 2] : counts('torrents', values.torrents);
  const sizeBytes = length('size', values.size ?? (values.small ? '16M' : '1G'));
  const storages = someOf('storage', values.storage, ['mapped', 'positional'] as const);
  const kinds = someOf('as', values.as, ['library', 'command'] as const);
  const idleMs = positive('idle', values.idle ?? (values.small ? '0.1' : '30')) * 1000;
  const turns = count('turns', values.turns ?? (values.small ? '1' : '3'));
  const points = lengths('piece-length', values['piece-length']).flatMap((pieceLengthBytes) =>
    torrents.flatMap((n) =>
      storages.flatMap((storage) => {
        const pieces = Math.max(LEAST_PIECES, Math.ceil(sizeBytes / n / pieceLengthBytes));
        return kinds.map((as): Point => ({ torrents: n, storage, as, pieceLengthBytes, pieces }));
      }),
    ),
  );
  const scope = new Scope();
  try {
    await makeFolder(values.folder);
    const folder = await mkdtemp(path.join(values.folder, 'swarmhaul-memory-'));
    removeAtEnd(scope, folder);
    const results = new Results('memory', { argv, parameters: { idleMs, turns, sizeMiB: sizeBytes / MIB } });
    for (let turn = 0; turn < turns; turn++) {
      for (const point of points) {
        const figures = await measure(point, await makeData(folder, point), folder, idleMs);
        const { torrents: n, storage, as, pieceLengthBytes } = point;
        const parameters = { torrents: n, storage, as, pieceKiB: pieceLengthBytes / 1024 };
        results.add({ series: 'swarmhaul', turn, parameters, figures });
        process.stdout.write(`${JSON.stringify({ turn, ...parameters, ...figures })}\n`);
      }
    }
    await results.finish();
  } finally {
    await scope.close();
  }
}
