/**
 * Pieces from the front to the back (`forward.ts`): a web seed with one link, and leeches whose clients take the bytes
 * as they become verified, twice as fast as the links at most. What is left to hand over when the last piece is here
 * comes on top of the time of the swarm. Bars are against the same swarm with rarest first, too.
 */
import { idealLastSec } from '../../bench/support/swarm-ideal.js';
import {
  atMost,
  type Check,
  completionSeconds,
  copiesFrom,
  leechesOf,
  type Outcome,
  outcome,
  percentile,
  type ScenarioOptions,
} from '../scenario.js';
import type { Swarm } from '../swarm.js';
import { HandOver } from './hand-over.js';
import { KIB, MIB, machine, mean, simulateUntil } from './support.js';

const TITLE = 'from the front to the back';
const UNIT_BYTES = 32 * KIB;
/** Of a web seed, 256 KiB. */
const RUN_BLOCKS = 8;
/** A client takes bytes so many times as fast as they come at best. */
const HAND_OVER = 2;

interface Crowd {
  readonly leeches: number;
  readonly imageBytes: number;
  readonly pieceBytes: number;
  readonly capBytesPerSec: number;
  /** When one begins, as a share of the time of one copy. */
  start(leech: number): number;
}

interface Figures {
  /** × ideal. */
  readonly last: number;
  /** × the time of one copy, from its own start. */
  readonly meanOwn: number;
  readonly copies: number;
  /** % of the image when the last piece is verified, ascending. */
  readonly left: readonly number[];
  readonly seconds: readonly number[];
  readonly idealSec: number;
}

async function figuresOf(
  crowd: Crowd,
  isForward: boolean,
  options: ScenarioOptions,
): Promise<Figures & { swarm: Swarm }> {
  const { imageBytes, pieceBytes, capBytesPerSec } = crowd;
  const copySec = imageBytes / capBytesPerSec;
  const startsSec = Array.from({ length: crowd.leeches }, (_, leech) => crowd.start(leech) * copySec);
  const ideal = idealLastSec({
    imageBytes,
    seedUpBytesPerSec: capBytesPerSec,
    leechUpBytesPerSec: capBytesPerSec,
    leechDownBytesPerSec: capBytesPerSec,
    startsSec,
  });
  const caps = { upBytesPerSec: capBytesPerSec, downBytesPerSec: capBytesPerSec, runBlocks: RUN_BLOCKS };
  const hosts = [
    { ...caps, isSeed: true, isWebSeed: true },
    ...startsSec.map((start) => ({ ...caps, isForward, joinMs: start * 1000 })),
  ];
  const handOvers: HandOver[] = [];
  const swarm = await simulateUntil(
    { seed: options.seed, imageBytes, unitBytes: UNIT_BYTES, hosts, latencyMs: 1, ...machine(pieceBytes) },
    10 * ideal,
    options,
    (running) => running.isDone,
    (begun) => {
      const bytesPerMs = (HAND_OVER * capBytesPerSec) / begun.scale / 1000;
      for (const host of leechesOf(begun)) handOvers.push(new HandOver(host, bytesPerMs));
    },
  );
  const leeches = leechesOf(swarm);
  const { lengthBytes } = swarm.geometry;
  const seconds = completionSeconds(leeches);
  return {
    swarm,
    last: Math.max(...leeches.map((host) => host.completeMs)) / 1000 / ideal,
    meanOwn: mean(seconds) / copySec,
    copies: copiesFrom(swarm, swarm.hosts[0]!),
    left: handOvers.map(({ leftBytes }) => (100 * leftBytes) / lengthBytes).sort((a, b) => a - b),
    seconds,
    idealSec: ideal,
  };
}

function sized(crowd: Crowd, isSmall: boolean): Crowd {
  return isSmall ? { ...crowd, leeches: Math.min(6, crowd.leeches), imageBytes: crowd.imageBytes / 16 } : crowd;
}

const MANY: Crowd = {
  leeches: 20,
  imageBytes: 256 * MIB,
  pieceBytes: 256 * KIB,
  capBytesPerSec: 5e6,
  start: () => 0,
};
const FOUR: Crowd = { ...MANY, leeches: 4, imageBytes: 1024 * MIB, pieceBytes: 512 * KIB, capBytesPerSec: 50e6 };
const STAGGERED: Crowd = { ...MANY, start: (leech) => leech / 40 };
const LATE: Crowd = { ...MANY, start: (leech) => (leech % 2) / 2 };

async function run(options: ScenarioOptions): Promise<Outcome> {
  const checks: Check[] = [];
  const figures: Record<string, number> = {};
  let shown: Awaited<ReturnType<typeof figuresOf>> | null = null;
  const bars = {
    twenty: [MANY, 1.2, 25],
    four: [FOUR, 1.05, 10],
    staggered: [STAGGERED, 1.05, 25],
    late: [LATE, 1.05, 50],
  } as const;
  for (const [name, [crowd, lastBar, leftBar]] of Object.entries(bars)) {
    const forward = await figuresOf(sized(crowd, options.isSmall), true, options);
    const rarest = await figuresOf(sized(crowd, options.isSmall), false, options);
    shown ??= forward;
    checks.push(
      atMost(`${name}: last done`, forward.last, lastBar, '× ideal'),
      atMost(`${name}: last done`, forward.last / rarest.last, 1.02, '× rarest first'),
      atMost(`${name}: left to hand over`, percentile(forward.left, 1), leftBar, '%'),
    );
    figures[`${name}Copies`] = forward.copies;
    figures[`${name}CopiesRarest`] = rarest.copies;
    figures[`${name}LastRarest`] = rarest.last;
    figures[`${name}MeanOwn`] = forward.meanOwn;
    figures[`${name}MeanOwnRarest`] = rarest.meanOwn;
    figures[`${name}LeftPercentP50`] = percentile(forward.left, 0.5);
    figures[`${name}LeftPercentP50Rarest`] = percentile(rarest.left, 0.5);
  }
  return outcome(shown!.swarm, {
    scenario: 'forward',
    title: TITLE,
    parameters: { leeches: '20 × 256 MiB at 5 MB/s, 4 × 1 GiB at 50 MB/s', seed: 'a web seed with the same link' },
    checks,
    figures,
    curves: [{ label: TITLE, seconds: shown!.seconds, idealSeconds: shown!.idealSec }],
  });
}

export const forward = { title: TITLE, run };
