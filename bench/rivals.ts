/**
 * `npm run bench -- rivals [options]`: the same bytes moved by Swarmhaul and by other clients, in turns, in one run.
 *
 *   --only NAME,…   --roles leech,seed,pair
 *   --seed NAME   --leech NAME      the common seed and the common leech (swarmhaul)
 *   --size 1G   --folder DIR   --connections 1      lists (`10M,2G`, or repeated) make a sweep
 *   --piece-length 1M   --turns 3   --no-warm-up   --small   --out FILE
 * A folder `loop:xfs` or `loop:ext4` is a file system that is made for the time of the bench (root).
 *
 * Roles: `leech` takes from the common seed, `seed` gives to the common leech, `pair` has both sides. All clients run
 * with settings in their favour (bench/support/rivals). In a turn every contender runs once: all see the same machine.
 *   mbPerSec          bytes ÷ wholeSec: the whole process of the leech, from before it is started until its data is
 *                     verified and on the device
 *   startSec          of it, until the copy takes up space on disk; who reserves space does it before the first byte
 *   syncSec           of it, the sync that the bench adds after the leech's own end; ours leaves nothing for it
 *   transferMbPerSec  without these two
 *   timesRqbit, timesLibtorrent         rate ÷ that of the pair of rqbit (libtorrent) in the same turn
 *   cpuTimesRqbit, cpuTimesLibtorrent   CPU of both sides, likewise
 *   cpuSecPerGb       user and kernel, all threads, leech and seed: the leech's from its start, and with the CPU of the
 *                     sync (syncCpuSecPerGb), the seed's while the leech is there
 *   …AnonMiB, …FileMiB, …SharedMiB   peaks of anonymous memory, of code and mapped files, and of mapped shared memory,
 *                     which is what is mapped of a file in tmpfs; …PeakMiB of all at once
 * The seed is started before and waits, with its data checked; aria2 and WebTorrent trust theirs.
 *
 * `swarmhaul` is the commands `haul get` and `haul seed`; `swarmhaul-engine` the engine in a process of the bench,
 * which tells of its event loop too. `rqbit`: RQBIT=FILE or on the PATH. `libtorrent` is Debian's, `libtorrent-other`
 * what the Python that LT_PEER=FILE names can import. Transmission refuses loopback peers and runs behind a veth cable;
 * as a pair both run in one namespace. It dials its first peer some 20 s after it was told to: most of its wholeSec.
 * With --connections above 1 the leech is given so many addresses of the seed; heldConnections is what was there at
 * once, counted from outside. Who keeps one connection per peer is left out, our command too (the engine stands for it)
 * and libtorrent, whatever its settings are: it is told 500 addresses and holds one connection.
 * A rival that is not there is named and skipped.
 */
import { parseArgs } from 'node:util';
import { Scope } from '../lab/scope.js';
import { startTestTracker, type TestTracker } from '../lab/tracker.js';
import { defaultFolder, type Job, makeJobs } from './support/job.js';
import { checkLoopFolders, openLoopFolder } from './support/loop-folder.js';
import { count, counts, length, lengths, list, oneOf, someOf } from './support/options.js';
import { withRatios } from './support/ratios.js';
import { type Parameters, Results, type Run } from './support/results.js';
import { DEFAULT_RIVALS, RIVALS } from './support/rivals/all.js';
import { meet } from './support/rivals/meeting.js';
import type { Rival } from './support/rivals/rival.js';
import { withoutMachineCertificates } from './support/timed.js';

const ROLES = ['leech', 'seed', 'pair'] as const;
type Role = (typeof ROLES)[number];

interface Entry {
  readonly rival: Rival;
  readonly role: Role;
}

interface Plan {
  readonly rivals: readonly Rival[];
  readonly roles: readonly Role[];
  readonly seed: Rival;
  readonly leech: Rival;
  readonly lengths: readonly number[];
  readonly folders: readonly string[];
  readonly connections: readonly number[];
  readonly pieceLengthBytes: number;
  readonly turns: number;
  readonly isWarmedUp: boolean;
}

