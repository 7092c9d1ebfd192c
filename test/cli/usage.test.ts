import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { run } from '../../lab/child.js';
import { openScope } from '../../lab/scope.js';
import { haul } from './harness.js';

/** The packages reached from a compiled module by static imports: what must be loaded before it runs. */
async function staticPackages(
  entry: URL,
  seen = new Set<string>(),
  packages = new Set<string>(),
): Promise<Set<string>> {
  if (seen.has(entry.href)) return packages;
  seen.add(entry.href);
  const source = await readFile(entry, 'utf8');
  for (const [, name] of source.matchAll(/^(?:import|export) (?:[^;'"]*? from )?['"]([^'"]+)['"];/gm)) {
    if (name!.startsWith('.')) await staticPackages(new URL(name!, entry), seen, packages);
    else if (!name!.startsWith('node:')) packages.add(name!);
  }
  return packages;
}

const COMMANDS = ['share', 'get', 'create', 'inspect', 'verify', 'seed', 'track'];

describe('haul on the command line', () => {
  it('shows every command in its help and exits with 0', async () => {
    const { exitCode, stdout, stderr } = await haul('--help');
    assert.equal(exitCode, 0);
    assert.equal(stderr, '');
    for (const command of COMMANDS) assert.match(stdout, new RegExp(`^ {2}${command} `, 'm'));
  });

  it('has a help with examples for each command', async () => {
    const helps = await Promise.all(COMMANDS.map((command) => haul(command, '--help')));
    helps.forEach(({ exitCode, stdout }, index) => {
      assert.equal(exitCode, 0);
      assert.match(stdout, new RegExp(`Examples:\n {2}\\$ haul ${COMMANDS[index]}`));
      assert.match(stdout, /--json/);
      assert.doesNotMatch(stdout, /progress-interval/);
    });
  });

  it('loads nothing but commander before a command runs, so that help is quick', async () => {
    const packages = await staticPackages(new URL('../../src/cli/main.js', import.meta.url));
    assert.deepEqual([...packages], ['commander']);
  });

  it('loads neither undici nor picomatch with the engine and the files of a download', async (context) => {
    const names = ['engine/engine.js', 'cli/await-torrent.js', 'cli/select.js', 'cli/engine-door.js'];
    const urls = names.map((name) => new URL(`../../src/${name}`, import.meta.url).href);
    const code = `import { createRequire } from 'node:module';
      for (const url of ${JSON.stringify(urls)}) await import(url);
      console.log(JSON.stringify(Object.keys(createRequire(${JSON.stringify(urls[0])}).cache)));`;
    const stdout = await run(openScope(context), process.execPath, ['--input-type=module', '--eval', code]);
    const loaded = JSON.parse(stdout) as string[];
    assert.ok(loaded.some((file) => file.includes('/piscina/')));
    for (const name of ['undici', 'picomatch', 'fastify', 'cli-progress'])
      assert.deepEqual(
        loaded.filter((file) => file.includes(`/node_modules/${name}/`)),
        [],
      );
  });

  it('prints the version of the package', async () => {
    const { exitCode, stdout } = await haul('--version');
    const manifest = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    assert.equal(exitCode, 0);
    assert.equal(stdout, `${manifest.version}\n`);
    assert.deepEqual(await haul('-V'), await haul('--version'));
  });

  it('has short forms of what is asked most', async () => {
    assert.deepEqual(await haul('-h'), await haul('--help'));
    assert.deepEqual(await haul('get', '-h'), await haul('get', '--help'));
    for (const command of ['get', 'create']) {
      assert.match((await haul(command, '--help')).stdout, /^ {2}-o, --output </m);
    }
    for (const command of COMMANDS) {
      assert.match((await haul(command, '--help')).stdout, /^ {2}-q, --quiet /m);
    }
  });

  it('exits with 2 and suggests the command that was meant', async () => {
    const { exitCode, stderr, stdout } = await haul('inspct');
    assert.equal(exitCode, 2);
    assert.equal(stdout, '');
    assert.equal(stderr, "haul: unknown command 'inspct' (Did you mean inspect?) See: haul --help\n");
  });

  it('exits with 2 for unknown options, missing arguments and values out of bounds', async () => {
    const cases: [string[], RegExp][] = [
      [['get', 'x.torrent', '--prot', '1'], /unknown option '--prot' \(Did you mean --port\?\) See: haul get --help/],
      [['get'], /missing required argument 'torrent'/],
      [['verify', 'x.torrent'], /required option '--data <dir>' not specified/],
      [['get', 'x.torrent', '--port', '70000'], /A port is a number from 0 to 65535/],
      [['get', 'x.torrent', '--peer', 'nowhere'], /HOST:PORT/],
      [['get', 'x.torrent', '--zone', 'rack 7'], /A zone must be 1 to 64 letters/],
      [['get', 'x.torrent', '--seed-for', 'soon'], /A duration is/],
      [['create', 'x', '--piece-length', '3MiB'], /power of two/],
      [['create', 'x', '--tracker', 'tracker.example'], /A tracker is/],
      [['create', 'x', 'y'], /too many arguments/],
      [[], /Usage: haul/],
    ];
    const outcomes = await Promise.all(cases.map(([args]) => haul(...args)));
    outcomes.forEach(({ exitCode, stderr, stdout }, index) => {
      assert.equal(exitCode, 2, cases[index]![0].join(' '));
      assert.match(stderr, cases[index]![1]);
      assert.equal(stdout, '');
    });
  });

  it('tells machines about usage errors too', async () => {
    const { exitCode, lines } = await haul('get', 'x.torrent', '--bogus', '--json');
    assert.equal(exitCode, 2);
    const { time, ...line } = lines[0]!;
    assert.equal(lines.length, 1);
    assert.match(String(time), /^\d{4}-/);
    assert.deepEqual(line, {
      type: 'error',
      command: 'get',
      code: 'USAGE',
      message: "unknown option '--bogus'",
      facts: {},
    });
  });
});
