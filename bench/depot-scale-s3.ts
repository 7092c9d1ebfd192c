/**
 * `npm run bench -- depot-scale-s3 [--size 1G] [--turns 3] [--folder DIR] [--small] [--out FILE]`
 * A depot whose store is on S3, versitygw in memory, against the AWS SDK at the same server, in turns. curl is the
 * client of the depot, whose cache is so small that each get comes from S3.
 *   mbPerSec      of the whole transfer
 *   timesClient   ÷ that of the SDK in the same turn. Bar: 0.7
 * `put with digest` says beforehand what the bytes hash to: nothing need be copied in the bucket then.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { run, startChild } from '../lab/child.js';
import { missingTool } from '../lab/clients/client.js';
import { writeSeededFile } from '../lab/data.js';
import { S3_KEYS, type S3Server, startVersitygw, VERSITYGW } from '../lab/s3-server.js';
import { Scope } from '../lab/scope.js';
import { tempFolder } from '../lab/temp.js';
import { HAUL } from './support/hashing.js';
import { defaultFolder } from './support/job.js';
import { count, length } from './support/options.js';
import { Results } from './support/results.js';

const CLIENT = fileURLToPath(new URL('support/s3-client.js', import.meta.url));
const START_MS = 60_000;
const DEADLINE_MS = 300_000;

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', default: '1G' },
      turns: { type: 'string', default: '3' },
      folder: { type: 'string', default: defaultFolder() },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  return values.small ? { ...values, size: '40M', turns: '1' } : values;
}

async function startDepot(scope: Scope, data: string, server: S3Server): Promise<string> {
  const store = ['--store', server.url('depot'), '--store-cache', '64MiB'];
  const words = [HAUL, 'depot', '--data', data, '--http', '127.0.0.1:0', '--port', '0', '--json', ...store];
  const child = startChild(scope, process.execPath, words, { env: S3_KEYS });
  const line = await child.line('listening', START_MS, (text) => text.includes('"listening"'));
  return (JSON.parse(line) as { url: string }).url;
}

/** MB/s of the SDK. */
async function sdk(scope: Scope, ...words: string[]): Promise<number> {
  return Number(await run(scope, process.execPath, [CLIENT, ...words], { env: S3_KEYS, timeoutMs: DEADLINE_MS }));
}

/** MB/s. */
async function curl(scope: Scope, lengthBytes: number, ...words: string[]): Promise<number> {
  const beginMs = performance.now();
  await run(scope, 'curl', ['-sS', '--fail', '-o', '/dev/null', ...words], { timeoutMs: DEADLINE_MS });
  return lengthBytes / 1000 / (performance.now() - beginMs);
}

async function measure(scope: Scope, results: Results, folder: string, turns: number, size: number): Promise<void> {
  const file = path.join(folder, 'image.raw');
  await writeSeededFile(file, size, 'image');
  const digest = createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
  const server = await startVersitygw(scope);
  const url = await startDepot(scope, path.join(folder, 'depot'), server);
  for (let turn = 0; turn < turns; turn++) {
    const [key, artifact] = [`direct/${turn}`, `${url}/artifacts/${turn}/image.raw`];
    const add = (series: string, mbPerSec: number, client: number): void =>
      results.add({ series, turn, figures: { mbPerSec, timesClient: mbPerSec / client } });
    const put = await sdk(scope, 'put', server.endpoint, server.bucket, key, file);
    add('put', await curl(scope, size, '-T', file, artifact), put);
    const get = await sdk(scope, 'get', server.endpoint, server.bucket, key);
    add('get', await curl(scope, size, artifact), get);
    await curl(scope, size, '-X', 'DELETE', artifact);
    add('put with digest', await curl(scope, size, '-T', file, '-H', `X-Checksum-Sha256: ${digest}`, artifact), put);
    await curl(scope, size, '-X', 'DELETE', artifact);
    results.add({ series: 'SDK, put', turn, figures: { mbPerSec: put } });
    results.add({ series: 'SDK, get', turn, figures: { mbPerSec: get } });
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const values = parseOptions(argv);
  const [lengthBytes, turns] = [length('size', values.size), count('turns', values.turns)];
  const scope = new Scope();
  try {
    const results = new Results('depot-scale-s3', { argv, parameters: { lengthBytes, turns } });
    const missing = await missingTool([VERSITYGW, 'curl']);
    if (missing === null) await measure(scope, results, await tempFolder(scope, values.folder), turns, lengthBytes);
    else results.skip('depot-scale-s3', `${missing} is not installed (see docs/scale.md)`);
    await results.finish();
  } finally {
    await scope.close();
  }
}
