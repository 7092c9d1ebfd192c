/**
 * `npm run bench -- scale [--only pieces-seed|pieces-leech|connections|torrents]... [--idle 3] [--turns 3]
 *   [--folder DIR] [--out FILE] [--small]`
 * What it costs to be large and idle: start-up, CPU a second, memory, each as one number grows and all else stays.
 *   pieces-seed   a seed of 1 k to 400 k pieces of 16 KiB, 10 quiet leeches connected
 *   pieces-leech  the same as a download that gets nothing: 10 quiet seeds that never unchoke
 *   connections   a seed of 2,048 pieces with 10 to 4,000 quiet leeches
 *   torrents      1 to 5,000 seeding torrents of 16 pieces in one engine
 * Every point is a process of its own that measures itself before and after; memory is what is held after a garbage
 * collection, above the idle engine. Where there is something to serve, one block is fetched and checked. The data are
 * zeros in sparse files. At the end: growth exponents (log-log least squares over the medians, above the smallest
 * point) and bytes per unit between the ends.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Child, startChild } from '../lab/child.js';
import { Scope } from '../lab/scope.js';
import { BLOCK_LENGTH_BYTES } from '../src/config.js';
import { growthExponent } from './support/growth.js';
import { removeAtEnd } from './support/job.js';
import { count, makeFolder, positive, someOf } from './support/options.js';
import { median, Results } from './support/results.js';
import { makeHole } from './support/zeros.js';

const HOST = fileURLToPath(new URL('./support/scale-host.js', import.meta.url));
const CROWD = fileURLToPath(new URL('./support/crowd.js', import.meta.url));
const DEADLINE_MS = 300_000;
const MIB = 2 ** 20;
const CONNECTIONS_MAX = 4_100;
const ZERO_BLOCK_SHA1 = createHash('sha1').update(Buffer.alloc(BLOCK_LENGTH_BYTES)).digest('hex');

interface Point {
  readonly role: 'seed' | 'leech';
  readonly torrents: number;
  readonly pieces: number;
  readonly pieceLengthBytes: number;
  readonly connections: number;
  /** Of the engine and of the torrent; default: theirs. */
  readonly connectionsMax?: number;
}

interface Axis {
  readonly full: readonly number[];
  readonly small: readonly number[];
  point(n: number): Point;
}

const PIECES = [1_000, 4_000, 16_000, 64_000, 160_000, 400_000];
const PIECES_SMALL = [1_000, 4_000];

/** The shortest pieces there are, so that 400,000 of them are 6.6 GB of hole, not more. */
function ofPieces(role: 'seed' | 'leech', pieces: number): Point {
  return { role, torrents: 1, pieces, pieceLengthBytes: BLOCK_LENGTH_BYTES, connections: 10 };
}

const AXES = {
  'pieces-seed': { full: PIECES, small: PIECES_SMALL, point: (n) => ofPieces('seed', n) },
  'pieces-leech': { full: PIECES, small: PIECES_SMALL, point: (n) => ofPieces('leech', n) },
  connections: {
    full: [10, 50, 250, 1_000, 2_000, 4_000],
    small: [4, 16],
    point: (n) => ({
      role: 'seed',
      torrents: 1,
      pieces: 2_048,
      pieceLengthBytes: MIB,
      connections: n,
      connectionsMax: CONNECTIONS_MAX,
    }),
  },
  torrents: {
    full: [1, 10, 100, 500, 1_500, 5_000],
    small: [1, 2, 4, 8],
    point: (n) => ({ role: 'seed', torrents: n, pieces: 16, pieceLengthBytes: 256 * 1024, connections: 1 }),
  },
} satisfies Record<string, Axis>;

type AxisName = keyof typeof AXES;

/** Figures with a growth exponent, and what is too little to be told from noise in them. */
const GROWING = new Map([
  ['startMs', 2],
  ['joinAllMs', 5],
  ['cpuMsPerSecAboveIdle', 1],
  ['rssMiBAboveIdle', 1],
  ['heapMiBAboveIdle', 0.1],
  ['buffersMiBAboveIdle', 0.1],
]);

interface Footprint {
  readonly cpuMsPerSec: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly timers: number;
  readonly openFiles: number;
}

interface Serving {
  readonly port: number;
  readonly infoHash: string;
  readonly parseMs: number;
  readonly addMs: number;
  readonly startMs: number;
}

/** The line of that event, as an object; rejects with the words of an "error". */
async function said<T>(child: Child, event: string): Promise<T> {
  const line = await child.line(`"${event}"`, DEADLINE_MS, (text) =>
    new RegExp(`"event":"(?:${event}|error)"`).test(text),
  );
  const facts = JSON.parse(line) as { event: string; message?: string };
  if (facts.event === 'error') throw new Error(`${child.command}: ${facts.message}`);
  return facts as T;
}

async function measurePoint(point: Point, folder: string, idleMs: number): Promise<Record<string, number>> {
  const scope = new Scope();
  try {
    const output = point.role === 'seed' ? folder : await mkdtemp(path.join(folder, 'leech-'));
    if (point.role === 'leech') scope.defer(() => rm(output, { recursive: true, force: true }));
    const args = [point.role, output, point.torrents, point.pieces, point.pieceLengthBytes, idleMs];
    if (point.connectionsMax !== undefined) args.push(point.connectionsMax);
    const host = startChild(scope, process.execPath, ['--expose-gc', HOST, ...args.map(String)]);
    const crowd = startChild(scope, process.execPath, [CROWD]);
    const serving = await said<Serving>(host, 'serving');
    const holding = point.role === 'seed' ? 'none' : 'all';
    crowd.send(`join ${serving.port} ${serving.infoHash} ${point.connections} ${holding}`);
    const { connectMs } = await said<{ connectMs: number }>(crowd, 'ready');
    host.send('measure');
    const measured = await said<{ idle: Footprint; loaded: Footprint; connections: number }>(host, 'figures');
    if (measured.connections !== point.connections) {
      throw new Error(`the engine holds ${measured.connections} connections, not ${point.connections}`);
    }
    const blockMs = point.role === 'seed' ? await fetchBlock(crowd, point.pieces - 1) : null;
    return { ...figures(serving, connectMs, measured.idle, measured.loaded), ...(blockMs === null ? {} : { blockMs }) };
  } finally {
    await scope.close();
  }
}

