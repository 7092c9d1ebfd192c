/**
 * `npm run bench -- depot-swarm [--agents 20] [--size 256M] [--rate 5M] [--depot-rate RATE] [--turns 1]
 *   [--nginx-size 16M] [--cap namespace|engine] [--processes N] [--floor] [--aria2] [--rqbit]
 *   [--no-agents] [--no-nginx] [--folder DIR] [--out FILE] [--small]`
 * One depot and many agents, each behind a link of so many bytes a second both ways (a network namespace each; needs
 * root), asked by curl for one new image, all at once. Beside it nginx behind the depot's link, asked by as many curls
 * for a shorter file: the ratio is what counts. Every copy is checked. With `--cap engine` the limits are those of
 * depot and agents themselves, on loopback; nginx has none such, and stays behind a link. With `--processes` the agents
 * share so many processes, each with an engine, a cache and limits of its own, and the depot stays behind its link:
 * twenty processes on two cores are short of them as twenty hosts are not. With `--aria2` and `--rqbit` as many of
 * these fetch the depot's .torrent behind the same links, in turns with the agents; they go on giving as agents do
 * (rqbit has no web seeds, and takes the depot for a peer only). With `--floor` also what the machine does at best: for
 * each agent a process that only passes as many bytes on (support/copy-peer.ts), from eight others.
 *   lastSec, timesIdeal   the last curl; ÷ the bound that the links set (support/swarm-ideal.ts). Bar: 1.3
 *   copies                bytes that left the depot's link ÷ the image, where it has one. Bar: 1.5
 *   peerShare             of what agents got, from each other
 *   cpuSecPerGb           of an agent: what it fetched, gave to others and handed to its curl, per GB of the image
 *   machineBusyShare      of all cores: near 1 it was the machine, not the links, that set the time
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Child, startChild } from '../lab/child.js';
import { missingTool } from '../lab/clients/client.js';
import { namespacesMissing } from '../lab/namespace.js';
import { NGINX, startNginx } from '../lab/nginx.js';
import { Scope } from '../lab/scope.js';
import { tempFolder } from '../lab/temp.js';
import { sha256File } from '../lab/tree.js';
import { ValueError } from '../src/cli/values.js';
import type { AgentReceipt } from '../src/index.js';
import { AGENTS, type AgentsReady, type AgentsTask } from './support/agents-task.js';
import { busyBetween, machineTimes } from './support/busy.js';
import { type CapMethod, openCaps, type Place, sentBytes } from './support/caps.js';
import { COPY_HTTP_PORT } from './support/copy-ports.js';
import { changeImage, curl, curlText, makeImage, startAgent, startDepot, WRITER } from './support/depot-world.js';
import { defaultFolder } from './support/job.js';
import { count, length, makeFolder } from './support/options.js';
import { sampleProcess } from './support/procstat.js';
import { Results } from './support/results.js';
import { fetchBy, SWARM_CLIENTS, type SwarmClient } from './support/swarm-clients.js';
import { idealLastSec, quantile } from './support/swarm-ideal.js';

const NAME = 'artifacts/ci/image.raw';
const READY_MS = 60_000;
/** A link that caps nothing, bytes per second. */
const WIDE = 10_000_000_000;
const COPY_PEER = fileURLToPath(new URL('support/copy-peer.js', import.meta.url));
/** As many as an agent has upload slots. */
const FLOOR_PARTNERS = 8;

interface Plan {
  readonly agents: number;
  readonly lengthBytes: number;
  readonly nginxBytes: number;
  readonly bytesPerSec: number;
  readonly depotBytesPerSec: number;
  readonly turns: number;
  readonly hasFloor: boolean;
  /** Names of clients of others that fetch the depot's .torrent. */
  readonly others: readonly string[];
  readonly hasAgents: boolean;
  readonly hasNginx: boolean;
  readonly cap: 'namespace' | 'engine';
  /** Of the agents, with their own limits; null: one each, behind what `cap` says. */
  readonly processes: number | null;
  readonly folder: string;
}

