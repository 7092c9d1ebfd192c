/** What a scenario is and what it says in the end: figures against bars, and who was done when. */
import type { Host } from './host.js';
import type { SwarmSpec } from './spec.js';
import { type RunOptions, Swarm } from './swarm.js';

export interface Check {
  readonly name: string;
  readonly value: number;
  readonly bar: number;
  readonly comparison: '<=' | '>=';
  /** What the numbers count: 's', '× ideal', 'copies', '%' … */
  readonly unit: string;
}

export interface Curve {
  readonly label: string;
  /** Seconds from a host's own start to its last piece, ascending. */
  readonly seconds: readonly number[];
  /** What the caps allow at best, seconds. */
  readonly idealSeconds?: number;
}

export interface Outcome {
  readonly scenario: string;
  readonly seed: number;
  readonly title: string;
  /** Sizes and caps, in words. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly checks: readonly Check[];
  /** Figures without a bar. */
  readonly figures: Readonly<Record<string, number>>;
  readonly curves: readonly Curve[];
  readonly events: number;
  /** Equal for equal seed and commit. */
  readonly eventHash: string;
  readonly virtualSeconds: number;
}

export interface ScenarioOptions extends RunOptions {
  readonly seed: number;
  /** A moment instead of minutes: the same scenario with fewer hosts and pieces, for CI. Bars hold for the full one. */
  readonly isSmall: boolean;
}

export interface Scenario {
  readonly title: string;
  run(options: ScenarioOptions): Promise<Outcome>;
}

export function isMet({ value, bar, comparison }: Check): boolean {
  return comparison === '<=' ? value <= bar : value >= bar;
}

export function atMost(name: string, value: number, bar: number, unit: string): Check {
  return { name, value, bar, comparison: '<=', unit };
}

export function atLeast(name: string, value: number, bar: number, unit: string): Check {
  return { name, value, bar, comparison: '>=', unit };
}

/** Runs a swarm to its end. */
export async function simulate(spec: SwarmSpec, options: RunOptions, prepare?: (swarm: Swarm) => void): Promise<Swarm> {
  const swarm = new Swarm(spec);
  prepare?.(swarm);
  await swarm.run(options);
  return swarm;
}

/** Seconds from join to completion of these hosts, ascending. */
export function completionSeconds(hosts: readonly Host[]): number[] {
  return hosts
    .map((host) => (host.completeMs - host.joinedMs) / 1000)
    .filter((seconds) => !Number.isNaN(seconds))
    .sort((a, b) => a - b);
}

/** Nearest rank of ascending values. */
export function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)] ?? Number.NaN;
}

export function leechesOf(swarm: Swarm): Host[] {
  return swarm.hosts.filter((host) => host.spec.isSeed !== true);
}

/** Real bytes that left this host, over the image. */
export function copiesFrom(swarm: Swarm, host: Host): number {
  return host.uploadedBytes / swarm.geometry.lengthBytes;
}

/** Bytes received and thrown away by all, over what all have. */
export function wastePercent(hosts: readonly Host[]): number {
  let wasted = 0;
  let kept = 0;
  for (const host of hosts) {
    wasted += host.scheduler.view.totals.wastedBytes;
    kept += host.scheduler.view.totals.downloadedBytes;
  }
  return (100 * wasted) / Math.max(1, kept);
}

/** The common part of an outcome. */
export function outcome(
  swarm: Swarm,
  rest: Omit<Outcome, 'seed' | 'events' | 'eventHash' | 'virtualSeconds'>,
): Outcome {
  return {
    ...rest,
    seed: swarm.spec.seed,
    events: swarm.events.count,
    eventHash: swarm.events.hash,
    virtualSeconds: swarm.events.nowMs / 1000,
  };
}
