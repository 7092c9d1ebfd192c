/**
 * The search: random swarms with faults, one per seed, each to its end with every invariant checked after every event.
 */
import type { PieceIndex } from '../src/metainfo/geometry.js';
import type { Host } from './host.js';
import { type SearchSpec, searchSpec } from './search-spec.js';
import type { Canary } from './spec.js';
import { SimFailure, Swarm } from './swarm.js';

export interface SearchRun {
  readonly seed: number;
  readonly events: number;
  readonly eventHash: string;
  readonly virtualSeconds: number;
  /** Null: everything is as it must be. */
  readonly failure: string | null;
}

/** Runs the swarm of a seed. */
export async function runSeed(seed: number, canary?: Canary): Promise<SearchRun> {
  const spec = searchSpec(seed, canary);
  const swarm = new Swarm(spec.swarm);
  plan(swarm, spec);
  const failure = await failureOf(swarm, spec);
  const { count, hash, nowMs } = swarm.events;
  return { seed, events: count, eventHash: hash, virtualSeconds: nowMs / 1000, failure };
}

async function failureOf(swarm: Swarm, spec: SearchSpec): Promise<string | null> {
  const expected = swarm.hosts.filter((host) => mustFinish(host, spec));
  const lastChangeMs = spec.changes.at(-1)?.atMs ?? 0;
  try {
    await swarm.runUntil(() => expected.every(({ isDone }) => isDone) && swarm.events.nowMs >= lastChangeMs);
    checkBans(swarm);
    return null;
  } catch (error) {
    if (error instanceof SimFailure) return error.message;
    throw error;
  }
}

/** Those who stay and whom nobody has a reason to avoid. */
function mustFinish(host: Host, { leaves }: SearchSpec): boolean {
  return host.manner !== 'corrupt' && !leaves.has(host.id);
}

function plan(swarm: Swarm, spec: SearchSpec): void {
  for (const [id, leaveMs] of spec.leaves) swarm.events.callAt(leaveMs, () => swarm.leave(swarm.hosts[id]!));
  for (const { atMs, host, piece, priority } of spec.changes) {
    swarm.events.callAt(atMs, () => swarm.hosts[host]!.setPriority(piece as PieceIndex, priority));
  }
  if (spec.isSeedRemoved) watchFirstCopy(swarm, spec);
}

/** Looks every second whether the seed may go. */
function watchFirstCopy(swarm: Swarm, spec: SearchSpec): void {
  const staying = swarm.hosts.filter((host) => host.id !== 0 && isSource(host, spec));
  const look = (): void => {
    if (isCovered(swarm, staying)) swarm.leave(swarm.hosts[0]!);
    else swarm.events.callAt(swarm.events.nowMs + 1000, look);
  };
  swarm.events.callAt(0, look);
}

function isSource(host: Host, { leaves }: SearchSpec): boolean {
  return host.manner === 'good' && host.spec.uploadSlots !== 0 && !leaves.has(host.id);
}

function isCovered(swarm: Swarm, hosts: readonly Host[]): boolean {
  for (let piece = 0; piece < swarm.geometry.pieceCount; piece++) {
    if (!hosts.some((host) => host.isAlive && host.have.has(piece))) return false;
  }
  return true;
}

/** Whoever is banned has sent something bad. @throws SimFailure */
function checkBans(swarm: Swarm): void {
  for (const host of swarm.hosts) {
    for (const id of host.banned) {
      if (swarm.hosts[id]!.manner !== 'corrupt')
        throw swarm.failure(`host ${host.id} has banned host ${id}, who is innocent`);
    }
  }
}

/** The swarm of a seed in lines, for whoever looks into a failure. */
export function describeSpec(seed: number): string {
  const { swarm, leaves, changes, isSeedRemoved } = searchSpec(seed);
  const { hosts, seed: _, isChecked: __, limitMs: ___, stillMs: ____, ...rest } = swarm;
  const lines = hosts.map((host, id) => {
    const leaveMs = leaves.get(id) ?? (id === 0 && isSeedRemoved ? 'first copy' : 'never');
    return `  host ${id} ${JSON.stringify(host, finite)}, leaves: ${leaveMs}\n`;
  });
  const minds = changes.length === 0 ? '' : `  ${JSON.stringify(changes)}\n`;
  return `  ${JSON.stringify(rest)}\n${lines.join('')}${minds}`;
}

function finite(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? 'unlimited' : value;
}
