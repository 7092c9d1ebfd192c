/**
 * Endgame: leeches with unequal links next to a seed. Blocks of the last pieces are asked of several peers, some of
 * them slow: what comes twice is waste, what nobody else was asked for is waited for.
 */
import {
  atMost,
  completionSeconds,
  leechesOf,
  type Outcome,
  outcome,
  percentile,
  type ScenarioOptions,
  wastePercent,
} from '../scenario.js';
import { everybodyFinishes, MBIT, MIB, machine, simulateUntil } from './support.js';

const DOWN = 100 * MBIT;
const UPLINKS = [10 * MBIT, 50 * MBIT, 100 * MBIT, 200 * MBIT];
const SEED_UP = 200 * MBIT;
const TITLE = 'endgame';

async function run(options: ScenarioOptions): Promise<Outcome> {
  const imageBytes = (options.isSmall ? 64 : 512) * MIB;
  const leechCount = options.isSmall ? 8 : 24;
  const ideal = imageBytes / DOWN;
  const swarm = await simulateUntil(
    {
      seed: options.seed,
      imageBytes,
      hosts: [
        { upBytesPerSec: SEED_UP, downBytesPerSec: SEED_UP, isSeed: true },
        ...Array.from({ length: leechCount }, (_, leech) => ({
          upBytesPerSec: UPLINKS[leech % UPLINKS.length]!,
          downBytesPerSec: DOWN,
        })),
      ],
      latencyMs: 10,
      ...machine(MIB),
    },
    10 * ideal,
    options,
    (running) => running.isDone,
  );
  const leeches = leechesOf(swarm);
  const tails = leeches
    .map((host) => (100 * (host.completeMs - host.nearlyMs)) / (host.completeMs - host.joinedMs))
    .sort((a, b) => a - b);
  const wasted = leeches
    .map(({ scheduler }) => (100 * scheduler.view.totals.wastedBytes) / swarm.geometry.lengthBytes)
    .sort((a, b) => a - b);
  const seconds = completionSeconds(leeches);
  return outcome(swarm, {
    scenario: 'endgame',
    title: TITLE,
    parameters: {
      leeches: `${leechCount}, 100 Mbit/s down, 10 to 200 Mbit/s up`,
      seed: '200 Mbit/s',
      image: `${imageBytes / MIB} MiB`,
      'round trip': '20 ms',
    },
    checks: [
      everybodyFinishes(leeches),
      atMost('duplicate bytes, all hosts', wastePercent(leeches), 2, '% of the image'),
      atMost('duplicate bytes, p95 of hosts', percentile(wasted, 0.95), 2, '% of the image'),
      atMost('time of the last 1 %, p95 of hosts', percentile(tails, 0.95), 3, '% of the time'),
    ],
    figures: {
      idealSec: ideal,
      lastTimesIdeal: percentile(seconds, 1) / ideal,
      duplicatesMostPercent: percentile(wasted, 1),
      tailMedianPercent: percentile(tails, 0.5),
      tailLongestPercent: percentile(tails, 1),
    },
    curves: [{ label: TITLE, seconds, idealSeconds: ideal }],
  });
}

export const endgame = { title: TITLE, run };
