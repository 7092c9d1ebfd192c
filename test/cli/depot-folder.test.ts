/** `haul publish DIR` makes a torrent of the folder, and `haul get PREFIX` fetches all of it, or some, by that. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Depot } from '../../src/index.js';
import { agentOf, depotOf, folderOf } from '../depot/agent-harness.js';
import { bytesOf, MIB } from '../depot/depot-kit.js';
import { ThinLine } from '../depot/thin-line.js';
import { type Finished, haul, start } from './harness.js';

const TIMEOUT = { timeout: 120_000 };
const FILES = {
  'one/image.bin': bytesOf(5 * MIB, 1),
  'one/ü [1] #%20.txt': Buffer.from('words\n'),
  'two/log': bytesOf(300_000, 2),
  'two/empty': Buffer.alloc(0),
};

interface Scene {
  readonly folder: string;
  readonly depot: Depot;
  readonly source: string;
}

async function openScene(context: TestContext, files: Readonly<Record<string, Buffer>> = FILES): Promise<Scene> {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'data'));
  const source = join(folder, 'dist');
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(source, path)), { recursive: true });
    await writeFile(join(source, path), bytes);
  }
  return { folder, depot, source };
}

async function publish({ depot, source }: Scene, ...more: string[]): Promise<Finished> {
  const done = await haul('publish', source, '--name', 'ci/42', '--depot', depot.url, '--json', ...more);
  assert.equal(done.exitCode, 0, done.stderr);
  return done;
}

function get({ depot }: Scene, output: string, ...more: string[]): Promise<Finished> {
  return haul('get', 'ci/42', '--depot', depot.url, '--output', output, '--port', '0', '--json', ...more);
}

async function filesIn(folder: string): Promise<Record<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path.slice(folder.length + 1), await readFile(path)] as const)),
  );
}

test('a folder is published as one torrent, and fetched by it: all, what matches, merged', TIMEOUT, async (context) => {
  const scene = await openScene(context);
  const { folder, depot } = scene;
  const quiet = await publish(scene, '--no-folder-torrent');
  assert.ok(quiet.lines.every(({ type }) => type !== 'folder'));
  const none = await get(scene, join(folder, 'made'), '--pattern', '**/*.{bin,txt}');
  assert.ok(
    none.lines.every(({ type }) => type !== 'folder'),
    'for a part of a folder nothing is hashed',
  );
  const told = (await publish(scene)).lines.find(({ type }) => type === 'folder')!;
  assert.deepEqual([told.prefix, told.files], ['ci/42/', 4]);
  assert.match(String(told.magnet), /^magnet:\?xt=urn:btih:[0-9a-f]{40}&dn=42&tr=/);

  const all = await get(scene, join(folder, 'all'));
  assert.equal(all.exitCode, 0, all.stderr);
  assert.deepEqual(await filesIn(join(folder, 'all')), FILES);
  const receipt = all.lines.find(({ type }) => type === 'folder')!;
  assert.equal(receipt.infoHash, told.infoHash);
  assert.equal(Number(receipt.peerBytes) + Number(receipt.webSeedBytes), told.lengthBytes);
  assert.equal(all.lines.filter(({ type }) => type === 'fetched').length, 4);
  const again = await get(scene, join(folder, 'all'));
  assert.equal(again.lines.at(-1)!.localBytes, told.lengthBytes);

  const some = await get(scene, join(folder, 'some'), '--pattern', '**/*.{bin,txt}');
  assert.equal(some.lines.find(({ type }) => type === 'folder')!.infoHash, told.infoHash);
  assert.deepEqual(Object.keys(await filesIn(join(folder, 'some'))).sort(), Object.keys(FILES).slice(0, 2));
  await get(scene, join(folder, 'merged'), '--merge-multiple');
  assert.deepEqual((await readdir(join(folder, 'merged'))).sort(), ['empty', 'image.bin', 'log', 'ü [1] #%20.txt']);

  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  const agents = await haul('get', 'ci/42', '--agent', agent.url, '--output', join(folder, 'agent'), '--json');
  assert.deepEqual(await filesIn(join(folder, 'agent')), FILES, agents.stderr);
});

test('a file that is somebody’s stops it before anything comes, unless it is forced', TIMEOUT, async (context) => {
  const scene = await openScene(context);
  await publish(scene);
  const out = join(scene.folder, 'out');
  await mkdir(join(out, 'two'), { recursive: true });
  await writeFile(join(out, 'two', 'log'), 'mine');
  const kept = await get(scene, out);
  assert.match(kept.stderr, /two\/log is another file; --force overwrites it/);
  assert.deepEqual(Object.keys(await filesIn(out)), ['two/log']);
  assert.equal((await get(scene, out, '--force')).exitCode, 0);
  assert.deepEqual(await filesIn(out), FILES);
});

test('a folder is gone on with after a kill', TIMEOUT, async (context) => {
  const files = { a: bytesOf(6 * MIB, 3), b: bytesOf(6 * MIB, 4), c: Buffer.from('c') };
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'data'), { engine: { port: false } });
  const line = await ThinLine.open(context, depot.port, 3 * MIB);
  const scene = { ...(await openScene(context, files)), depot };
  await publish(scene);
  const out = join(folder, 'out');
  const words = ['get', 'ci/42', '--depot', line.url, '--output', out, '--port', '0', '--json'];
  const first = start(context, ...words, '--progress-interval', '100');
  await first.line(({ type, doneBytes }) => type === 'progress' && Number(doneBytes) >= 6 * MIB);
  await first.stop('SIGKILL');
  const again = await haul(...words);
  assert.equal(again.exitCode, 0, again.stderr);
  assert.deepEqual(await filesIn(out), files);
  const { localBytes } = again.lines.find(({ type }) => type === 'folder')!;
  assert.ok(Number(localBytes) >= 3 * MIB, `${localBytes} were here`);
});