/** A block of the last piece of the last torrent, checked. */
async function fetchBlock(crowd: Child, piece: number): Promise<number> {
  crowd.send(`fetch ${piece}`);
  const block = await said<{ sha1: string; blockMs: number }>(crowd, 'block');
  if (block.sha1 !== ZERO_BLOCK_SHA1) throw new Error('the block that was served is not the block of the file');
  return block.blockMs;
}

function figures(serving: Serving, joinAllMs: number, idle: Footprint, loaded: Footprint): Record<string, number> {
  return {
    startMs: serving.startMs,
    parseMs: serving.parseMs,
    addMs: serving.addMs,
    joinAllMs,
    cpuMsPerSec: loaded.cpuMsPerSec,
    cpuMsPerSecAboveIdle: loaded.cpuMsPerSec - idle.cpuMsPerSec,
    rssMiBAboveIdle: (loaded.rssBytes - idle.rssBytes) / MIB,
    heapMiBAboveIdle: (loaded.heapBytes - idle.heapBytes) / MIB,
    buffersMiBAboveIdle: (loaded.externalBytes - idle.externalBytes) / MIB,
    timersAboveIdle: loaded.timers - idle.timers,
    openFilesAboveIdle: loaded.openFiles - idle.openFiles,
  };
}

/** The sparse files that the seeds of an axis need: the longest serves no other, lengths must match. */
async function makeData(folder: string, point: Point): Promise<void> {
  if (point.role === 'leech') return;
  for (let number = 0; number < point.torrents; number++) {
    await makeHole(path.join(folder, `zeros-${number}.bin`), point.pieces * point.pieceLengthBytes);
  }
}

type Measured = { readonly n: number; readonly figures: Record<string, number> };

/**
 * Exponents of what comes on top of the smallest point, whose cost is mostly that of doing the thing at all;
 * and bytes for one more unit between the smallest and the largest point.
 */
function growth(measured: readonly Measured[], sizes: readonly number[]): Record<string, number> {
  const middle = (n: number, name: string) =>
    median(measured.filter((point) => point.n === n).map((point) => point.figures[name]!));
  const [first, last] = [sizes[0]!, sizes.at(-1)!];
  const found: Record<string, number> = {};
  for (const [name, resolution] of GROWING) {
    const base = middle(first, name);
    const points = sizes.slice(1).map((n) => ({ n: n - first, y: middle(n, name) - base }));
    const exponent = growthExponent(points, resolution);
    if (exponent !== null) found[`${name}Exponent`] = exponent;
  }
  const perUnit = (name: string) => ((middle(last, name) - middle(first, name)) * MIB) / (last - first);
  found.rssPerUnitBytes = perUnit('rssMiBAboveIdle');
  found.heldPerUnitBytes = perUnit('heapMiBAboveIdle') + perUnit('buffersMiBAboveIdle');
  return found;
}

interface Plan {
  readonly axes: readonly AxisName[];
  readonly isSmall: boolean;
  readonly idleMs: number;
  readonly turns: number;
  readonly folder: string;
}

function readPlan(argv: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', multiple: true, default: Object.keys(AXES) },
      idle: { type: 'string' },
      turns: { type: 'string' },
      folder: { type: 'string', default: os.tmpdir() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  return {
    axes: someOf('only', values.only, Object.keys(AXES) as AxisName[]),
    isSmall: values.small,
    idleMs: positive('idle', values.idle ?? (values.small ? '0.1' : '3')) * 1000,
    turns: count('turns', values.turns ?? (values.small ? '1' : '3')),
    folder: values.folder,
  };
}

async function measureAxis(name: AxisName, plan: Plan, folder: string, results: Results): Promise<void> {
  const axis: Axis = AXES[name];
  const sizes = plan.isSmall ? axis.small : axis.full;
  const measured: Measured[] = [];
  for (let turn = 0; turn < plan.turns; turn++) {
    for (const n of sizes) {
      const point = axis.point(n);
      await makeData(folder, point);
      const figures = await measurePoint(point, folder, plan.idleMs);
      measured.push({ n, figures });
      results.add({ series: name, turn, parameters: { n }, figures });
      process.stdout.write(`${JSON.stringify({ series: name, turn, n, ...figures })}\n`);
    }
  }
  results.add({ series: `${name}: growth`, turn: 0, figures: growth(measured, sizes) });
}

export async function main(argv: readonly string[]): Promise<void> {
  const plan = readPlan(argv);
  const scope = new Scope();
  try {
    await makeFolder(plan.folder);
    const folder = await mkdtemp(path.join(plan.folder, 'swarmhaul-scale-'));
    removeAtEnd(scope, folder);
    const results = new Results('scale', { argv, parameters: { idleMs: plan.idleMs, turns: plan.turns } });
    for (const name of plan.axes) await measureAxis(name, plan, folder, results);
    await results.finish();
  } finally {
    await scope.close();
  }
}
