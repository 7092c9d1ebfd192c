/** Staggered starts: leeches come one by one while the first ones download, the last one when all could be over. */
import { idealLastSec, idealLeechSec } from '../../bench/support/swarm-ideal.js';
import {
  atMost,
  completionSeconds,
  copiesFrom,
  leechesOf,
  type Outcome,
  outcome,
  percentile,
  type ScenarioOptions,
  wastePercent,
} from '../scenario.js';
import { everybodyFinishes, KIB, MBIT, MIB, machine, simulateUntil } from './support.js';

const CAP = 100 * MBIT;
const TITLE = 'staggered starts';

async function run(options: ScenarioOptions): Promise<Outcome> {
  const imageBytes = (options.isSmall ? 64 : 512) * MIB;
  const leechCount = options.isSmall ? 10 : 50;
  const caps = { upBytesPerSec: CAP, downBytesPerSec: CAP };
  const stepSec = imageBytes / CAP / leechCount;
  const startsSec = Array.from({ length: leechCount }, (_, leech) => leech * stepSec);
  const bound = {
    imageBytes,
    seedUpBytesPerSec: CAP,
    leechUpBytesPerSec: CAP,
    leechDownBytesPerSec: CAP,
    startsSec,
  };
  const ideal = idealLastSec(bound);
  const swarm = await simulateUntil(
    {
      seed: options.seed,
      imageBytes,
      unitBytes: 64 * KIB,
      hosts: [{ ...caps, isSeed: true }, ...startsSec.map((start) => ({ ...caps, joinMs: start * 1000 }))],
      latencyMs: 1,
      ...machine(MIB),
    },
    10 * ideal,
    options,
    (running) => running.isDone,
  );
  const leeches = leechesOf(swarm);
  const slowness = leeches
    .map((host, leech) => (host.completeMs - host.joinedMs) / 1000 / idealLeechSec(bound, leech))
    .sort((a, b) => a - b);
  return outcome(swarm, {
    scenario: 'staggered',
    title: TITLE,
    parameters: {
      leeches: `${leechCount}, one every ${stepSec.toFixed(2)} s`,
      image: `${imageBytes / MIB} MiB`,
      caps: '100 Mbit/s each way',
    },
    checks: [
      everybodyFinishes(leeches),
      atMost('last done', Math.max(...leeches.map((host) => host.completeMs)) / 1000 / ideal, 1.25, '× ideal'),
    ],
    figures: {
      idealSec: ideal,
      p50TimesOwnIdeal: percentile(slowness, 0.5),
      slowestTimesOwnIdeal: percentile(slowness, 1),
      seedCopies: copiesFrom(swarm, swarm.hosts[0]!),
      wastePercent: wastePercent(leeches),
    },
    curves: [{ label: TITLE, seconds: completionSeconds(leeches), idealSeconds: imageBytes / CAP }],
  });
}

export const staggered = { title: TITLE, run };
