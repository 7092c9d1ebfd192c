/**
 * `npm run demo [-- PATH] [--size 512MiB] [--getters 4]`: one sharer and some getters as separate processes on
 * loopback. Shows their progress, checks every copy with SHA-256, prints rates, CPU per GB and memory. Exit code 1 if a
 * child fails or a copy differs. Everything it makes is in one temporary folder, which it removes. `npm run demo --
 * depot` is another: `demo-depot.ts`.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, realpath, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import { formatBytes, formatRate, formatSeconds, percent } from '../src/cli/format.js';
import { parseSize, ValueError } from '../src/cli/values.js';
import { Child, type JsonLine } from './child.js';
import { MAIN, runDemo, writeRandom } from './demo-parts.js';

const DEFAULT_SIZE = '512MiB';
const DEFAULT_GETTERS = '4';
const GETTERS_MAX = 64;
const LINE_INTERVAL_MS = 2000;

interface Plan {
  readonly path: string | null;
  readonly sizeBytes: number;
  readonly getters: number;
}

interface GetterReport {
  readonly name: string;
  readonly seconds: number;
  readonly bytes: number;
  readonly cpuSec: number;
  readonly peakMemoryBytes: number;
}

function readPlan(): Plan {
  const { values, positionals } = parseArgs({
    options: {
      size: { type: 'string', default: DEFAULT_SIZE },
      getters: { type: 'string', default: DEFAULT_GETTERS },
    },
    allowPositionals: true,
  });
  if (positionals.length > 1) throw new ValueError('Give one PATH at most.');
  const getters = Number(values.getters);
  if (!Number.isInteger(getters) || getters < 1 || getters > GETTERS_MAX) {
    throw new ValueError(`--getters is a number from 1 to ${GETTERS_MAX}.`);
  }
  return {
    path: positionals[0] === undefined ? null : resolve(positionals[0]),
    sizeBytes: parseSize(values.size),
    getters,
  };
}

/** A release in small: one big image, parts of odd sizes, text, an empty file. */
async function makeData(root: string, sizeBytes: number): Promise<void> {
  await mkdir(join(root, 'parts'), { recursive: true });
  await writeFile(join(root, 'README.txt'), 'Made by the demo. Random bytes: nothing here compresses.\n');
  await writeFile(join(root, 'empty'), '');
  const partBytes = Math.floor(sizeBytes / 256);
  for (let i = 0; i < 8; i++) await writeRandom(join(root, 'parts', `part-${i}.bin`), partBytes + i);
  await writeRandom(join(root, 'disk.img'), Math.max(1, sizeBytes - 8 * partBytes));
}

/** SHA-256 over the names, kinds and contents of everything below a path. */
async function digest(path: string): Promise<{ hex: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const add = async (file: string): Promise<void> => {
    await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), async (parts: AsyncIterable<Buffer>) => {
      for await (const part of parts) {
        hash.update(part);
        bytes += part.length;
      }
    });
  };
  if ((await stat(path)).isFile()) await add(path);
  else {
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const files = entries
      // Empty folders are not part of a torrent (BEP 3).
      .filter((entry) => !entry.isDirectory())
      .map((entry) => ({ file: join(entry.parentPath, entry.name), isLink: entry.isSymbolicLink() }))
      .sort((a, b) => (a.file.slice(path.length) < b.file.slice(path.length) ? -1 : 1));
    const root = await realpath(path);
    for (const { file, isLink } of files) {
      // A link is the place it leads to: the way it is written may differ.
      const kind = isLink ? `-> ${relative(root, await realpath(file))}` : (await stat(file)).size;
      hash.update(`\n${file.slice(path.length)}\n${kind}\n`);
      if (!isLink) await add(file);
    }
  }
  return { hex: hash.digest('hex'), bytes };
}

interface View {
  update(index: number, line: JsonLine): void;
  stop(): void;
}

/** A bar for each getter on a terminal, a line every two seconds elsewhere. */
function makeView(names: readonly string[]): View {
  if (!process.stderr.isTTY) {
    const latest = names.map((name) => `${name} 0%`);
    const timer = setInterval(() => {
      console.error(latest.join('  '));
    }, LINE_INTERVAL_MS);
    return {
      update: (index, line) => {
        latest[index] = `${names[index]} ${Number(line.percent ?? 100).toFixed(0)}%`;
      },
      stop: () => clearInterval(timer),
    };
  }
  const bars = new MultiBar(
    { format: ' {name} {bar} {percent}  {rate}  {peers} peers', barsize: 30, hideCursor: false, gracefulExit: false },
    Presets.shades_classic,
  );
  const shown = names.map((name): SingleBar => bars.create(1, 0, { name, percent: '', rate: '', peers: 0 }));
  return {
    update: (index, line) => {
      // While seeding there is no total any more: the bar stays full.
      const total = Number(line.totalBytes) || Number(line.lengthBytes) || 1;
      const done = Number(line.doneBytes);
      shown[index]?.setTotal(total);
      shown[index]?.update(done, {
        percent: `${percent(done, total).toFixed(1).padStart(5)}%`,
        rate: formatRate(Number(line.downloadBytesPerSec ?? 0)).padStart(10),
        peers: Number(line.peers ?? 0),
      });
    },
    stop: () => bars.stop(),
  };
}

