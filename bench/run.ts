/** `npm run bench -- NAME [options]`: runs one benchmark, or all of them small with `--small`. */

const BENCHES: Readonly<Record<string, { readonly about: string; readonly load: () => Promise<unknown> }>> = {
  loopback: { about: 'one seed, one leech: sizes, connections, pieces, storages', load: () => import('./loopback.js') },
  rivals: { about: 'Swarmhaul and other clients in turns, as leech, seed and pair', load: () => import('./rivals.js') },
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
  tracker: { about: 'HTTP announces: Swarmhaul and opentracker', load: () => import('./tracker.js') },
  swarm: { about: 'a seed and 20 leeches with rate caps: times over the ideal', load: () => import('./swarm.js') },
  scale: { about: 'start-up, CPU and memory as pieces, connections, torrents grow', load: () => import('./scale.js') },
  report: { about: 'one HTML page, or the table of the README, from results', load: () => import('./report.js') },
};

/** A short way to say a longer line. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  pair: ['rivals', '--roles', 'pair', '--only', 'swarmhaul,libtorrent'],
};

interface Bench {
  main(argv: readonly string[]): Promise<void> | void;
}

async function runBench(name: string, argv: readonly string[]): Promise<void> {
  process.stdout.write(`== ${name}\n`);
  await ((await BENCHES[name]!.load()) as Bench).main(argv);
}

const words = process.argv.slice(2);
const [name, ...argv] = [...(ALIASES[words[0] ?? ''] ?? words.slice(0, 1)), ...words.slice(1)];
if (name === '--small') for (const each of Object.keys(BENCHES)) await runBench(each, ['--small']);
else if (name !== undefined && name in BENCHES) await runBench(name, argv);
else {
  const list = Object.entries(BENCHES).map(([key, { about }]) => `  ${key.padEnd(10)} ${about}\n`);
  process.stderr.write(`usage: npm run bench -- NAME [options] | --small\n${list.join('')}`);
  process.exitCode = 2;
}
