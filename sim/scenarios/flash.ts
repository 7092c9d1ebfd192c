/** Flash crowd: one seed and a hundred leeches with equal caps start together. */
import { idealLastSec } from '../../bench/support/swarm-ideal.js';
import {
  atMost,
  completionSeconds,
  copiesFrom,
  leechesOf,
  type Outcome,
  outcome,
  percentile,
  type ScenarioOptions,
  simulate,
  wastePercent,
} from '../scenario.js';
import type { SwarmSpec } from '../spec.js';

const MIB = 1024 ** 2;
const CAP = 12.5e6;

function spec({ seed, isSmall }: ScenarioOptions, isSuperSeeding: boolean): SwarmSpec {
  const leeches = isSmall ? 10 : 100;
  const caps = { upBytesPerSec: CAP, downBytesPerSec: CAP };
  return {
    seed,
    imageBytes: (isSmall ? 64 : 1024) * MIB,
    pieceBytes: MIB,
    unitBytes: MIB / 4,
    hosts: [{ ...caps, isSeed: true, isSuperSeeding }, ...Array.from({ length: leeches }, () => caps)],
    latencyMs: 1,
    hash: { pieceMs: 1 },
    storage: { openMs: 1 },
    limitMs: 3_600_000,
  };
}

async function run(options: ScenarioOptions, isSuperSeeding: boolean, name: string, title: string): Promise<Outcome> {
  const swarm = await simulate(spec(options, isSuperSeeding), options);
  const leeches = leechesOf(swarm);
  const seconds = completionSeconds(leeches);
  const { imageBytes } = swarm.spec;
  const ideal = idealLastSec({
    imageBytes,
    seedUpBytesPerSec: CAP,
    leechUpBytesPerSec: CAP,
    leechDownBytesPerSec: CAP,
    startsSec: leeches.map(() => 0),
  });
  return outcome(swarm, {
    scenario: name,
    title,
    parameters: { leeches: String(leeches.length), image: `${imageBytes / MIB} MiB`, caps: '100 Mbit/s each way' },
    checks: [
      atMost('last done', percentile(seconds, 1) / ideal, 1.25, '× ideal'),
      atMost('seed uploads', copiesFrom(swarm, swarm.hosts[0]!), isSuperSeeding ? 1.1 : 1.3, 'copies'),
    ],
    figures: { idealSec: ideal, p50Sec: percentile(seconds, 0.5), wastePercent: wastePercent(leeches) },
    curves: [{ label: title, seconds, idealSeconds: ideal }],
  });
}

export const flash = {
  title: 'flash crowd',
  run: (options: ScenarioOptions) => run(options, false, 'flash', 'flash crowd'),
};

export const flashSuper = {
  title: 'flash crowd, super-seeding',
  run: (options: ScenarioOptions) => run(options, true, 'flash-super', 'flash crowd, super-seeding'),
};
