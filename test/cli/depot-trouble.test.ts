/** What commands that speak to a depot say where something is in the way, and pipes at either end of them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { DepotClient } from '../../src/cli/depot-client.js';
import { agentOf, depotOf, folderOf } from '../depot/agent-harness.js';
import { smallDisk } from '../support/small-disk.js';
import { type Finished, haulWith, MAIN } from './harness.js';

interface Scene {
  readonly folder: string;
  readonly url: string;
  readonly run: (...args: string[]) => Promise<Finished>;
  readonly put: (name: string, body: string | Buffer) => Promise<void>;
}

async function openScene(context: TestContext): Promise<Scene> {
  const folder = await folderOf(context);
  const { url } = await depotOf(context, join(folder, 'data'));
  const env = { SWARMHAUL_DEPOT: url, XDG_CONFIG_HOME: folder };
  const put = async (name: string, body: string | Buffer): Promise<void> => {
    assert.equal((await fetch(`${url}/artifacts/${name}`, { method: 'PUT', body })).status, 201);
  };
  return { folder, url, put, run: (...args) => haulWith(env, ...args) };
}

async function piped(env: Record<string, string>, given: Buffer, ...words: string[]): Promise<number | null> {
  const child = spawn(process.execPath, [MAIN, ...words], { env: { ...process.env, ...env }, stdio: 'pipe' });
  for (const stream of [child.stdout, child.stderr]) stream.resume();
  child.stdin.on('error', () => {}).end(given);
  return ((await once(child, 'close')) as [number | null])[0];
}

test('a name that leads to another folder is never asked for', async (context) => {
  for (const name of ['..', 'a/../b', 'a/./b', '../../healthz'])
    assert.throws(() => DepotClient.path(name), { code: 'BAD_ARGUMENT' }, name);
  assert.equal(DepotClient.path('..a/b..'), '/artifacts/..a/b..');
  const { folder, url, run, put } = await openScene(context);
  await put('y', 'kept');
  const removed = await run('rm', 'x/../y');
  assert.deepEqual([removed.exitCode, removed.stderr.split('\n').length], [1, 2], removed.stderr);
  assert.equal((await fetch(`${url}/artifacts/y`)).status, 200);
  await writeFile(join(folder, 'f'), 'f');
  const sent = await run('publish', join(folder, 'f'), '--archive', '--name', 'x/../z');
  assert.deepEqual([sent.exitCode, (await fetch(`${url}/artifacts/z`)).status], [1, 404], sent.stderr);
});

test('standard input is published as it is, and an artifact goes to standard output', async (context) => {
  const { folder, url, run } = await openScene(context);
  const bytes = randomBytes(5_000_000);
  assert.equal(await piped({ SWARMHAUL_DEPOT: url }, bytes, 'publish', '-', '--name', 'ci/log'), 0);
  const stored = await fetch(`${url}/artifacts/ci/log`, { method: 'HEAD' });
  assert.equal(stored.headers.get('etag'), `"${createHash('sha256').update(bytes).digest('hex')}"`);
  for (const words of [
    ['-', 'x'],
    ['-', '--archive'],
    ['-', '--p2p'],
    ['-', '--single'],
  ]) {
    const refused = await run('publish', ...words, '--name', 'ci/no');
    assert.deepEqual([refused.exitCode, /standard input/.test(refused.stderr)], [1, true], refused.stderr);
  }
  const below = await run('publish', '-', '--name', 'ci/');
  assert.match(below.stderr, /standard input/);
  const output = join(folder, 'out');
  await mkdir(output);
  const poured = await run('get', 'ci/log', '--stdout', '-', '--output', output, '--port', '0');
  assert.equal(poured.exitCode, 0, poured.stderr);
  assert.deepEqual(await readFile(join(output, 'log')), bytes);
  const dash = await run('get', 'ci/log', '--output', '-');
  assert.match(dash.stderr, /--output - .*--stdout/);
});

test('a full or read-only disk, a folder in the place: one line that names it', async (context) => {
  const { folder, run, put } = await openScene(context);
  await put('ci/f', Buffer.alloc(300_000, 1));
  await mkdir(join(folder, 'out', 'f'), { recursive: true });
  const taken = await run('get', 'ci/f', '--output', join(folder, 'out'), '--force');
  assert.match(taken.stderr, /out\/f is a folder/);
  for (const [options, words] of [
    ['size=100k', /small\/.*: no space left/],
    ['ro', /small\/.*: the file system is read-only/],
  ] as const) {
    const disk = await smallDisk(context, openScope(context), options);
    if (disk === null) return;
    const { exitCode, stderr } = await run('get', 'ci/f', '--output', disk);
    assert.deepEqual([exitCode, stderr.split('\n').length], [1, 2], stderr);
    assert.match(stderr, words);
    assert.doesNotMatch(stderr, /internal error|from the depot/);
  }
});

test('what is in the way is said with what to do about it', async (context) => {
  const { folder, url, run, put } = await openScene(context);
  await put('ci/f', 'one');
  await writeFile(join(folder, 'f'), 'two');
  const other = await run('publish', join(folder, 'f'), '--name', 'ci/f');
  assert.match(other.stderr, /other bytes have this name; --overwrite replaces it$/m);
  const one = await run('ls', 'ci/f');
  assert.match(one.stdout, /^ +3 B .* ci\/f\n$/);
  const { agent } = await agentOf(context, url, join(folder, 'cache'));
  assert.match((await run('get', 'nope', '--agent', agent.url)).stderr, /^haul: agent .*nothing called nope/);
  const secret = 's'.repeat(43);
  const tokenLines = `${secret} read,write ci/`;
  const wary = await depotOf(context, join(folder, 'wary'), { tokenLines, anonymous: 'none' });
  const words = ['publish', join(folder, 'f'), '--depot', wary.url, '--name'];
  assert.match((await run(...words, 'ci/f')).stderr, /needs a token with the scope write; give --token/);
  const env = { SWARMHAUL_TOKEN: ` ${secret}\n`, XDG_CONFIG_HOME: folder };
  assert.equal((await haulWith(env, ...words, 'ci/f')).exitCode, 0);
  assert.match(
    (await haulWith(env, ...words, 'actions/f')).stderr,
    /is not for this name, only for those below ci\/$/m,
  );
});
