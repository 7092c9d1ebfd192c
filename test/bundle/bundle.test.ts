/** Bundles of the command and of a worker: made of the present modules, used when whole, left alone when not. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildBundles } from '../../bundle/build.js';
import { run } from '../../lab/child.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';

const BUNDLE_LOADER = fileURLToPath(new URL('../../src/cli/bundle.cjs', import.meta.url));
const HAUL = fileURLToPath(new URL('../../src/cli/haul.cjs', import.meta.url));
const FOLDER = fileURLToPath(new URL('../../src/bundle', import.meta.url));
const { digestOf, filesOf, loadBundle } = createRequire(import.meta.url)(
  BUNDLE_LOADER,
) as import('../../src/cli/bundle.cjs').Bundles;

const SOURCE = 'exports.answer = () => 42;\n';

interface Answering {
  answer(): number;
}

describe('a bundle', () => {
  let isBuilt = false;
  before(async () => {
    isBuilt = await buildBundles();
  });

  test('runs without compiled code, with broken code and with code of another source', async (t) => {
    const folder = await tempFolder(openScope(t));
    const { source, code } = filesOf(folder, 'sample');
    assert.equal(loadBundle(folder, 'sample'), null, 'there is none');
    await writeFile(source, SOURCE);
    const garbage = Buffer.alloc(300, 7);
    const digest = (text: string): Buffer => digestOf(Buffer.from(text), garbage);
    // The third is refused by V8 itself.
    for (const bytes of [
      null,
      Buffer.alloc(3),
      Buffer.concat([digest('x'), garbage]),
      Buffer.concat([digest(SOURCE), garbage]),
    ]) {
      if (bytes !== null) await writeFile(code, bytes);
      assert.equal((loadBundle(folder, 'sample') as Answering).answer(), 42);
    }
  });

  test('is left alone in a checkout whose modules were compiled after it', async (t) => {
    const root = await tempFolder(openScope(t));
    const folder = path.join(root, 'dist/src/bundle');
    await mkdir(folder, { recursive: true });
    const { source } = filesOf(folder, 'sample');
    const record = path.join(root, 'dist/.tsbuildinfo');
    await writeFile(source, SOURCE);
    assert.notEqual(loadBundle(folder, 'sample'), null, 'a package has no record of the compiler');
    await writeFile(record, '');
    await utimes(source, 1000, 1000);
    assert.equal(loadBundle(folder, 'sample'), null);
    await utimes(record, 999, 999);
    assert.notEqual(loadBundle(folder, 'sample'), null);
  });

  test('of this build is ASCII, and its compiled code is good here', async (t) => {
    if (!isBuilt) return t.skip('there is no esbuild');
    for (const name of ['command', 'worker', 'http']) {
      const { source, code } = filesOf(FOLDER, name);
      const text = await readFile(source);
      assert.ok(
        text.every((byte) => byte < 128),
        name,
      );
      assert.ok((await readFile(code)).length > text.length, 'all of its functions');
      const program = `const { readFileSync } = require('fs');
        const { scriptOf } = require(${JSON.stringify(BUNDLE_LOADER)});
        const [name, source, code] = ${JSON.stringify([name, source, code])};
        console.log(scriptOf(name, readFileSync(source), readFileSync(code).subarray(32)).cachedDataRejected);`;
      assert.equal(await run(openScope(t), process.execPath, ['-e', program]), 'false', name);
    }
  });

  test('of HTTP is made up for by the package where it is cut off or gone', async (t) => {
    if (!isBuilt) return t.skip('there is no esbuild');
    const root = await tempFolder(openScope(t));
    const folder = path.join(root, 'src/bundle');
    await cp(FOLDER, folder, { recursive: true });
    await cp(path.dirname(BUNDLE_LOADER), path.join(root, 'src/cli'), { recursive: true });
    await symlink(fileURLToPath(new URL('../../../node_modules', import.meta.url)), path.join(root, 'node_modules'));
    const { source } = filesOf(folder, 'http');
    const whole = await readFile(source, 'latin1');
    const entry = path.join(folder, 'http-entry.cjs');
    const program = `const { Agent, request } = require(${JSON.stringify(entry)});
      const places = Object.keys(require.cache).filter((file) => file.includes('undici/lib/dispatcher/agent'));
      console.log(typeof Agent, typeof request, places.length);`;
    const loaded = (): Promise<string> => run(openScope(t), process.execPath, ['-e', program]);
    assert.equal(await loaded(), 'function function 0');
    for (const text of [whole.slice(0, whole.length >> 1), '', 'throw new Error("no");']) {
      await writeFile(source, text);
      assert.equal(await loaded(), 'function function 1', text.slice(0, 40));
    }
  });

  test('names the licence of every package in it', async (t) => {
    if (!isBuilt) return t.skip('there is no esbuild');
    const notices = await readFile(path.join(FOLDER, 'LICENSES.txt'), 'utf8');
    const packages = new Set<string>();
    for (const name of ['command.cjs', 'service.cjs', 'worker.cjs', 'http.cjs', 'thread.cjs']) {
      const text = await readFile(path.join(FOLDER, name), 'utf8');
      for (const [, found] of text.matchAll(/^\s*\/\/ node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\//gm))
        packages.add(found!);
    }
    assert.ok(packages.has('commander') && packages.has('piscina') && packages.has('undici'));
    for (const name of packages) assert.match(notices, new RegExp(`^${name} \\d`, 'm'));
  });

  test('is what the command runs, and a stack trace names it', async (t) => {
    if (!isBuilt) return t.skip('there is no esbuild');
    const run = (...words: string[]): string =>
      spawnSync(process.execPath, [HAUL, ...words, '--verbose'], { encoding: 'utf8' }).stderr;
    const command = run('inspect', '/nowhere/a.torrent');
    assert.match(command, /^ +at readTorrent \(swarmhaul\/dist\/src\/bundle\/command\.cjs:\d+:\d+\)$/m);
    const service = run('depot', 'check', '--data', '/nowhere');
    assert.match(service, /^ +at .* \(swarmhaul\/dist\/src\/bundle\/service\.cjs:\d+:\d+\)$/m);
  });

  test('does not stand in the way where it cannot be read', async (t) => {
    const folder = await tempFolder(openScope(t));
    await mkdir(filesOf(folder, 'sample').source);
    assert.equal(loadBundle(folder, 'sample'), null);
  });
});
