/**
 * `npm run bench -- limits [options]`: do rate limits hold, and what do they cost? One seed process, one leech process,
 * loopback.
 *
 *   --limit 10M,100M,800M   bytes a second; K, M, G are powers of 1,000
 *   --place 'leech engine down',…   default: all four
 *   --seconds 10   --turns 5   --real-up-to 100M   --folder DIR   --cost-size 8G
 *   --only hold|cost   --small   --out FILE
 *
 * hold  Each place that can have a limit × each limit. Up to `--real-up-to` real data is stored, verified, and compared
 *       at the end: the image is (seconds + 2) × limit long, and held twice. Above, the seed serves zeros and the leech
 *       throws them away (null storage, no hash), so that the engine could go faster; `unlimited` is how fast, in the
 *       same set-up.
 *       The window begins one second after the first byte and is cut by the leech's own clock (traffic-samples.ts).
 *         mbPerSec            blocks received by the leech's torrent in the window; 10^6 bytes
 *         errorPercent        (rate ÷ limit − 1) × 100; a download limit counts headers too, which is −0.08
 *         worstSecondErrorPercent   the same of the one second that is farthest off
 *         leechCpuSecPerGb, seedCpuSecPerGb   of the whole process in its own window, all threads
 * cost  The same `--cost-size` of zeros to the end, with no limit and with all four limits set to 100 GB/s, which
 *       nothing reaches, in turns: what looking after limits costs, where all else is as cheap as can be.
 *         leechLimitCostPercent, seedLimitCostPercent   CPU-s per GB with ÷ without, − 1, of one turn
 *
 * @throws when more arrives than the limit and all buffers allow: that a limit is there at all is checked also with
 * `--small`.
 */
import { mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Scope } from '../lab/scope.js';
import { ValueError } from '../src/cli/values.js';
import type { Job } from './support/job.js';
import { checkCopy, defaultFolder, fileSystemOf, makeJobs, outputFolder, removeAtEnd } from './support/job.js';
import { count, length, list, makeFolder, someOf } from './support/options.js';
import { Results } from './support/results.js';
import { event, OUR_PEER, quitOurs, type Side, startSide, useFigures } from './support/sides.js';
import { type TrafficSample, type WindowFigures, windowFigures } from './support/traffic-samples.js';
import { zerosTorrent } from './support/zeros.js';

/** Where a limit can be: whose process, and which option of it. */
const PLACES = {
  'leech engine down': ['leech', '--download-limit'],
  'leech torrent down': ['leech', '--torrent-download-limit'],
  'seed engine up': ['seed', '--upload-limit'],
  'seed torrent up': ['seed', '--torrent-upload-limit'],
} as const;
type Place = keyof typeof PLACES;

const PIECE_BYTES = 2 ** 20;
/** No pair gets there on this protocol: zeros for a window without a limit. */
const FASTEST_BYTES_PER_SEC = 5e9;
const OUT_OF_REACH_BYTES_PER_SEC = 100e9;
/** The burst a limit allows (0.1 s), and what may lie in buffers between two engines when the window begins. */
const BURST_SECONDS = 0.1;
const BUFFERED_BYTES = 16 * 2 ** 20;

interface Source {
  readonly torrent: string;
  readonly lengthBytes: number;
  /** Real data; null: zeros from nowhere to nowhere. */
  readonly job: Job | null;
}

interface Hold {
  readonly source: Source;
  readonly place: Place | null;
  readonly bytesPerSec: number;
  readonly seconds: number;
}

interface Measured {
  readonly figures: Record<string, number>;
  /** SHA-256 of the copy; absent when nothing was kept. */
  readonly checksum?: string;
}

interface Pair {
  readonly seed: Side;
  readonly leech: Side;
  /** What the leech wrote; null when nothing was kept. */
  readonly copy: string | null;
}

type Words = Readonly<Record<'seed' | 'leech', readonly string[]>>;

/** '100M' to bytes per second. @throws on what is not a rate */
function parseRate(option: string, text: string): number {
  const match = /^(\d+)([KMG]?)$/.exec(text);
  const rate = match === null ? 0 : Number(match[1]) * 1000 ** ['', 'K', 'M', 'G'].indexOf(match[2]!);
  if (!(rate > 0)) throw new ValueError(`--${option} ${text} is not a rate: write 500K, 10M or 1G bytes a second`);
  return rate;
}

