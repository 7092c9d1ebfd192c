/**
 * `npm run bench -- depot-agent [--sizes 1M,100M,1G] [--turns 5] [--rate none,50M] [--only CASE]... [--liars 3]
 *   [--at 0.5] [--vanish stop|link] [--no-checked] [--folder DIR] [--out FILE] [--small]`
 * An agent that has nothing yet, asked by curl; beside it curl asks nginx for the same file, in turns. With a rate, the
 * depot and nginx are behind an uplink of so many bytes a second (a network namespace; needs root), so that the agent
 * goes on by torrent; with none all are on loopback, where HTTP alone is fastest.
 *   alone         no other agent has anything
 *   dead-tracker  announces lead to a port that accepts and never answers
 *   liars         peers that announce themselves, claim to have all and send other bytes
 *   vanished      another agent has it all, behind an uplink as wide; at a part of it (`--at`) it stops without a word:
 *                 its process is stopped, or its link is cut (`--vanish`)
 *   timesCurl     time of the whole curl from the agent ÷ that from nginx. Bar: 1.10
 *   timesChecked  the same ÷ curl from nginx into a file, and sha256sum of that: what who is careful does
 *                 (`--no-checked` leaves it out)
 *   laterMs       first byte from the agent, after that from nginx. Bar: 20
 *   warm…         the same of what the agent has, asked for once more
 *   noticedSec    what the end of the fetch was late, for one that knew at once. Bar: 1
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../lab/child.js';
import { missingTool } from '../lab/clients/client.js';
import { NGINX, startNginx } from '../lab/nginx.js';
import { Scope } from '../lab/scope.js';
import { tempFolder } from '../lab/temp.js';
import { ValueError } from '../src/cli/values.js';
import { type CapMethod, cutLink, openCaps, type Place } from './support/caps.js';
import {
  changeImage,
  curl,
  curlText,
  makeImage,
  type Running,
  startAgent,
  startDepot,
  startLiars,
  WRITER,
} from './support/depot-world.js';
import { defaultFolder } from './support/job.js';
import { count, length, lengths, list, makeFolder, someOf } from './support/options.js';
import { Results } from './support/results.js';

const CASES = ['alone', 'dead-tracker', 'liars', 'vanished'] as const;
type Case = (typeof CASES)[number];

/** Shorter ones have no torrent. */
const TORRENT_FROM_BYTES = 4 * 1024 * 1024;
const HEALTH_MS = 200;

interface Plan {
  readonly sizes: readonly number[];
  readonly turns: number;
  /** Bytes per second; null: none. */
  readonly rates: readonly (number | null)[];
  readonly cases: readonly Case[];
  readonly liars: number;
  /** Part of it that is there when the other one vanishes, and how it does. */
  readonly at: number;
  readonly vanish: 'stop' | 'link';
  readonly isChecked: boolean;
  readonly folder: string;
}

function readPlan(argv: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      sizes: { type: 'string' },
      turns: { type: 'string' },
      rate: { type: 'string' },
      only: { type: 'string', multiple: true, default: [...CASES] },
      liars: { type: 'string', default: '3' },
      at: { type: 'string', default: '0.5' },
      vanish: { type: 'string', default: 'stop' },
      'no-checked': { type: 'boolean', default: false },
      folder: { type: 'string', default: defaultFolder() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const { small } = values;
  return {
    sizes: lengths('sizes', values.sizes ?? (small ? '1M,8M' : '1M,100M,1G')),
    turns: count('turns', values.turns ?? (small ? '1' : '5')),
    rates: list(values.rate ?? (small ? 'none' : 'none,50M')).map((each) =>
      each === 'none' ? null : length('rate', each),
    ),
    cases: someOf('only', values.only, CASES),
    liars: count('liars', values.liars),
    at: share('at', values.at),
    vanish: someOf('vanish', [values.vanish], ['stop', 'link'] as const)[0]!,
    isChecked: !values['no-checked'],
    folder: values.folder,
  };
}

function share(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1)) throw new ValueError(`--${name} is a number between 0 and 1`);
  return value;
}

/** Accepts, and never answers. */
async function silentPort(scope: Scope): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  scope.defer(() => void server.close());
  return (server.address() as import('node:net').AddressInfo).port;
}

interface World {
  readonly scope: Scope;
  readonly caps: CapMethod;
  /** Of depot and nginx, behind the uplink. */
  readonly source: Place;
  readonly folder: string;
  readonly depot: Running;
  readonly nginxUrl: string;
  readonly file: string;
  readonly rate: number | null;
  readonly liars: number;
  readonly isChecked: boolean;
}

