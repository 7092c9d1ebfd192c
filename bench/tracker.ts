/**
 * `npm run bench -- tracker [--seconds 8] [--turns 5] [--swarms 100] [--peers 100] [--connections 64] [--profile] [--only ours] [--small]`
 * HTTP announces of our tracker and of opentracker, each a process pinned to one core, under the same load of `wrk` on the other cores, in turns;
 * with connections that are kept and with one connection per announce (opentracker ends every connection, whatever is asked).
 *   announcesPerSec         answered; the load may be what limits it
 *   cpuMicrosPerAnnounce    user and kernel time of the tracker's process, from /proc
 *   announcesPerSecPerCore  what a core would answer if it did nothing else: 1,000,000 ÷ the line above
 * Before and after the load every swarm is scraped: both trackers must know the same seeds and leeches.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Agent } from 'undici';
import { announceHttp, SCRAPE_HASHES_MAX, scrapeHttp } from '../src/discovery/http-tracker.js';
import { type Child, run, startChild } from '../test/support/child.js';
import { missingTool } from '../test/support/clients/client.js';
import { accepts, freePort } from '../test/support/ports.js';
import { PACKAGE_ROOT } from '../test/support/root.js';
import { Scope } from '../test/support/scope.js';
import { until } from '../test/support/wait.js';
import { cpuSeconds, sampleProcess, usedBetween } from './support/procstat.js';
import { Results } from './support/results.js';

const TRACKER_PROCESS = fileURLToPath(new URL('./support/tracker-process.js', import.meta.url));
const LOAD = path.join(PACKAGE_ROOT, 'bench/support/announces.lua');
const START_MS = 10_000;
const PRIMERS = 32;
const NUMWANT = 50;

type Connections = 'kept' | 'each';

interface Shape {
  readonly swarms: number;
  readonly peers: number;
  readonly connections: number;
  readonly seconds: number;
}

interface Cores {
  /** A core number for `taskset -c`, or null where cores cannot be told apart. */
  readonly tracker: string | null;
  readonly load: string | null;
}

interface Contender {
  readonly name: string;
  start(scope: Scope, port: number, hashes: readonly string[], cores: Cores): Promise<Child>;
}

function pinned(core: string | null, words: readonly string[]): [string, string[]] {
  const [command = '', ...args] = core === null ? words : ['taskset', '-c', core, ...words];
  return [command, args];
}

function ours(profile: boolean): Contender {
  return {
    name: 'swarmhaul',
    async start(scope, port, hashes, cores) {
      const options = profile ? ['--cpu-prof', '--cpu-prof-dir', path.join(PACKAGE_ROOT, 'bench/out')] : [];
      const words = [process.execPath, ...options, TRACKER_PROCESS, String(port), ...hashes];
      const child = startChild(scope, ...pinned(cores.tracker, words));
      await child.line('ready', START_MS, (line) => line === 'ready');
      return child;
    },
  };
}

const OPENTRACKER: Contender = {
  name: 'opentracker',
  async start(scope, port, hashes, cores) {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'swarmhaul-opentracker-'));
    scope.defer(() => rm(folder, { recursive: true, force: true }));
    // As root it changes root to its folder and user to nobody, who must be able to read the list.
    await chmod(folder, 0o755);
    await writeFile(path.join(folder, 'whitelist'), hashes.map((hash) => `${hash}\n`).join(''));
    const words = ['opentracker', '-i', '127.0.0.1', '-p', String(port), '-d', folder, '-w', 'whitelist'];
    const child = startChild(scope, ...pinned(cores.tracker, words), { cwd: folder });
    const listens = async () => ((await accepts('127.0.0.1', port)) ? true : undefined);
    await until('opentracker listens', START_MS, listens);
    return child;
  },
};

function hashOf(swarm: number): string {
  return 'aa'.repeat(19) + swarm.toString(16).padStart(2, '0');
}

/** Announces every peer of every swarm once. */
async function prime(url: string, shape: Shape, dispatcher: Agent): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let k = next++; k < shape.swarms * shape.peers; k = next++) {
      const peer = Math.floor(k / shape.swarms);
      const infoHash = Buffer.from(hashOf(k % shape.swarms), 'hex');
      const peerId = Buffer.from(`-XX0001-${String(k).padStart(12, '0')}`);
      const bytes = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: peer % 5 === 0 ? 0 : 1 };
      await announceHttp(url, { infoHash, peerId, port: 10_000 + peer, numwant: 0, ...bytes }, { dispatcher });
    }
  };
  await Promise.all(Array.from({ length: PRIMERS }, worker));
}

/** Throws unless the tracker knows every peer and names as many as were asked for. Returns a digest of what it knows. */
async function check(url: string, shape: Shape, dispatcher: Agent): Promise<string> {
  const hash = createHash('sha256');
  const hashes = Array.from({ length: shape.swarms }, (_, swarm) => Buffer.from(hashOf(swarm), 'hex'));
  const seeds = Math.ceil(shape.peers / 5);
  for (let first = 0; first < hashes.length; first += SCRAPE_HASHES_MAX) {
    const group = hashes.slice(first, first + SCRAPE_HASHES_MAX);
    const entries = await scrapeHttp(url, group, { dispatcher });
    for (const infoHash of group) {
      const { complete, incomplete } = entries.get(infoHash.toString('hex')) ?? { complete: 0, incomplete: 0 };
      if (complete !== seeds || incomplete !== shape.peers - seeds) {
        throw new Error(`${url}: ${complete} seeds and ${incomplete} leeches, expected ${seeds} of ${shape.peers}`);
      }
      hash.update(`${infoHash.toString('hex')} ${complete} ${incomplete}\n`);
    }
  }
  const asker = { infoHash: hashes[0]!, peerId: Buffer.from(`-XX0001-${'1'.padStart(12, '0')}`), port: 10_001 };
  const bytes = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: 1 };
  const { peers } = await announceHttp(url, { ...asker, ...bytes, numwant: NUMWANT }, { dispatcher });
  // The asker itself may be among them: opentracker does not leave it out.
  if (peers.length < Math.min(NUMWANT, shape.peers) - 1) throw new Error(`${url}: only ${peers.length} peers`);
  return hash.digest('hex');
}

