/** Two torrents on one path: in one engine, in two, in two threads. */
import assert from 'node:assert/strict';
import { readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import type { AddOptions, Engine, Torrent } from '../../src/api.js';
import { HaulError } from '../../src/errors.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';

const KIB = 1024;

/** Same name, other bytes. */
async function twoSets(scope: Scope): Promise<[DataSet, DataSet]> {
  return [
    await fileSet(scope, 512 * KIB, { pieceLengthBytes: 64 * KIB }),
    await fileSet(scope, 448 * KIB, { pieceLengthBytes: 32 * KIB }),
  ];
}

async function refusal(torrent: Torrent): Promise<HaulError> {
  const error = await torrent.done.then(
    () => assert.fail('it must be refused'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof HaulError, String(error));
  assert.equal(error.code, 'IN_USE', error.message);
  return error;
}

const begun = (torrent: Torrent): Promise<void> =>
  withDeadline(
    new Promise<void>((resolve) => {
      torrent.on('state', (state) => state === 'downloading' && resolve());
    }),
    'the download begins',
    30_000,
  );

test('a second torrent of the same name is refused, in one engine and in two, by whatever path', async (t) => {
  const scope = openScope(t);
  const [a, b] = await twoSets(scope);
  const output = await tempFolder(scope);
  const link = path.join(await tempFolder(scope), 'link');
  await symlink(output, link);
  const engine = await startEngine(scope);
  const other = await startEngine(scope);
  const add = (where: Engine, set: DataSet, options: Partial<AddOptions> = {}): Torrent =>
    where.add(set.metainfo, { output, trackers: [], ...options });
  const first = add(engine, a);
  await begun(first);
  const before = await readTree(output);
  for (const late of [
    add(engine, b),
    add(other, b, { output: link, overwrite: true }),
    add(other, a, { output: link }),
    add(await startEngine(scope), a, { mode: 'seed', trustData: true }),
  ]) {
    const { facts } = await refusal(late);
    assert.deepEqual([facts.pid, facts.infoHash, facts.name], [process.pid, a.metainfo.infoHashHex, 'image.bin']);
    await late.stop();
    assert.equal(late.state, 'failed');
  }
  assert.deepEqual(await readTree(output), before);
  assert.throws(() => add(engine, a), { code: 'BAD_ARGUMENT' });

  const seed = await startSeed(scope, a);
  first.addPeer('127.0.0.1', seed.port!);
  await withDeadline(first.done, 'the first ends', 30_000);
  await first.stop();
  assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(a.path));
  assert.deepEqual(
    (await readdir(output)).filter((name) => name.endsWith('.haul-lock')),
    [],
  );
});

test('a download that is complete is a reader: seeds may join it, and a writer must wait for both', async (t) => {
  const scope = openScope(t);
  const [a, b] = await twoSets(scope);
  const output = await tempFolder(scope);
  const seed = await startSeed(scope, a);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const engine = await startEngine(scope);
  const first = engine.add(a.metainfo, { output, trackers: [], peers });
  await withDeadline(first.done, 'the download ends', 30_000);
  const other = await startEngine(scope);
  const second = other.add(a.metainfo, { output, mode: 'seed', trackers: [] });
  await withDeadline(second.done, 'the seed begins', 30_000);
  const third = other.add(b.metainfo, { output, trackers: [], overwrite: true });
  assert.match((await refusal(third)).message, /is seeding image\.bin .*; stop it first, or choose another --output$/);
  await first.stop();
  await third.stop();
  await refusal(other.add(b.metainfo, { output, trackers: [], overwrite: true }));
  await second.stop();
  const fourth = engine.add(b.metainfo, { output, trackers: [], overwrite: true });
  await begun(fourth);
  await fourth.stop();
  assert.deepEqual(
    (await readdir(output)).filter((name) => name.endsWith('.haul-lock')),
    [],
  );
});

test('a torrent that fails or is stopped early gives its place back', async (t) => {
  const scope = openScope(t);
  const [a, b] = await twoSets(scope);
  const output = await tempFolder(scope);
  await writeFile(path.join(output, 'image.bin'), 'mine');
  const engine = await startEngine(scope);
  const failed = engine.add(b.metainfo, { output, trackers: [] });
  await assert.rejects(failed.done, { code: 'FILE_EXISTS' });
  await failed.stop();
  const stopped = engine.add(b.metainfo, { output, trackers: [] });
  await stopped.stop();
  const good = engine.add(a.metainfo, { output, trackers: [], overwrite: true });
  await begun(good);
});

/** How a download in another thread ends: 'done', or the error. */
async function getElsewhere(scope: Scope, { torrent }: DataSet, output: string): Promise<string> {
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     (async () => {
       const { createEngine } = await import(workerData.index);
       const { parseTorrent } = await import(workerData.parse);
       const engine = await createEngine({ port: false, threads: 1 });
       const metainfo = parseTorrent(Buffer.from(workerData.bytes));
       const torrent = engine.add(metainfo, { output: workerData.output, trackers: [] });
       const outcome = await torrent.done.then(() => 'done', ({ code, message }) => code + ' ' + message);
       await engine.close();
       parentPort.postMessage(outcome);
     })();`,
    {
      eval: true,
      workerData: {
        index: new URL('../../src/engine/engine.js', import.meta.url).href,
        parse: new URL('../../src/metainfo/torrent.js', import.meta.url).href,
        bytes: torrent,
        output,
      },
    },
  );
  scope.defer(async () => void (await worker.terminate()));
  return withDeadline(
    new Promise<string>((resolve, reject) => worker.once('message', resolve).once('error', reject)),
    'the other thread is told',
    30_000,
  );
}

test('an engine in another thread is met by the lock', async (t) => {
  const scope = openScope(t);
  const [a, b] = await twoSets(scope);
  const output = await tempFolder(scope);
  const engine = await startEngine(scope);
  const first = engine.add(a.metainfo, { output, trackers: [] });
  await begun(first);
  const outcome = await getElsewhere(scope, b, output);
  assert.ok(
    outcome.startsWith(`IN_USE another haul (process ${process.pid}) is downloading image.bin (info-hash `),
    outcome,
  );
  await first.stop();
});

test('an engine in another thread gets no folder inside a download of ours, nor one around it', async (t) => {
  const scope = openScope(t);
  const image = await fileSet(scope, 256 * KIB);
  const tree = await treeSet(scope, [
    { path: 'sub/image.bin', lengthBytes: 300 * KIB },
    { path: 'y', lengthBytes: 5 },
  ]);
  const output = await tempFolder(scope);
  const engine = await startEngine(scope);
  for (const [first, second, name] of [
    [{ set: tree, where: '' }, { set: image, where: 'tree/sub' }, 'tree'],
    [{ set: image, where: 'tree/sub' }, { set: tree, where: '' }, 'image.bin'],
  ] as const) {
    const torrent = engine.add(first.set.metainfo, { output: path.join(output, first.where), trackers: [] });
    await begun(torrent);
    const outcome = await getElsewhere(scope, second.set, path.join(output, second.where));
    const expected = `IN_USE another haul (process ${process.pid}) is downloading ${name} (info-hash `;
    assert.ok(outcome.startsWith(expected), outcome);
    await torrent.stop();
    await rm(path.join(output, 'tree'), { recursive: true });
  }
});