const TABLES = [
  [
    'mbPerSec',
    'timesRqbit',
    'timesLibtorrent',
    'wholeSec',
    'startSec',
    'syncSec',
    'transferMbPerSec',
    'heldConnections',
  ],
  [
    'cpuSecPerGb',
    'cpuTimesRqbit',
    'cpuTimesLibtorrent',
    'leechUserSecPerGb',
    'leechKernelSecPerGb',
    'syncCpuSecPerGb',
    'seedUserSecPerGb',
    'seedKernelSecPerGb',
  ],
  [
    'leechAnonMiB',
    'leechFileMiB',
    'leechSharedMiB',
    'leechPeakMiB',
    'seedAnonMiB',
    'seedFileMiB',
    'seedSharedMiB',
    'seedPeakMiB',
  ],
];

function rivalNamed(option: string, name: string): Rival {
  const names = RIVALS.map((rival) => rival.name);
  const wanted = oneOf(option, name === 'ours' ? 'swarmhaul' : name, names);
  return RIVALS.find((rival) => rival.name === wanted)!;
}

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', default: DEFAULT_RIVALS.join(',') },
      roles: { type: 'string', default: ROLES.join(',') },
      seed: { type: 'string', default: 'swarmhaul' },
      leech: { type: 'string', default: 'swarmhaul' },
      size: { type: 'string', multiple: true, default: ['1G'] },
      'piece-length': { type: 'string', default: '1M' },
      folder: { type: 'string', multiple: true, default: [defaultFolder()] },
      connections: { type: 'string', multiple: true, default: ['1'] },
      turns: { type: 'string', default: '3' },
      'no-warm-up': { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  if (!values.small) return values;
  // The others need seconds to find each other.
  const small = {
    only: 'swarmhaul,swarmhaul-engine,rqbit,libtorrent,webtorrent',
    roles: 'pair',
    size: ['16M'],
    'piece-length': '256K',
  };
  return { ...values, ...small, turns: '1', 'no-warm-up': true };
}

async function readPlan(argv: readonly string[]): Promise<Plan> {
  const values = parseOptions(argv);
  const folders = list(values.folder);
  const plan: Plan = {
    rivals: list(values.only).map((name) => rivalNamed('only', name)),
    roles: someOf('roles', values.roles, ROLES),
    seed: rivalNamed('seed', values.seed),
    leech: rivalNamed('leech', values.leech),
    lengths: lengths('size', values.size),
    folders,
    connections: counts('connections', values.connections),
    pieceLengthBytes: length('piece-length', values['piece-length']),
    turns: count('turns', values.turns),
    isWarmedUp: !values['no-warm-up'],
  };
  checkLoopFolders(folders);
  return plan;
}

/** Those that are here; the others are named and left out. */
async function present(rivals: readonly Rival[], results: Results): Promise<Rival[]> {
  const found: Rival[] = [];
  for (const rival of rivals) {
    const reason = await rival.missing();
    if (reason !== null) results.skip(rival.name, reason);
    else {
      results.version(rival.name, await rival.version());
      found.push(rival);
    }
  }
  return found;
}

/** One place of the sweep. */
interface Place {
  readonly job: Job;
  readonly connections: number;
  /** What tells it from the others. */
  readonly parameters: Parameters;
}

class Contest {
  readonly #plan: Plan;
  readonly #tracker: TestTracker;
  readonly #results: Results;
  readonly #broken = new Set<string>();

  constructor(plan: Plan, tracker: TestTracker, results: Results) {
    this.#plan = plan;
    this.#tracker = tracker;
    this.#results = results;
  }

