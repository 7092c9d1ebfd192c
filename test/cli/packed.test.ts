/** The package as npm packs it, unpacked beside nothing but its own dependencies: what a user has, and no more. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildBundles } from '../../bundle/build.js';
import { pruneDeclarations } from '../../bundle/declarations.js';
import { run } from '../../lab/child.js';
import { missingTool } from '../../lab/clients/client.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { buildPrebuilds } from '../../native/build.js';
import { NATIVE_INTERFACE } from '../../src/native/library.js';
import { VERSION } from '../../src/version.js';
import { requirePrograms } from '../support/requirements.js';
import { importsOf, listFiles, readSource } from '../support/source.js';

interface Manifest {
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
}

interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Figures {
  readonly bench: string;
  readonly runs: readonly {
    readonly series: string;
    readonly checksum?: string;
    readonly parameters: Readonly<Record<string, unknown>>;
  }[];
  readonly skipped: readonly { readonly series: string; readonly reason: string }[];
}

/** This build, which need not be the one in dist. */
const BUILD = fileURLToPath(new URL('../..', import.meta.url));
/** Of the package's two libraries. */
const COMPILERS = ['cc', 'aarch64-linux-gnu-gcc'];
/** EM_X86_64 and EM_AARCH64. */
const ELF_MACHINES = [62, 183];
/** 2.28 is what Node 20 itself needs. */
const OLDEST_GLIBC = 28;
/** Only run from a checkout: not part of the package. */
const DEMO = new Set(['bench/child.ts', 'bench/demo.ts', 'bench/demo-depot.ts', 'bench/demo-parts.ts']);