interface Load {
  readonly requests: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly refused: number;
  readonly connectErrors: number;
  readonly timeouts: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function load(url: string, shape: Shape, connections: Connections, seconds: number, cores: Cores): Promise<Load> {
  const scope = new Scope();
  try {
    const threads = cores.load === null ? 1 : cores.load.split(',').length;
    const words = ['wrk', `-t${threads}`, `-c${shape.connections}`, `-d${seconds}s`, '-s', LOAD, url];
    words.push('--', connections, String(shape.swarms), String(shape.peers));
    const text = await run(scope, ...pinned(cores.load, words), { timeoutMs: seconds * 1000 + 30_000 });
    const line = text.split('\n').find((each) => each.startsWith('{'));
    if (line === undefined) throw new Error(`wrk said:\n${text}`);
    return JSON.parse(line) as Load;
  } finally {
    await scope.close();
  }
}

async function measure(contender: Contender, shape: Shape, connections: Connections, cores: Cores, hasLoad: boolean) {
  const scope = new Scope();
  // No connection is used twice: opentracker closes them without saying so.
  const dispatcher = new Agent({ connections: PRIMERS, pipelining: 0 });
  scope.defer(() => dispatcher.destroy());
  try {
    const port = await freePort('127.0.0.1');
    const url = `http://127.0.0.1:${port}/announce`;
    const hashes = Array.from({ length: shape.swarms }, (_, swarm) => hashOf(swarm));
    const child = await contender.start(scope, port, hashes, cores);
    await prime(url, shape, dispatcher);
    const checksum = await check(url, shape, dispatcher);
    if (!hasLoad) return { checksum, figures: null };
    // The first second measures the compiler, and the allocator of the other.
    await load(url, shape, connections, 1, cores);
    const before = sampleProcess(child.pid);
    const done = await load(url, shape, connections, shape.seconds, cores);
    const use = usedBetween(before, sampleProcess(child.pid));
    if (done.refused + done.connectErrors + done.timeouts > 0) throw new Error(`wrk: ${JSON.stringify(done)}`);
    if ((await check(url, shape, dispatcher)) !== checksum)
      throw new Error(`${contender.name}: other peers afterwards`);
    const cpuMicrosPerAnnounce = (cpuSeconds(use.process) * 1e6) / done.requests;
    const figures = {
      announcesPerSec: done.requests / done.seconds,
      cpuMicrosPerAnnounce,
      announcesPerSecPerCore: 1e6 / cpuMicrosPerAnnounce,
      kernelShare: use.process.systemSeconds / cpuSeconds(use.process),
      bytesPerAnswer: done.bytes / done.requests,
      p50Ms: done.p50Ms,
      p99Ms: done.p99Ms,
      peakMiB: use.peakResidentBytes / 2 ** 20,
    };
    return { checksum, figures };
  } finally {
    await scope.close();
  }
}

/** The first core this process may use for the tracker, the others for the load. */
async function chooseCores(): Promise<Cores> {
  const none = { tracker: null, load: null };
  if ((await missingTool(['taskset'])) !== null) return none;
  const text = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const cores = text.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  return cores.length < 2 ? none : { tracker: String(cores[0]), load: cores.slice(1).join(',') };
}

const OPTIONS = {
  seconds: { type: 'string', default: '8' },
  turns: { type: 'string', default: '5' },
  swarms: { type: 'string', default: '100' },
  peers: { type: 'string', default: '100' },
  connections: { type: 'string', default: '64' },
  only: { type: 'string' },
  profile: { type: 'boolean', default: false },
  out: { type: 'string' },
  small: { type: 'boolean', default: false },
} as const;

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  const shape: Shape = values.small
    ? { swarms: 8, peers: 25, connections: 16, seconds: 1 }
    : {
        swarms: Math.min(256, Number(values.swarms)),
        peers: Number(values.peers),
        connections: Number(values.connections),
        seconds: Number(values.seconds),
      };
  const turns = values.small ? 1 : Number(values.turns);
  const cores = await chooseCores();
  const results = new Results('tracker', { argv, parameters: { ...shape, turns, isPinned: cores.tracker !== null } });
  const entrants = [ours(values.profile)];
  if (values.only !== 'ours') {
    if ((await missingTool(['opentracker'])) === null) entrants.push(OPENTRACKER);
    else results.skip('opentracker', 'not installed (apt-get install opentracker)');
  }
  const hasLoad = (await missingTool(['wrk'])) === null;
  if (!hasLoad)
    results.skip('load', 'wrk is not installed (apt-get install wrk): answers are checked, nothing is timed');
  const checksums = new Set<string>();
  for (let turn = 0; turn < turns; turn++) {
    for (const connections of ['kept', 'each'] as const) {
      for (const entrant of entrants) {
        const { checksum, figures } = await measure(entrant, shape, connections, cores, hasLoad);
        checksums.add(checksum);
        results.add({ series: entrant.name, turn, parameters: { connections }, figures: figures ?? {}, checksum });
      }
    }
  }
  if (checksums.size !== 1) throw new Error('the trackers do not know the same peers');
  await results.finish();
}
