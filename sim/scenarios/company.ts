/**
 * Bad company for leeches that go from the front to the back (`forward.ts`): the good ones are compared with what their
 * links allow. The seed is like a depot: a web seed and a seed of the wire behind one link, half of it each.
 */
import { idealLastSec } from '../../bench/support/swarm-ideal.js';
import { makeRandom } from '../../src/random.js';
import type { Host } from '../host.js';
import {
  atMost,
  type Check,
  completionSeconds,
  copiesFrom,
  type Outcome,
  outcome,
  type ScenarioOptions,
} from '../scenario.js';
import type { HostSpec } from '../spec.js';
import type { Swarm } from '../swarm.js';
import { HandOver } from './hand-over.js';
import { KIB, MIB, machine, pollEvery, simulateUntil } from './support.js';

const TITLE = 'bad company from the front to the back';
const UNIT_BYTES = 32 * KIB;
const RUN_BLOCKS = 8;
const HAND_OVER = 2;
const CAP = 5e6;
const PIECE_BYTES = 256 * KIB;
const SEEDS = 2;
/** For CI. */
const SMALL = ['idle', 'frozen', 'liar-half', 'again', 'reconnect', 'restart'];

interface Company {
  readonly copySec: number;
  readonly pieceCount: number;
  readonly random: () => number;
}

/** One of the crowd: what it is, whether it is expected to be done in time, and what happens to it. */
interface Member extends Partial<HostSpec> {
  readonly isGood?: boolean;
  readonly startCopies?: number;
}

interface Crowd {
  /** Beside 20 good ones. */
  readonly members: (company: Company) => readonly Member[];
  readonly happens?: (swarm: Swarm, company: Company, bad: readonly Host[]) => void;
  /** Of the seed's link, × that of a leech. */
  readonly seedTimes?: number;
  /** Default: 1.3 and 1.5. */
  readonly lastBar?: number;
  readonly copiesBar?: number;
}

const times = (count: number, member: Member): Member[] => Array.from({ length: count }, () => member);
const good = (count: number): Member[] => times(count, { isGood: true });
const all = ({ pieceCount }: Company): number[] => Array.from({ length: pieceCount }, (_, piece) => piece);
const nothing = ({ pieceCount }: Company): HostSpec['priorities'] => new Array<0>(pieceCount).fill(0);
/** Takes turns between the two kinds. */
function mixed(a: readonly Member[], b: readonly Member[]): Member[] {
  const members: Member[] = [];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    if (a[at] !== undefined) members.push(a[at]!);
    if (b[at] !== undefined) members.push(b[at]!);
  }
  return members;
}

/** It ends all its connections, and opens them again. */
function comesAnew(swarm: Swarm, host: Host): void {
  for (const peer of host.exchange.peers) if (peer !== null) swarm.disconnect(peer.remote, 'again');
  for (const other of swarm.hosts)
    if (other !== host && other.isAlive && host.peerAt(other.id) === null) swarm.connect(host, other);
}

