/**
 * `npm run bench -- depot-many [--artifacts 10000] [--length 5000] [--connections 32] [--rows 10000,100000] [--turns 3]
 *   [--folder DIR] [--out FILE] [--small]`
 * Many small artifacts in a depot: published and fetched by HTTP over kept connections, listed page by page, and how
 * long a depot takes to start beside so many. The depot is a process of its own; who publishes shares the machine.
 *   putsPerSec, getsPerSec   answered, by all connections together
 *   listMs                   all of them, whole rows, in pages of 1,000 (GET /artifacts/?limit=1000 until there is no
 *                            cursor) by one client that parses each: median of 9 listings behind the first
 *   firstListMs              the first of that depot
 *   startMs                  from the process to the line that says where it listens, with so many artifacts
 *   residentMiB              of the depot then
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Agent } from 'undici';
import { type Child, startChild } from '../lab/child.js';
import { Scope } from '../lab/scope.js';
import { openCatalogueOf } from '../src/depot/open-catalogue.js';
import { Depot } from '../src/depot/publish.js';
import { catalogueIn } from '../src/depot/rebuild.js';
import { openFolderStore } from '../src/depot/store/folders.js';
import { HAUL } from './support/hashing.js';
import { defaultFolder, removeAtEnd } from './support/job.js';
import { count, counts, makeFolder } from './support/options.js';
import { sampleProcess } from './support/procstat.js';
import { Results } from './support/results.js';
import { quantile } from './support/swarm-ideal.js';

const START_MS = 60_000;
const PAGE = 1000;
const LISTINGS = 9;
/** Publishes that wait together while a folder is filled. */
const FILL_AT_ONCE = 512;

interface ManyOptions {
  /** Artifacts that go over HTTP. */
  readonly artifacts: number;
  readonly lengthBytes: number;
  readonly connections: number;
  /** Artifacts beside which a depot starts, beside those. */
  readonly rows: readonly number[];
  readonly turns: number;
  /** Folder that is removed by who calls. */
  readonly folder: string;
}

interface Running {
  readonly url: string;
  readonly startMs: number;
  readonly child: Child;
}

async function startDepot(scope: Scope, data: string): Promise<Running> {
  const begin = performance.now();
  const words = [HAUL, 'depot', '--data', data, '--http', '127.0.0.1:0', '--port', '0', '--json'];
  const child = startChild(scope, process.execPath, words);
  const line = await child.line('listening', START_MS, (text) => text.includes('"listening"'));
  return { url: (JSON.parse(line) as { url: string }).url, startMs: performance.now() - begin, child };
}