async function openWorld(
  scope: Scope,
  plan: Plan,
  which: Case,
  rate: number | null,
  lengthBytes: number,
): Promise<World> {
  const folder = await tempFolder(scope, plan.folder);
  const caps = await openCaps(scope, rate === null ? 'none' : 'namespace');
  const wide = 10_000_000_000;
  const source = await caps.open({ uploadBytesPerSec: rate ?? wide, downloadBytesPerSec: wide });
  const [data, work] = [path.join(folder, 'data'), path.join(folder, 'nginx')];
  for (const made of [data, work]) await mkdir(made);
  const file = path.join(data, 'image.raw');
  await makeImage(file, lengthBytes);
  const nginx = await startNginx(scope, data, work, '', source);
  // In a namespace nothing is at that address: its packets get no answer either.
  const dead =
    which === 'dead-tracker'
      ? ['--public-url', rate === null ? `http://127.0.0.1:${await silentPort(scope)}` : 'http://10.78.0.251:1']
      : [];
  const depot = await startDepot(scope, source, path.join(folder, 'depot'), ...dead);
  const { liars, isChecked } = plan;
  return { scope, caps, source, folder, depot, nginxUrl: nginx.url, file, rate, liars, isChecked };
}

async function isHealthy(scope: Scope, place: Place, agent: Running): Promise<void> {
  await curl(scope, place, [`${agent.url}/readyz`]);
  await new Promise((resolve) => setTimeout(resolve, HEALTH_MS));
}

/** Into a file, and hashed. Seconds, without those in which the programs start. */
async function careful(scope: Scope, place: Place, url: string, file: string): Promise<number> {
  const { totalSec } = await curl(scope, place, [url], file);
  const startMs = performance.now();
  await run(scope, 'sha256sum', ['/dev/null']);
  const hashMs = performance.now();
  await run(scope, 'sha256sum', [file]);
  const hashSec = (performance.now() - hashMs - (hashMs - startMs)) / 1000;
  await rm(file);
  return totalSec + Math.max(0, hashSec);
}

/** The figures of one turn: publish, both fetches, remove. */
async function turnOf(world: World, which: Case, turn: number, agent: Running): Promise<Record<string, number>> {
  const { scope, caps, source, folder, depot, nginxUrl, file, liars, rate, isChecked } = world;
  const inner = new Scope();
  try {
    await changeImage(file, `${which} ${turn} ${rate}`);
    const name = `artifacts/ci/${turn}/image.raw`;
    await curl(scope, source, [...WRITER, '-T', file, `${depot.url}/${name}`]);
    if (which === 'liars') {
      const torrentFile = path.join(folder, 'liars.torrent');
      await curl(scope, source, [`${depot.url}/${name}?torrent`], torrentFile);
      const places = await Promise.all(
        Array.from({ length: liars }, () => caps.open({ uploadBytesPerSec: 1e9, downloadBytesPerSec: 1e9 })),
      );
      await startLiars(inner, places, torrentFile, await readFile(torrentFile), folder);
    }
    const theirs = await curl(scope, caps.hub, [`${nginxUrl}/image.raw`]);
    const ours = await curl(scope, caps.hub, [`${agent.url}/${name}`]);
    const checkedSec = isChecked
      ? await careful(scope, caps.hub, `${nginxUrl}/image.raw`, path.join(folder, 'careful'))
      : null;
    const warm = await curl(scope, caps.hub, [`${agent.url}/${name}`]);
    await curl(scope, source, [...WRITER, '-X', 'DELETE', `${depot.url}/${name}`]);
    return {
      sec: ours.totalSec,
      curlSec: theirs.totalSec,
      ...(checkedSec === null ? {} : { checkedSec, timesChecked: ours.totalSec / checkedSec }),
      warmSec: warm.totalSec,
      timesCurl: ours.totalSec / theirs.totalSec,
      laterMs: (ours.firstByteSec - theirs.firstByteSec) * 1000,
      warmTimesCurl: warm.totalSec / theirs.totalSec,
      warmLaterMs: (warm.firstByteSec - theirs.firstByteSec) * 1000,
    };
  } finally {
    await inner.close();
  }
}

interface Receipt {
  readonly peerBytes: number;
  readonly webSeedBytes: number;
}

