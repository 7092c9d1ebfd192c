/**
 * A peer of a bench as a process: started, watched through /proc, asked to quit. Speaks the JSON lines of
 * `engine-peer`.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, type ChildOptions, startChild } from '../../lab/child.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import type { Scope } from '../../lab/scope.js';
import { cpuSeconds, type ProcessUse, resetPeak, sampleProcess, usedBetween } from './procstat.js';

export const DEADLINE_MS = 900_000;
const ENGINE_PEER = fileURLToPath(new URL('./engine-peer.js', import.meta.url));

/** Words before the role of our peer. */
export const OUR_PEER: readonly string[] = [process.execPath, ENGINE_PEER];
/** The same with another build of Node. */
export const ourPeerOn = (node: string): readonly string[] => [node, ENGINE_PEER];
export const LT_PAIR = path.join(PACKAGE_ROOT, 'bench/support/lt_pair.py');
/** libtorrent of Debian. */
export const LT_PEER: readonly string[] = ['/usr/bin/python3', LT_PAIR];

/** What the event loop of one of our peers said at its end. */
export interface LoopFigures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly gcMs: number;
  /** Peers at once, at most. */
  readonly connections: number;
}

export interface Usage extends ProcessUse {
  /** Resident above what it held when the meter was made. */
  readonly peakAboveBytes: number;
}

/** What a process uses from now on. */
export function meter(pid: number, idleBytes?: number): () => Usage {
  resetPeak(pid);
  const before = sampleProcess(pid);
  return () => {
    const use = usedBetween(before, sampleProcess(pid));
    return { ...use, peakAboveBytes: use.peakResidentBytes - (idleBytes ?? before.residentBytes) };
  };
}

export interface Side {
  readonly child: Child;
  readonly port: number;
  /** `performance.now()` when it was ready. */
  readonly readyMs: number;
  readonly idleBytes: number | undefined;
  /** Since it was ready. */
  readonly use: () => Usage;
}

const isEvent = (name: string) => (line: string) => new RegExp(`^\\{"event": ?"(${name}|error)"`).test(line);

/** Waits for an event of a peer. @throws what the peer calls an error */
export async function event(child: Child, name: string): Promise<Record<string, unknown>> {
  const line = await child.line(name, DEADLINE_MS, isEvent(name));
  const said = JSON.parse(line) as Record<string, unknown>;
  if (said.event === 'error') throw new Error(`${child.command}: ${String(said.message)}`);
  return said;
}

/** Starts a peer and waits until it is ready. */
export async function startSide(scope: Scope, words: readonly string[], options: ChildOptions = {}): Promise<Side> {
  const [command = '', ...args] = words;
  const child = startChild(scope, command, args, options);
  const said = await event(child, 'ready');
  const readyMs = performance.now();
  const idleBytes = typeof said.idleBytes === 'number' ? said.idleBytes : undefined;
  return { child, port: Number(said.port), readyMs, idleBytes, use: meter(child.pid, idleBytes) };
}

/** Ends one of our peers and returns what it says of its event loop. */
export async function quitOurs(child: Child): Promise<LoopFigures> {
  child.send('quit');
  const figures = (await event(child, 'figures')) as unknown as LoopFigures;
  await child.exited;
  return figures;
}

/** CPU and memory of one side, named by its role: leechCpuSecPerGb, leechPeakMiB … */
export function useFigures(role: 'leech' | 'seed', use: Usage, lengthBytes: number): Record<string, number> {
  const gigabytes = lengthBytes / 1e9;
  const { userSeconds, systemSeconds, voluntarySwitches, involuntarySwitches } = use.process;
  return {
    [`${role}CpuSecPerGb`]: cpuSeconds(use.process) / gigabytes,
    [`${role}UserSecPerGb`]: userSeconds / gigabytes,
    [`${role}KernelSecPerGb`]: systemSeconds / gigabytes,
    [`${role}PeakAboveIdleMiB`]: use.peakAboveBytes / 2 ** 20,
    [`${role}SwitchesPerGb`]: (voluntarySwitches + involuntarySwitches) / gigabytes,
  };
}

/** Of the main thread: only for our own peers, whose main thread is the data path. */
export function mainThreadFigures(role: 'leech' | 'seed', use: Usage, lengthBytes: number): Record<string, number> {
  const gigabytes = lengthBytes / 1e9;
  return {
    [`${role}MainUsPerBlock`]: (cpuSeconds(use.mainThread) * 1e6) / (lengthBytes / 16_384),
    [`${role}MainMinorFaultsPerGb`]: use.mainThread.minorFaults / gigabytes,
    [`${role}MainMajorFaultsPerGb`]: use.mainThread.majorFaults / gigabytes,
  };
}

export function loopFigures(role: 'leech' | 'seed', loop: LoopFigures, use: Usage): Record<string, number> {
  return {
    [`${role}LoopP50Ms`]: loop.p50Ms,
    [`${role}LoopP99Ms`]: loop.p99Ms,
    [`${role}LoopMaxMs`]: loop.maxMs,
    [`${role}GcPercent`]: (100 * loop.gcMs) / Math.max(1, cpuSeconds(use.mainThread) * 1000),
  };
}
