/**
 * `npm run bench -- depot-company [--only CASE]... [--agents 6] [--size 64M] [--rate 5M] [--depot-rate RATE]
 *   [--short 10M] [--depot-limit RATE] [--at 0.4] [--bad 3] [--turns 1] [--folder DIR] [--out FILE] [--small]`
 * A depot and agents as in depot-swarm, each a process behind a link of its own (network namespaces; needs root),
 * asked for one image by curl, all at once; and somebody or something that disturbs them, when a part (`--at`) of the
 * ideal time is over. Every copy is checked.
 *   alone               nobody disturbs
 *   slow-readers        three more clients of two agents read 100 kB/s
 *   small, small-one    a short artifact (`--short`) is wanted meanwhile, of all agents or of one: smallSec
 *   small-curl          the same of the depot itself; `--depot-limit` is a limit of its own, below its link
 *   stop-5, stop-30     an agent is stopped for so many seconds; agentSec is its own time
 *   kill-again          one is killed and started again: againSec
 *   depot-again         the depot is killed, and started again after 3 s
 *   depot-gone, -stopped  for good: lastSec is when the last client has it, or was told
 *   thin-uplink, no-uplink  an agent has a limit of its own, of 500 or 16 kB/s up
 *   nat                 nobody can connect to two of the agents
 *   nothing, one, drip, bad, taker, mute, ghosts  peers (`--bad`) as support/company-peer.ts has them
 *   foreign             aria2 and rqbit fetch the .torrent meanwhile
 *   lastSec, timesIdeal   the last curl; ÷ the bound that the links set (support/swarm-ideal.ts)
 *   copies                bytes that left the depot's link ÷ the image
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { missingTool } from '../lab/clients/client.js';
import { namespacesMissing } from '../lab/namespace.js';
import { freePort } from '../lab/ports.js';
import { Scope } from '../lab/scope.js';
import { tempFolder } from '../lab/temp.js';
import { sha256File } from '../lab/tree.js';
import { openCaps, type Place, sentBytes } from './support/caps.js';
import { CASES, type Case, type Member, NAME, SMALL, type World } from './support/company-cases.js';
import { changeImage, curl, makeImage, startAgent, startDepot, WRITER } from './support/depot-world.js';
import { defaultFolder } from './support/job.js';
import { count, length, makeFolder, positive, someOf } from './support/options.js';
import { sampleProcess } from './support/procstat.js';
import { Results } from './support/results.js';
import { idealLastSec, quantile } from './support/swarm-ideal.js';

/** A link that caps nothing, bytes per second. */
const WIDE = 10_000_000_000;
const BAD_BYTES = 'are not those of the image';

interface Plan {
  readonly cases: readonly string[];
  readonly agents: number;
  readonly lengthBytes: number;
  readonly bytesPerSec: number;
  readonly depotBytesPerSec: number;
  readonly shortBytes: number;
  /** `--upload-limit` of the depot, bytes per second; null: none. */
  readonly depotLimit: number | null;
  readonly at: number;
  readonly bad: number;
  readonly turns: number;
  readonly folder: string;
}

