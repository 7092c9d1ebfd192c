/**
 * `npm run bench -- tracker [--seconds 8] [--turns 5] [--swarms 100] [--peers 100] [--connections 64] [--sockets 4]
 *   [--outstanding 32] [--parts http,udp,memory] [--profile] [--only ours] [--small]`
 * Announces to our tracker and to opentracker, each a process pinned to one core, under the same load on the other
 * cores, in turns. HTTP by `wrk`: with connections that are kept and with one connection per announce (opentracker ends
 * every connection, whatever is asked). UDP (BEP 15) by udp-load: so many sockets, each with so many announces
 * outstanding; one without an answer for 500 ms is lost and sent again.
 *   announcesPerSec          answered; the load may be what limits it
 *   cpuMicrosPerAnnounce     user and kernel time of the tracker's process, from /proc
 *   announcesPerSecPerCore   what a core would answer if it did nothing else: 1,000,000 ÷ the line above
 *   lostPercent              UDP: time-outs, of all announces sent
 *   loadCpuMicrosPerAnnounce UDP: of the load's process. Above cpuMicrosPerAnnounce the load is the slower of the two,
 *                            and announcesPerSec is its own
 * memory: a million peers announce once, by UDP, to 250 swarms of 4,000 (opentracker and ours).
 *   residentMiB              of the tracker's process, with all of them
 *   bytesPerPeer             what they added to it
 * Before and after the load every swarm is scraped: both trackers must know the same seeds and leeches.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Agent } from 'undici';
import { type Child, startChild } from '../lab/child.js';
import { missingTool } from '../lab/clients/client.js';
import { accepts, freePort } from '../lab/ports.js';
import { Scope } from '../lab/scope.js';
import { until } from '../lab/wait.js';
import { announceHttp, SCRAPE_HASHES_MAX, scrapeHttp } from '../src/discovery/http-tracker.js';
import {
  type Cores,
  chooseCores,
  httpLoad,
  type LoadRun,
  pinned,
  type Shape,
  udpLoad,
} from './support/announce-loads.js';
import { count, positive, someOf } from './support/options.js';
import { OUT_FOLDER } from './support/place.js';
import { cpuSeconds, sampleProcess, type ThreadUse, usedBetween } from './support/procstat.js';
import { Results } from './support/results.js';

const TRACKER_PROCESS = fileURLToPath(new URL('./support/tracker-process.js', import.meta.url));
const START_MS = 10_000;
const PRIMERS = 32;
const NUMWANT = 50;
const SMALL_ANNOUNCES = 200;
const CROWD = { swarms: 250, peers: 4_000 };
const CROWD_SECONDS_MAX = 300;

interface Contender {
  readonly name: string;
  /** On this port, of TCP and of UDP. */
  start(scope: Scope, port: number, hashes: readonly string[], cores: Cores): Promise<Child>;
}

