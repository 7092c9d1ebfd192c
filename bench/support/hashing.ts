/**
 * What `create`, `verify` and `hash` share: the inputs (one large file, a tree of many small ones), the turns, and our
 * own and foreign makers of torrents. A maker's torrent is checked against the data with our own reader, so a fast
 * wrong answer does not count.
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { missingTool } from '../../lab/clients/client.js';
import { writeTree } from '../../lab/data.js';
import { Scope } from '../../lab/scope.js';
import { createTorrent } from '../../src/content/create.js';
import { recheckFiles } from '../../src/content/recheck.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { WorkPool } from '../../src/work/port.js';
import { defaultFolder, fileSystemOf, removeAtEnd } from './job.js';
import { makeFile } from './make-file.js';
import { count, length, makeFolder, oneOf } from './options.js';
import { Results } from './results.js';
import { type Timed, timedCommand, timedHere } from './timed.js';

export const HAUL = fileURLToPath(new URL('../../src/cli/haul.cjs', import.meta.url));
const KIB = 1024;
const FILES_PER_FOLDER = 100;
/** Any URL: some makers insist on one. */
const TRACKER_URL = 'http://127.0.0.1:6969/announce';

export interface Input {
  readonly kind: 'file' | 'tree';
  readonly path: string;
  readonly lengthBytes: number;
  readonly fileCount: number;
}

export interface Outcome extends Timed {
  /** Of what came out, equal for everyone who did the same work right. */
  readonly checksum: string;
}

export interface Contender {
  readonly name: string;
  /** Program that must be installed; null for our own. */
  readonly needs: string | null;
  /** Inputs it can do. */
  readonly kinds: readonly Input['kind'][];
  run(input: Input): Promise<Outcome>;
}

export interface Bench {
  readonly input: Input;
  readonly pool: WorkPool;
  readonly pieceLengthBytes: number;
  readonly threads: number;
  /** For output files, on the file system of the input. */
  readonly workFolder: string;
}

const OPTIONS = {
  size: { type: 'string', default: '4G' },
  files: { type: 'string', default: '16384' },
  'piece-length': { type: 'string', default: '1M' },
  input: { type: 'string', default: 'both' },
  folder: { type: 'string' },
  turns: { type: 'string', default: '5' },
  threads: { type: 'string' },
  out: { type: 'string' },
  small: { type: 'boolean', default: false },
} as const;

/**
 * Lengths of 4 to 124 KiB in steps of 4 KiB, less an odd byte: 64 KiB on average, and no file ends where a page does.
 */
function treeFiles(count: number): { path: string; lengthBytes: number }[] {
  return Array.from({ length: count }, (_, index) => ({
    path: `d${Math.floor(index / FILES_PER_FOLDER)}/f${index}`,
    lengthBytes: (((index * 13) % 31) + 1) * 4 * KIB - 1,
  }));
}

async function makeInput(kind: Input['kind'], folder: string, sizeBytes: number, fileCount: number): Promise<Input> {
  const target = path.join(folder, kind);
  if (kind === 'file') {
    await makeFile(target, sizeBytes, 1);
    return { kind, path: target, lengthBytes: sizeBytes, fileCount: 1 };
  }
  const files = treeFiles(fileCount);
  await mkdir(target);
  await writeTree(target, files, 2);
  return { kind, path: target, fileCount, lengthBytes: files.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0) };
}

/** Runs the contenders in turns on each input, and writes the results. */
export async function hashingBench(
  name: string,
  argv: readonly string[],
  contenders: (bench: Bench) => Promise<readonly Contender[]>,
): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  const [sizeBytes, fileCount] = values.small
    ? [32 * 2 ** 20, 200]
    : [length('size', values.size), count('files', values.files)];
  const turns = values.small ? 1 : count('turns', values.turns);
  const threads = values.threads === undefined ? os.availableParallelism() : count('threads', values.threads);
  const pieceLengthBytes = length('piece-length', values['piece-length']);
  const wanted = oneOf('input', values.input, ['both', 'file', 'tree']);
  const parent = values.folder ?? defaultFolder();
  await makeFolder(parent);
  const scope = new Scope();
  try {
    const workFolder = await mkdtemp(path.join(parent, 'swarmhaul-bench-'));
    removeAtEnd(scope, workFolder);
    const parameters = { pieceLengthBytes, threads, turns, fileSystem: fileSystemOf(workFolder) };
    const results = new Results(name, { argv, parameters });
    const pool = createWorkPool({ threads });
    scope.defer(() => pool.close());
    const kinds = (['file', 'tree'] as const).filter((kind) => wanted === 'both' || wanted === kind);
    for (const kind of kinds) {
      const input = await makeInput(kind, workFolder, sizeBytes, fileCount);
      const bench: Bench = { input, pool, pieceLengthBytes, threads, workFolder };
      const able = (await contenders(bench)).filter((each) => each.kinds.includes(kind));
      await runInput(results, await present(results, able), input, turns, !values.small);
      await rm(input.path, { recursive: true });
    }
    await results.finish();
  } finally {
    await scope.close();
  }
}

