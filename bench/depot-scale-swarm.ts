/**
 * `npm run bench -- depot-scale-swarm [--depots 3] [--agents 12] [--size 256M] [--rate 5M] [--turns 1] [--no-kill]
 *   [--folder DIR] [--out FILE] [--small]`
 * Several depots on one S3 (versitygw), one PostgreSQL and one Redis, and many agents (a network namespace each; needs
 * root). Each agent has a link of so many bytes a second both ways, and so has each depot to the agents; depots and
 * servers stand in one room, without a cap between them. One new image, which no depot has in its cache, is asked for
 * by curl at all agents at once; half way one depot is killed. Every copy is checked.
 *   lastSec, timesIdeal   the last curl; ÷ the bound that the links set with all depots alive. Bar: 1.4
 *   egressCopies          bytes that left the link of S3 ÷ the image. Bar: 1.2
 *   depotCopies           bytes from depots to agents ÷ the image
 *   machineBusyShare      of all cores: near 1 it was the machine, not the links, that set the time
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { run, startChild } from '../lab/child.js';
import { missingTool } from '../lab/clients/client.js';
import { namespacesMissing } from '../lab/namespace.js';
import { PostgresServer, postgresPrograms } from '../lab/postgres.js';
import { REDIS } from '../lab/redis.js';
import { S3_KEYS, VERSITYGW } from '../lab/s3-server.js';
import { Scope } from '../lab/scope.js';
import { tempFolder } from '../lab/temp.js';
import { sha256File } from '../lab/tree.js';
import { busyBetween, machineTimes } from './support/busy.js';
import { type CapMethod, cappedBytes, freeTowards, openCaps, type Place, sentBytes } from './support/caps.js';
import { changeImage, curl, makeImage, type Running, startAgent, startDepot, WRITER } from './support/depot-world.js';
import { defaultFolder } from './support/job.js';
import { count, length, makeFolder } from './support/options.js';
import { Results } from './support/results.js';
import { idealLastSec, quantile } from './support/swarm-ideal.js';

const NAME = 'artifacts/ci/image.raw';
const WIDE = 10_000_000_000;
const PORT = 7070;

interface Plan {
  readonly depots: number;
  readonly agents: number;
  readonly lengthBytes: number;
  readonly bytesPerSec: number;
  readonly turns: number;
  readonly kill: boolean;
  readonly folder: string;
}

function readPlan(argv: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      depots: { type: 'string', default: '3' },
      agents: { type: 'string' },
      size: { type: 'string' },
      rate: { type: 'string' },
      turns: { type: 'string', default: '1' },
      'no-kill': { type: 'boolean', default: false },
      folder: { type: 'string', default: defaultFolder() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const { small } = values;
  return {
    depots: count('depots', values.depots),
    agents: count('agents', values.agents ?? (small ? '3' : '12')),
    lengthBytes: length('size', values.size ?? (small ? '16M' : '256M')),
    bytesPerSec: length('rate', values.rate ?? '5000000'),
    turns: count('turns', values.turns),
    kill: !values['no-kill'],
    folder: values.folder,
  };
}

function idealSec({ depots, agents, lengthBytes, bytesPerSec }: Plan): number {
  return idealLastSec({
    imageBytes: lengthBytes,
    seedUpBytesPerSec: depots * bytesPerSec,
    leechUpBytesPerSec: bytesPerSec,
    leechDownBytesPerSec: bytesPerSec,
    startsSec: new Array<number>(agents).fill(0),
  });
}

interface Servers {
  readonly s3: Place;
  /** All that have an address. */
  readonly servers: readonly Place[];
  /** Of a depot. */
  readonly words: readonly string[];
}

/** All three. */
async function startServers(scope: Scope, caps: CapMethod, root: string): Promise<Servers> {
  const [s3, peers] = [await caps.open(wide), await caps.open(wide)];
  const folder = path.join(root, 's3');
  await mkdir(path.join(folder, 'artifacts'), { recursive: true });
  const keys = { ROOT_ACCESS_KEY: S3_KEYS.AWS_ACCESS_KEY_ID, ROOT_SECRET_KEY: S3_KEYS.AWS_SECRET_ACCESS_KEY };
  const address = `${s3.host}:${PORT}`;
  startChild(scope, VERSITYGW, ['--port', address, '--quiet', '--keep-alive', 'posix', folder], {
    env: keys,
    namespace: s3.namespace,
  });
  const redis = ['--port', '6379', '--bind', peers.host, '--dir', root, '--save', '', '--protected-mode', 'no'];
  startChild(scope, REDIS, redis, { namespace: peers.namespace });
  // Refused is an answer, too.
  const retry = ['-sS', '-o', '/dev/null', '--retry', '20', '--retry-connrefused', '--retry-delay', '1'];
  await run(scope, 'curl', [...retry, `http://${address}/`], { namespace: s3.namespace });
  const postgres = await PostgresServer.start(scope);
  const store = `s3://artifacts/bench?endpoint=http://${address}`;
  return {
    s3,
    servers: [s3, peers],
    words: ['--store', store, '--catalogue', postgres.url(), '--peers', `redis://${peers.host}:6379`],
  };
}

const wide = { uploadBytesPerSec: WIDE, downloadBytesPerSec: WIDE };