function readPlan(argv: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', multiple: true },
      agents: { type: 'string' },
      size: { type: 'string' },
      rate: { type: 'string' },
      'depot-rate': { type: 'string' },
      short: { type: 'string' },
      'depot-limit': { type: 'string' },
      at: { type: 'string', default: '0.4' },
      bad: { type: 'string', default: '3' },
      turns: { type: 'string', default: '1' },
      folder: { type: 'string', default: defaultFolder() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const { small } = values;
  const bytesPerSec = length('rate', values.rate ?? (small ? '8M' : '5000000'));
  const known = Object.keys(CASES);
  return {
    cases: someOf('only', values.only ?? (small ? ['taker', 'kill-again'] : known), known),
    agents: count('agents', values.agents ?? (small ? '3' : '6')),
    lengthBytes: length('size', values.size ?? (small ? '8M' : '64M')),
    bytesPerSec,
    depotBytesPerSec: length('depot-rate', values['depot-rate'] ?? `${bytesPerSec}`),
    shortBytes: length('short', values.short ?? (small ? '1M' : '10M')),
    depotLimit: values['depot-limit'] === undefined ? null : length('depot-limit', values['depot-limit']),
    at: positive('at', values.at),
    bad: count('bad', values.bad),
    turns: count('turns', values.turns),
    folder: values.folder,
  };
}

function idealSec({ agents, lengthBytes, bytesPerSec, depotBytesPerSec }: Plan): number {
  return idealLastSec({
    imageBytes: lengthBytes,
    seedUpBytesPerSec: depotBytesPerSec,
    leechUpBytesPerSec: bytesPerSec,
    leechDownBytesPerSec: bytesPerSec,
    startsSec: new Array<number>(agents).fill(0),
  });
}

async function openWorld(scope: Scope, plan: Plan, one: Case, content: string): Promise<World> {
  const root = await tempFolder(scope, plan.folder);
  const caps = await openCaps(scope, 'namespace');
  const { bytesPerSec, depotBytesPerSec, lengthBytes, shortBytes } = plan;
  const place = (): Promise<Place> => caps.open({ uploadBytesPerSec: bytesPerSec, downloadBytesPerSec: bytesPerSec });
  const source = await caps.open({ uploadBytesPerSec: depotBytesPerSec, downloadBytesPerSec: WIDE });
  const [image, short, torrent] = ['image.raw', 'short.raw', 'image.torrent'].map((name) => path.join(root, name));
  for (const [file, bytes] of [[image!, lengthBytes] as const, [short!, shortBytes] as const]) {
    await makeImage(file, bytes);
    await changeImage(file, `${content} ${bytes}`);
  }
  const depotWords = ['--http', `${source.host}:${await freePort('127.0.0.1')}`];
  if (plan.depotLimit !== null) depotWords.push('--upload-limit', `${plan.depotLimit}`);
  const depot = await startDepot(scope, source, path.join(root, 'depot'), ...depotWords);
  await curl(scope, source, [...WRITER, '-T', image!, `${depot.url}/${NAME}`]);
  await curl(scope, source, [...WRITER, '-T', short!, `${depot.url}/${SMALL}`]);
  await curl(scope, source, [`${depot.url}/${NAME}?torrent`], torrent);
  const members: Member[] = [];
  for (let index = 0; index < plan.agents; index++) {
    const [own, folder] = [await place(), path.join(root, `agent-${index}`)];
    await mkdir(folder);
    const words = one.words?.(index) ?? [];
    const agent = await startAgent(scope, own, depot.url, path.join(folder, 'cache'), ...words);
    await curl(scope, own, [`${agent.url}/readyz`]);
    members.push({ place: own, folder, agent });
  }
  const wanted = await sha256File(image!);
  const check = async (file: string): Promise<void> => {
    if ((await sha256File(file)) !== wanted) throw new Error(`the bytes of ${file} ${BAD_BYTES}`);
  };
  const atPart = (): Promise<void> => delay(plan.at * idealSec(plan) * 1000);
  const { bad } = plan;
  const more = { bad, figures: {}, atPart, place, check };
  return { scope, root, source, depot, depotWords, image: image!, torrent: torrent!, members, ...more };
}

/** Seconds of each that is expected to be done, and those of the other one. */
async function fetchAll({ scope, members, check, figures }: World, one: Case): Promise<number[]> {
  const seconds: number[] = [];
  const fetchOne = async ({ place, folder, agent }: Member, index: number): Promise<void> => {
    const began = performance.now();
    const isVictim = one.hasVictim === true && index === 2;
    try {
      const file = path.join(folder, 'copy');
      await curl(scope, place, [`${agent.url}/${NAME}`], file);
      await check(file);
    } catch (error) {
      if ((error as Error).message.includes(BAD_BYTES) || (!isVictim && one.mayFail !== true)) throw error;
      figures.failed = (figures.failed ?? 0) + 1;
    }
    const took = (performance.now() - began) / 1000;
    if (isVictim) figures.agentSec = took;
    else seconds.push(took);
  };
  await Promise.all(members.map(fetchOne));
  return seconds;
}

async function runCase(plan: Plan, name: string, turn: number): Promise<Record<string, number>> {
  const scope = new Scope();
  const one = CASES[name]!;
  try {
    const world = await openWorld(scope, plan, one, `${name} ${turn}`);
    await one.before?.(world);
    const before = await sentBytes(world.source);
    const [seconds] = await Promise.all([fetchAll(world, one), one.happens?.(world)]);
    const copies = ((await sentBytes(world.source)) - before) / plan.lengthBytes;
    const lastSec = Math.max(...seconds);
    const residents = world.members.map(({ agent }) => sampleProcess(agent.child.pid).residentBytes / 2 ** 20);
    const figures = { lastSec, p50Sec: quantile(seconds, 0.5), timesIdeal: lastSec / idealSec(plan), copies };
    return { ...figures, residentMiB: Math.max(...residents), ...world.figures };
  } finally {
    await scope.close();
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const plan = readPlan(argv);
  await makeFolder(plan.folder);
  const { folder: _folder, ...parameters } = plan;
  const results = new Results('depot-company', { argv, parameters });
  const tool = await missingTool(['curl', 'nft']);
  const missing = tool === null ? await namespacesMissing() : `${tool} is not installed`;
  if (missing !== null) results.skip('depot-company', missing);
  else
    for (let turn = 0; turn < plan.turns; turn++)
      for (const name of plan.cases) results.add({ series: name, turn, figures: await runCase(plan, name, turn) });
  await results.finish();
}