/** What is there to be packed: the sources, and this build in the place of dist. */
async function stage(folder: string, manifest: Manifest): Promise<void> {
  for (const name of ['package.json', ...manifest.files.filter((name) => !/^(?:!?dist|prebuilds)\//.test(name))]) {
    await cp(path.join(PACKAGE_ROOT, name), path.join(folder, name), { recursive: true });
  }
  for (const part of ['src', 'bench', 'lab', 'test']) {
    await cp(path.join(BUILD, part), path.join(folder, 'dist', part), { recursive: true });
  }
  pruneDeclarations(path.join(folder, 'dist', 'src'));
  await buildPrebuilds(path.join(folder, 'prebuilds'));
}

/** What a bench loads beside its own and the engine, with what these load. */
function helpersOfBenches(): string[] {
  const seen = new Set<string>();
  const waiting = listFiles(PACKAGE_ROOT, 'bench').filter((file) => file.endsWith('.ts') && !DEMO.has(file));
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const { target, isTypeOnly } of importsOf(readSource(PACKAGE_ROOT, file))) {
      if (target !== null && !isTypeOnly) waiting.push(target);
    }
  }
  return [...seen].filter((file) => !/^(?:bench|src|native)\//.test(file)).sort();
}

describe('the packed package', { skip: process.platform === 'win32' }, () => {
  const scope = new Scope();
  let application = '';
  let installed = '';
  let missing: string | null = null;

  before(async () => {
    missing = await missingTool(['npm', 'tar']);
    if (missing !== null) return;
    const manifest = JSON.parse(await readFile(path.join(PACKAGE_ROOT, 'package.json'), 'utf8')) as Manifest;
    const staged = await tempFolder(scope);
    application = await tempFolder(scope);
    await stage(staged, manifest);
    const pack = ['pack', '--ignore-scripts', '--offline', '--silent', '--pack-destination', application];
    await run(scope, 'npm', pack, { cwd: staged });
    const [tarball = ''] = await readdir(application);
    await run(scope, 'tar', ['-xzf', tarball], { cwd: application });
    const modules = path.join(application, 'node_modules');
    installed = path.join(modules, 'swarmhaul');
    await mkdir(path.join(modules, '.bin'), { recursive: true });
    await cp(path.join(application, 'package'), installed, { recursive: true });
    await symlink('../swarmhaul/dist/src/cli/haul.cjs', path.join(modules, '.bin', 'haul'));
    for (const name of Object.keys(manifest.dependencies)) {
      await mkdir(path.dirname(path.join(modules, name)), { recursive: true });
      await symlink(path.join(PACKAGE_ROOT, 'node_modules', name), path.join(modules, name));
    }
  });
  after(() => scope.close());

  const haul = (...args: string[]): Promise<Finished> => node(path.join('node_modules', '.bin', 'haul'), ...args);

  function node(...words: string[]): Promise<Finished> {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(process.execPath, words, { cwd: application, env, stdio: ['ignore', 'pipe', 'pipe'] });
    scope.defer(() => void child.kill('SIGKILL'));
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    return new Promise((resolve) => child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr })));
  }

  async function figures(bench: string): Promise<Figures> {
    return JSON.parse(await readFile(path.join(application, 'bench-results', `${bench}.json`), 'utf8')) as Figures;
  }

  const packedTest = (name: string, body: (t: TestContext) => Promise<void>): void => {
    test(name, async (t) => (missing === null ? body(t) : t.skip(`${missing} is not installed`)));
  };

  packedTest('holds the helpers that benches load, no tests, and no source maps', async () => {
    const files = listFiles(installed, 'dist');
    const helpers = files.filter((file) => !/^dist\/(?:bench|src)\//.test(file));
    const wanted = helpersOfBenches().map((file) => `dist/${file.replace(/\.ts$/, '.js')}`);
    assert.deepEqual(helpers, wanted, 'benches load other helpers than lab/ has, or tests');
    assert.deepEqual(
      files.filter((file) => file.endsWith('.map')),
      [],
    );
  });

  test('carries the native library for x64 and arm64, for any system that Node 20 runs on, and loads it', async (t) => {
    if (missing !== null || (await requirePrograms(t, COMPILERS))) return;
    const libraries = ['x64', 'arm64'].map((name) => `prebuilds/linux-${name}/libswarmhaul.so`);
    assert.deepEqual(listFiles(installed, 'prebuilds'), [...libraries].sort());
    for (const [index, library] of libraries.entries()) {
      const content = await readFile(path.join(installed, library));
      assert.equal(content.readUInt16LE(18), ELF_MACHINES[index], library);
      for (const [, version] of content.toString('latin1').matchAll(/GLIBC_2\.(\d+)/g)) {
        assert.ok(Number(version) <= OLDEST_GLIBC, `${library} needs glibc 2.${version}`);
      }
    }
    const code =
      "import('./node_modules/swarmhaul/dist/src/native/library.js').then(({ nativeLoad }) => " +
      'console.log(nativeLoad().path, nativeLoad().functions.interface()))';
    const loaded = await run(scope, process.execPath, ['-e', code], {
      cwd: application,
      env: { SWARMHAUL_NATIVE: '' },
    });
    assert.match(
      loaded,
      new RegExp(`swarmhaul/prebuilds/linux-${process.arch}/libswarmhaul\\.so ${NATIVE_INTERFACE}$`),
    );
  });

  packedTest('holds the command and a worker as bundles, with their licences, and runs them', async (t) => {
    if (!(await buildBundles())) return t.skip('there is no esbuild');
    const files = listFiles(installed, 'dist/src/bundle').map((file) => path.basename(file));
    assert.deepEqual(files.sort(), [
      'LICENSES.txt',
      'command.cjs',
      'command.code',
      'http-entry.cjs',
      'http.cjs',
      'http.code',
      'service.cjs',
      'service.code',
      'thread.cjs',
      'worker-entry.cjs',
      'worker.cjs',
      'worker.code',
    ]);
    const { stderr } = await haul('inspect', 'none.torrent', '--verbose');
    assert.match(stderr, /^ +at .*\(swarmhaul\/dist\/src\/bundle\/command\.cjs:/m);
  });

  packedTest('says in one line that a file of its bundles is missing or cut off', async (t) => {
    if (!(await buildBundles())) return t.skip('there is no esbuild');
    const damaged = /^haul: [^\n]*the installation is damaged, install it again\n$/;
    const image = path.join(application, 'image');
    await writeFile(image, 'bytes');
    for (const name of ['worker.cjs', 'thread.cjs', 'command.cjs']) {
      const file = path.join(installed, 'dist/src/bundle', name);
      const content = await readFile(file);
      for (const left of [null, 0, content.length >> 1]) {
        if (left === null) await rm(file);
        else await writeFile(file, content.subarray(0, left));
        // Without the bundle of the command its modules are there.
        if (name === 'command.cjs' && left === null) continue;
        const { exitCode, stderr } = await haul('create', image, '--output', path.join(application, 'image.torrent'));
        assert.match(stderr, damaged, `${name} ${left}`);
        assert.equal(exitCode, 1, stderr);
      }
      await writeFile(file, content);
    }
  });

  packedTest('names no source map, and declares what the library gives and no more', async () => {
    const files = listFiles(installed, 'dist');
    // What an earlier build left in this checkout is not looked at.
    const compiled = listFiles(PACKAGE_ROOT, 'src').map((file) => `dist/${file.replace(/ts$/, 'js')}`);
    for (const file of files.filter((file) => compiled.includes(file))) {
      const text = await readFile(path.join(installed, file), 'utf8');
      assert.ok(!/^\/\/# sourceMappingURL/m.test(text), file);
    }
    const declarations = files.filter((file) => /\.d\.c?ts$/.test(file));
    assert.ok(declarations.includes('dist/src/index.d.ts') && declarations.includes('dist/src/api.d.ts'));
    assert.deepEqual(
      declarations.filter((file) => /^dist\/(?!src\/)|^dist\/src\/(?:cli|scheduler|door)/.test(file)),
      [],
    );
  });

  packedTest('is loaded by import and by require, and is one library for both', async () => {
    const same = "require('swarmhaul') === library";
    const code = `import('swarmhaul').then((library) => console.log(${same}, library.VERSION))`;
    const { stdout, stderr } = await node('-e', code);
    assert.deepEqual([stdout, stderr], [`true ${VERSION}\n`, '']);
  });

  packedTest('says in one sentence to an older Node.js that it is too old', async () => {
    const door = './node_modules/swarmhaul/dist/src/door.js';
    const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.8' } });`;
    const said = await node('-e', `${pretend} import('${door}').catch(({ message }) => console.log(message))`);
    const sentence =
      'swarmhaul needs Node.js 20.19 or later, this is 18.20.8; install a newer one, see https://nodejs.org';
    assert.deepEqual([said.stdout, said.stderr], [`${sentence}\n`, '']);
    const { engines } = JSON.parse(await readFile(path.join(installed, 'package.json'), 'utf8')) as {
      engines: { node: string };
    };
    assert.equal(engines.node, '>=20.19');
  });

  packedTest('lists its benches, each with a line, and says what one does', async () => {
    const list = await haul('bench', '--help');
    assert.deepEqual([list.exitCode, list.stderr], [0, '']);
    assert.match(list.stdout, /^Usage: haul bench NAME \[options\]$/m);
    assert.match(list.stdout, /^ {2}loopback {2,}one seed, one leech/m);
    assert.match(list.stdout, /^ {2}\$ haul bench loopback --size/m);
    const help = await haul('bench', 'loopback', '--help');
    assert.deepEqual([help.exitCode, help.stderr], [0, '']);
    assert.match(help.stdout, /^`haul bench loopback \[options\]`/);
    assert.match(help.stdout, /--piece-length/);
  });

  packedTest('ends with 2 and a line when the words are not understood', async () => {
    const none = await haul('bench');
    assert.deepEqual([none.exitCode, none.stdout], [2, '']);
    assert.match(none.stderr, /^Usage: haul bench/);
    const other = await haul('bench', 'toString');
    assert.equal(other.stderr, 'bench: no such bench: toString. See: haul bench --help\n');
    assert.equal(other.exitCode, 2);
    const option = await haul('bench', 'wire', '--bogus');
    assert.equal(option.stderr, "bench: Unknown option '--bogus'. See: haul bench wire --help\n");
    assert.equal(option.exitCode, 2);
  });

  packedTest('runs a small bench and writes its figures into the current folder', async () => {
    const { exitCode, stdout, stderr } = await haul('bench', 'wire', '--small');
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^figures in bench-results\/wire\.json$/m);
    const { bench, runs } = await figures('wire');
    assert.equal(bench, 'wire');
    assert.ok(runs.length > 0);
  });

  packedTest('moves a file between two processes, run by the Node that was named', async () => {
    const node = path.join(application, 'another-node');
    const log = path.join(application, 'starts');
    await writeFile(node, `#!/bin/sh\necho start >>'${log}'\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
    const { exitCode, stderr } = await haul('bench', 'loopback', '--small', '--node', node);
    assert.equal(exitCode, 0, stderr);
    const { runs } = await figures('loopback');
    assert.equal(runs.length, 4, 'two numbers of connections, with and without a storage');
    assert.equal(runs.filter(({ checksum }) => checksum !== undefined).length, 2);
    for (const { parameters } of runs) assert.equal(parameters.node, process.version);
    const starts = (await readFile(log, 'utf8')).split('\n').length - 1;
    assert.equal(starts, 1 + 2 * runs.length, 'asked for its version, then a seed and a leech for each run');
  });

  packedTest('names a rival that is not installed, and runs the rest', async () => {
    const words = ['--only', 'swarmhaul,webtorrent', '--roles', 'pair', '--size', '4M', '--piece-length', '256K'];
    const { exitCode, stderr } = await haul('bench', 'rivals', ...words, '--turns', '1', '--no-warm-up');
    assert.equal(exitCode, 0, stderr);
    const { runs, skipped } = await figures('rivals');
    assert.deepEqual(
      runs.map(({ series }) => series),
      ['swarmhaul'],
    );
    assert.match(skipped[0]?.reason ?? '', /^webtorrent 1 is not installed/);
  });

  packedTest('refuses a Node that is none', async () => {
    const { exitCode, stderr } = await haul('bench', 'loopback', '--small', '--node', '/bin/false');
    assert.equal(exitCode, 2);
    assert.match(stderr, /--node \/bin\/false: /);
  });

  packedTest('says in one line that its benches are gone', async () => {
    await rm(path.join(installed, 'dist', 'bench'), { recursive: true });
    const { exitCode, stdout, stderr } = await haul('bench', 'wire', '--small');
    assert.deepEqual([exitCode, stdout], [1, '']);
    assert.match(stderr, /^haul: the bench suite is missing: .*run\.js.*\n$/);
  });
});
