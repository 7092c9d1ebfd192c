/** A late joiner: twenty hosts have a 20 GB image and share it; one more wants it. */
import { atLeast, completionSeconds, type Outcome, outcome, type ScenarioOptions, wastePercent } from '../scenario.js';
import { everybodyFinishes, MBIT, MIB, machine, simulateUntil } from './support.js';

const FINISHED_HOSTS = 20;
const LINK = 1000 * MBIT;

async function run(options: ScenarioOptions, joinerLink: number, scenario: string, title: string): Promise<Outcome> {
  const imageBytes = options.isSmall ? 1e9 : 20e9;
  const ideal = imageBytes / Math.min(joinerLink, FINISHED_HOSTS * LINK);
  const swarm = await simulateUntil(
    {
      seed: options.seed,
      imageBytes,
      hosts: [
        ...Array.from({ length: FINISHED_HOSTS }, () => ({ upBytesPerSec: LINK, downBytesPerSec: LINK, isSeed: true })),
        { upBytesPerSec: joinerLink, downBytesPerSec: joinerLink },
      ],
      latencyMs: 1,
      // What `create` picks for 20 GB.
      ...machine(8 * MIB),
    },
    10 * ideal,
    options,
    (running) => running.isDone,
  );
  const joiner = swarm.hosts.at(-1)!;
  const seconds = completionSeconds([joiner]);
  return outcome(swarm, {
    scenario,
    title,
    parameters: {
      image: `${imageBytes / 1e9} GB, pieces of 8 MiB`,
      hosts: `${FINISHED_HOSTS} finished, ${LINK / MBIT} Mbit/s each`,
      joiner: `${joinerLink / MBIT} Mbit/s`,
    },
    checks: [
      everybodyFinishes([joiner]),
      atLeast('share of its link', (100 * ideal) / (seconds[0] ?? Number.POSITIVE_INFINITY), 90, '%'),
    ],
    figures: { idealSec: ideal, wastePercent: wastePercent([joiner]) },
    curves: [{ label: title, seconds, idealSeconds: ideal }],
  });
}

export const late = {
  title: 'late joiner',
  run: (options: ScenarioOptions) => run(options, LINK, 'late', 'late joiner'),
};

export const lateWide = {
  title: 'late joiner with ten times the link of the others',
  run: (options: ScenarioOptions) =>
    run(options, 10 * LINK, 'late-wide', 'late joiner with ten times the link of the others'),
};