const CROWDS: Readonly<Record<string, Crowd>> = {
  alone: { members: () => good(20) },
  idle: { members: () => mixed(good(20), times(20, { manner: 'idle' })) },
  'idle-uninterested': { members: (company) => mixed(good(20), times(20, { priorities: nothing(company)! })) },
  'idle-60': { lastBar: 1.4, members: () => mixed(good(20), times(60, { manner: 'idle' })) },
  frozen: {
    members: () => mixed(good(14), times(7, {})),
    happens: (swarm, { copySec }, bad) =>
      swarm.events.callAt(copySec * 500, () => {
        for (const host of bad) host.manner = 'frozen';
      }),
  },
  gone: {
    members: () => mixed(good(14), times(7, {})),
    happens: (swarm, { copySec }, bad) =>
      swarm.events.callAt(copySec * 500, () => {
        for (const host of bad) swarm.leave(host);
      }),
  },
  slow: { members: () => mixed(good(15), times(5, { upBytesPerSec: CAP / 10, downBytesPerSec: CAP / 10 })) },
  'slow-half': {
    lastBar: 1.5,
    members: () => mixed(good(10), times(10, { upBytesPerSec: CAP / 10, downBytesPerSec: CAP / 10 })),
  },
  /** Good ones but for their uplinks. */
  'thin-uplink': { members: () => mixed(good(19), times(1, { upBytesPerSec: CAP / 10 })) },
  few: { members: () => good(6) },
  'few-thin-uplink': { members: () => mixed(good(5), times(1, { upBytesPerSec: CAP / 10 })) },
  /** Nobody waits for what it has: it is not to wait for them. */
  'slow-others': { members: () => mixed(good(1), times(5, { upBytesPerSec: CAP / 50, downBytesPerSec: CAP / 50 })) },
  late: { members: () => [...good(15), ...times(5, { isGood: true, startCopies: 0.9 })] },
  'liar-all': {
    members: (company) =>
      mixed(good(20), times(5, { have: all(company).slice(1), manner: 'stall', priorities: nothing(company)! })),
  },
  'liar-half': {
    lastBar: 1.45,
    members: (company) =>
      mixed(
        good(20),
        times(5, {}).map(() => ({
          have: all(company).filter(() => company.random() < 0.5),
          manner: 'stall' as const,
          priorities: nothing(company)!,
        })),
      ),
  },
  /** They get all they say, and give nothing. */
  stall: { lastBar: 1.65, copiesBar: 1.65, members: () => mixed(good(20), times(5, { manner: 'stall' })) },
  /** They say HAVE of whatever anybody else just got. */
  echo: {
    members: (company) => mixed(good(20), times(5, { manner: 'stall', priorities: nothing(company)! })),
    happens: (swarm, _company, bad) => {
      const said = new Set<number>();
      pollEvery(swarm, 100, () => {
        for (const host of swarm.hosts.slice(2)) {
          if (host.manner !== 'good') continue;
          for (let piece = 0; piece < host.geometry.pieceCount; piece++) {
            if (said.has(piece) || !host.have.has(piece)) continue;
            said.add(piece);
            for (const one of bad) {
              one.have.set(piece);
              for (const peer of one.exchange.peers) peer?.remote.out.have(piece);
            }
          }
        }
        return false;
      });
    },
  },
  again: {
    members: () => mixed(good(20), times(5, { manner: 'again' })),
    happens: (swarm, _company, bad) =>
      pollEvery(swarm, 1000, () => {
        for (const host of bad) {
          for (const peer of host.exchange.peers) {
            if (peer === null || peer.remote.isWebSeed || host.scheduler.view.isPeerChoking(peer.slot)) continue;
            const { blocksPerPiece } = host.geometry;
            for (let block = 0; block < blocksPerPiece; block++)
              peer.remote.out.request(0, block * swarm.blockBytes, swarm.blockBytes);
          }
        }
        return false;
      }),
  },
  reconnect: {
    members: () => mixed(good(20), times(5, { manner: 'idle' })),
    happens: (swarm, _company, bad) =>
      pollEvery(swarm, 1000, () => {
        for (const host of bad) comesAnew(swarm, host);
        return false;
      }),
  },
  /** One after the other: another rank for all each second. */
  'reconnect-20': {
    members: () => mixed(good(20), times(20, { manner: 'idle' })),
    happens: (swarm, _company, bad) => {
      let next = 0;
      pollEvery(swarm, 50, () => {
        comesAnew(swarm, bad[next++ % bad.length]!);
        return false;
      });
    },
  },
  'slow-seed': { members: () => good(20), seedTimes: 0.25 },
  /** The seed is away for five seconds half way. */
  restart: {
    members: () => good(20),
    happens: (swarm, { copySec }) => {
      const seeds = swarm.hosts.slice(0, 2);
      swarm.events.callAt(copySec * 500, () => {
        for (const host of seeds) {
          host.vanish();
          for (const peer of host.exchange.peers) if (peer !== null) swarm.disconnect(peer.remote, 'it vanished');
        }
      });
      swarm.events.callAt(copySec * 500 + 5000, () => {
        for (const host of seeds) {
          host.isAlive = true;
          host.exchange.isClosed = false;
          host.tick();
          for (const other of swarm.hosts)
            if (!seeds.includes(other) && host.peerAt(other.id) === null) swarm.connect(other, host);
        }
      });
    },
  },
};

interface CompanyFigures {
  readonly swarm: Swarm;
  /** × ideal. */
  readonly last: number;
  readonly copies: number;
  /** % of the image, of the one with most. */
  readonly leftMost: number;
  readonly seconds: readonly number[];
  readonly idealSec: number;
}