/** Starts the getters together; each seeds to the others until all have everything. */
async function runGetters(url: string, folders: readonly string[], children: Child[]): Promise<GetterReport[]> {
  const names = folders.map((folder) => basename(folder));
  const view = makeView(names);
  try {
    const getters = folders.map((folder, index) => {
      const args = ['get', url, '--output', folder, '--port', '0', '--seed-for', 'forever'];
      const child = new Child(MAIN, [...args, '--json', '--progress-interval', '250'], (line) => {
        if (line.type === 'progress') view.update(index, line);
      });
      children.push(child);
      return child;
    });
    const results = await Promise.all(getters.map((getter) => getter.line((line) => line.type === 'result')));
    const ends = await Promise.all(getters.map((getter) => getter.end('stopped')));
    return results.map((result, index) => ({
      name: names[index]!,
      seconds: Number(result.seconds),
      bytes: Number(result.lengthBytes),
      cpuSec: cpuOf(ends[index]!),
      peakMemoryBytes: Number(ends[index]!.peakMemoryBytes),
    }));
  } finally {
    view.stop();
  }
}

function cpuOf(line: JsonLine): number {
  return Number(line.cpuUserSec) + Number(line.cpuSystemSec);
}

async function run(plan: Plan, root: string, children: Child[]): Promise<boolean> {
  const source = plan.path ?? join(root, 'image');
  if (plan.path === null) {
    console.log(`making ${formatBytes(plan.sizeBytes)} of data in ${root}`);
    await makeData(source, plan.sizeBytes);
  }
  const original = await digest(source);
  const sharer = new Child(MAIN, ['share', source, '--http', '0', '--port', '0', '--json'], () => {});
  children.push(sharer);
  const listening = await sharer.line((line) => line.type === 'listening');
  const cores = availableParallelism();
  console.log(`sharing ${basename(source)}, ${formatBytes(original.bytes)}; ${plan.getters} getters, ${cores} cores`);

  const folders = Array.from({ length: plan.getters }, (_, index) => join(root, `getter-${index + 1}`));
  const started = performance.now();
  const reports = await runGetters(String(listening.loopbackUrl), folders, children);
  const seconds = Math.max(...reports.map((report) => report.seconds));
  const sharerEnd = await sharer.end('result');
  const total = (performance.now() - started) / 1000;

  printReports(reports, seconds, sharerEnd);
  console.log(`all processes from start to end: ${formatSeconds(total)}`);
  return checkCopies(original.hex, folders, basename(source));
}

function printReports(reports: readonly GetterReport[], seconds: number, sharer: JsonLine): void {
  const perGb = (cpuSec: number, bytes: number): string => `${(cpuSec / (bytes / 1e9)).toFixed(2)} CPU-s per GB`;
  console.log('');
  for (const { name, seconds: own, bytes, cpuSec, peakMemoryBytes } of reports) {
    const figures = [
      formatSeconds(own),
      formatRate(bytes / own),
      perGb(cpuSec, bytes),
      `peak ${formatBytes(peakMemoryBytes)}`,
    ];
    console.log(`${name.padEnd(10)} ${figures.map((figure) => figure.padStart(18)).join(' ')}`);
  }
  const bytes = reports.reduce((sum, report) => sum + report.bytes, 0);
  const cpuSec = reports.reduce((sum, report) => sum + report.cpuSec, 0) + cpuOf(sharer);
  const sent = formatBytes(Number(sharer.uploadedBytes));
  const peak = formatBytes(Number(sharer.peakMemoryBytes));
  console.log(`sharer     ${sent} sent, ${cpuOf(sharer).toFixed(2)} CPU-s (hashing included), peak ${peak}`);
  const rate = formatRate(bytes / seconds);
  console.log(`together   ${formatBytes(bytes)} in ${formatSeconds(seconds)}, ${rate}, ${perGb(cpuSec, bytes)}`);
}

async function checkCopies(wanted: string, folders: readonly string[], name: string): Promise<boolean> {
  let isGood = true;
  for (const folder of folders) {
    const copy = await digest(join(folder, name)).catch((error: unknown) => ({ hex: String(error), bytes: 0 }));
    if (copy.hex === wanted) continue;
    isGood = false;
    console.error(`demo: ${join(folder, name)} differs: ${copy.hex}, not ${wanted}`);
  }
  if (isGood) console.log(`all ${folders.length} copies are equal: SHA-256 ${wanted}`);
  return isGood;
}

if (process.argv[2] === 'depot') {
  const { depotDemo } = await import('./demo-depot.js');
  process.exitCode = await depotDemo(process.argv.slice(3));
} else {
  process.exitCode = await runDemo(async ({ children, makeRoot }) => {
    const plan = readPlan();
    const bytes = plan.path === null ? plan.sizeBytes : (await digest(plan.path)).bytes;
    const root = await makeRoot(bytes * (plan.getters + (plan.path === null ? 1 : 0)));
    return run(plan, root, children);
  });
}
