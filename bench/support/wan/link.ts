/**
 * Two network namespaces with a slow, long or bad link between them. This is a program of ours (`link.c`, compiled by
 * `cc` when it is needed), for few kernels have netem and none has it repeatable. Needs Linux, root, iproute2, a C
 * compiler and /dev/net/tun.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { startChild } from '../../../lab/child.js';
import { missingTool } from '../../../lab/clients/client.js';
import { namespacesMissing, newNamespace } from '../../../lab/namespace.js';
import { PACKAGE_ROOT } from '../../../lab/root.js';
import type { Scope } from '../../../lab/scope.js';
import { until } from '../../../lab/wait.js';

const exec = promisify(execFile);
const SOURCE = path.join(PACKAGE_ROOT, 'bench/support/wan/link.c');
const DEVICE = 'wan0';
const MTU_BYTES = 1500;
/** In front of our program: it takes what comes at once, and drops by its own rule. */
const DEVICE_QUEUE_PACKETS = 10_000;
const MIN_QUEUE_BYTES = 64 * 1024;
const CONGESTION = 'net/ipv4/tcp_congestion_control';
const READY_MS = 10_000;

export interface LinkShape {
  /** There and back, without what waits in the queue. */
  readonly rttMs: number;
  /** 10^6 bits a second, each way. */
  readonly mbit: number;
  /** Of the packets, each way. */
  readonly lossPercent: number;
  readonly latePercent: number;
  /** How much later than the others those come. */
  readonly lateMs: number;
}

/** One end of the link: a namespace and its address. */
export interface End {
  readonly name: string;
  readonly address: string;
}

interface Way {
  readonly passed: number;
  readonly lost: number;
  readonly dropped: number;
  readonly late: number;
  readonly worstMs: number;
  readonly meanQueueMs: number;
  /** When the first and the last full packet came out, by the clock of `process.hrtime`; 0: none did. */
  readonly dataFirstMs: number;
  readonly dataLastMs: number;
  /** The longest time between two full packets. */
  readonly dataGapMs: number;
}

/** What the link says of itself at its end; the first way is from `ends[0]`. */
export interface LinkReport {
  readonly cpuSec: number;
  /** When the first packet came, by the clock of `process.hrtime`. */
  readonly firstMs: number;
  readonly ways: readonly [Way, Way];
}

export interface WanLink {
  readonly ends: readonly [End, End];
  /** Ends it; to be asked for when nobody uses it any more. */
  report(): Promise<LinkReport>;
}

/** Why there can be no link here, or null. */
export async function linkMissing(): Promise<string | null> {
  const namespaces = await namespacesMissing();
  if (namespaces !== null) return namespaces;
  const tool = await missingTool(['cc', 'ip']);
  if (tool !== null) return `${tool} is not installed`;
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return `/dev/net/tun: ${(error as Error).message}`;
  }
}

/** Compiles the program. @param folder receives it. Returns its path. */
export async function compileLink(folder: string): Promise<string> {
  const program = path.join(folder, 'wan-link');
  await exec('cc', ['-O2', '-o', program, SOURCE]);
  return program;
}

/** As much as fits into the link waits in front of it: what routers are made for. */
function queueBytes({ rttMs, mbit }: LinkShape): number {
  return Math.max(MIN_QUEUE_BYTES, (mbit * 1e6 * rttMs) / 8000);
}

async function setUp(end: End, congestion: string | undefined): Promise<void> {
  const device = ['-n', end.name, 'link', 'set', DEVICE];
  // Its questions after routers would be packets at any time, and so every run another one.
  await write(end, 'net/ipv6/conf/wan0/disable_ipv6', '1').catch(() => {});
  await exec('ip', ['-n', end.name, 'addr', 'add', `${end.address}/30`, 'dev', DEVICE]);
  await exec('ip', [...device, 'mtu', String(MTU_BYTES), 'txqueuelen', String(DEVICE_QUEUE_PACKETS), 'up']);
  if (congestion !== undefined) await write(end, CONGESTION, congestion);
}

async function write(end: End, setting: string, value: string): Promise<void> {
  await exec('ip', ['netns', 'exec', end.name, 'sh', '-c', `echo ${value} > /proc/sys/${setting}`]);
}

/**
 * @param program from `compileLink`
 * @param options seed: of the dice. congestion: a name that the kernel knows; default: the kernel's choice
 */
export async function openLink(
  scope: Scope,
  program: string,
  shape: LinkShape,
  options: { readonly seed: number; readonly congestion?: string | undefined },
): Promise<WanLink> {
  const ends = [
    { name: await newNamespace(scope), address: '10.79.0.1' },
    { name: await newNamespace(scope), address: '10.79.0.2' },
  ] as const;
  const words = {
    'delay-us': (shape.rttMs * 1000) / 2,
    mbit: shape.mbit,
    'queue-kib': queueBytes(shape) / 1024,
    loss: shape.lossPercent * 10_000,
    late: shape.latePercent * 10_000,
    'late-us': shape.lateMs * 1000,
    seed: options.seed,
  };
  const args = Object.entries(words).map(([name, value]) => `${name}=${value}`);
  const child = startChild(scope, program, [ends[0].name, ends[1].name, ...args]);
  await child.line('the link is made', READY_MS, (line) => line === 'ready');
  for (const end of ends) await setUp(end, options.congestion);
  const report = async (): Promise<LinkReport> => {
    child.send('quit');
    return JSON.parse(await child.line('its report', READY_MS, (line) => line.startsWith('{'))) as LinkReport;
  };
  return { ends, report };
}

/** The congestion control of programs that ask for none. */
export async function congestionOf(end: End): Promise<string> {
  const { stdout } = await exec('ip', ['netns', 'exec', end.name, 'cat', '/proc/sys/net/ipv4/tcp_congestion_control']);
  return stdout.trim();
}

/** Resolves when somebody in the namespace takes TCP connections at the port. */
export async function listens(what: string, end: End, port: number): Promise<void> {
  const words = ['netns', 'exec', end.name, 'ss', '-Hltn', `sport = :${port}`];
  await until(`${what} listens`, READY_MS, async () => (await exec('ip', words)).stdout !== '');
}
