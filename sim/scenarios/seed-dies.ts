/**
 * The seed dies as soon as one copy is out: it has sent the bytes of one image at least, and every piece was verified
 * by somebody else. The second is the later one unless no piece was sent twice.
 */
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

function killSeed(swarm: Swarm, died: (nowMs: number) => void): void {
  const [seed, ...leeches] = swarm.hosts;
  pollEvery(swarm, LOOK_MS, () => {
    const isOut = copiesFrom(swarm, seed!) >= 1 && bitCount(piecesAmong(leeches)) === swarm.geometry.pieceCount;
    if (isOut) {
      died(swarm.events.nowMs);
      swarm.leave(seed!);
    }
    return isOut;
  });
}

async function run(
  options: ScenarioOptions,
  isSuperSeeding: boolean,
  scenario: string,
  title: string,
): Promise<Outcome> {
  const imageBytes = (options.isSmall ? 64 : 512) * MIB;
  const caps = { upBytesPerSec: CAP, downBytesPerSec: CAP };
  const ideal = imageBytes / CAP;
  let diedMs = Number.NaN;
  const swarm = await simulateUntil(
    {
      seed: options.seed,
      imageBytes,
      unitBytes: 64 * KIB,
      hosts: [
        { ...caps, isSeed: true, isSuperSeeding },
        ...Array.from({ length: options.isSmall ? 10 : 50 }, () => caps),
      ],
      latencyMs: 1,
      ...machine(MIB),
    },
    10 * ideal,
    options,
    (running) => running.isDone,
    (running) =>
      killSeed(running, (nowMs) => {
        diedMs = nowMs;
      }),
  );
  const leeches = leechesOf(swarm);
  const seconds = completionSeconds(leeches);
  return outcome(swarm, {
    scenario,
    title,
    parameters: {
      leeches: String(leeches.length),
      image: `${imageBytes / MIB} MiB`,
      caps: '100 Mbit/s each way',
      'seed dies': 'one image of bytes sent, and every piece verified by a leech',
    },
    checks: [everybodyFinishes(leeches), atMost('seed died', diedMs / 1000, percentile(seconds, 1), 's')],
    figures: {
      idealSec: ideal,
      diedSec: diedMs / 1000,
      seedCopies: copiesFrom(swarm, swarm.hosts[0]!),
      lastTimesIdeal: percentile(seconds, 1) / ideal,
      wastePercent: wastePercent(leeches),
    },
    curves: [{ label: title, seconds, idealSeconds: ideal }],
  });
}

export const seedDies = {
  title: 'the seed dies',
  run: (options: ScenarioOptions) => run(options, false, 'seed-dies', 'the seed dies'),
};

export const seedDiesSuper = {
  title: 'the seed dies, super-seeding',
  run: (options: ScenarioOptions) => run(options, true, 'seed-dies-super', 'the seed dies, super-seeding'),
};
