/**
 * Locality: four zones with the seed in one of them. The swarm whose hosts tell the tracker their zone, against one
 * whose hosts do not.
 */
import { idealLastSec } from '../../bench/support/swarm-ideal.js';
import {
  atLeast,
  atMost,
  completionSeconds,
  leechesOf,
  type Outcome,
  outcome,
  percentile,
  type ScenarioOptions,
} from '../scenario.js';
import type { Swarm } from '../swarm.js';
import { everybodyFinishes, KIB, MBIT, MIB, machine, mean, simulateUntil } from './support.js';

const CAP = 100 * MBIT;
const ZONES = ['rack-1', 'rack-2', 'rack-3', 'rack-4'];
const TITLE = 'locality: four zones';

function simulate(
  options: ScenarioOptions,
  areZonesTold: boolean,
  imageBytes: number,
  leeches: number,
): Promise<Swarm> {
  const caps = { upBytesPerSec: CAP, downBytesPerSec: CAP };
  return simulateUntil(
    {
      seed: options.seed,
      imageBytes,
      unitBytes: 64 * KIB,
      hosts: [
        { ...caps, isSeed: true, zone: ZONES[0]! },
        ...Array.from({ length: leeches }, (_, leech) => ({ ...caps, zone: ZONES[leech % ZONES.length]! })),
      ],
      latencyMs: 0.5,
      farLatencyMs: 5,
      areZonesTold,
      ...machine(MIB),
    },
    (20 * imageBytes) / CAP,
    options,
    (running) => running.isDone,
  );
}

function farBytes(swarm: Swarm): number {
  return leechesOf(swarm).reduce((sum, host) => sum + host.farBytes * swarm.scale, 0);
}

async function run(options: ScenarioOptions): Promise<Outcome> {
  const imageBytes = (options.isSmall ? 32 : 256) * MIB;
  const leechCount = options.isSmall ? 40 : 100;
  const blind = await simulate(options, false, imageBytes, leechCount);
  const told = await simulate(options, true, imageBytes, leechCount);
  const [blindSec, toldSec] = [completionSeconds(leechesOf(blind)), completionSeconds(leechesOf(told))];
  const ideal = idealLastSec({
    imageBytes,
    seedUpBytesPerSec: CAP,
    leechUpBytesPerSec: CAP,
    leechDownBytesPerSec: CAP,
    startsSec: toldSec.map(() => 0),
  });
  const perHost = (swarm: Swarm): number => farBytes(swarm) / leechCount / imageBytes;
  return outcome(told, {
    scenario: 'locality',
    title: TITLE,
    parameters: {
      leeches: `${leechCount} in ${ZONES.length} zones`,
      image: `${imageBytes / MIB} MiB`,
      caps: '100 Mbit/s each way',
      'round trip': '1 ms in a zone, 10 ms between two',
    },
    checks: [
      everybodyFinishes([...leechesOf(blind), ...leechesOf(told)]),
      atLeast('fewer bytes between zones', 100 * (1 - farBytes(told) / farBytes(blind)), 60, '%'),
      atMost('last done', percentile(toldSec, 1) / percentile(blindSec, 1), 1.1, '× without zones'),
    ],
    figures: {
      idealSec: ideal,
      lastTimesIdeal: percentile(toldSec, 1) / ideal,
      meanTimesWithout: mean(toldSec) / mean(blindSec),
      farCopiesPerHost: perHost(told),
      farCopiesPerHostWithout: perHost(blind),
    },
    curves: [
      { label: 'zones told to the tracker', seconds: toldSec, idealSeconds: ideal },
      { label: 'not told', seconds: blindSec },
    ],
  });
}

export const locality = { title: TITLE, run };
