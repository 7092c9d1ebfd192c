/**
 * Churn: half of the hosts vanish at random times. In the first form the seed stays; in the second it vanishes as well,
 * once everything is out, and the hosts that are left must end with every piece that one of them still has.
 */
import { makeRandom } from '../../src/random.js';
import type { Host } from '../host.js';
import {
  atMost,
  completionSeconds,
  type Outcome,
  outcome,
  percentile,
  type ScenarioOptions,
  wastePercent,
} from '../scenario.js';
import type { Swarm } from '../swarm.js';
import {
  bitCount,
  everybodyFinishes,
  KIB,
  MBIT,
  MIB,
  machine,
  piecesAmong,
  pollEvery,
  simulateUntil,
} from './support.js';

const CAP = 100 * MBIT;
const LOOK_MS = 50;

interface Leavers {
  readonly hosts: ReadonlySet<Host>;
  seedLeftMs: number;
}

/** Every second leech leaves at some time within the ideal duration. */
function planLeaving(swarm: Swarm, withinMs: number, doesSeedLeave: boolean): Leavers {
  const random = makeRandom(swarm.spec.seed ^ 0x5eed);
  const [seed, ...leeches] = swarm.hosts;
  const leavers = { hosts: new Set(leeches.filter((_, index) => index % 2 === 0)), seedLeftMs: Number.NaN };
  for (const host of leavers.hosts) swarm.events.callAt(random() * withinMs, () => swarm.leave(host));
  if (!doesSeedLeave) return leavers;
  pollEvery(swarm, LOOK_MS, () => {
    const isOut = bitCount(piecesAmong(leeches.filter((host) => host.isAlive))) === swarm.geometry.pieceCount;
    if (isOut) {
      swarm.leave(seed!);
      leavers.seedLeftMs = swarm.events.nowMs;
    }
    return isOut;
  });
  return leavers;
}

async function run(
  options: ScenarioOptions,
  doesSeedLeave: boolean,
  scenario: string,
  title: string,
): Promise<Outcome> {
  const imageBytes = (options.isSmall ? 64 : 512) * MIB;
  const caps = { upBytesPerSec: CAP, downBytesPerSec: CAP };
  const ideal = imageBytes / CAP;
  let leavers: Leavers | null = null;
  const swarm = await simulateUntil(
    {
      seed: options.seed,
      imageBytes,
      unitBytes: 64 * KIB,
      hosts: [{ ...caps, isSeed: true }, ...Array.from({ length: options.isSmall ? 20 : 100 }, () => caps)],
      latencyMs: 1,
      ...machine(MIB),
    },
    10 * ideal,
    options,
    (running) => running.isDone || hasAllThereIs(running),
    (running) => {
      leavers = planLeaving(running, ideal * 1000, doesSeedLeave);
    },
  );
  const { hosts: gone, seedLeftMs } = leavers!;
  const stayers = swarm.hosts.filter((host) => host.spec.isSeed !== true && !gone.has(host));
  const seconds = completionSeconds(stayers);
  const copied = bitCount(piecesAmong(swarm.hosts.filter((host) => host.isAlive)));
  const fewest = Math.min(...stayers.map((host) => host.have.count));
  return outcome(swarm, {
    scenario,
    title,
    parameters: {
      leeches: `${stayers.length + gone.size}, half of them leave within ${ideal.toFixed(0)} s`,
      image: `${imageBytes / MIB} MiB`,
      caps: '100 Mbit/s each way',
      seed: doesSeedLeave ? 'leaves when the others have every piece' : 'stays',
    },
    checks: [
      atMost('pieces lost while a copy exists', copied - fewest, 0, 'pieces'),
      ...(copied === swarm.geometry.pieceCount ? [everybodyFinishes(stayers)] : []),
      ...(doesSeedLeave ? [atMost('seed left', seedLeftMs / 1000, swarm.events.nowMs / 1000, 's')] : []),
    ],
    figures: {
      idealSec: ideal,
      lastTimesIdeal: percentile(seconds, 1) / ideal,
      piecesWithoutCopy: swarm.geometry.pieceCount - copied,
      wastePercent: wastePercent(stayers),
    },
    curves: [{ label: title, seconds, idealSeconds: ideal }],
  });
}

/** The seed is gone, and everybody has what anybody has. */
function hasAllThereIs(swarm: Swarm): boolean {
  const [seed] = swarm.hosts;
  if (seed!.isAlive || Number.isNaN(seed!.joinedMs) || swarm.events.count % LOOK_EVENTS !== 0) return false;
  const alive = swarm.hosts.filter((host) => host.isAlive);
  const copied = bitCount(piecesAmong(alive));
  return copied < swarm.geometry.pieceCount && alive.every((host) => host.have.count === copied);
}

/** Looking at everybody costs more than an event. */
const LOOK_EVENTS = 4096;

export const churn = {
  title: 'churn',
  run: (options: ScenarioOptions) => run(options, false, 'churn', 'churn'),
};

export const churnSeedless = {
  title: 'churn, and the seed leaves too',
  run: (options: ScenarioOptions) => run(options, true, 'churn-seedless', 'churn, and the seed leaves too'),
};