  /** Every entry once a turn. */
  async run(entries: readonly Entry[], place: Place): Promise<void> {
    const able = entries.filter((entry) => this.#isAble(entry, place));
    for (let turn = 0; turn < this.#plan.turns; turn++) {
      const runs: Run[] = [];
      for (const entry of able) {
        const run = await this.#runOne(entry, place, turn);
        if (run === null) continue;
        runs.push(run);
        process.stdout.write(`${JSON.stringify(run)}\n`);
      }
      for (const run of withRatios(runs)) this.#results.add(run);
    }
  }

  #sides({ rival, role }: Entry): { seed: Rival; leech: Rival; other: Rival } {
    const seed = role === 'leech' ? this.#plan.seed : rival;
    const leech = role === 'seed' ? this.#plan.leech : rival;
    return { seed, leech, other: role === 'pair' ? rival : role === 'seed' ? leech : seed };
  }

  #isAble(entry: Entry, place: Place): boolean {
    const { seed, leech } = this.#sides(entry);
    if (place.connections === 1 || (seed.takesConnections && leech.takesConnections)) return true;
    this.#results.skip(
      `${entry.rival.name} as ${entry.role}`,
      `${place.connections} connections: it keeps one per peer`,
    );
    return false;
  }

  async #runOne(entry: Entry, place: Place, turn: number): Promise<Run | null> {
    const { rival, role } = entry;
    const { seed, leech, other } = this.#sides(entry);
    const key = [`${rival.name} as ${role}`, ...Object.values(place.parameters)].join(', ');
    if (this.#broken.has(key)) return null;
    const { job, connections } = place;
    try {
      const met = await meet({ seed, leech, job, tracker: this.#tracker, connections });
      return { series: rival.name, turn, parameters: { role, other: other.name, ...place.parameters }, ...met };
    } catch (error) {
      // Ours must work; of the others what they do not do is told.
      if (rival.name.startsWith('swarmhaul')) throw error;
      this.#broken.add(key);
      this.#results.skip(key, `turn ${turn}: ${(error as Error).message}`);
      return null;
    }
  }

  /** The first run after a large file was written is not like the others. */
  async warmUp({ job }: Place): Promise<void> {
    const ours = rivalNamed('only', 'swarmhaul');
    if (this.#plan.isWarmedUp) await meet({ seed: ours, leech: ours, job, tracker: this.#tracker, connections: 1 });
  }
}

/** Only what there is more than one of. */
function parametersOf(plan: Plan, job: Job, connections: number): Parameters {
  return {
    ...(plan.folders.length > 1 ? { fileSystem: job.fileSystem } : {}),
    ...(plan.lengths.length > 1 ? { sizeMiB: job.lengthBytes / 2 ** 20 } : {}),
    ...(plan.connections.length > 1 ? { connections } : {}),
  };
}

async function runFolder(plan: Plan, name: string, entries: readonly Entry[], contest: Contest): Promise<void> {
  for (const lengthBytes of plan.lengths) {
    const scope = new Scope();
    try {
      const folder = await openLoopFolder(scope, name, lengthBytes);
      const [job] = await makeJobs(scope, { folder, lengthBytes, pieceLengths: [plan.pieceLengthBytes] });
      const places = plan.connections.map((connections) => ({
        job: job!,
        connections,
        parameters: parametersOf(plan, job!, connections),
      }));
      await contest.warmUp(places[0]!);
      for (const place of places) await contest.run(entries, place);
    } finally {
      await scope.close();
    }
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const plan = await readPlan(argv);
  const { turns, pieceLengthBytes, connections } = plan;
  const scope = new Scope();
  try {
    withoutMachineCertificates();
    const common = { lengthBytes: plan.lengths.join(','), pieceLengthBytes, connections: connections.join(','), turns };
    const results = new Results('rivals', { argv, parameters: common });
    const rivals = await present(plan.rivals, results);
    const entries = plan.roles.flatMap((role) => rivals.map((rival) => ({ rival, role })));
    const contest = new Contest(plan, await startTestTracker(scope), results);
    for (const folder of plan.folders) await runFolder(plan, folder, entries, contest);
    await results.finish(TABLES);
  } finally {
    await scope.close();
  }
}
