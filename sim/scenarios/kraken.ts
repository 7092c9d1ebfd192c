/**
 * Kraken's table: 5 origins, 2,600 hosts, 3 GB, 300 MB/s each way. Uber published for its own agents p50 10 s, p99 18
 * s, p99.9 22 s; nobody can be done before 10 s. A trusted fleet with short hauls.
 */
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
const CAP = 300e6;
const ORIGINS = 5;

function spec({ seed, isSmall }: ScenarioOptions): SwarmSpec {
  const caps = { upBytesPerSec: CAP, downBytesPerSec: CAP };
  const count = isSmall ? 40 : 2600;
  return {
    seed,
    imageBytes: isSmall ? 300e6 : 3e9,
    pieceBytes: 2 * MIB,
    unitBytes: MIB,
    hosts: [
      ...Array.from({ length: ORIGINS }, () => ({ ...caps, isSeed: true })),
      ...Array.from({ length: count }, () => caps),
    ],
    latencyMs: 0.5,
    numwant: 30,
    hash: { pieceMs: (2 * MIB) / 1.8e6 },
    storage: { openMs: (2 * MIB) / 4e6 },
    limitMs: 600_000,
  };
}

async function run(options: ScenarioOptions): Promise<Outcome> {
  const swarm = await simulate(spec(options), options);
  const leeches = leechesOf(swarm);
  const seconds = completionSeconds(leeches);
  const { imageBytes } = swarm.spec;
  const ideal = idealLastSec({
    imageBytes,
    seedUpBytesPerSec: ORIGINS * CAP,
    leechUpBytesPerSec: CAP,
    leechDownBytesPerSec: CAP,
    startsSec: leeches.map(() => 0),
  });
  const copies = swarm.hosts.slice(0, ORIGINS).map((host) => copiesFrom(swarm, host));
  return outcome(swarm, {
    scenario: 'kraken',
    title: 'Kraken’s table: 5 origins, 2,600 hosts, 3 GB',
    parameters: {
      origins: String(ORIGINS),
      hosts: String(leeches.length),
      image: `${imageBytes / 1e9} GB`,
      caps: '300 MB/s each way',
      pieces: '2 MiB',
      'moved as': '1 MiB',
    },
    checks: [
      atMost('p50', percentile(seconds, 0.5), 11, 's'),
      atMost('p99', percentile(seconds, 0.99), 14, 's'),
      atMost('p99.9', percentile(seconds, 0.999), 16, 's'),
    ],
    figures: {
      idealSec: ideal,
      lastSec: percentile(seconds, 1),
      originCopies: copies.reduce((sum, each) => sum + each, 0),
      wastePercent: wastePercent(leeches),
    },
    curves: [{ label: 'Kraken’s table', seconds, idealSeconds: ideal }],
  });
}

export const kraken = { title: 'Kraken’s table: 5 origins, 2,600 hosts, 3 GB', run };
