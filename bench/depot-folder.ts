/**
 * `npm run bench -- depot-folder [--short 2000] [--long 4] [--turns 3] [--folder DIR] [--out FILE] [--small]`
 * `haul get` of a folder of a depot on this machine: short files of 20 KB and long ones of 50 MB, one by one and by the
 * torrent of the folder, in turns.
 *   hashMs        the first request for the torrent, to its answer; the long files were hashed at PUT
 *   oneByOneSec   the command, until it ends; `--pattern '**'` has it go one by one while there is no such torrent
 *   folderSec     the same by the torrent
 */
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { startChild } from '../lab/child.js';
import { Scope } from '../lab/scope.js';
import { HAUL } from './support/hashing.js';
import { defaultFolder, removeAtEnd } from './support/job.js';
import { count, makeFolder } from './support/options.js';
import { Results } from './support/results.js';

const START_MS = 60_000;
const SHORT_BYTES = 20_000;
const LONG_BYTES = 50_000_000;
const OUTPUT_BYTES = 64 * 2 ** 20;

const run = promisify(execFile);

interface FolderOptions {
  readonly short: number;
  readonly long: number;
  readonly longBytes: number;
  readonly turns: number;
  /** Folder that is removed by who calls. */
  readonly folder: string;
}

async function haul(...words: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [HAUL, ...words, '--json'], { maxBuffer: OUTPUT_BYTES });
  return stdout;
}

async function fill(source: string, { short, long, longBytes }: FolderOptions): Promise<void> {
  await mkdir(path.join(source, 'short'), { recursive: true });
  const bytes = Buffer.alloc(Math.max(longBytes, SHORT_BYTES));
  for (let index = 0; index < long; index++)
    await writeFile(path.join(source, `long-${index}`), randomFillSync(bytes).subarray(0, longBytes));
  for (let index = 0; index < short; index++) {
    randomFillSync(bytes, 0, SHORT_BYTES);
    await writeFile(path.join(source, 'short', `${index}`), bytes.subarray(0, SHORT_BYTES));
  }
}

async function measure(scope: Scope, results: Results, options: FolderOptions): Promise<void> {
  const { short, long, turns, folder } = options;
  const [source, data] = [path.join(folder, 'source'), path.join(folder, 'data')];
  await fill(source, options);
  const words = [HAUL, 'depot', '--data', data, '--http', '127.0.0.1:0', '--port', '0', '--json'];
  const child = startChild(scope, process.execPath, words);
  const line = await child.line('listening', START_MS, (text) => text.includes('"listening"'));
  const { url } = JSON.parse(line) as { url: string };
  await haul('publish', source, '--name', 'ci/dist', '--depot', url, '--no-folder-torrent');
  const get = async (isFolder: boolean): Promise<number> => {
    const output = path.join(folder, 'output');
    const more = isFolder ? [] : ['--pattern', '**'];
    const begin = performance.now();
    const said = await haul('get', 'ci/dist', '--depot', url, '--output', output, '--port', '0', ...more);
    const seconds = (performance.now() - begin) / 1000;
    if (said.includes('"type":"folder"') !== isFolder) throw new Error(`by the torrent of the folder: ${!isFolder}`);
    await rm(output, { recursive: true });
    return seconds;
  };
  for (let turn = 0; turn < turns; turn++) {
    const oneByOneSec = await get(false);
    const begin = performance.now();
    const answer = await fetch(`${url}/artifacts/ci/dist/?info`);
    if (answer.status !== 200) throw new Error(`?info: ${answer.status} ${await answer.text()}`);
    const hashMs = performance.now() - begin;
    const folderSec = await get(true);
    results.add({ series: 'folder', turn, parameters: { short, long }, figures: { oneByOneSec, hashMs, folderSec } });
    // With another artifact the torrent is one that was never made.
    await fetch(`${url}/artifacts/ci/dist/turn-${turn}`, { method: 'PUT', body: `${turn}` });
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      short: { type: 'string' },
      long: { type: 'string' },
      turns: { type: 'string' },
      folder: { type: 'string', default: defaultFolder() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const { small } = values;
  const short = count('short', values.short ?? (small ? '20' : '2000'));
  const long = count('long', values.long ?? (small ? '1' : '4'));
  const turns = count('turns', values.turns ?? (small ? '1' : '3'));
  const scope = new Scope();
  try {
    await makeFolder(values.folder);
    const folder = await mkdtemp(path.join(values.folder, 'swarmhaul-depot-folder-'));
    removeAtEnd(scope, folder);
    const results = new Results('depot-folder', { argv, parameters: { turns } });
    await measure(scope, results, { short, long, longBytes: small ? LONG_BYTES / 10 : LONG_BYTES, turns, folder });
    await results.finish();
  } finally {
    await scope.close();
  }
}
