/**
 * The loads of the tracker bench, each a process of its own on the cores that the tracker does not have: `wrk` for
 * HTTP, udp-load for BEP 15.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../../lab/child.js';
import { missingTool } from '../../lab/clients/client.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { Scope } from '../../lab/scope.js';

const HTTP_LOAD = path.join(PACKAGE_ROOT, 'bench/support/announces.lua');
const UDP_LOAD = fileURLToPath(new URL('./udp-load.js', import.meta.url));
const GRACE_MS = 30_000;

export interface Cores {
  /** A core number for `taskset -c`, or null where cores cannot be told apart. */
  readonly tracker: string | null;
  readonly load: string | null;
}

/** The first core this process may use for the tracker, the others for the load. */
export async function chooseCores(): Promise<Cores> {
  const none = { tracker: null, load: null };
  if ((await missingTool(['taskset'])) !== null) return none;
  const text = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const cores = text.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  return cores.length < 2 ? none : { tracker: String(cores[0]), load: cores.slice(1).join(',') };
}

export function pinned(core: string | null, words: readonly string[]): [string, string[]] {
  const [command = '', ...args] = core === null ? words : ['taskset', '-c', core, ...words];
  return [command, args];
}

/** Whom to announce, and with how much at once. */
export interface Shape {
  readonly swarms: number;
  readonly peers: number;
  /** Of HTTP. */
  readonly connections: number;
  /** Of UDP, with so many announces under way on each. */
  readonly sockets: number;
  readonly outstanding: number;
}

export interface Load {
  /** Announces that were answered. */
  readonly requests: number;
  readonly seconds: number;
  readonly bytes: number;
  /** Of this load alone, besides what every load has. */
  readonly figures: Readonly<Record<string, number>>;
}

/** How long: seconds, or at most so many announces where the load can count them. */
export interface Extent {
  readonly seconds: number;
  readonly announces: number;
}

export type LoadRun = (port: number, shape: Shape, extent: Extent, cores: Cores) => Promise<Load>;

/** The one line of JSON that a load prints. */
async function outcome(core: string | null, words: readonly string[], seconds: number): Promise<unknown> {
  const scope = new Scope();
  try {
    const text = await run(scope, ...pinned(core, words), { timeoutMs: seconds * 1000 + GRACE_MS });
    const line = text.split('\n').find((each) => each.startsWith('{'));
    if (line === undefined) throw new Error(`${words[0]} said:\n${text}`);
    return JSON.parse(line);
  } finally {
    await scope.close();
  }
}

interface WrkOutcome {
  readonly requests: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly refused: number;
  readonly connectErrors: number;
  readonly timeouts: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function httpLoad(connections: 'kept' | 'each'): LoadRun {
  return async (port, shape, { seconds }, cores) => {
    const threads = cores.load === null ? 1 : cores.load.split(',').length;
    const words = ['wrk', `-t${threads}`, `-c${shape.connections}`, `-d${seconds}s`, '-s', HTTP_LOAD];
    words.push(`http://127.0.0.1:${port}/announce`, '--', connections, String(shape.swarms), String(shape.peers));
    const done = (await outcome(cores.load, words, seconds)) as WrkOutcome;
    if (done.refused + done.connectErrors + done.timeouts > 0) throw new Error(`wrk: ${JSON.stringify(done)}`);
    const { requests, bytes, p50Ms, p99Ms } = done;
    return { requests, seconds: done.seconds, bytes, figures: { p50Ms, p99Ms } };
  };
}

interface UdpOutcome {
  readonly answered: number;
  readonly lost: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

export const udpLoad: LoadRun = async (port, shape, { seconds, announces }, cores) => {
  const { swarms, peers, sockets, outstanding } = shape;
  const numbers = { port, swarms, peers, sockets, outstanding, seconds, announces };
  const words = Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const done = (await outcome(cores.load, [process.execPath, UDP_LOAD, ...words], seconds)) as UdpOutcome;
  const figures = {
    lostPercent: (100 * done.lost) / (done.answered + done.lost),
    loadCpuMicrosPerAnnounce: (done.cpuSeconds * 1e6) / done.answered,
  };
  return { requests: done.answered, seconds: done.seconds, bytes: done.bytes, figures };
};
