/** `npm run bench -- NAME [options]`: runs one benchmark, or all of them small with `--small`. */

const BENCHES: Readonly<Record<string, { readonly about: string; readonly load: () => Promise<unknown> }>> = {
  pair: { about: 'one seed, one leech: Swarmhaul and libtorrent in turns', load: () => import('./pair.js') },
  wire: { about: 'decoder and encoder, ns per message', load: () => import('./micro/wire.js') },
  scheduler: { about: 'ns per picked block', load: () => import('./micro/scheduler.js') },
  storage: { about: 'mapped stores, prefault, verify, pool round trip', load: () => import('./micro/storage.js') },
};

interface Bench {
  main(argv: readonly string[]): Promise<void> | void;
}

async function runBench(name: string, argv: readonly string[]): Promise<void> {
  process.stdout.write(`== ${name}\n`);
  await ((await BENCHES[name]!.load()) as Bench).main(argv);
}

const [name, ...argv] = process.argv.slice(2);
if (name === '--small') for (const each of Object.keys(BENCHES)) await runBench(each, ['--small']);
else if (name !== undefined && name in BENCHES) await runBench(name, argv);
else {
  const list = Object.entries(BENCHES).map(([key, { about }]) => `  ${key.padEnd(10)} ${about}\n`);
  process.stderr.write(`usage: npm run bench -- NAME [options] | --small\n${list.join('')}`);
  process.exitCode = 2;
}