function ours(profile: boolean): Contender {
  return {
    name: 'swarmhaul',
    async start(scope, port, hashes, cores) {
      const options = profile ? ['--cpu-prof', '--cpu-prof-dir', OUT_FOLDER] : [];
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
    const words = ['opentracker', '-i', '127.0.0.1', '-p', String(port), '-P', String(port)];
    words.push('-d', folder, '-w', 'whitelist');
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

/**
 * Throws unless the tracker knows every peer and names as many as were asked for. Returns a digest of what it knows.
 */
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

/** A load, or why there is none. */
interface Part {
  readonly parameters: Readonly<Record<string, string | number>>;
  readonly load: LoadRun | null;
}

interface Run {
  readonly shape: Shape;
  readonly seconds: number;
  readonly announces: number;
  readonly cores: Cores;
}

/** Of a run too short for the clock of /proc, 10 ms, nothing is said about CPU. */
function cpuFigures(use: ThreadUse, requests: number): Record<string, number> {
  const seconds = cpuSeconds(use);
  if (seconds === 0) return {};
  return {
    cpuMicrosPerAnnounce: (seconds * 1e6) / requests,
    announcesPerSecPerCore: requests / seconds,
    kernelShare: use.systemSeconds / seconds,
  };
}

async function figuresOf(child: Child, port: number, load: LoadRun, { shape, cores, ...extent }: Run) {
  // The first second measures the compiler, and the allocator of the other.
  await load(port, shape, { ...extent, seconds: 1 }, cores);
  const before = sampleProcess(child.pid);
  const done = await load(port, shape, extent, cores);
  const use = usedBetween(before, sampleProcess(child.pid));
  return {
    announcesPerSec: done.requests / done.seconds,
    ...cpuFigures(use.process, done.requests),
    bytesPerAnswer: done.bytes / done.requests,
    ...done.figures,
    peakMiB: use.peakResidentBytes / 2 ** 20,
  };
}

async function measure(contender: Contender, load: LoadRun | null, run: Run) {
  const scope = new Scope();
  const { shape, cores } = run;
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
    if (load === null) return { checksum, figures: {} };
    const figures = await figuresOf(child, port, load, run);
    if ((await check(url, shape, dispatcher)) !== checksum)
      throw new Error(`${contender.name}: other peers afterwards`);
    return { checksum, figures };
  } finally {
    await scope.close();
  }
}

/** A tracker that every peer of many has announced to. */
async function measureMemory(contender: Contender, run: Run) {
  const scope = new Scope();
  const { shape, cores } = run;
  const dispatcher = new Agent({ connections: 1, pipelining: 0 });
  scope.defer(() => dispatcher.destroy());
  try {
    const port = await freePort('127.0.0.1');
    const hashes = Array.from({ length: shape.swarms }, (_, swarm) => hashOf(swarm));
    const child = await contender.start(scope, port, hashes, cores);
    // So that what compiled code takes is there before.
    await udpLoad(port, { ...shape, swarms: 1, peers: Math.min(100, shape.peers) }, { ...run, seconds: 1 }, cores);
    const before = sampleProcess(child.pid);
    const announces = shape.swarms * shape.peers;
    const { seconds } = await udpLoad(port, shape, { seconds: CROWD_SECONDS_MAX, announces }, cores);
    const { residentBytes } = sampleProcess(child.pid);
    const figures = {
      announcesPerSec: announces / seconds,
      residentMiB: residentBytes / 2 ** 20,
      // Of a few it would be of what the process takes anyway.
      ...(announces < 100_000 ? {} : { bytesPerPeer: (residentBytes - before.residentBytes) / announces }),
    };
    return { checksum: await check(`http://127.0.0.1:${port}/announce`, shape, dispatcher), figures };
  } finally {
    await scope.close();
  }
}

/** Loads by name; null where the tool for it is missing. */
async function chooseParts(names: readonly string[], shape: Shape, results: Results): Promise<Part[]> {
  const parts: Part[] = [];
  if (names.includes('http')) {
    const hasWrk = (await missingTool(['wrk'])) === null;
    if (!hasWrk)
      results.skip('load', 'wrk is not installed (apt-get install wrk): answers are checked, nothing is timed');
    for (const connections of ['kept', 'each'] as const)
      parts.push({ parameters: { connections }, load: hasWrk ? httpLoad(connections) : null });
  }
  const { sockets, outstanding } = shape;
  if (names.includes('udp')) parts.push({ parameters: { protocol: 'udp', sockets, outstanding }, load: udpLoad });
  return parts;
}

const PARTS = ['http', 'udp', 'memory'] as const;

const OPTIONS = {
  seconds: { type: 'string', default: '8' },
  turns: { type: 'string', default: '5' },
  swarms: { type: 'string', default: '100' },
  peers: { type: 'string', default: '100' },
  connections: { type: 'string', default: '64' },
  sockets: { type: 'string', default: '4' },
  outstanding: { type: 'string', default: '32' },
  parts: { type: 'string', multiple: true },
  only: { type: 'string' },
  profile: { type: 'boolean', default: false },
  out: { type: 'string' },
  small: { type: 'boolean', default: false },
} as const;

async function addMemory(results: Results, entrants: readonly Contender[], run: Run): Promise<void> {
  const { swarms, peers } = run.shape;
  for (const entrant of entrants) {
    const { checksum, figures } = await measureMemory(entrant, run);
    results.add({ series: entrant.name, turn: 0, parameters: { peers: swarms * peers }, figures, checksum });
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  const wide = {
    swarms: Math.min(256, count('swarms', values.swarms)),
    peers: count('peers', values.peers),
    connections: count('connections', values.connections),
  };
  const crowd = values.small ? { swarms: 8, peers: 25 } : CROWD;
  const small = { swarms: 8, peers: 25, connections: 16 };
  const shape: Shape = {
    ...(values.small ? small : wide),
    sockets: count('sockets', values.sockets),
    outstanding: count('outstanding', values.outstanding),
  };
  const seconds = values.small ? 1 : positive('seconds', values.seconds);
  const turns = values.small ? 1 : count('turns', values.turns);
  const cores = await chooseCores();
  const run: Run = { shape, seconds, announces: values.small ? SMALL_ANNOUNCES : Number.POSITIVE_INFINITY, cores };
  const parameters = { ...shape, seconds, turns, isPinned: cores.tracker !== null };
  const results = new Results('tracker', { argv, parameters });
  const names = someOf('parts', values.parts ?? PARTS, PARTS);
  const parts = await chooseParts(names, shape, results);
  const entrants = [ours(values.profile)];
  if (values.only !== 'ours') {
    if ((await missingTool(['opentracker'])) === null) entrants.push(OPENTRACKER);
    else results.skip('opentracker', 'not installed (apt-get install opentracker)');
  }
  const checksums = new Set<string>();
  for (let turn = 0; turn < turns; turn++) {
    for (const part of parts) {
      for (const entrant of entrants) {
        const { checksum, figures } = await measure(entrant, part.load, run);
        checksums.add(checksum);
        results.add({ series: entrant.name, turn, parameters: part.parameters, figures, checksum });
      }
    }
  }
  if (checksums.size > 1) throw new Error('the trackers do not know the same peers');
  if (names.includes('memory')) await addMemory(results, entrants, { ...run, shape: { ...shape, ...crowd } });
  await results.finish();
}
