/**
 * `npm run bench -- depot [--size 2G] [--turns 3] [--count 10000] [--at-once 32] [--folder DIR] [--small] [--out FILE]`
 * `npm run bench -- depot --scale [--small]`: instead, depot-scale-s3, -pg, depot-peers and depot-scale-swarm.
 * The depot by HTTP on loopback, curl as its client and Debian's nginx beside it, in turns; data and depot in one
 * folder, by default in memory.
 *   put, get     MB/s of the whole curl, from its start to its end; a put is hashed and synced when it is answered
 *   timesNginx   rate of a get ÷ that of nginx with the same file in the same turn. Bar: 0.8; of a put: 400 MB/s
 *   perSec       artifacts of 5 KB put, then fetched, over so many connections at once. Bar: 500
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { run } from '../lab/child.js';
import { missingTool } from '../lab/clients/client.js';
import { writeSeededFile } from '../lab/data.js';
import { NGINX, startNginx } from '../lab/nginx.js';
import { Scope } from '../lab/scope.js';
import { tempFolder } from '../lab/temp.js';
import { defaultFolder } from './support/job.js';
import { count, length } from './support/options.js';
import { Results } from './support/results.js';

const SERVER = fileURLToPath(new URL('support/depot-server.js', import.meta.url));
const DEADLINE_MS = 300_000;
const SMALL_BYTES = 5 * 1024;

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', default: '2G' },
      turns: { type: 'string', default: '3' },
      count: { type: 'string', default: '10000' },
      'at-once': { type: 'string', default: '32' },
      folder: { type: 'string', default: defaultFolder() },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  return values.small ? { ...values, size: '8M', turns: '1', count: '100' } : values;
}

/** Its URL; ends with the scope. */
async function startDepot(scope: Scope, folder: string): Promise<string> {
  const child: ChildProcess = spawn(process.execPath, [SERVER, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  scope.defer(async () => {
    child.stdin?.end();
    await ended;
  });
  for await (const line of createInterface({ input: child.stdout! })) {
    return `http://127.0.0.1:${(JSON.parse(line) as { port: number }).port}`;
  }
  throw new Error('the depot has ended');
}

/** MB/s. */
async function curl(scope: Scope, lengthBytes: number, ...words: string[]): Promise<number> {
  const beginMs = performance.now();
  await run(scope, 'curl', ['-sS', '--fail', '-o', '/dev/null', ...words], { timeoutMs: DEADLINE_MS });
  return lengthBytes / 1000 / (performance.now() - beginMs);
}

function ask(agent: http.Agent, method: string, url: string, body: Buffer | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = body === null ? {} : { 'content-length': body.length };
    const request = http.request(url, { method, agent, headers }, (response) => {
      response.resume().once('end', () => {
        const { statusCode = 0 } = response;
        if (statusCode < 300) resolve();
        else reject(new Error(`${method} ${url}: ${statusCode}`));
      });
    });
    request.once('error', reject).end(body ?? undefined);
  });
}

/** Artifacts per second. */
async function many(method: string, url: string, total: number, atOnce: number): Promise<number> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: atOnce });
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < total) {
      const index = next++;
      const body = method === 'PUT' ? Buffer.alloc(SMALL_BYTES, `artifact ${index} `) : null;
      await ask(agent, method, `${url}/artifacts/small/${index}`, body);
    }
  };
  const beginMs = performance.now();
  await Promise.all(Array.from({ length: atOnce }, lane));
  const seconds = (performance.now() - beginMs) / 1000;
  agent.destroy();
  return total / seconds;
}

export async function main(argv: readonly string[]): Promise<void> {
  const values = parseOptions(argv);
  const [lengthBytes, turns] = [length('size', values.size), count('turns', values.turns)];
  const [total, atOnce] = [count('count', values.count), count('at-once', values['at-once'])];
  const scope = new Scope();
  try {
    const results = new Results('depot', { argv, parameters: { lengthBytes, turns, total, atOnce } });
    const missing = await missingTool([NGINX, 'curl']);
    if (missing === null) {
      const folder = await tempFolder(scope, values.folder);
      await large(scope, folder, { lengthBytes, turns }, results);
      const url = await startDepot(scope, path.join(folder, 'small'));
      for (const method of ['PUT', 'GET'])
        results.add({
          series: `${method} of 5 KB`,
          turn: 0,
          figures: { perSec: await many(method, url, total, atOnce) },
        });
    } else results.skip('depot', `${missing} is not installed (apt-get install nginx-light curl)`);
    await results.finish();
  } finally {
    await scope.close();
  }
}

interface Large {
  readonly lengthBytes: number;
  readonly turns: number;
}

async function large(scope: Scope, folder: string, { lengthBytes, turns }: Large, results: Results): Promise<void> {
  const [data, work] = [path.join(folder, 'data'), path.join(folder, 'nginx')];
  for (const made of [data, work]) await mkdir(made);
  const file = path.join(data, 'image.raw');
  await writeSeededFile(file, lengthBytes, 'image');
  const nginx = await startNginx(scope, data, work);
  const url = await startDepot(scope, path.join(folder, 'depot'));
  for (let turn = 0; turn < turns; turn++) {
    const artifact = `${url}/artifacts/${turn}/image.raw`;
    const put = await curl(scope, lengthBytes, '-T', file, artifact);
    const theirs = await curl(scope, lengthBytes, `${nginx.url}/image.raw`);
    const get = await curl(scope, lengthBytes, artifact);
    results.add({ series: 'put', turn, figures: { mbPerSec: put } });
    results.add({ series: 'get', turn, figures: { mbPerSec: get, timesNginx: get / theirs } });
    await curl(scope, lengthBytes, '-X', 'DELETE', artifact);
  }
  await rm(file);
}
