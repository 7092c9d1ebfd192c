/**
 * Tit for tat in the middle of a swarm's life: contributors with unequal uplinks and free riders that serve nobody,
 * each with a random tenth of the image at the start, so that uplinks are what is short, not pieces. Measured until the
 * first contributor is complete: from then on seeds give to whoever takes. Newcomers arrive with nothing while all
 * compete.
 */
import { makeRandom } from '../../src/random.js';
import type { Host } from '../host.js';
import { atLeast, atMost, completionSeconds, type Outcome, outcome, type ScenarioOptions } from '../scenario.js';
import type { HostSpec } from '../spec.js';
import type { Swarm } from '../swarm.js';
import { KIB, MBIT, MIB, machine, mean, simulateUntil } from './support.js';

const DOWN = 1000 * MBIT;
const SEED_UP = 20 * MBIT;
/** Of the image, at the start. */
const HAVE_SHARE = 0.1;
/** Megabit a second; each class doubles what the one before gives. */
const UPLINKS = [10, 20, 40, 80];
/** Two optimistic rounds. */
const FIRST_PIECE_SEC = 60;
const TITLE = 'tit for tat';

interface Sizes {
  readonly imageBytes: number;
  readonly perClass: number;
  readonly riders: number;
  readonly newcomers: number;
  /** Newcomers come this long after the others, and then one by one. */
  readonly newcomersFromSec: number;
  readonly newcomerStepSec: number;
}

const FULL: Sizes = {
  imageBytes: 1024 * MIB,
  perClass: 12,
  riders: 12,
  newcomers: 6,
  newcomersFromSec: 30,
  newcomerStepSec: 5,
};
const SMALL: Sizes = { ...FULL, imageBytes: 512 * MIB, perClass: 4, riders: 4, newcomers: 2, newcomersFromSec: 10 };

/** In the order seed, contributors by class, riders, newcomers. */
function hostsOf(sizes: Sizes, seed: number): HostSpec[] {
  const random = makeRandom(seed ^ 0x717);
  const pieces = Array.from({ length: sizes.imageBytes / MIB }, (_, piece) => piece);
  const many = (count: number, host: HostSpec): HostSpec[] =>
    Array.from({ length: count }, () => ({ ...host, have: pieces.filter(() => random() < HAVE_SHARE) }));
  const newcomer = { upBytesPerSec: UPLINKS[0]! * MBIT, downBytesPerSec: DOWN };
  return [
    { upBytesPerSec: SEED_UP, downBytesPerSec: DOWN, isSeed: true },
    ...UPLINKS.flatMap((megabits) => many(sizes.perClass, { upBytesPerSec: megabits * MBIT, downBytesPerSec: DOWN })),
    ...many(sizes.riders, { upBytesPerSec: UPLINKS.at(-1)! * MBIT, downBytesPerSec: DOWN, uploadSlots: 0 }),
    ...Array.from({ length: sizes.newcomers }, (_, index) => ({
      ...newcomer,
      joinMs: (sizes.newcomersFromSec + index * sizes.newcomerStepSec) * 1000,
    })),
  ];
}

/** Mean bytes a second of these hosts up to now. */
function meanRate(swarm: Swarm, hosts: readonly Host[]): number {
  return mean(
    hosts.map((host) => {
      const bytes = host.scheduler.view.totals.downloadedBytes * swarm.scale;
      return bytes / ((swarm.events.nowMs - host.joinedMs) / 1000);
    }),
  );
}

async function run(options: ScenarioOptions): Promise<Outcome> {
  const sizes = options.isSmall ? SMALL : FULL;
  const contributorCount = sizes.perClass * UPLINKS.length;
  const swarm = await simulateUntil(
    {
      seed: options.seed,
      imageBytes: sizes.imageBytes,
      ...machine(MIB),
      unitBytes: 64 * KIB,
      hosts: hostsOf(sizes, options.seed),
      latencyMs: 5,
    },
    3600,
    options,
    (running) => running.hosts.slice(1, 1 + contributorCount).some((host) => host.isDone),
  );
  const contributors = swarm.hosts.slice(1, 1 + contributorCount);
  const riders = swarm.hosts.slice(1 + contributorCount, 1 + contributorCount + sizes.riders);
  const newcomers = swarm.hosts.slice(1 + contributorCount + sizes.riders);
  const rates = UPLINKS.map((_, index) =>
    meanRate(swarm, contributors.slice(index * sizes.perClass, (index + 1) * sizes.perClass)),
  );
  const steps = rates.slice(1).map((rate, index) => rate / rates[index]!);
  const firstPieces = newcomers.map((host) => {
    const seconds = (host.firstPieceMs - host.joinedMs) / 1000;
    return Number.isNaN(seconds) ? Number.POSITIVE_INFINITY : seconds;
  });
  const riderRate = meanRate(swarm, riders);
  return outcome(swarm, {
    scenario: 'tit-for-tat',
    title: TITLE,
    parameters: {
      contributors: `${sizes.perClass} each with ${UPLINKS.join(', ')} Mbit/s up`,
      'free riders': String(sizes.riders),
      newcomers: String(sizes.newcomers),
      down: '1 Gbit/s',
      seed: `${SEED_UP / MBIT} Mbit/s`,
      image: `${sizes.imageBytes / MIB} MiB, everybody but newcomers begins with ${100 * HAVE_SHARE} %`,
    },
    checks: [
      atMost('rate of free riders', (100 * riderRate) / meanRate(swarm, contributors), 40, '% of contributors'),
      atLeast('smallest step from class to class', Math.min(...steps), 1.000_001, '× the class that gives half'),
      atMost('first piece of a newcomer, longest', Math.max(...firstPieces), FIRST_PIECE_SEC, 's'),
    ],
    figures: {
      measuredSec: swarm.events.nowMs / 1000,
      riderMbit: riderRate / MBIT,
      ...Object.fromEntries(UPLINKS.map((megabits, index) => [`class${megabits}Mbit`, rates[index]! / MBIT])),
      firstPieceMeanSec: mean(firstPieces),
    },
    curves: [{ label: TITLE, seconds: completionSeconds(contributors) }],
  });
}

export const titForTat = { title: TITLE, run };
