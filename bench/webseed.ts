/**
 * `npm run bench -- webseed [--size 1G] [--piece-length 1M] [--turns 5] [--folder DIR] [--small] [--out FILE]`
 * One file from Debian's nginx on loopback, in turns: `haul get` of a torrent without trackers and peers, with the URL
 * as its web seed; and `curl -o`, then `sha1sum` of the copy, which together give what `haul get` gives. The data and
 * the copies are in one folder, by default in memory. Every copy is compared with the original.
 *   seconds      the whole program, or both, from before the start to the end
 *   cpuSec       user and kernel of them, all threads; not of nginx
 *   timesCurl    seconds ÷ those of curl and sha1sum in the same turn. Bar: 1.15
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../lab/child.js';
import { missingTool } from '../lab/clients/client.js';
import { NGINX, startNginx } from '../lab/nginx.js';
import { Scope } from '../lab/scope.js';
import { watchEndedChildren } from './support/children-use.js';
import { checkCopy, defaultFolder, FILE_NAME, type Job, makeJobs, outputFolder } from './support/job.js';
import { count, length } from './support/options.js';
import { cpuSeconds } from './support/procstat.js';
import { Results } from './support/results.js';
import { HAUL } from './support/rivals/haul.js';

const DEADLINE_MS = 300_000;
const OURS = 'haul get';
const CURL = 'curl -o, sha1sum';

interface Timed {
  readonly seconds: number;
  readonly cpuSec: number;
  readonly checksum: string;
}

/** One copy. @param commands of a copy at this path, one after the other */
async function timed(name: string, job: Job, commands: (folder: string, copy: string) => string[][]): Promise<Timed> {
  const scope = new Scope();
  const output = await outputFolder(job);
  try {
    const used = watchEndedChildren();
    const beginMs = performance.now();
    for (const [command = '', ...words] of commands(output.folder, output.copy))
      await run(scope, command, words, { timeoutMs: DEADLINE_MS });
    const seconds = (performance.now() - beginMs) / 1000;
    return { seconds, cpuSec: cpuSeconds(used()), checksum: await checkCopy(name, output.copy, job) };
  } finally {
    await output.remove();
    await scope.close();
  }
}

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', default: '1G' },
      'piece-length': { type: 'string', default: '1M' },
      turns: { type: 'string', default: '5' },
      folder: { type: 'string', default: defaultFolder() },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  return values.small ? { ...values, size: '4M', 'piece-length': '256K', turns: '1' } : values;
}

export async function main(argv: readonly string[]): Promise<void> {
  const values = parseOptions(argv);
  const [lengthBytes, turns] = [length('size', values.size), count('turns', values.turns)];
  const pieceLengths = [length('piece-length', values['piece-length'])];
  const scope = new Scope();
  try {
    const [job] = await makeJobs(scope, { folder: values.folder, lengthBytes, pieceLengths });
    const parameters = { lengthBytes, pieceLengthBytes: pieceLengths[0]!, fileSystem: job!.fileSystem, turns };
    const results = new Results('webseed', { argv, parameters });
    const missing = await missingTool([NGINX, 'curl', 'sha1sum']);
    if (missing === null) await compare(scope, job!, turns, results);
    else results.skip('web server', `${missing} is not installed (apt-get install nginx-light curl)`);
    await results.finish();
  } finally {
    await scope.close();
  }
}

async function compare(scope: Scope, job: Job, turns: number, results: Results): Promise<void> {
  const workFolder = path.join(job.workFolder, 'nginx');
  await mkdir(workFolder);
  const nginx = await startNginx(scope, job.dataFolder, workFolder);
  const url = `${nginx.url}/${FILE_NAME}`;
  for (let turn = 0; turn < turns; turn++) {
    const curl = await timed(CURL, job, (_folder, copy) => [
      ['curl', '-sS', '--fail', '-o', copy, url],
      ['sha1sum', copy],
    ]);
    const ours = await timed(OURS, job, (folder) => [
      [...HAUL, 'get', job.torrent, '--output', folder, '--port', '0', '--web-seed', url, '--json'],
    ]);
    for (const [series, { checksum, ...figures }] of [
      [CURL, curl],
      [OURS, ours],
    ] as const) {
      const timesCurl = figures.seconds / curl.seconds;
      results.add({ series, turn, figures: { ...figures, timesCurl }, checksum });
    }
  }
}