/** The other agent stops on the way: frozen, or cut off, so that its connections stay open and say nothing. */
async function vanishingTurn(
  world: World,
  { at, vanish }: Plan,
  turn: number,
  lengthBytes: number,
): Promise<Record<string, number>> {
  const { caps, source, folder, depot, file, rate } = world;
  const scope = new Scope();
  try {
    await changeImage(file, `vanished ${turn} ${rate}`);
    const name = `artifacts/ci/${turn}/image.raw`;
    await curl(scope, source, [...WRITER, '-T', file, `${depot.url}/${name}`]);
    const [mine, theirs] = [path.join(folder, `mine-${turn}`), path.join(folder, `theirs-${turn}`)];
    const place = await caps.open({ uploadBytesPerSec: rate!, downloadBytesPerSec: 1e9 });
    const other = await startAgent(scope, place, depot.url, theirs);
    await curl(scope, place, [`${other.url}/${name}`]);
    const agent = await startAgent(scope, caps.hub, depot.url, mine);
    await isHealthy(scope, caps.hub, agent);
    const ended = curl(scope, caps.hub, [`${agent.url}/${name}`]).then(() => performance.now());
    let here = 0;
    const sample = async (): Promise<number> => {
      const status = JSON.parse(await curlText(scope, caps.hub, `${agent.url}/status`)) as {
        fetches: { share: number }[];
      };
      const [fetch] = status.fetches;
      return fetch === undefined ? 0 : fetch.share * lengthBytes;
    };
    while (here < lengthBytes * at) here = Math.max(here, await sample());
    if (vanish === 'stop') process.kill(other.child.pid, 'SIGSTOP');
    else await cutLink(place);
    const stoppedMs = performance.now();
    const endMs = await ended;
    if (vanish === 'stop') process.kill(other.child.pid, 'SIGCONT');
    const line = await agent.child.line('receipt', 5_000, (text) => text.includes('"type":"receipt"'));
    const { peerBytes, webSeedBytes } = JSON.parse(line) as Receipt;
    await curl(scope, source, [...WRITER, '-X', 'DELETE', `${depot.url}/${name}`]);
    const idealSec = (lengthBytes - here) / rate!;
    return {
      sec: (endMs - stoppedMs) / 1000,
      noticedSec: (endMs - stoppedMs) / 1000 - idealSec,
      peerShare: peerBytes / (peerBytes + webSeedBytes),
    };
  } finally {
    await scope.close();
    for (const each of ['mine', 'theirs'])
      await rm(path.join(folder, `${each}-${turn}`), { recursive: true, force: true });
  }
}

async function runCase(
  plan: Plan,
  which: Case,
  rate: number | null,
  lengthBytes: number,
  results: Results,
): Promise<void> {
  if (which === 'liars' && lengthBytes < TORRENT_FROM_BYTES) return;
  if (which === 'vanished' && (rate === null || lengthBytes < TORRENT_FROM_BYTES)) return;
  const scope = new Scope();
  try {
    const world = await openWorld(scope, plan, which, rate, lengthBytes);
    const parameters = {
      size: `${lengthBytes / 2 ** 20} MiB`,
      rate: rate === null ? 'none' : `${rate / 1e6} MB/s`,
      ...(which === 'vanished' ? { at: plan.at, vanish: plan.vanish } : {}),
    };
    const add = (turn: number, figures: Record<string, number>) =>
      results.add({ series: which, turn, parameters, figures });
    if (which === 'vanished') {
      for (let turn = 0; turn < plan.turns; turn++) add(turn, await vanishingTurn(world, plan, turn, lengthBytes));
      return;
    }
    const cache = path.join(world.folder, 'cache');
    const room = `${Math.max(64 * 2 ** 20, 2 * lengthBytes)}`;
    const agent = await startAgent(scope, world.caps.hub, world.depot.url, cache, '--cache-bytes', room);
    await isHealthy(scope, world.caps.hub, agent);
    for (let turn = 0; turn < plan.turns; turn++) add(turn, await turnOf(world, which, turn, agent));
  } finally {
    await scope.close();
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const plan = readPlan(argv);
  await makeFolder(plan.folder);
  const { folder: _folder, ...parameters } = plan;
  const results = new Results('depot-agent', { argv, parameters });
  const missing = await missingTool([NGINX, 'curl']);
  if (missing === null) {
    for (const rate of plan.rates)
      for (const lengthBytes of plan.sizes)
        for (const which of plan.cases) await runCase(plan, which, rate, lengthBytes, results);
  } else results.skip('depot-agent', `${missing} is not installed (apt-get install nginx-light curl)`);
  await results.finish();
}