/** Runs `send` for 0 … count − 1 from so many lanes. Returns how many were done in a second. */
async function rate(count: number, lanes: number, send: (index: number) => Promise<void>): Promise<number> {
  let next = 0;
  const begin = performance.now();
  const lane = async () => {
    while (next < count) await send(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return count / ((performance.now() - begin) / 1000);
}

function nameOf(index: number): string {
  return `ci/${Math.floor(index / 100)}/part-${index}.bin`;
}

/** Different from each other, and the same in each run. */
function bytesOf(index: number, lengthBytes: number): Buffer {
  return Buffer.alloc(lengthBytes, createHash('sha256').update(`${index}`).digest());
}

async function overHttp(running: Running, options: ManyOptions): Promise<Record<string, number>> {
  const { artifacts, lengthBytes, connections } = options;
  const agent = new Agent({ connections, pipelining: 1 });
  const ask = async (method: 'GET' | 'PUT', target: string, body: Buffer | null): Promise<Buffer> => {
    const answer = await agent.request({ origin: running.url, path: target, method, body });
    const content = Buffer.from(await answer.body.arrayBuffer());
    if (answer.statusCode > 201) throw new Error(`${method} ${target}: ${answer.statusCode} ${content}`);
    return content;
  };
  try {
    const putsPerSec = await rate(artifacts, connections, async (index) => {
      await ask('PUT', `/artifacts/${nameOf(index)}`, bytesOf(index, lengthBytes));
    });
    const getsPerSec = await rate(artifacts, connections, async (index) => {
      const content = await ask('GET', `/artifacts/${nameOf(index)}`, null);
      if (!content.equals(bytesOf(index, lengthBytes))) throw new Error(`${nameOf(index)} came out otherwise`);
    });
    const listMs: number[] = [];
    const firstListMs = await listAll(ask, artifacts);
    for (let turn = 0; turn < LISTINGS; turn++) listMs.push(await listAll(ask, artifacts));
    return { putsPerSec, getsPerSec, listMs: quantile(listMs, 0.5), firstListMs };
  } finally {
    await agent.close();
  }
}

async function listAll(
  ask: (method: 'GET', target: string, body: null) => Promise<Buffer>,
  artifacts: number,
): Promise<number> {
  const begin = performance.now();
  let found = 0;
  let cursor: string | null = null;
  do {
    const more = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page = JSON.parse(String(await ask('GET', `/artifacts/?limit=${PAGE}${more}`, null)));
    found += (page as { items: unknown[] }).items.length;
    cursor = (page as { cursor: string | null }).cursor;
  } while (cursor !== null);
  if (found !== artifacts) throw new Error(`${found} artifacts were listed, not ${artifacts}`);
  return performance.now() - begin;
}

/** So many artifacts of 100 bytes are there then. */
export async function fill(data: string, rows: number): Promise<void> {
  const store = await openFolderStore({ folder: data });
  const catalogue = await openCatalogueOf(store, catalogueIn(data));
  const depot = new Depot({ store, catalogue });
  const { names } = await catalogue.counts();
  const publish = async (index: number) => {
    const bytes = bytesOf(names + index, 100);
    await depot.publish({
      name: `artifacts/fill/${nameOf(names + index)}`,
      lengthBytes: bytes.length,
      sha256: null,
      contentType: null,
      retentionDays: 30,
      overwrite: true,
      onlyIfNew: false,
      body: (async function* () {
        yield bytes;
      })(),
      signal: new AbortController().signal,
    });
  };
  await rate(rows - names, FILL_AT_ONCE, publish);
  await depot.close();
  await catalogue.close();
  await store.close();
}

async function start(data: string): Promise<Record<string, number>> {
  const scope = new Scope();
  try {
    const { startMs, child } = await startDepot(scope, data);
    return { startMs, residentMiB: sampleProcess(child.pid).residentBytes / 2 ** 20 };
  } finally {
    await scope.close();
  }
}

async function measure(results: Results, options: ManyOptions): Promise<void> {
  const { artifacts, lengthBytes, connections, turns, folder } = options;
  for (let turn = 0; turn < turns; turn++) {
    const data = path.join(folder, `http-${turn}`);
    await mkdir(data, { recursive: true });
    const scope = new Scope();
    try {
      const figures = await overHttp(await startDepot(scope, data), options);
      results.add({ series: 'small artifacts', turn, parameters: { artifacts, lengthBytes, connections }, figures });
    } finally {
      await scope.close();
    }
  }
  const data = path.join(folder, 'filled');
  for (const rows of [0, ...options.rows]) {
    await fill(data, rows);
    for (let turn = 0; turn < turns; turn++) {
      results.add({ series: 'start', turn, parameters: { artifacts: rows }, figures: await start(data) });
    }
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      artifacts: { type: 'string' },
      length: { type: 'string', default: '5000' },
      connections: { type: 'string', default: '32' },
      rows: { type: 'string' },
      turns: { type: 'string' },
      folder: { type: 'string', default: defaultFolder() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const { small } = values;
  const artifacts = count('artifacts', values.artifacts ?? (small ? '50' : '10000'));
  const lengthBytes = count('length', values.length);
  const connections = count('connections', values.connections);
  const rows = counts('rows', values.rows ?? (small ? '50' : '10000,100000'));
  const turns = count('turns', values.turns ?? (small ? '1' : '3'));
  const scope = new Scope();
  try {
    await makeFolder(values.folder);
    const folder = await mkdtemp(path.join(values.folder, 'swarmhaul-depot-many-'));
    removeAtEnd(scope, folder);
    const results = new Results('depot-many', { argv, parameters: { turns } });
    await measure(results, { artifacts, lengthBytes, connections, rows, turns, folder });
    await results.finish();
  } finally {
    await scope.close();
  }
}
