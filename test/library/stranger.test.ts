/**
 * The package as npm packs it, in the hands of a stranger: a script of some forty lines compiles in strict mode, with
 * the declarations of the package checked too, and runs.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../lab/child.js';
import { missingTool } from '../../lab/clients/client.js';
import { writeSeededFile } from '../../lab/data.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';

/** This build, which need not be the one in dist. */
const BUILD = fileURLToPath(new URL('../..', import.meta.url));
const SCRIPT_LINES_MAX = 45;

const COMPILER_OPTIONS = {
  target: 'ES2023',
  lib: ['ES2023'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  outDir: 'out',
};

/** A folder in which the packed package is installed, and nothing of ours but what it depends on. */
async function install(scope: Scope): Promise<string> {
  const staged = await tempFolder(scope);
  const manifest = await readFile(path.join(PACKAGE_ROOT, 'package.json'), 'utf8');
  await writeFile(path.join(staged, 'package.json'), manifest);
  await cp(path.join(BUILD, 'src'), path.join(staged, 'dist', 'src'), { recursive: true });
  const app = await tempFolder(scope);
  const pack = ['pack', '--ignore-scripts', '--offline', '--silent', '--pack-destination', app];
  await run(scope, 'npm', pack, { cwd: staged });
  const [tarball = ''] = await readdir(app);
  await run(scope, 'tar', ['-xzf', tarball], { cwd: app });
  const modules = path.join(app, 'node_modules');
  await mkdir(path.join(modules, '@types'), { recursive: true });
  await cp(path.join(app, 'package'), path.join(modules, 'swarmhaul'), { recursive: true });
  const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };
  for (const name of [...Object.keys(dependencies), '@types/node', 'undici-types']) {
    await mkdir(path.dirname(path.join(modules, name)), { recursive: true });
    await symlink(path.join(PACKAGE_ROOT, 'node_modules', name), path.join(modules, name));
  }
  return app;
}

test('a stranger’s script compiles in strict mode against the packed package, and runs', async (t) => {
  const missing = await missingTool(['npm', 'tar']);
  if (missing !== null) {
    t.skip(`${missing} is not installed`);
    return;
  }
  const scope = openScope(t);
  const app = await install(scope);
  const script = await readFile(path.join(PACKAGE_ROOT, 'test', 'library', 'stranger.txt'), 'utf8');
  assert.ok(script.split('\n').length <= SCRIPT_LINES_MAX);
  await writeFile(path.join(app, 'stranger.mts'), script);
  const config = { compilerOptions: COMPILER_OPTIONS, files: ['stranger.mts'] };
  await writeFile(path.join(app, 'tsconfig.json'), JSON.stringify(config));
  const compiler = path.join(PACKAGE_ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const said = await run(scope, process.execPath, [compiler, '-p', '.'], { cwd: app }).catch(
    (error: Error) => error.message,
  );
  assert.equal(said, '', said);
  const source = path.join(await tempFolder(scope), 'data.bin');
  await writeSeededFile(source, 1_500_000, 'stranger');
  const output = path.join(app, 'copy');
  const printed = await run(scope, process.execPath, ['out/stranger.mjs', source, output], { cwd: app });
  assert.match(printed, /^hashed 100 %$/m);
  assert.match(printed, /^paused \d+ of 1500000 0$/m);
  assert.match(printed, /^seeding 1500000 of 1500000 \d+$/m);
  assert.match(printed, /^data\.bin true$/m);
  assert.match(printed, /^ABORTED \{\}$/m);
  assert.deepEqual(await readTree(path.join(output, 'data.bin')), await readTree(source));
});
