/**
 * Reading along: of twenty equal leeches none, one or a quarter read the image while it arrives, as fast as it comes.
 * What it costs the others is the bar. And a seek: how long the first piece takes where a download at full speed is
 * told to go on elsewhere.
 */
import type { Host } from '../host.js';
import { SimReader } from '../reader.js';
import {
  atMost,
  completionSeconds,
  leechesOf,
  type Outcome,
  outcome,
  percentile,
  type Scenario,
  type ScenarioOptions,
  wastePercent,
} from '../scenario.js';
import type { SwarmSpec } from '../spec.js';
import type { Swarm } from '../swarm.js';
import { KIB, MBIT, MIB, machine, mean, pollEvery, simulateUntil } from './support.js';

const PIECE_BYTES = 256 * KIB;
const LATENCY_MS = 20;
const CAP = 100 * MBIT;
const GIVE_UP_SEC = 3_600;

function spec(seed: number, leeches: number, imageBytes: number): Omit<SwarmSpec, 'limitMs'> {
  const caps = { upBytesPerSec: CAP, downBytesPerSec: CAP };
  return {
    seed,
    imageBytes,
    ...machine(PIECE_BYTES),
    hosts: [{ ...caps, isSeed: true }, ...Array.from({ length: leeches }, () => caps)],
    latencyMs: LATENCY_MS,
  };
}

interface Crowd {
  readonly swarm: Swarm;
  /** Ascending. */
  readonly seconds: readonly number[];
  readonly readers: readonly SimReader[];
}

async function crowd(options: ScenarioOptions, readerCount: number): Promise<Crowd> {
  const readers: SimReader[] = [];
  const [leeches, imageBytes] = options.isSmall ? [5, 16 * MIB] : [20, 256 * MIB];
  const isOver = (swarm: Swarm): boolean => leechesOf(swarm).every((host) => host.isDone);
  const swarm = await simulateUntil(spec(options.seed, leeches, imageBytes), GIVE_UP_SEC, options, isOver, (begun) => {
    begun.events.callAt(1, () => {
      for (const host of leechesOf(begun).slice(0, readerCount)) readers.push(new SimReader(host));
    });
  });
  return { swarm, seconds: completionSeconds(leechesOf(swarm)), readers };
}

/** A leech of four seeds that share its link. @param begin gives the reader when it is time */
async function fourSeeds(options: ScenarioOptions, begin: (leech: Host) => SimReader | null): Promise<SimReader> {
  const imageBytes = options.isSmall ? 64 * MIB : 256 * MIB;
  const fast = { upBytesPerSec: CAP / 4, downBytesPerSec: CAP };
  const hosts = [1, 2, 3, 4].map(() => ({ ...fast, isSeed: true }));
  let reader: SimReader | null = null;
  const swarmSpec = { ...spec(options.seed, 0, imageBytes), hosts: [...hosts, fast] };
  const isOver = (): boolean => reader !== null && !Number.isNaN(reader.firstMs);
  await simulateUntil(swarmSpec, GIVE_UP_SEC, options, isOver, (swarm) => {
    pollEvery(swarm, 1, () => {
      reader = begin(leechesOf(swarm)[0]!);
      return reader !== null;
    });
  });
  return reader!;
}

/** The first seed has shaken hands with it. */
const fromTheBegin = (leech: Host): SimReader | null => (leech.exchange.peerCount === 0 ? null : new SimReader(leech));

/** It downloads at full speed, and somebody reads what is not here. */
function elsewhere(leech: Host): SimReader | null {
  const { pieceCount } = leech.geometry;
  if (leech.nowMs < 3_000) return null;
  const missing = Array.from({ length: pieceCount }, (_, piece) => piece).filter((piece) => !leech.have.has(piece));
  return new SimReader(leech, missing[missing.length >> 1]!);
}

/** Besides the time of one piece at full speed. */
function roundTrips({ firstMs, beganMs }: SimReader): number {
  return (firstMs - beganMs - (1000 * PIECE_BYTES) / CAP) / (2 * LATENCY_MS);
}

async function run(options: ScenarioOptions): Promise<Outcome> {
  const alone = await crowd(options, 0);
  const one = await crowd(options, 1);
  const some = await crowd(options, alone.seconds.length >> 2);
  const first = await fourSeeds(options, fromTheBegin);
  const second = await fourSeeds(options, elsewhere);
  const last = (crowd: Crowd): number => percentile(crowd.seconds, 1);
  return outcome(one.swarm, {
    scenario: 'reading',
    title: 'reading along',
    parameters: {
      leeches: String(alone.seconds.length),
      caps: '100 Mbit/s each way',
      roundTrip: `${2 * LATENCY_MS} ms`,
    },
    checks: [
      atMost('last done with one reader', last(one) / last(alone), 1.05, '× without'),
      atMost('mean done with one reader', mean(one.seconds) / mean(alone.seconds), 1.05, '× without'),
      atMost('first piece', roundTrips(first), 2, 'round trips and a piece'),
      atMost('first piece elsewhere', roundTrips(second), 2, 'round trips and a piece'),
    ],
    figures: {
      aloneLastSec: last(alone),
      quarterReadsLast: last(some) / last(alone),
      quarterReadsMean: mean(some.seconds) / mean(alone.seconds),
      readerDoneSec: one.readers[0]!.lastMs / 1000,
      wastePercent: wastePercent(leechesOf(one.swarm)),
    },
    curves: [{ label: 'one reads', seconds: one.seconds }],
  });
}

export const reading: Scenario = { title: 'reading along', run };
