/**
 * `npm run bench -- NAME [options]`, of an installed package `haul bench NAME [options]`: runs one benchmark, or all of
 * them small with `--small`. Ends with 2 when the words are not understood.
 */
import { ValueError } from '../src/cli/values.js';
import { COMMAND } from './support/place.js';
import { checkOut } from './support/results.js';
import { descriptionOf, usage } from './support/usage.js';

const BENCHES: Readonly<Record<string, { readonly about: string; readonly load: () => Promise<unknown> }>> = {
  loopback: { about: 'one seed, one leech: sizes, connections, pieces, storages', load: () => import('./loopback.js') },
  rivals: { about: 'Swarmhaul and other clients in turns, as leech, seed and pair', load: () => import('./rivals.js') },
  start: { about: 'start-up: an empty Node, haul --version, haul get of 10 MiB', load: () => import('./start.js') },
  floor: { about: 'sockets, copies and SHA-1 without a protocol', load: () => import('./floor.js') },
  wire: { about: 'decoder and encoder, ns per message', load: () => import('./micro/wire.js') },
  availability: { about: 'ns per HAVE, by pieces', load: () => import('./micro/availability.js') },
  picker: { about: 'ns per picked piece, by pieces', load: () => import('./micro/picker.js') },
  rate: { about: 'ns per block in rolling rates, by peers', load: () => import('./micro/rate.js') },
  scheduler: { about: 'ns per picked block', load: () => import('./micro/scheduler.js') },
  storage: { about: 'mapped stores, prefault, verify, pool round trip', load: () => import('./micro/storage.js') },
  create: { about: 'making a .torrent: Swarmhaul and mktorrent', load: () => import('./create.js') },
  verify: { about: 'checking data against its .torrent', load: () => import('./verify.js') },
  hash: { about: 'SHA-1 in the pool against sha1sum and openssl', load: () => import('./hash.js') },
  tracker: { about: 'announces over HTTP and UDP: Swarmhaul and opentracker', load: () => import('./tracker.js') },
  webseed: { about: 'a file from nginx: haul get against curl and sha1sum', load: () => import('./webseed.js') },
  depot: { about: 'put and get by HTTP: curl, nginx, many short artifacts', load: () => import('./depot.js') },
  swarm: { about: 'a seed and 20 leeches with rate caps: times over the ideal', load: () => import('./swarm.js') },
  scale: { about: 'start-up, CPU and memory as pieces, connections, torrents grow', load: () => import('./scale.js') },
  memory: { about: 'what an engine holds with 1, 4, 50 busy torrents, and after', load: () => import('./memory.js') },
  wan: { about: 'long, slow and bad links: ours and other clients', load: () => import('./wan.js') },
  idle: { about: 'torrents that nobody wants now: seeds without peers, dormant ones', load: () => import('./idle.js') },
  limits: { about: 'rate limits: how well they hold and what they cost', load: () => import('./limits.js') },
  'depot-agent': { about: 'an agent against curl and nginx: alone, liars, …', load: () => import('./depot-agent.js') },
  'depot-swarm': { about: 'a depot and 20 agents behind thin links', load: () => import('./depot-swarm.js') },
  'depot-company': {
    about: 'a depot and agents in bad company, one case each',
    load: () => import('./depot-company.js'),
  },
  'depot-peers': {
    about: 'announces with Redis behind, and with Redis stopped',
    load: () => import('./depot-peers.js'),
  },
  'depot-idle': { about: 'a depot with 10,000 artifacts and an agent, at rest', load: () => import('./depot-idle.js') },
  'depot-first': { about: 'npm ci to the first artifact by an agent', load: () => import('./depot-first.js') },
  'depot-folder': {
    about: 'haul get of a folder of a depot: one by one, and by its torrent',
    load: () => import('./depot-folder.js'),
  },
  'depot-many': {
    about: 'a depot with 10,000 small artifacts: put, got, listed; its start beside so many',
    load: () => import('./depot-many.js'),
  },
  'depot-scale-pg': {
    about: 'a million names in PostgreSQL: listed, published, expired',
    load: () => import('./depot-scale-pg.js'),
  },
  'depot-scale-s3': {
    about: 'a depot whose store is on S3, against the AWS SDK at the same server',
    load: () => import('./depot-scale-s3.js'),
  },
  'depot-scale-swarm': {
    about: 'three depots on S3, PostgreSQL and Redis, and 12 agents behind thin links; one depot is killed',
    load: () => import('./depot-scale-swarm.js'),
  },
  cold: {
    about: 'a seed whose file is not in memory: who waits for the disk, and who must not',
    load: () => import('./cold.js'),
  },
  warm: {
    about: 'holds the memory of a virtual machine ready while other benches run',
    load: () => import('./warm.js'),
  },
  report: { about: 'one HTML page, or the tables of BENCHMARKS.md, from results', load: () => import('./report.js') },
};

/** A short way to say a longer line. */
const ALIASES: ReadonlyMap<string, readonly string[]> = new Map([
  ['pair', ['rivals', '--roles', 'pair', '--only', 'swarmhaul,rqbit,libtorrent']],
]);

interface Bench {
  main(argv: readonly string[]): Promise<void> | void;
}

async function runBench(name: string, argv: readonly string[]): Promise<void> {
  process.stdout.write(`== ${name}\n`);
  checkOut(argv);
  await ((await BENCHES[name]!.load()) as Bench).main(argv);
}

/** What is wrong with the words, when that is what the error is about. */
function usageProblem(error: unknown): string | null {
  if (error instanceof ValueError) return error.message;
  if (!(error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_'))) return null;
  return error.message.split(/\.\s/)[0]!;
}

/** Words that a bench does not know, and values it cannot use, are the user's mistake, told in a line. */
async function runNamed(name: string, argv: readonly string[]): Promise<void> {
  try {
    await runBench(name, argv);
  } catch (error) {
    const problem = usageProblem(error);
    if (problem === null) throw error;
    process.stderr.write(`bench: ${problem}. See: ${COMMAND} ${name} --help\n`);
    process.exitCode = 2;
  }
}

const abouts = (): Record<string, string> =>
  Object.fromEntries(Object.entries(BENCHES).map(([name, { about }]) => [name, about]));

// Where it is set Node reads certificates at each start, a tenth of a second; nothing here asks for any.
delete process.env.NODE_EXTRA_CA_CERTS;

const words = process.argv.slice(2);
const [name, ...argv] = [...(ALIASES.get(words[0] ?? '') ?? words.slice(0, 1)), ...words.slice(1)];
/** `depot --scale`: the benches of a depot whose parts lie elsewhere, one after another. */
const SCALE = ['depot-scale-s3', 'depot-scale-pg', 'depot-peers', 'depot-scale-swarm'];
if (name === 'depot' && argv[0] === '--scale') for (const each of SCALE) await runNamed(each, argv.slice(1));
else if (name === '--small') for (const each of Object.keys(BENCHES)) await runBench(each, ['--small']);
else if (name === '--help') process.stdout.write(usage(abouts()));
else if (name !== undefined && Object.hasOwn(BENCHES, name)) {
  if (argv.includes('--help')) process.stdout.write(descriptionOf(name) ?? usage(abouts()));
  else await runNamed(name, argv);
} else {
  process.stderr.write(
    name === undefined ? usage(abouts()) : `bench: no such bench: ${name}. See: ${COMMAND} --help\n`,
  );
  process.exitCode = 2;
}