async function present(results: Results, contenders: readonly Contender[]): Promise<Contender[]> {
  const found: Contender[] = [];
  for (const each of contenders) {
    if (each.needs === null || (await missingTool([each.needs])) === null) found.push(each);
    else results.skip(each.name, `${each.needs} is not installed`);
  }
  return found;
}

async function runInput(
  results: Results,
  contenders: readonly Contender[],
  input: Input,
  turns: number,
  warmsUp: boolean,
): Promise<void> {
  // The first run after a large file was written is not like the others.
  if (warmsUp) await contenders[0]!.run(input);
  const parameters = { input: input.kind, MiB: Math.round(input.lengthBytes / 2 ** 20), files: input.fileCount };
  const checksums = new Map<string, string>();
  for (let turn = 0; turn < turns; turn++) {
    for (const each of contenders) {
      const { seconds, cpuSeconds, checksum } = await each.run(input);
      checksums.set(each.name, checksum);
      const figures = {
        mbPerSec: input.lengthBytes / 1e6 / seconds,
        cpuSecPerGb: (cpuSeconds * 1e9) / input.lengthBytes,
        seconds,
      };
      results.add({ series: each.name, turn, parameters, figures, checksum });
    }
  }
  if (new Set(checksums.values()).size !== 1) {
    throw new Error(`${input.kind}: not the same result: ${JSON.stringify([...checksums])}`);
  }
}

/**
 * Reads a torrent and hashes the data against it, untimed. Digest of names and lengths, and of the pieces of a single
 * file: in a tree the order of files is the maker's to choose.
 */
export async function checkTorrent(torrent: Uint8Array, bench: Bench): Promise<string> {
  const metainfo = parseTorrent(torrent);
  await checkData(metainfo, bench);
  const names = metainfo.files.map(({ path: parts, lengthBytes }) => `${parts.join('/')} ${lengthBytes}\n`).sort();
  const hash = createHash('sha1').update(names.join(''));
  return (bench.input.kind === 'file' ? hash.update(metainfo.pieceHashes) : hash).digest('hex');
}

/** @throws unless the torrent is of these bytes and every piece is good. */
export async function checkData(metainfo: Metainfo, bench: Bench): Promise<void> {
  const { lengthBytes, fileCount } = bench.input;
  if (metainfo.geometry.lengthBytes !== lengthBytes || metainfo.files.length !== fileCount) {
    throw new Error(`a torrent of ${metainfo.geometry.lengthBytes} bytes in ${metainfo.files.length} files`);
  }
  const { good } = await recheckFiles(metainfo, path.dirname(bench.input.path), bench.pool);
  if (!good.isFull) throw new Error(`${metainfo.geometry.pieceCount - good.count} pieces are bad`);
}

export function libraryCreate(bench: Bench): Contender {
  return {
    name: 'createTorrent()',
    needs: null,
    kinds: ['file', 'tree'],
    async run({ path: target }) {
      const { pieceLengthBytes, pool } = bench;
      const { value, ...timed } = await timedHere(() => createTorrent(target, { pieceLengthBytes }, pool));
      return { ...timed, checksum: await checkTorrent(value, bench) };
    },
  };
}

export function commandCreate(bench: Bench): Contender {
  const { pieceLengthBytes, workFolder } = bench;
  return torrentMaker('haul create', null, bench, (target, torrent) => {
    const options = ['-o', torrent, '--piece-length', String(pieceLengthBytes), '--json'];
    return { words: [process.execPath, HAUL, 'create', target, ...options], cwd: workFolder };
  });
}

export function mktorrent(bench: Bench): Contender {
  const { pieceLengthBytes, threads, workFolder } = bench;
  return torrentMaker(`mktorrent -t ${threads}`, 'mktorrent', bench, (target, torrent) => {
    const options = ['-t', String(threads), '-l', String(Math.log2(pieceLengthBytes)), '-a', TRACKER_URL];
    return { words: ['mktorrent', ...options, '-o', torrent, target], cwd: workFolder };
  });
}

function torrentMaker(
  name: string,
  needs: string | null,
  bench: Bench,
  command: (target: string, torrent: string) => { words: string[]; cwd: string },
): Contender {
  return {
    name,
    needs,
    kinds: ['file', 'tree'],
    async run({ path: target }) {
      const torrent = path.join(bench.workFolder, 'out.torrent');
      await rm(torrent, { force: true });
      const { words, cwd } = command(target, torrent);
      const { seconds, cpuSeconds } = await timedCommand(words, cwd);
      if ((await stat(torrent)).size === 0) throw new Error(`${name}: an empty torrent`);
      return { seconds, cpuSeconds, checksum: await checkTorrent(await readFile(torrent), bench) };
    },
  };
}
