/** What the scenarios share: units, the machine every host is, and a run that ends in time. */
import type { Host } from '../host.js';
import { atLeast, type Check, type ScenarioOptions } from '../scenario.js';
import type { SwarmSpec } from '../spec.js';
import { Swarm } from '../swarm.js';

export const KIB = 1024;
export const MIB = 1024 ** 2;
/** Bytes a second of 1 Mbit/s. */
export const MBIT = 125_000;

/** SHA-1 in one worker, and making a range present: what ARCHITECTURE.md's machine does. Bytes a millisecond. */
const HASH_RATE = 1.8e6;
const OPEN_RATE = 4e6;

/** What opening and hashing a piece costs on every host. */
export function machine(pieceBytes: number): Pick<SwarmSpec, 'pieceBytes' | 'hash' | 'storage'> {
  return { pieceBytes, hash: { pieceMs: pieceBytes / HASH_RATE }, storage: { openMs: pieceBytes / OPEN_RATE } };
}

/**
 * Lets a swarm run until it is over, or until `giveUpSec` of virtual time: who is not done by then shows in the checks.
 */
export async function simulateUntil(
  spec: Omit<SwarmSpec, 'limitMs'>,
  giveUpSec: number,
  options: ScenarioOptions,
  isOver: (swarm: Swarm) => boolean,
  prepare: (swarm: Swarm) => void = () => {},
): Promise<Swarm> {
  const giveUpMs = giveUpSec * 1000;
  const swarm = new Swarm({ ...spec, limitMs: 2 * giveUpMs, stillMs: 2 * giveUpMs });
  prepare(swarm);
  await swarm.runUntil(() => isOver(swarm) || swarm.events.nowMs >= giveUpMs, options);
  return swarm;
}

/** Calls `look` every `everyMs` until it says true. */
export function pollEvery(swarm: Swarm, everyMs: number, look: () => boolean): void {
  const again = (): void => {
    if (!look()) swarm.events.callAt(swarm.events.nowMs + everyMs, again);
  };
  swarm.events.callAt(everyMs, again);
}

export function everybodyFinishes(hosts: readonly Host[]): Check {
  const done = hosts.filter((host) => host.isDone).length;
  return atLeast('finished', (100 * done) / hosts.length, 100, '%');
}

/** Bit set of the pieces that at least one of these hosts has, in the order of BEP 3 `bitfield`. */
export function piecesAmong(hosts: readonly Host[]): Uint8Array {
  const union = new Uint8Array(hosts[0]?.have.bytes.length ?? 0);
  for (const { have } of hosts) {
    for (let index = 0; index < union.length; index++) union[index]! |= have.bytes[index]!;
  }
  return union;
}

export function bitCount(bits: Uint8Array): number {
  let count = 0;
  for (const byte of bits) for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