/** By a depot that goes again: what serves it after that has nothing of it in its cache. */
async function publish(scope: Scope, caps: CapMethod, words: readonly string[], root: string, image: string) {
  const own = new Scope();
  scope.defer(() => own.close());
  const place = await caps.open(wide);
  const depot = await startDepot(own, place, path.join(root, 'publisher'), ...words);
  await curl(scope, place, [...WRITER, '-T', image, `${depot.url}/${NAME}`]);
  await own.close();
}

async function startDepots(
  scope: Scope,
  caps: CapMethod,
  { words, servers }: Servers,
  plan: Plan,
  root: string,
): Promise<{ places: Place[]; depots: Running[] }> {
  const { bytesPerSec } = plan;
  const places: Place[] = [];
  for (let k = 0; k < plan.depots; k++) {
    places.push(await caps.open({ uploadBytesPerSec: bytesPerSec, downloadBytesPerSec: WIDE }));
  }
  const room = [...servers, ...places].map(({ host }) => host);
  for (const place of places) await freeTowards(place, room, bytesPerSec);
  const urls = places.map(({ host }) => `http://${host}:${PORT}`);
  const depots = await Promise.all(
    places.map((place, k) => {
      const others = urls.filter((_, other) => other !== k).flatMap((url) => ['--other-depot', url]);
      const listens = ['--http', `${place.host}:${PORT}`];
      return startDepot(scope, place, path.join(root, `depot-${k}`), ...words, ...others, ...listens);
    }),
  );
  return { places, depots };
}

interface Machine {
  readonly place: Place;
  readonly folder: string;
  readonly agent: Running;
}

async function startAgents(scope: Scope, caps: CapMethod, plan: Plan, root: string, urls: readonly string[]) {
  const { bytesPerSec } = plan;
  const machines: Machine[] = [];
  for (let k = 0; k < plan.agents; k++) {
    const place = await caps.open({ uploadBytesPerSec: bytesPerSec, downloadBytesPerSec: bytesPerSec });
    const folder = path.join(root, `agent-${k}`);
    await mkdir(folder);
    // Each begins with another one.
    const [first = '', ...rest] = [...urls.slice(k % urls.length), ...urls.slice(0, k % urls.length)];
    const more = rest.flatMap((url) => ['--depot', url]);
    machines.push({ place, folder, agent: await startAgent(scope, place, first, path.join(folder, 'cache'), ...more) });
  }
  return machines;
}

async function sumCapped(places: readonly Place[]): Promise<number> {
  let sum = 0;
  for (const place of places) sum += await cappedBytes(place);
  return sum;
}

async function runTurn(plan: Plan, turn: number): Promise<Record<string, number>> {
  const scope = new Scope();
  try {
    const root = await tempFolder(scope, plan.folder);
    const caps = await openCaps(scope, 'namespace');
    const image = path.join(root, 'image.raw');
    await makeImage(image, plan.lengthBytes);
    await changeImage(image, `${turn}`);
    const servers = await startServers(scope, caps, root);
    const { s3 } = servers;
    await publish(scope, caps, servers.words, root, image);
    const { places, depots } = await startDepots(scope, caps, servers, plan, root);
    const urls = depots.map(({ url }) => url);
    const machines = await startAgents(scope, caps, plan, root, urls);
    const before = { s3: await sentBytes(s3), depots: await sumCapped(places), times: machineTimes() };
    const ideal = idealSec(plan);
    const ended = new AbortController();
    const killing = plan.kill ? killAt(depots[0]!, (ideal / 2) * 1000, ended.signal) : null;
    const seconds = await Promise.all(
      machines.map(async ({ place, folder, agent }) => {
        const { totalSec } = await curl(scope, place, [`${agent.url}/${NAME}`], path.join(folder, 'copy'));
        return totalSec;
      }),
    );
    const machineBusyShare = busyBetween(before.times, machineTimes());
    ended.abort();
    await killing;
    const wanted = await sha256File(image);
    for (const { folder } of machines) {
      if ((await sha256File(path.join(folder, 'copy'))) !== wanted) throw new Error(`a copy in ${folder} differs`);
    }
    const lastSec = Math.max(...seconds);
    return {
      lastSec,
      p50Sec: quantile(seconds, 0.5),
      timesIdeal: lastSec / ideal,
      egressCopies: ((await sentBytes(s3)) - before.s3) / plan.lengthBytes,
      depotCopies: ((await sumCapped(places)) - before.depots) / plan.lengthBytes,
      machineBusyShare,
    };
  } finally {
    await scope.close();
  }
}

/** Half of the shortest time in which all could have it. */
async function killAt({ child }: Running, ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {
    throw new Error('all was over before a depot was killed');
  });
  process.kill(child.pid, 'SIGKILL');
}

export async function main(argv: readonly string[]): Promise<void> {
  const plan = readPlan(argv);
  await makeFolder(plan.folder);
  const { folder: _folder, ...parameters } = plan;
  const results = new Results('depot-scale-swarm', { argv, parameters });
  // Of the depots, which inherit them.
  Object.assign(process.env, S3_KEYS);
  const tool = await missingTool([VERSITYGW, REDIS, 'curl']);
  let missing = tool === null ? await namespacesMissing() : `${tool} is not installed (see docs/scale.md)`;
  if (missing === null && postgresPrograms() === null) missing = 'PostgreSQL is not installed';
  if (missing === null) {
    for (let turn = 0; turn < plan.turns; turn++)
      results.add({ series: 'agents', turn, figures: await runTurn(plan, turn) });
  } else results.skip('depot-scale-swarm', missing);
  await results.finish();
}