async function startPair(scope: Scope, source: Source, words: Words, workFolder: string): Promise<Pair> {
  const { job, torrent } = source;
  const output = job === null ? null : await outputFolder(job);
  if (output !== null) scope.defer(output.remove);
  // A leech notes what it has, also where nothing is kept: the next one must find no such note.
  const empty = await mkdtemp(path.join(workFolder, 'empty-'));
  const storage = job === null ? ['--storage', 'null', '--no-verify'] : [];
  const start = (role: 'seed' | 'leech', folder: string, more: readonly string[] = []) =>
    startSide(scope, [...OUR_PEER, role, torrent, folder, ...storage, ...words[role], ...more]);
  const seed = await start('seed', job?.dataFolder ?? workFolder);
  const leech = await start('leech', output?.folder ?? empty, ['--peer', `127.0.0.1:${seed.port}`]);
  return { seed, leech, copy: output?.copy ?? null };
}

async function quitPair({ seed, leech }: Pair): Promise<void> {
  await quitOurs(leech.child);
  await quitOurs(seed.child);
}

async function windowOf(side: Side, direction: 'downloadedBytes' | 'uploadedBytes'): Promise<WindowFigures> {
  const { samples } = (await event(side.child, 'samples')) as unknown as { samples: TrafficSample[] };
  return windowFigures(samples, direction);
}

/** How far each rate of the window is from the limit. @throws when the limit was not there */
function errorFigures(window: WindowFigures, bytesPerSec: number): Record<string, number> {
  const most = bytesPerSec * (window.seconds + BURST_SECONDS) + BUFFERED_BYTES;
  if (window.bytes > most) throw new Error(`limits: ${window.bytes} bytes where the limit allows ${Math.floor(most)}`);
  const percent = (mbPerSec: number): number => ((mbPerSec * 1e6) / bytesPerSec - 1) * 100;
  const [least, greatest] = [percent(window.slowestMbPerSec), percent(window.fastestMbPerSec)];
  return {
    errorPercent: percent(window.mbPerSec),
    worstSecondErrorPercent: Math.abs(least) > Math.abs(greatest) ? least : greatest,
  };
}

async function hold(run: Hold, workFolder: string): Promise<Measured> {
  const { source, place, bytesPerSec, seconds } = run;
  const words = { seed: ['--sample-seconds', String(seconds)], leech: ['--sample-seconds', String(seconds)] };
  if (place !== null) words[PLACES[place][0]].push(PLACES[place][1], String(bytesPerSec));
  const scope = new Scope();
  try {
    const pair = await startPair(scope, source, words, workFolder);
    const leech = await windowOf(pair.leech, 'downloadedBytes');
    const seed = await windowOf(pair.seed, 'uploadedBytes');
    if (leech.endBytes === source.lengthBytes) throw new Error('limits: all was there before the window ended');
    if (source.job !== null) await event(pair.leech.child, 'done');
    await quitPair(pair);
    const figures = {
      mbPerSec: leech.mbPerSec,
      ...(place === null ? {} : errorFigures(leech, bytesPerSec)),
      leechCpuSecPerGb: leech.cpuSecPerGb,
      seedCpuSecPerGb: seed.cpuSecPerGb,
    };
    if (source.job === null || pair.copy === null) return { figures };
    return { figures, checksum: await checkCopy('limits', pair.copy, source.job) };
  } finally {
    await scope.close();
  }
}

/** The whole of the source, with limits out of reach or with none. */
async function transfer(source: Source, isLimited: boolean, workFolder: string) {
  const words = { seed: [] as string[], leech: [] as string[] };
  if (isLimited)
    for (const [role, option] of Object.values(PLACES)) words[role].push(option, String(OUT_OF_REACH_BYTES_PER_SEC));
  const scope = new Scope();
  try {
    const pair = await startPair(scope, source, words, workFolder);
    await event(pair.leech.child, 'done');
    const seconds = (performance.now() - pair.leech.readyMs) / 1000;
    const [leech, seed] = [pair.leech.use(), pair.seed.use()];
    await quitPair(pair);
    const { leechCpuSecPerGb = 0 } = useFigures('leech', leech, source.lengthBytes);
    const { seedCpuSecPerGb = 0 } = useFigures('seed', seed, source.lengthBytes);
    return { mbPerSec: source.lengthBytes / 1e6 / seconds, leechCpuSecPerGb, seedCpuSecPerGb };
  } finally {
    await scope.close();
  }
}

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      limit: { type: 'string', multiple: true, default: ['10M', '100M', '800M'] },
      place: { type: 'string', multiple: true, default: Object.keys(PLACES) },
      seconds: { type: 'string', default: '10' },
      'real-up-to': { type: 'string', default: '100M' },
      'cost-size': { type: 'string', default: '8G' },
      only: { type: 'string', default: 'hold,cost' },
      folder: { type: 'string', default: defaultFolder() },
      turns: { type: 'string', default: '5' },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  someOf('place', values.place, Object.keys(PLACES));
  for (const rate of list(values.limit)) parseRate('limit', rate);
  parseRate('real-up-to', values['real-up-to']);
  length('cost-size', values['cost-size']);
  count('seconds', values.seconds);
  if (!values.small) return values;
  return { ...values, limit: ['20M'], place: ['seed engine up'], seconds: '1', 'cost-size': '64M', turns: '1' };
}

