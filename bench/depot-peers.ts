/**
 * `npm run bench -- depot-peers [--seconds 5] [--turns 5] [--swarms 100] [--peers 100] [--connections 64]
 *   [--crowd 1000000] [--parts known,new] [--out FILE] [--small]`
 * Announces to the tracker of a depot that is on its own, that shares its peers by a Redis, and whose Redis was stopped
 * after its start; in turns. The tracker has one core, load and Redis have the others.
 * known: clients that announce again and again by HTTP, from `wrk`.
 *   announcesPerSec       answered. Bar: with Redis, and with Redis stopped, 0.8 × of those on its own
 *   cpuMicrosPerAnnounce  of the tracker's process
 *   timesAlone            announcesPerSec ÷ that of the same turn on its own
 * new: so many peers announce once, by UDP, to 250 swarms, each a peer to be written.
 *   settledSec            from the first announce until all are in Redis
 *   residentMiB           of the tracker's process then; redisMiB: of that of Redis
 *   droppedPeers          that were not written
 */
import { parseArgs } from 'node:util';
import { startChild } from '../lab/child.js';
import { missingTool } from '../lab/clients/client.js';
import { freePort } from '../lab/ports.js';
import { REDIS, type RedisServer, startRedis } from '../lab/redis.js';
import { Scope } from '../lab/scope.js';
import { until } from '../lab/wait.js';
import { type Cores, chooseCores, httpLoad, pinned, type Shape, udpLoad } from './support/announce-loads.js';
import { count, positive, someOf } from './support/options.js';
import { cpuSeconds, sampleProcess, usedBetween } from './support/procstat.js';
import { Results } from './support/results.js';

const TRACKER_PROCESS = new URL('./support/shared-tracker-process.js', import.meta.url).pathname;
const START_MS = 10_000;
const SETTLE_MS = 120_000;
const CROWD_SWARMS = 250;
const KINDS = ['alone', 'redis', 'redis stopped'] as const;
const PARTS = ['known', 'new'] as const;

type Kind = (typeof KINDS)[number];

interface State {
  readonly trouble?: string | null;
  readonly written?: number;
  readonly dropped?: number;
  readonly waiting?: number;
  readonly peers: number;
}

interface Running {
  readonly pid: number;
  readonly port: number;
  readonly redis: RedisServer | null;
  state(): Promise<State>;
}

function hashOf(swarm: number): string {
  return 'aa'.repeat(19) + swarm.toString(16).padStart(2, '0');
}

async function start(scope: Scope, kind: Kind, swarms: number, cores: Cores): Promise<Running> {
  const redis = kind === 'alone' ? null : await startRedis(scope, [], (words) => pinned(cores.load, words));
  const port = await freePort('127.0.0.1');
  const hashes = Array.from({ length: swarms }, (_, swarm) => hashOf(swarm));
  const words = [process.execPath, TRACKER_PROCESS, String(port), redis?.url ?? '-', ...hashes];
  const child = startChild(scope, ...pinned(cores.tracker, words));
  await child.line('ready', START_MS, (line) => line === 'ready');
  const state = async (): Promise<State> => (await (await fetch(`http://127.0.0.1:${port}/state`)).json()) as State;
  if (kind === 'redis stopped') await redis?.stop();
  const isUp = kind === 'redis';
  await until(
    'the tracker knows',
    START_MS,
    async () => kind === 'alone' || ((await state()).trouble === null) === isUp,
  );
  return { pid: child.pid, port, redis, state };
}

async function measureKnown(kind: Kind, shape: Shape, seconds: number, cores: Cores): Promise<Record<string, number>> {
  const scope = new Scope();
  try {
    const running = await start(scope, kind, shape.swarms, cores);
    const load = httpLoad('kept');
    const extent = { seconds: 1, announces: Number.POSITIVE_INFINITY };
    // The first second measures the compiler.
    await load(running.port, shape, extent, cores);
    const before = sampleProcess(running.pid);
    const done = await load(running.port, shape, { ...extent, seconds }, cores);
    const use = usedBetween(before, sampleProcess(running.pid));
    const { trouble = null, peers } = await running.state();
    if ((trouble === null) !== (kind !== 'redis stopped')) throw new Error(`${kind}: ${trouble}`);
    if (peers !== shape.swarms * shape.peers) throw new Error(`${kind}: ${peers} peers`);
    const cpuMicrosPerAnnounce = (cpuSeconds(use.process) * 1e6) / done.requests;
    return { announcesPerSec: done.requests / done.seconds, cpuMicrosPerAnnounce, ...done.figures };
  } finally {
    await scope.close();
  }
}

