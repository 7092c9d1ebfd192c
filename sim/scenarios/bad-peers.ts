/**
 * Slow and bad peers: of the hosts that want the image, a fifth take requests and send nothing, and a twentieth send
 * one block in ten corrupt. The good ones are compared with a swarm of the good ones alone.
 */
import type { Host } from '../host.js';
import {
  atMost,
  completionSeconds,
  type Outcome,
  outcome,
  percentile,
  type ScenarioOptions,
  wastePercent,
} from '../scenario.js';
import type { HostSpec, Manner } from '../spec.js';
import type { Swarm } from '../swarm.js';
import { everybodyFinishes, KIB, MBIT, MIB, machine, mean, simulateUntil } from './support.js';

const CAP = 100 * MBIT;
const STALL_EVERY = 5;
const CORRUPT_EVERY = 20;
const TITLE = 'slow and bad peers';

/** Every fifth stalls; every twentieth, next to a stalling one, corrupts. */
function mannerOf(leech: number): Manner {
  if (leech % STALL_EVERY === 0) return 'stall';
  return leech % CORRUPT_EVERY === 1 ? 'corrupt' : 'good';
}

function simulate(options: ScenarioOptions, imageBytes: number, manners: readonly Manner[]): Promise<Swarm> {
  const caps = { upBytesPerSec: CAP, downBytesPerSec: CAP };
  const hosts: HostSpec[] = manners.map((manner) => ({ ...caps, manner }));
  return simulateUntil(
    {
      seed: options.seed,
      imageBytes,
      ...machine(MIB),
      unitBytes: 64 * KIB,
      hosts: [{ ...caps, isSeed: true }, ...hosts],
      latencyMs: 5,
    },
    (20 * imageBytes) / CAP,
    options,
    (running) => good(running).every((host) => host.isDone),
  );
}

function good(swarm: Swarm): Host[] {
  return swarm.hosts.filter((host) => host.spec.isSeed !== true && host.manner === 'good');
}

async function run(options: ScenarioOptions): Promise<Outcome> {
  const imageBytes = (options.isSmall ? 64 : 1024) * MIB;
  const leechCount = options.isSmall ? 20 : 60;
  const manners = Array.from({ length: leechCount }, (_, leech) => mannerOf(leech));
  const alone = await simulate(
    options,
    imageBytes,
    manners.filter((manner) => manner === 'good'),
  );
  const mixed = await simulate(options, imageBytes, manners);
  const [aloneSec, mixedSec] = [completionSeconds(good(alone)), completionSeconds(good(mixed))];
  const honest = mixed.hosts.filter((host) => host.manner !== 'corrupt');
  const corrupters = mixed.hosts.filter((host) => host.manner === 'corrupt');
  const bans = honest.flatMap((host) => [...host.banned]);
  const corruptIds = new Set(corrupters.map((host) => host.id));
  const stillConnected = corrupters.map(
    (host) => honest.filter((other) => other.spec.isSeed !== true && other.peerAt(host.id) !== null).length,
  );
  const stallCount = manners.filter((manner) => manner === 'stall').length;
  return outcome(mixed, {
    scenario: 'bad-peers',
    title: TITLE,
    parameters: {
      leeches: `${leechCount}: ${stallCount} stall, ${corrupters.length} corrupt`,
      'corrupt blocks': 'one in ten',
      image: `${imageBytes / MIB} MiB`,
      caps: '100 Mbit/s each way',
    },
    checks: [
      everybodyFinishes([...good(alone), ...good(mixed)]),
      atMost('last good one done', percentile(mixedSec, 1) / percentile(aloneSec, 1), 1.3, '× without them'),
      atMost('corrupters nobody banned', corrupters.filter((host) => !bans.includes(host.id)).length, 0, 'hosts'),
      atMost('bans of innocent peers', bans.filter((id) => !corruptIds.has(id)).length, 0, 'bans'),
    ],
    figures: {
      aloneLastSec: percentile(aloneSec, 1),
      lastSec: percentile(mixedSec, 1),
      meanTimesWithout: mean(mixedSec) / mean(aloneSec),
      bansPerCorrupter: bans.length / corrupters.length,
      stillConnectedToCorrupter: Math.max(...stillConnected),
      wastePercent: wastePercent(good(mixed)),
    },
    curves: [
      { label: 'with bad peers', seconds: mixedSec },
      { label: 'without', seconds: aloneSec },
    ],
  });
}

export const badPeers = { title: TITLE, run };
