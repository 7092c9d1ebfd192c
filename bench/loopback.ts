/**
 * `npm run bench -- loopback [options]`: one seed process, one leech process, both Swarmhaul, on loopback.
 *
 *   --size 2G  --piece-length 1M  --connections 1  --folder DIR  --storage auto
 *         lists (`1,4,50` or repeated) make a sweep, in turns
 *   --node PATH   runs both peers, its version is the parameter `node`; a list too
 *   --seed-storage auto   --threads N   --turns 5   --no-verify   --no-warm-up   --small   --out FILE
 *
 * `--storage null` throws the bytes away on the leech (no disk, no hash), `--seed-storage null` serves zeros (needs a
 * null leech), `--no-verify` takes SHA-1 out; the copy is still compared with the original. What `--connections N`
 * means: engine-peer.ts. Rate is bytes ÷ time from the leech's "ready" to its "done" (verified and synced, dialling
 * included). CPU, faults, memory and switches come from /proc, read by this process; the event loop's delay and garbage
 * collection from the peers themselves.
 */
import { parseArgs } from 'node:util';
import { Scope } from '../lab/scope.js';
import { ValueError } from '../src/cli/values.js';
import { watchDirty } from './support/dirty.js';
import { checkCopy, defaultFolder, type Job, makeJobs, outputFolder } from './support/job.js';
import { type NodeBinary, nodeBinaries } from './support/node-binaries.js';
import { count, counts, lengths, list, oneOf, someOf } from './support/options.js';
import { Results } from './support/results.js';
import {
  event,
  loopFigures,
  mainThreadFigures,
  OUR_PEER,
  ourPeerOn,
  quitOurs,
  type Side,
  startSide,
  useFigures,
} from './support/sides.js';

const STORAGES = ['auto', 'mapped', 'positional', 'null'] as const;

export interface LoopbackCase {
  readonly job: Job;
  readonly connections: number;
  readonly storage: string;
  readonly seedStorage: string;
  readonly isVerified: boolean;
  readonly threads: string | undefined;
  /** What runs both peers; absent: what runs the bench. */
  readonly node?: NodeBinary;
}

export interface LoopbackRun {
  readonly figures: Record<string, number>;
  /** SHA-256 of the copy; absent when nothing was kept. */
  readonly checksum?: string;
}

function startPeer(scope: Scope, role: string, run: LoopbackCase, folder: string, peer?: Side): Promise<Side> {
  const { job, connections, threads } = run;
  const peerWords = run.node === undefined ? OUR_PEER : ourPeerOn(run.node.path);
  const words = [...peerWords, role, job.torrent, folder, '--connections', String(connections)];
  words.push('--storage', role === 'seed' ? run.seedStorage : run.storage);
  if (threads !== undefined) words.push('--threads', threads);
  if (!run.isVerified) words.push('--no-verify');
  if (peer !== undefined) words.push('--peer', `127.0.0.1:${peer.port}`);
  return startSide(scope, words);
}

/** One transfer. @throws when it fails or the copy is not the original */
export async function runLoopback(run: LoopbackCase): Promise<LoopbackRun> {
  const { job } = run;
  const scope = new Scope();
  const output = await outputFolder(job);
  scope.defer(output.remove);
  try {
    const seed = await startPeer(scope, 'seed', run, job.dataFolder);
    const leech = await startPeer(scope, 'leech', run, output.folder, seed);
    const dirty = watchDirty();
    scope.defer(() => void dirty());
    await event(leech.child, 'done');
    const mostDirtyMiB = dirty();
    const seconds = (performance.now() - leech.readyMs) / 1000;
    const [leechUse, seedUse] = [leech.use(), seed.use()];
    const leechLoop = await quitOurs(leech.child);
    const seedLoop = await quitOurs(seed.child);
    const figures = {
      mbPerSec: job.lengthBytes / 1e6 / seconds,
      ...useFigures('leech', leechUse, job.lengthBytes),
      ...useFigures('seed', seedUse, job.lengthBytes),
      ...mainThreadFigures('leech', leechUse, job.lengthBytes),
      ...mainThreadFigures('seed', seedUse, job.lengthBytes),
      ...loopFigures('leech', leechLoop, leechUse),
      ...loopFigures('seed', seedLoop, seedUse),
      ...(job.fileSystem === 'tmpfs' ? {} : { mostDirtyMiB }),
      heldConnections: leechLoop.connections,
    };
    const isKept = run.storage !== 'null' && run.seedStorage !== 'null';
    return isKept ? { figures, checksum: await checkCopy('swarmhaul', output.copy, job) } : { figures };
  } finally {
    await scope.close();
  }
}