function readPlan(argv: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      agents: { type: 'string' },
      size: { type: 'string' },
      rate: { type: 'string' },
      'depot-rate': { type: 'string' },
      turns: { type: 'string', default: '1' },
      'nginx-size': { type: 'string' },
      cap: { type: 'string', default: 'namespace' },
      processes: { type: 'string' },
      floor: { type: 'boolean', default: false },
      aria2: { type: 'boolean', default: false },
      rqbit: { type: 'boolean', default: false },
      'no-agents': { type: 'boolean', default: false },
      'no-nginx': { type: 'boolean', default: false },
      folder: { type: 'string', default: defaultFolder() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const { small, cap } = values;
  if (cap !== 'namespace' && cap !== 'engine') throw new ValueError(`--cap ${cap}: namespace or engine`);
  const bytesPerSec = length('rate', values.rate ?? (small ? '8M' : '5000000'));
  return {
    agents: count('agents', values.agents ?? (small ? '3' : '20')),
    lengthBytes: length('size', values.size ?? (small ? '8M' : '256M')),
    nginxBytes: length('nginx-size', values['nginx-size'] ?? (small ? '4M' : '16M')),
    bytesPerSec,
    depotBytesPerSec: length('depot-rate', values['depot-rate'] ?? `${bytesPerSec}`),
    turns: count('turns', values.turns),
    hasFloor: values.floor || small,
    others: SWARM_CLIENTS.map(({ name }) => name).filter((name) => values[name as 'aria2' | 'rqbit']),
    hasAgents: !values['no-agents'],
    hasNginx: !values['no-nginx'],
    cap,
    processes: values.processes === undefined ? null : count('processes', values.processes),
    folder: values.folder,
  };
}

function idealSec(plan: Plan, imageBytes: number): number {
  return idealLastSec({
    imageBytes,
    seedUpBytesPerSec: plan.depotBytesPerSec,
    leechUpBytesPerSec: plan.bytesPerSec,
    leechDownBytesPerSec: plan.bytesPerSec,
    startsSec: new Array<number>(plan.agents).fill(0),
  });
}

interface Machine {
  readonly place: Place;
  readonly folder: string;
}

/** @param isShared all in one place without a cap */
async function openMachines(caps: CapMethod, plan: Plan, root: string, isShared = false): Promise<Machine[]> {
  const machines: Machine[] = [];
  const bytesPerSec = isShared ? WIDE : plan.bytesPerSec;
  const open = (): Promise<Place> => caps.open({ uploadBytesPerSec: bytesPerSec, downloadBytesPerSec: bytesPerSec });
  const shared = isShared ? await open() : null;
  for (let index = 0; index < plan.agents; index++) {
    const place = shared ?? (await open());
    const folder = path.join(root, `agent-${index}`);
    await mkdir(folder);
    machines.push({ place, folder });
  }
  return machines;
}

/** All at once. @returns seconds of each */
function fetchAll(scope: Scope, machines: readonly Machine[], urlOf: (index: number) => string): Promise<number[]> {
  return Promise.all(
    machines.map(async ({ place, folder }, index) => {
      const { totalSec } = await curl(scope, place, [urlOf(index)], path.join(folder, 'copy'));
      return totalSec;
    }),
  );
}

async function checkCopies(files: readonly string[], original: string): Promise<void> {
  const wanted = await sha256File(original);
  for (const file of files) if ((await sha256File(file)) !== wanted) throw new Error(`the copy ${file} differs`);
}

function cpuSecOf(child: Child): number {
  const { userSeconds, systemSeconds } = sampleProcess(child.pid).process;
  return userSeconds + systemSeconds;
}

interface Group {
  readonly children: readonly Child[];
  /** Of each agent, as it is reached from its machine. */
  readonly urls: readonly string[];
}

async function startEach(scope: Scope, machines: readonly Machine[], depotUrl: string): Promise<Group> {
  const agents = await Promise.all(
    machines.map(({ place, folder }) => startAgent(scope, place, depotUrl, path.join(folder, 'cache'))),
  );
  return { children: agents.map(({ child }) => child), urls: agents.map(({ url }) => url) };
}

/** In turns, so that no process has one more than others. */
async function startShared(
  scope: Scope,
  machines: readonly Machine[],
  depot: string,
  { processes, bytesPerSec }: Plan,
): Promise<Group> {
  const urls: string[] = [];
  const start = async (first: number): Promise<Child> => {
    const own = machines.flatMap((_, index) => (index % processes! === first ? [index] : []));
    const caches = own.map((index) => path.join(machines[index]!.folder, 'cache'));
    const task: AgentsTask = { depot, caches, bytesPerSec };
    const { namespace } = machines[0]!.place;
    const child = startChild(scope, process.execPath, [AGENTS, JSON.stringify(task)], { namespace });
    const ready = JSON.parse(await child.line('agents', READY_MS, (line) => line.startsWith('{'))) as AgentsReady;
    own.forEach((index, at) => {
      urls[index] = ready.urls[at]!;
    });
    return child;
  };
  const wanted = Math.min(processes!, machines.length);
  return { children: await Promise.all(Array.from({ length: wanted }, (_, first) => start(first))), urls };
}

async function peerShare(scope: Scope, machines: readonly Machine[], urls: readonly string[]): Promise<number> {
  let [peers, all] = [0, 0];
  for (const [index, url] of urls.entries()) {
    const said = await curlText(scope, machines[index]!.place, `${url}/receipts?limit=1`);
    const [receipt] = (JSON.parse(said) as { items: AgentReceipt[] }).items;
    peers += receipt!.peerBytes;
    all += receipt!.peerBytes + receipt!.webSeedBytes;
  }
  return peers / all;
}

async function runTurn(plan: Plan, turn: number, who: 'depot' | 'nginx'): Promise<Record<string, number>> {
  const scope = new Scope();
  try {
    const root = await tempFolder(scope, plan.folder);
    const isShared = who === 'depot' && plan.processes !== null;
    const caps = await openCaps(scope, who === 'depot' && !isShared ? plan.cap : 'namespace');
    const source = await caps.open({ uploadBytesPerSec: plan.depotBytesPerSec, downloadBytesPerSec: WIDE });
    const imageBytes = who === 'depot' ? plan.lengthBytes : plan.nginxBytes;
    const [data, work] = [path.join(root, 'data'), path.join(root, 'nginx')];
    for (const made of [data, work]) await mkdir(made);
    const image = path.join(data, 'image.raw');
    await makeImage(image, imageBytes);
    await changeImage(image, `${turn}`);
    const machines = await openMachines(caps, plan, root, isShared);
    let group: Group = { children: [], urls: [] };
    let urlOf: (index: number) => string;
    if (who === 'depot') {
      const depot = await startDepot(scope, source, path.join(root, 'depot'));
      await curl(scope, source, [...WRITER, '-T', image, `${depot.url}/${NAME}`]);
      group = isShared
        ? await startShared(scope, machines, depot.url, plan)
        : await startEach(scope, machines, depot.url);
      await Promise.all(group.urls.map((url, index) => curl(scope, machines[index]!.place, [`${url}/readyz`])));
      urlOf = (index) => `${group.urls[index]}/${NAME}`;
    } else {
      const { url } = await startNginx(scope, data, work, '', source);
      urlOf = () => `${url}/image.raw`;
    }
    const isCounted = source.namespace !== undefined;
    const before = isCounted ? await sentBytes(source) : 0;
    const cpuBefore = group.children.map(cpuSecOf);
    const timesBefore = machineTimes();
    const seconds = await fetchAll(scope, machines, urlOf);
    const machineBusyShare = busyBetween(timesBefore, machineTimes());
    const copies = isCounted ? ((await sentBytes(source)) - before) / imageBytes : null;
    await checkCopies(
      machines.map(({ folder }) => path.join(folder, 'copy')),
      image,
    );
    const lastSec = Math.max(...seconds);
    const cpuSec = group.children.reduce((sum, child, index) => sum + cpuSecOf(child) - cpuBefore[index]!, 0);
    return {
      lastSec,
      p50Sec: quantile(seconds, 0.5),
      timesIdeal: lastSec / idealSec(plan, imageBytes),
      ...(copies === null ? {} : { copies }),
      machineBusyShare,
      ...(who === 'depot'
        ? {
            peerShare: await peerShare(scope, machines, group.urls),
            cpuSecPerGb: (cpuSec * 1e9) / imageBytes / plan.agents,
          }
        : {}),
    };
  } finally {
    await scope.close();
  }
}

/** The depot and its .torrent, and clients of others in place of agents and curl. */
async function runOthers(plan: Plan, client: SwarmClient, turn: number): Promise<Record<string, number>> {
  const scope = new Scope();
  try {
    const root = await tempFolder(scope, plan.folder);
    const caps = await openCaps(scope, 'namespace');
    const source = await caps.open({ uploadBytesPerSec: plan.depotBytesPerSec, downloadBytesPerSec: WIDE });
    const [image, torrent] = [path.join(root, 'image.raw'), path.join(root, 'image.torrent')];
    await makeImage(image, plan.lengthBytes);
    await changeImage(image, `${turn}`);
    const machines = await openMachines(caps, plan, root);
    const depot = await startDepot(scope, source, path.join(root, 'depot'));
    await curl(scope, source, [...WRITER, '-T', image, `${depot.url}/${NAME}`]);
    await curl(scope, source, [`${depot.url}/${NAME}?torrent`], torrent);
    const before = await sentBytes(source);
    const timesBefore = machineTimes();
    const fetched = await Promise.all(
      machines.map(({ place, folder }) => fetchBy(client, scope, place, torrent, folder)),
    );
    const machineBusyShare = busyBetween(timesBefore, machineTimes());
    const copies = ((await sentBytes(source)) - before) / plan.lengthBytes;
    await checkCopies(
      fetched.map(({ file }) => file),
      image,
    );
    const seconds = fetched.map((each) => each.seconds);
    const lastSec = Math.max(...seconds);
    const timesIdeal = lastSec / idealSec(plan, plan.lengthBytes);
    return { lastSec, p50Sec: quantile(seconds, 0.5), timesIdeal, copies, machineBusyShare };
  } finally {
    await scope.close();
  }
}

/** Each place passes the image on in shares, to so many others; the depot's place gives one copy to all together. */
async function runFloor(plan: Plan): Promise<Record<string, number>> {
  const scope = new Scope();
  try {
    const root = await tempFolder(scope, plan.folder);
    const caps = await openCaps(scope, 'namespace');
    const { agents, lengthBytes } = plan;
    const source = await caps.open({ uploadBytesPerSec: plan.depotBytesPerSec, downloadBytesPerSec: WIDE });
    const machines = await openMachines(caps, plan, root);
    const partners = Math.min(FLOOR_PARTNERS, agents - 1);
    const first = Math.ceil(lengthBytes / agents);
    const start = (place: Place, shareBytes: number, from: readonly string[]): Child =>
      startCopier(scope, place, shareBytes, lengthBytes, from);
    const share = partners === 0 ? 0 : Math.ceil((lengthBytes - first) / partners);
    const copiers = machines.map(({ place }, index) => {
      const before = Array.from({ length: partners }, (_, step) => machines[(index + 1 + step) % agents]!.place.host);
      return start(place, share, [source.host, ...before]);
    });
    const all = [start(source, partners === 0 ? lengthBytes : first, []), ...copiers];
    await Promise.all(all.map((child) => child.line('ready', READY_MS, (text) => text === 'ready')));
    const before = copiers.map(cpuSecOf);
    const timesBefore = machineTimes();
    const seconds = await fetchAll(scope, machines, () => `http://127.0.0.1:${COPY_HTTP_PORT}/`);
    const machineBusyShare = busyBetween(timesBefore, machineTimes());
    const lastSec = Math.max(...seconds);
    const cpuSec = copiers.reduce((sum, child, index) => sum + cpuSecOf(child) - before[index]!, 0);
    const cpuSecPerGb = (cpuSec * 1e9) / lengthBytes / agents;
    return {
      lastSec,
      p50Sec: quantile(seconds, 0.5),
      timesIdeal: lastSec / idealSec(plan, lengthBytes),
      machineBusyShare,
      cpuSecPerGb,
    };
  } finally {
    await scope.close();
  }
}

function startCopier(
  scope: Scope,
  { host, namespace }: Place,
  shareBytes: number,
  imageBytes: number,
  from: readonly string[],
): Child {
  return startChild(scope, process.execPath, [COPY_PEER, host, `${shareBytes}`, `${imageBytes}`, ...from], {
    namespace,
  });
}

export async function main(argv: readonly string[]): Promise<void> {
  const plan = readPlan(argv);
  await makeFolder(plan.folder);
  const { folder: _folder, ...parameters } = plan;
  const results = new Results('depot-swarm', { argv, parameters });
  const tool = await missingTool([NGINX, 'curl']);
  const missing = tool === null ? await namespacesMissing() : `${tool} is not installed`;
  if (missing === null) await runAll(plan, results);
  else results.skip('depot-swarm', missing);
  await results.finish();
}

async function runAll(plan: Plan, results: Results): Promise<void> {
  const others: SwarmClient[] = [];
  for (const client of SWARM_CLIENTS.filter(({ name }) => plan.others.includes(name))) {
    const missing = await client.missing();
    if (missing !== null) results.skip(client.name, missing);
    else others.push(client);
    if (missing === null) results.version(client.name, await client.version());
  }
  for (let turn = 0; turn < plan.turns; turn++) {
    if (plan.hasAgents) results.add({ series: 'agents', turn, figures: await runTurn(plan, turn, 'depot') });
    for (const client of others)
      results.add({ series: client.name, turn, figures: await runOthers(plan, client, turn) });
  }
  if (plan.hasFloor) results.add({ series: 'plain copies', turn: 0, figures: await runFloor(plan) });
  if (plan.hasNginx) results.add({ series: 'curl and nginx', turn: 0, figures: await runTurn(plan, 0, 'nginx') });
}
