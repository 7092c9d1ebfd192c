/** What happens in the cases of `depot-company`, and who else is there. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { run, startChild } from '../../lab/child.js';
import type { Scope } from '../../lab/scope.js';
import type { Place } from './caps.js';
import { curl, type Running, startAgent, startDepot } from './depot-world.js';
import { fetchBy, SWARM_CLIENTS } from './swarm-clients.js';

export const NAME = 'artifacts/ci/image.raw';
export const SMALL = 'artifacts/ci/small.raw';
const PEER = fileURLToPath(new URL('company-peer.js', import.meta.url));
const READY_MS = 60_000;
/** An agent that something happens to. */
const VICTIM = 2;
const GHOSTS = 500;
const NO_VISITORS =
  'add table inet f; add chain inet f i { type filter hook input priority 0; }; ' +
  'add rule inet f i iifname "eth0" tcp flags & (syn|ack) == syn drop';

export interface Member {
  readonly place: Place;
  readonly folder: string;
  agent: Running;
}

export interface World {
  readonly scope: Scope;
  readonly root: string;
  readonly source: Place;
  depot: Running;
  /** To start the depot once more. */
  readonly depotWords: readonly string[];
  readonly image: string;
  readonly torrent: string;
  readonly members: readonly Member[];
  /** Bad peers, where there are some. */
  readonly bad: number;
  readonly figures: Record<string, number>;
  /** When so much of the ideal time is over. */
  atPart(): Promise<void>;
  place(): Promise<Place>;
  /** Throws when it is not the image. */
  check(file: string): Promise<void>;
}

export interface Case {
  /** Options of one of the agents. */
  readonly words?: (index: number) => readonly string[];
  readonly before?: (world: World) => Promise<void>;
  readonly happens?: (world: World) => Promise<void>;
  /** That agent is not expected to be done as the others are. */
  readonly hasVictim?: boolean;
  /** Nobody can be done: how long clients wait for an error is what counts. */
  readonly mayFail?: boolean;
}

const signal = (name: NodeJS.Signals, { child }: Running): void => void process.kill(child.pid, name);

function peers(manner: string, countOf: (world: World) => number = ({ bad }) => bad): Case {
  return {
    before: async (world) => {
      for (let index = 0; index < countOf(world); index++) {
        const { host, namespace } = await world.place();
        if (manner === 'ghosts') await shutDoor(world.scope, { namespace });
        const words = [PEER, world.torrent, world.image, '--host', host, '--manner', manner, '--ghosts', `${GHOSTS}`];
        const child = startChild(world.scope, process.execPath, words, { namespace });
        await child.line('ready', READY_MS, (line) => line === 'ready');
      }
    },
  };
}

function stopped(seconds: number): Case {
  return {
    hasVictim: true,
    happens: async (world) => {
      await world.atPart();
      const { agent } = world.members[VICTIM]!;
      signal('SIGSTOP', agent);
      await delay(seconds * 1000);
      signal('SIGCONT', agent);
    },
  };
}

async function killedAgain(world: World): Promise<void> {
  await world.atPart();
  const member = world.members[VICTIM]!;
  signal('SIGKILL', member.agent);
  await delay(2_000);
  const began = performance.now();
  member.agent = await startAgent(world.scope, member.place, world.depot.url, path.join(member.folder, 'cache'));
  const file = path.join(member.folder, 'again');
  await curl(world.scope, member.place, [`${member.agent.url}/${NAME}`], file);
  world.figures.againSec = (performance.now() - began) / 1000;
  await world.check(file);
}

async function depotAgain(world: World): Promise<void> {
  await world.atPart();
  signal('SIGKILL', world.depot);
  await delay(3_000);
  world.depot = await startDepot(world.scope, world.source, path.join(world.root, 'depot'), ...world.depotWords);
}

function depotGets(name: NodeJS.Signals): Case {
  return {
    mayFail: true,
    happens: async (world) => {
      await world.atPart();
      signal(name, world.depot);
    },
  };
}

/** @param fromAll else the first agent alone is asked for it */
function small(fromAll: boolean): Case {
  return {
    happens: async ({ scope, members, figures, atPart }) => {
      await atPart();
      const wanted = fromAll ? members : members.slice(0, 1);
      const times = await Promise.all(wanted.map(({ place, agent }) => curl(scope, place, [`${agent.url}/${SMALL}`])));
      figures.smallSec = Math.max(...times.map(({ totalSec }) => totalSec));
    },
  };
}

async function smallByCurl({ scope, depot, figures, atPart, place }: World): Promise<void> {
  const own = await place();
  await atPart();
  const { totalSec, firstByteSec } = await curl(scope, own, [`${depot.url}/${SMALL}`]);
  Object.assign(figures, { smallSec: totalSec, smallFirstByteSec: firstByteSec });
}

async function slowReaders({ scope, members }: World): Promise<void> {
  for (const { place, agent } of [members[0]!, members[0]!, members[1]!]) {
    const words = ['-sS', '--limit-rate', '100k', '-o', '/dev/null', `${agent.url}/${NAME}`];
    startChild(scope, 'curl', words, { namespace: place.namespace });
  }
}

async function foreign(world: World): Promise<void> {
  await Promise.all(
    SWARM_CLIENTS.map(async (client) => {
      if ((await client.missing()) !== null) return;
      const folder = path.join(world.root, client.name);
      await mkdir(folder);
      const fetched = await fetchBy(client, world.scope, await world.place(), world.torrent, folder);
      await world.check(fetched.file);
      world.figures[`${client.name}Sec`] = fetched.seconds;
    }),
  );
}

/** Nobody can connect to what listens there, or is told that it cannot. */
async function shutDoor(scope: Scope, { namespace }: Pick<Place, 'namespace'>): Promise<void> {
  await run(scope, 'nft', [NO_VISITORS], { namespace });
}

async function shutDoors({ scope, members }: World): Promise<void> {
  for (const { place } of members.slice(0, 2)) await shutDoor(scope, place);
}

const thinUplink = (rate: string): Case => ({ words: (index) => (index === 1 ? ['--upload-limit', rate] : []) });

export const CASES: Readonly<Record<string, Case>> = {
  alone: {},
  'slow-readers': { happens: slowReaders },
  small: small(true),
  'small-one': small(false),
  'small-curl': { happens: smallByCurl },
  'stop-5': stopped(5),
  'stop-30': stopped(30),
  'kill-again': { hasVictim: true, happens: killedAgain },
  'depot-again': { happens: depotAgain },
  'depot-gone': depotGets('SIGKILL'),
  'depot-stopped': depotGets('SIGSTOP'),
  'thin-uplink': thinUplink('500K'),
  'no-uplink': thinUplink('16K'),
  nat: { before: shutDoors },
  nothing: peers('nothing'),
  one: peers('one'),
  drip: peers('drip'),
  bad: peers('bad'),
  taker: peers('taker'),
  mute: peers('mute'),
  ghosts: peers('ghosts', () => 1),
  foreign: { happens: foreign },
};