/** What tells the cases of one run apart. */
export function parametersOf(run: LoopbackCase): Record<string, string | number | boolean> {
  const { job, connections, storage, seedStorage, isVerified } = run;
  return {
    sizeMiB: job.lengthBytes / 2 ** 20,
    pieceKiB: job.pieceLengthBytes / 1024,
    connections,
    fileSystem: job.fileSystem,
    storage,
    ...(seedStorage === 'auto' ? {} : { seedStorage }),
    ...(isVerified ? {} : { isVerified }),
    ...(run.node === undefined ? {} : { node: run.node.name }),
  };
}

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', multiple: true, default: ['2G'] },
      'piece-length': { type: 'string', multiple: true, default: ['1M'] },
      connections: { type: 'string', multiple: true, default: ['1'] },
      folder: { type: 'string', multiple: true, default: [defaultFolder()] },
      storage: { type: 'string', multiple: true, default: ['auto'] },
      'seed-storage': { type: 'string', default: 'auto' },
      threads: { type: 'string' },
      node: { type: 'string', multiple: true, default: [] },
      turns: { type: 'string', default: '5' },
      'no-verify': { type: 'boolean', default: false },
      'no-warm-up': { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  if (!values.small) return values;
  const small = { size: ['32M'], 'piece-length': ['256K'], connections: ['1', '4'], storage: ['auto', 'null'] };
  return { ...values, ...small, turns: '1', 'no-warm-up': true };
}

type Values = ReturnType<typeof parseOptions>;

function casesOf(jobs: readonly Job[], values: Values, nodes: readonly NodeBinary[]): LoopbackCase[] {
  const storages = list(values.storage);
  const seedStorage = values['seed-storage'];
  const common = { seedStorage, isVerified: !values['no-verify'], threads: values.threads };
  return jobs.flatMap((job) =>
    counts('connections', values.connections).flatMap((connections) =>
      storages.flatMap((storage) => {
        const run = { job, connections, storage, ...common };
        return nodes.length === 0 ? [run] : nodes.map((node) => ({ ...run, node }));
      }),
    ),
  );
}

async function runCases(cases: readonly LoopbackCase[], values: Values, results: Results): Promise<void> {
  // The first run after a large file was written is not like the others.
  if (!values['no-warm-up']) await runLoopback(cases[0]!);
  const turns = count('turns', values.turns);
  for (let turn = 0; turn < turns; turn++) {
    for (const each of cases) {
      const parameters = parametersOf(each);
      const run = { series: 'swarmhaul', turn, parameters, ...(await runLoopback(each)) };
      results.add(run);
      process.stdout.write(`${JSON.stringify(run)}\n`);
    }
  }
}

/** Before gigabytes are written. @throws what cannot be measured */
function check(values: Values): void {
  lengths('size', values.size);
  lengths('piece-length', values['piece-length']);
  counts('connections', values.connections);
  count('turns', values.turns);
  if (values.threads !== undefined) count('threads', values.threads);
  const storages = someOf('storage', values.storage, STORAGES);
  const seedStorage = oneOf('seed-storage', values['seed-storage'], STORAGES);
  if (seedStorage === 'null' && !values['no-verify'] && storages.some((kind) => kind !== 'null'))
    throw new ValueError('a seed that serves zeros needs --storage null or --no-verify');
}

export async function main(argv: readonly string[]): Promise<void> {
  const values = parseOptions(argv);
  check(values);
  const nodes = await nodeBinaries(values.node);
  const results = new Results('loopback', { argv, parameters: { turns: Number(values.turns) } });
  for (const folder of list(values.folder)) {
    for (const lengthBytes of lengths('size', values.size)) {
      const scope = new Scope();
      try {
        const jobs = await makeJobs(scope, {
          folder,
          lengthBytes,
          pieceLengths: lengths('piece-length', values['piece-length']),
        });
        await runCases(casesOf(jobs, values, nodes), values, results);
      } finally {
        await scope.close();
      }
    }
  }
  await results.finish();
}
