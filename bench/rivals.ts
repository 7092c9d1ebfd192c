/**
 * `npm run bench -- rivals [options]`: the same bytes moved by Swarmhaul and by other clients, in turns, in one run.
 *
 *   --only NAME,…   --roles leech,seed,pair   --seed NAME   --leech NAME      (the common seed and the common leech: swarmhaul)
 *   --size 1G   --piece-length 1M   --folder DIR   --turns 3   --no-warm-up   --small   --out FILE
 *
 * Roles: `leech` takes from the common seed, `seed` gives to the common leech, `pair` has both sides. All clients run with settings
 * in their favour (bench/support/rivals). The clock is explained in meeting.ts: nobody's start-up counts (`startSec` shows it).
 * A leech of ours is complete when all is on the device, the others when they say so. Transmission refuses loopback peers and
 * runs behind a veth cable; as a pair both run in one namespace. A rival that is not there is named and skipped.
 */
import { parseArgs } from 'node:util';
import { Scope } from '../test/support/scope.js';
import { startTestTracker, type TestTracker } from '../test/support/tracker.js';
import { defaultFolder, type Job, makeJobs } from './support/job.js';
import { count, length, lengths, list, oneOf, someOf } from './support/options.js';
import { Results } from './support/results.js';
import { DEFAULT_RIVALS, RIVALS } from './support/rivals/all.js';
import { meet } from './support/rivals/meeting.js';
import type { Rival } from './support/rivals/rival.js';

const ROLES = ['leech', 'seed', 'pair'] as const;
type Role = (typeof ROLES)[number];

interface Entry {
  readonly rival: Rival;
  readonly role: Role;
}

interface Common {
  readonly seed: Rival;
  readonly leech: Rival;
}

function rivalNamed(option: string, name: string): Rival {
  const names = RIVALS.map((rival) => rival.name);
  const wanted = oneOf(option, name === 'ours' ? 'swarmhaul' : name, names);
  return RIVALS.find((rival) => rival.name === wanted)!;
}

const OURS = rivalNamed('only', 'swarmhaul');

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', default: DEFAULT_RIVALS.join(',') },
      roles: { type: 'string', default: ROLES.join(',') },
      seed: { type: 'string', default: 'swarmhaul' },
      leech: { type: 'string', default: 'swarmhaul' },
      size: { type: 'string', default: '1G' },
      'piece-length': { type: 'string', default: '1M' },
      folder: { type: 'string', default: defaultFolder() },
      turns: { type: 'string', default: '3' },
      'no-warm-up': { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  if (!values.small) return values;
  // The others need seconds to find each other.
  const small = {
    only: 'swarmhaul,libtorrent,webtorrent',
    roles: 'pair',
    size: '16M',
    'piece-length': '256K',
  };
  return { ...values, ...small, turns: '1', 'no-warm-up': true };
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

async function runTurns(
  entries: readonly Entry[],
  common: Common,
  turns: number,
  job: Job,
  tracker: TestTracker,
  results: Results,
): Promise<void> {
  const broken = new Set<string>();
  for (let turn = 0; turn < turns; turn++) {
    for (const { rival, role } of entries) {
      const key = `${rival.name} as ${role}`;
      if (broken.has(key)) continue;
      const seed = role === 'leech' ? common.seed : rival;
      const leech = role === 'seed' ? common.leech : rival;
      const other = role === 'pair' ? rival : common[role === 'seed' ? 'leech' : 'seed'];
      try {
        const run = {
          series: rival.name,
          turn,
          parameters: { role, other: other.name },
          ...(await meet(seed, leech, job, tracker)),
        };
        results.add(run);
        process.stdout.write(`${JSON.stringify(run)}\n`);
      } catch (error) {
        // Ours must work; of the others what they do not do is told.
        if (rival.name.startsWith('swarmhaul')) throw error;
        broken.add(key);
        results.skip(key, `turn ${turn}: ${(error as Error).message}`);
      }
    }
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const values = parseOptions(argv);
  const lengthBytes = length('size', values.size);
  const turns = count('turns', values.turns);
  const pieceLengths = lengths('piece-length', values['piece-length']);
  const common = { seed: rivalNamed('seed', values.seed), leech: rivalNamed('leech', values.leech) };
  const wanted = list(values.only).map((name) => rivalNamed('only', name));
  const roles = someOf('roles', values.roles, ROLES);
  const scope = new Scope();
  try {
    const [job] = await makeJobs(scope, { folder: values.folder, lengthBytes, pieceLengths });
    const { fileSystem, pieceLengthBytes } = job!;
    const parameters = { lengthBytes, pieceLengthBytes, fileSystem, turns };
    const results = new Results('rivals', { argv, parameters });
    const rivals = await present(wanted, results);
    const entries = roles.flatMap((role) => rivals.map((rival) => ({ rival, role })));
    const tracker = await startTestTracker(scope);
    // The first run after a large file was written is not like the others.
    if (!values['no-warm-up']) await meet(OURS, OURS, job!, tracker);
    await runTurns(entries, common, turns, job!, tracker, results);
    await results.finish();
  } finally {
    await scope.close();
  }
}