async function measureNew(kind: Kind, crowd: number, cores: Cores): Promise<Record<string, number>> {
  const scope = new Scope();
  try {
    const swarms = Math.min(CROWD_SWARMS, crowd);
    const shape = { swarms, peers: Math.ceil(crowd / swarms), connections: 1, sockets: 4, outstanding: 32 };
    const announces = swarms * shape.peers;
    const running = await start(scope, kind, swarms, cores);
    const began = performance.now();
    const before = sampleProcess(running.pid);
    const { seconds } = await udpLoad(running.port, shape, { seconds: 300, announces }, cores);
    const cpu = cpuSeconds(usedBetween(before, sampleProcess(running.pid)).process);
    const told = await until('all is told', SETTLE_MS, async () => {
      const state = await running.state();
      return (state.waiting ?? 0) === 0 || kind === 'redis stopped' ? state : false;
    });
    const settledSec = (performance.now() - began) / 1000;
    if (told.peers !== announces) throw new Error(`${kind}: ${told.peers} peers`);
    const residentMiB = sampleProcess(running.pid).residentBytes / 2 ** 20;
    const cpuMicrosPerAnnounce = (cpu * 1e6) / announces;
    const figures: Record<string, number> = { announcesPerSec: announces / seconds, cpuMicrosPerAnnounce, residentMiB };
    if (kind !== 'redis') return figures;
    const redisMiB = sampleProcess(running.redis!.pid).residentBytes / 2 ** 20;
    return { ...figures, redisMiB, settledSec, droppedPeers: told.dropped ?? 0 };
  } finally {
    await scope.close();
  }
}

const OPTIONS = {
  seconds: { type: 'string', default: '5' },
  turns: { type: 'string', default: '5' },
  swarms: { type: 'string', default: '100' },
  peers: { type: 'string', default: '100' },
  connections: { type: 'string', default: '64' },
  crowd: { type: 'string', default: '1000000' },
  parts: { type: 'string', multiple: true },
  out: { type: 'string' },
  small: { type: 'boolean', default: false },
} as const;

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  const { small } = values;
  const shape: Shape = {
    swarms: small ? 8 : Math.min(256, count('swarms', values.swarms)),
    peers: small ? 25 : count('peers', values.peers),
    connections: small ? 16 : count('connections', values.connections),
    sockets: 4,
    outstanding: 32,
  };
  const seconds = small ? 1 : positive('seconds', values.seconds);
  const turns = small ? 1 : count('turns', values.turns);
  const crowd = small ? 2_000 : count('crowd', values.crowd);
  const parts = someOf('parts', values.parts ?? PARTS, PARTS);
  const results = new Results('depot-peers', { argv, parameters: { ...shape, seconds, turns, crowd } });
  const cores = await chooseCores();
  const hasRedis = (await missingTool([REDIS])) === null;
  if (!hasRedis) results.skip('redis', 'not installed (apt-get install redis-server)');
  const hasWrk = (await missingTool(['wrk'])) === null;
  if (!hasWrk) results.skip('known', 'wrk is not installed (apt-get install wrk)');
  const kinds = hasRedis ? KINDS : KINDS.slice(0, 1);
  for (let turn = 0; turn < turns; turn++) {
    let alone = 0;
    for (const kind of parts.includes('known') && hasWrk ? kinds : []) {
      const figures = await measureKnown(kind, shape, seconds, cores);
      if (kind === 'alone') alone = figures.announcesPerSec!;
      const timesAlone = figures.announcesPerSec! / alone;
      results.add({ series: kind, turn, parameters: { clients: 'known' }, figures: { ...figures, timesAlone } });
    }
  }
  for (const kind of parts.includes('new') ? kinds : []) {
    const figures = await measureNew(kind, crowd, cores);
    results.add({ series: kind, turn: 0, parameters: { clients: 'new', peers: crowd }, figures });
  }
  await results.finish();
}