type Values = ReturnType<typeof parseOptions>;

async function zeros(workFolder: string, lengthBytes: number): Promise<Source> {
  const pieces = Math.ceil(lengthBytes / PIECE_BYTES);
  const torrent = path.join(workFolder, `zeros-${pieces}.torrent`);
  await writeFile(torrent, zerosTorrent('zeros.bin', pieces, PIECE_BYTES));
  return { torrent, lengthBytes: pieces * PIECE_BYTES, job: null };
}

async function real(scope: Scope, folder: string, lengthBytes: number): Promise<Source> {
  const whole = Math.ceil(lengthBytes / PIECE_BYTES) * PIECE_BYTES;
  const [job] = await makeJobs(scope, { folder, lengthBytes: whole, pieceLengths: [PIECE_BYTES] });
  return { torrent: job!.torrent, lengthBytes: whole, job: job! };
}

/** Every place with every limit, then the same without one. */
async function holdCases(scope: Scope, values: Values, workFolder: string): Promise<Hold[]> {
  const seconds = count('seconds', values.seconds);
  const realUpTo = parseRate('real-up-to', values['real-up-to']);
  const endless = await zeros(workFolder, (seconds + 2) * FASTEST_BYTES_PER_SEC);
  const cases: Hold[] = [];
  for (const bytesPerSec of list(values.limit).map((rate) => parseRate('limit', rate))) {
    const isReal = bytesPerSec <= realUpTo;
    const source = isReal ? await real(scope, values.folder, (seconds + 2) * bytesPerSec) : endless;
    for (const place of list(values.place)) cases.push({ source, place: place as Place, bytesPerSec, seconds });
  }
  // A smoke run has nothing to compare.
  if (values.small) return cases;
  return [...cases, { source: endless, place: null, bytesPerSec: Number.POSITIVE_INFINITY, seconds }];
}

/** Without and with, next to each other; which comes first changes from turn to turn. */
async function addCost(results: Results, source: Source, turn: number, workFolder: string): Promise<void> {
  const figures = new Map<boolean, Awaited<ReturnType<typeof transfer>>>();
  for (const isLimited of turn % 2 === 0 ? [false, true] : [true, false])
    figures.set(isLimited, await transfer(source, isLimited, workFolder));
  const [without, limited] = [figures.get(false)!, figures.get(true)!];
  results.add({ series: 'cost: no limit', turn, figures: without });
  const percent = (role: 'leechCpuSecPerGb' | 'seedCpuSecPerGb') => (limited[role] / without[role] - 1) * 100;
  const added = {
    leechLimitCostPercent: percent('leechCpuSecPerGb'),
    seedLimitCostPercent: percent('seedCpuSecPerGb'),
  };
  results.add({ series: 'cost: limits out of reach', turn, figures: { ...limited, ...added } });
}

export async function main(argv: readonly string[]): Promise<void> {
  const values = parseOptions(argv);
  const parts = someOf('only', values.only, ['hold', 'cost']);
  const turns = count('turns', values.turns);
  const scope = new Scope();
  try {
    await makeFolder(values.folder);
    const workFolder = await mkdtemp(path.join(values.folder, 'swarmhaul-bench-'));
    removeAtEnd(scope, workFolder);
    const fileSystem = fileSystemOf(workFolder);
    const results = new Results('limits', { argv, parameters: { turns, seconds: Number(values.seconds), fileSystem } });
    const cases = parts.includes('hold') ? await holdCases(scope, values, workFolder) : [];
    const costs = parts.includes('cost') ? await zeros(workFolder, length('cost-size', values['cost-size'])) : null;
    for (let turn = 0; turn < turns; turn++) {
      for (const each of cases) {
        const storage = each.source.job === null ? 'null' : 'auto';
        const parameters = { limitMbPerSec: each.bytesPerSec / 1e6, storage };
        const run =
          each.place === null
            ? { series: 'unlimited', turn, parameters: { storage } }
            : { series: each.place, turn, parameters };
        const measured = await hold(each, workFolder);
        results.add({ ...run, ...measured });
        process.stdout.write(`${JSON.stringify({ ...run, ...measured })}\n`);
      }
      if (costs !== null) await addCost(results, costs, turn, workFolder);
    }
    await results.finish();
  } finally {
    await scope.close();
  }
}