function hostsOf(members: readonly Member[], seedBytesPerSec: number, copySec: number): HostSpec[] {
  const caps = { upBytesPerSec: CAP, downBytesPerSec: CAP, runBlocks: RUN_BLOCKS, isForward: true };
  const seed = { ...caps, upBytesPerSec: seedBytesPerSec / SEEDS, isSeed: true };
  const leeches = members.map(({ isGood: _, startCopies = 0, ...rest }) => {
    return { ...caps, ...rest, joinMs: startCopies * copySec * 1000 };
  });
  return [{ ...seed, isWebSeed: true }, seed, ...leeches];
}

function idealOf(members: readonly Member[], imageBytes: number, seedBytesPerSec: number): number {
  const startsSec = members
    .filter((each) => each.isGood)
    .map(({ startCopies = 0 }) => (startCopies * imageBytes) / CAP);
  startsSec.sort((a, b) => a - b);
  const links = { seedUpBytesPerSec: seedBytesPerSec, leechUpBytesPerSec: CAP, leechDownBytesPerSec: CAP };
  return idealLastSec({ imageBytes, ...links, startsSec });
}

async function figuresOf(crowd: Crowd, options: ScenarioOptions): Promise<CompanyFigures> {
  const imageBytes = (options.isSmall ? 16 : 256) * MIB;
  const seedBytesPerSec = CAP * (crowd.seedTimes ?? 1);
  const copySec = imageBytes / CAP;
  const company = { copySec, pieceCount: imageBytes / PIECE_BYTES, random: makeRandom(options.seed) };
  const members = crowd.members(company);
  const hosts = hostsOf(members, seedBytesPerSec, copySec);
  const ideal = idealOf(members, imageBytes, seedBytesPerSec);
  const leeches = (running: Swarm, areGood: boolean): Host[] =>
    running.hosts.filter((_, id) => id >= SEEDS && (members[id - SEEDS]!.isGood === true) === areGood);
  const handOvers: HandOver[] = [];
  const swarm = await simulateUntil(
    { seed: options.seed, imageBytes, unitBytes: UNIT_BYTES, hosts, latencyMs: 1, ...machine(PIECE_BYTES) },
    10 * ideal,
    options,
    (running) => leeches(running, true).every((host) => host.isDone),
    (begun) => {
      const bytesPerMs = (HAND_OVER * CAP) / begun.scale / 1000;
      for (const host of leeches(begun, true)) handOvers.push(new HandOver(host, bytesPerMs));
      crowd.happens?.(begun, company, leeches(begun, false));
    },
  );
  const done = leeches(swarm, true);
  const seeds = swarm.hosts.slice(0, SEEDS);
  const left = Math.max(...handOvers.map(({ leftBytes }) => leftBytes));
  return {
    swarm,
    last: Math.max(...done.map((host) => host.completeMs)) / 1000 / ideal,
    copies: seeds.reduce((sum, host) => sum + copiesFrom(swarm, host), 0),
    leftMost: (100 * left) / swarm.geometry.lengthBytes,
    seconds: completionSeconds(done),
    idealSec: ideal,
  };
}

async function run(options: ScenarioOptions): Promise<Outcome> {
  const checks: Check[] = [];
  const figures: Record<string, number> = {};
  let shown: CompanyFigures | null = null;
  for (const [name, crowd] of Object.entries(CROWDS)) {
    if (options.isSmall && !SMALL.includes(name)) continue;
    const one = await figuresOf(crowd, options);
    shown ??= one;
    checks.push(
      atMost(`${name}: last good one done`, one.last, crowd.lastBar ?? 1.3, '× ideal'),
      atMost(`${name}: sent by the seed`, one.copies, crowd.copiesBar ?? 1.5, 'copies'),
    );
    figures[`${name}LeftPercent`] = one.leftMost;
  }
  return outcome(shown!.swarm, {
    scenario: 'company',
    title: TITLE,
    parameters: { image: '256 MiB', links: '5 MB/s', seed: 'a web seed and a seed of the wire, half of one link each' },
    checks,
    figures,
    curves: [{ label: 'without bad company', seconds: shown!.seconds, idealSeconds: shown!.idealSec }],
  });
}

export const company = { title: TITLE, run };
