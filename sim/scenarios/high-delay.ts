/**
 * High delay: one seed, one leech, 1 Gbit/s with 100 ms between request and answer. The pipeline must grow to the
 * product of both.
 */
import { atLeast, type Outcome, outcome, type ScenarioOptions } from '../scenario.js';
import type { Swarm } from '../swarm.js';
import { everybodyFinishes, MBIT, MIB, machine, simulateUntil } from './support.js';

const LINK = 1000 * MBIT;
const ONE_WAY_MS = 50;
const FULL_AFTER_MS = 5_000;
const TITLE = '100 ms round trip at 1 Gbit/s';

/** Bytes that the leech had at each whole second. */
function watch(swarm: Swarm, bytesAt: number[]): void {
  for (let second = 0; second <= 600; second++) {
    swarm.events.callAt(second * 1000, () => {
      bytesAt[second] = swarm.hosts[1]!.scheduler.view.totals.downloadedBytes * swarm.scale;
    });
  }
}

async function run(options: ScenarioOptions): Promise<Outcome> {
  const imageBytes = (options.isSmall ? 1024 : 4096) * MIB;
  const caps = { upBytesPerSec: LINK, downBytesPerSec: LINK };
  const bytesAt: number[] = [];
  const ideal = imageBytes / LINK;
  const swarm = await simulateUntil(
    {
      seed: options.seed,
      imageBytes,
      hosts: [{ ...caps, isSeed: true }, caps],
      latencyMs: ONE_WAY_MS,
      ...machine(4 * MIB),
    },
    10 * ideal,
    options,
    (running) => running.isDone,
    (running) => watch(running, bytesAt),
  );
  const leech = swarm.hosts[1]!;
  const full = FULL_AFTER_MS / 1000;
  const inSecond = (bytesAt[full]! - bytesAt[full - 1]!) / LINK;
  const lastWhole = Math.floor(leech.completeMs / 1000);
  const afterwards = (bytesAt[lastWhole]! - bytesAt[full]!) / (lastWhole - full) / LINK;
  const seconds = [leech.completeMs / 1000];
  return outcome(swarm, {
    scenario: 'high-delay',
    title: TITLE,
    parameters: {
      image: `${imageBytes / MIB} MiB`,
      link: '1 Gbit/s',
      'round trip': `${2 * ONE_WAY_MS} ms`,
      peers: '1',
    },
    checks: [
      everybodyFinishes([leech]),
      atLeast('fifth second', 100 * inSecond, 90, '% of the link'),
      atLeast('after that', 100 * afterwards, 90, '% of the link'),
    ],
    figures: {
      idealSec: ideal,
      timesIdeal: leech.completeMs / 1000 / ideal,
      ...Object.fromEntries(
        [1, 2, 3, 4].map((second) => [
          `second${second}Percent`,
          (100 * (bytesAt[second]! - bytesAt[second - 1]!)) / LINK,
        ]),
      ),
    },
    curves: [{ label: TITLE, seconds, idealSeconds: ideal }],
  });
}

export const highDelay = { title: TITLE, run };
