/**
 * `npm run bench -- idle [--torrents 100,1000,5000] [--dormant 100000] [--seconds 60] [--turns 3]
 *   [--folder DIR] [--out FILE] [--small]`
 * What torrents cost that nobody wants at the moment, each point a process of its own:
 *   seeds     seeding torrents of 16 pieces without a peer, which rest: bytes and descriptors of each, CPU of all of
 *             them above an empty engine
 *   awake     the same in their first minute, before they rest
 *   dormant   torrents known by their info-hash only: time to register them all, bytes of each, CPU of all
 * Memory is what is held after a garbage collection. The data are zeros in sparse files, and nothing is announced.
 */
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Child, startChild } from '../lab/child.js';
import { Scope } from '../lab/scope.js';
import { removeAtEnd } from './support/job.js';
import { count, counts, makeFolder, positive } from './support/options.js';
import { Results } from './support/results.js';
import { makeHole } from './support/zeros.js';

const SEEDS = fileURLToPath(new URL('./support/scale-host.js', import.meta.url));
const DORMANT = fileURLToPath(new URL('./support/dormant-host.js', import.meta.url));
const DEADLINE_MS = 600_000;
/** They rest after a minute. */
const AWAKE_MS = 20_000;
const PIECES = 16;
const PIECE_LENGTH_BYTES = 256 * 1024;

interface Footprint {
  readonly cpuMsPerSec: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly openFiles: number;
}

/** The line that has that word in quotes. */
async function said<T>(host: Child, word: string): Promise<T> {
  return JSON.parse(await host.line(word, DEADLINE_MS, (line) => line.includes(`"${word}"`))) as T;
}

async function measureSeeds(
  role: 'seed' | 'rest',
  folder: string,
  torrents: number,
  idleMs: number,
): Promise<Record<string, number>> {
  const scope = new Scope();
  try {
    for (let number = 0; number < torrents; number++)
      await makeHole(path.join(folder, `zeros-${number}.bin`), PIECES * PIECE_LENGTH_BYTES);
    const args = [role, folder, torrents, PIECES, PIECE_LENGTH_BYTES, idleMs].map(String);
    const host = startChild(scope, process.execPath, ['--expose-gc', SEEDS, ...args]);
    const { startMs } = await said<{ startMs: number }>(host, 'serving');
    host.send('measure');
    const { idle, loaded } = await said<{ idle: Footprint; loaded: Footprint }>(host, 'figures');
    const heldBytes = loaded.heapBytes + loaded.externalBytes - idle.heapBytes - idle.externalBytes;
    return {
      startMs,
      heldBytesEach: heldBytes / torrents,
      rssBytesEach: (loaded.rssBytes - idle.rssBytes) / torrents,
      openFilesEach: (loaded.openFiles - idle.openFiles) / torrents,
      cpuMsPerSecAboveIdle: loaded.cpuMsPerSec - idle.cpuMsPerSec,
    };
  } finally {
    await scope.close();
  }
}

async function measureDormant(torrents: number, idleMs: number): Promise<Record<string, number>> {
  const scope = new Scope();
  try {
    const host = startChild(scope, process.execPath, ['--expose-gc', DORMANT, String(torrents), String(idleMs)]);
    const figures = await said<Record<string, number>>(host, 'dormant');
    if (figures.dormant !== torrents) throw new Error(`${figures.dormant} torrents are dormant, not ${torrents}`);
    return figures;
  } finally {
    await scope.close();
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      torrents: { type: 'string' },
      dormant: { type: 'string' },
      seconds: { type: 'string' },
      turns: { type: 'string' },
      folder: { type: 'string', default: os.tmpdir() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const { small } = values;
  const torrents = counts('torrents', values.torrents ?? (small ? '20' : '100,1000,5000'));
  const dormant = count('dormant', values.dormant ?? (small ? '1000' : '100000'));
  const idleMs = positive('seconds', values.seconds ?? (small ? '0.2' : '60')) * 1000;
  const turns = count('turns', values.turns ?? (small ? '1' : '3'));
  const scope = new Scope();
  try {
    await makeFolder(values.folder);
    const folder = await mkdtemp(path.join(values.folder, 'swarmhaul-idle-'));
    removeAtEnd(scope, folder);
    const results = new Results('idle', { argv, parameters: { idleMs, turns } });
    for (let turn = 0; turn < turns; turn++) {
      for (const n of torrents) {
        for (const role of ['rest', 'seed'] as const) {
          const figures = await measureSeeds(role, folder, n, Math.min(idleMs, role === 'seed' ? AWAKE_MS : idleMs));
          results.add({ series: role === 'rest' ? 'seeds' : 'awake', turn, parameters: { n }, figures });
        }
      }
      results.add({
        series: 'dormant',
        turn,
        parameters: { n: dormant },
        figures: await measureDormant(dormant, idleMs),
      });
    }
    await results.finish();
  } finally {
    await scope.close();
  }
}
