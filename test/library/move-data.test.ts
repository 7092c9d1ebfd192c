/** The data of a torrent is moved while it is in use: it goes on from the new place. Against real peers. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, Engine, FilePriorities, Torrent, TorrentState } from '../../src/index.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';
import { smallDisk } from '../support/small-disk.js';

const LIMIT_MS = 30_000;
const PIECE = 65_536;
const LENGTH = 40 * PIECE;
const FILES = [
  { path: 'a', lengthBytes: 10 * PIECE + 100 },
  { path: 'deep/er/b', lengthBytes: 20 * PIECE + 1000, isExecutable: true },
  { path: 'deep/c', lengthBytes: PIECE + 77 },
  { path: 'e-empty', lengthBytes: 0 },
];

const whole = (torrent: Torrent): Promise<void> => withDeadline(torrent.done, 'the download', LIMIT_MS);

function noted(torrent: Torrent): TorrentState[] {
  const states: TorrentState[] = [];
  torrent.on('state', (state) => states.push(state));
  return states;
}

/** Another engine fetches all from this one. */
async function isServed(scope: Scope, set: DataSet, engine: Engine): Promise<void> {
  const leech = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: engine.port! }];
  const torrent = leech.add(set.torrent, { output: await tempFolder(scope), trackers: [], peers });
  await whole(torrent);
  await leech.close();
}

async function download(scope: Scope, set: DataSet, options: Partial<AddOptions> = {}) {
  const seed = await startSeed(scope, set);
  const engine = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = engine.add(set.torrent, { output: await tempFolder(scope), trackers: [], peers, ...options });
  return { seed, engine, torrent };
}

test('a complete download serves again from its new place, and nothing is fetched or hashed', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, FILES, { pieceLengthBytes: PIECE });
  const { engine, torrent } = await download(scope, set);
  await whole(torrent);
  const [from, to] = [torrent.output, path.join(await tempFolder(scope), 'x', 'y')];
  const { downloadedBytes } = torrent.stats();
  const states = noted(torrent);
  const { done } = torrent;
  assert.deepEqual(await torrent.moveData(to), { kept: [] });
  assert.deepEqual([torrent.output, torrent.done], [to, done]);
  assert.deepEqual([states[0], states.at(-1) === 'moving'], ['moving', false]);
  await until('it seeds', LIMIT_MS, () => torrent.state === 'seeding');
  assert.deepEqual(await readTree(path.join(to, 'tree')), await readTree(set.path));
  assert.deepEqual(readdirSync(from), []);
  await isServed(scope, set, engine);
  assert.equal(torrent.stats().downloadedBytes, downloadedBytes);
  const { deleted } = await engine.remove(torrent, { deleteData: true });
  assert.equal(deleted.length, FILES.length);
  assert.deepEqual(readdirSync(to), []);
});

test('a seed is moved, to another file system too, and is not hashed again unless it was written to', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH, { pieceLengthBytes: PIECE });
  const engine = await startEngine(scope);
  for (const isTrusted of [false, true]) {
    let output = set.folder;
    const torrent = engine.add(set.metainfo, { output, mode: 'seed', trackers: [], trustData: isTrusted });
    await whole(torrent);
    const states = noted(torrent);
    for (const parent of [existsSync('/dev/shm') ? '/dev/shm' : undefined, undefined]) {
      output = await tempFolder(scope, parent);
      const progress: number[] = [];
      await torrent.moveData(output, { onProgress: (done, total) => progress.push(done, total) });
      assert.deepEqual(progress.slice(-2), [LENGTH, LENGTH]);
      assert.deepEqual(
        readdirSync(output).filter((name) => !name.endsWith('-lock')),
        ['image.bin'],
      );
      await until('it seeds', LIMIT_MS, () => torrent.state === 'seeding');
      await isServed(scope, set, engine);
    }
    await torrent.pause();
    torrent.resume();
    await until('it seeds', LIMIT_MS, () => torrent.state === 'seeding');
    assert.ok(!states.includes('checking'), states.join());
    await torrent.moveData(set.folder);
    await torrent.pause();
    await writeFile(set.path, await readFile(set.path));
    await torrent.moveData(output);
    torrent.resume();
    await until('it seeds', LIMIT_MS, () => torrent.state === 'seeding');
    assert.ok(states.includes('checking'), states.join());
    await torrent.moveData(set.folder);
    await torrent.stop();
  }
});

test('half a download goes on where it was, with skipped files, running, paused and paused meanwhile', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, FILES, { pieceLengthBytes: PIECE });
  const priorities: FilePriorities = ({ path: names }) => (names.at(-1) === 'c' ? 'skip' : 'normal');
  const slow = { downloadBytesPerSec: 600_000, priorities };
  const { torrent } = await download(scope, set, slow);
  await until('something is here', LIMIT_MS, () => torrent.stats().verifiedPieces > 3);
  const parent = await tempFolder(scope, existsSync('/dev/shm') ? '/dev/shm' : undefined);
  await torrent.moveData(path.join(parent, 'running'));
  assert.ok(torrent.stats().verifiedPieces > 3);
  await torrent.pause();
  const before = torrent.stats().verifiedPieces;
  const states = noted(torrent);
  await torrent.moveData(path.join(parent, 'paused'));
  assert.deepEqual(states, ['moving', 'paused']);
  torrent.resume();
  await until('it goes on', LIMIT_MS, () => torrent.state === 'downloading');
  assert.ok(torrent.stats().verifiedPieces >= before);
  states.length = 0;
  const moving = torrent.moveData(path.join(parent, 'then-paused'));
  await Promise.all([moving, torrent.pause()]);
  assert.ok(states.includes('moving'), states.join());
  assert.equal(torrent.state, 'paused');
  torrent.setLimits({ downloadBytesPerSec: null });
  torrent.resume();
  await whole(torrent);
  assert.equal(torrent.output, path.join(parent, 'then-paused'));
  for (const name of ['a', 'deep/er/b', 'e-empty']) {
    assert.deepEqual(
      await readFile(path.join(torrent.output, 'tree', name)),
      await readFile(path.join(set.path, name)),
    );
  }
  assert.ok(!existsSync(path.join(torrent.output, 'tree/deep/c')));
  const { downloadedBytes, wantedBytes } = torrent.stats();
  assert.ok(downloadedBytes < wantedBytes + 20 * PIECE, `${downloadedBytes} of ${wantedBytes}`);
  for (const name of ['running', 'paused']) assert.deepEqual(readdirSync(path.join(parent, name)), []);
});

test('a move that is refused, stopped or overtaken leaves it running at the old place', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, FILES, { pieceLengthBytes: PIECE });
  const { seed, engine, torrent } = await download(scope, set);
  await whole(torrent);
  const from = torrent.output;
  const to = await tempFolder(scope);
  assert.deepEqual(await torrent.moveData(from), { kept: [] });
  await symlink(from, path.join(to, 'same'));
  assert.deepEqual(await torrent.moveData(path.join(to, 'same')), { kept: [] });
  assert.equal(torrent.output, from);
  const never = noted(torrent);
  for (const wrong of ['', 5, null, undefined]) {
    await assert.rejects(torrent.moveData(wrong as never), {
      code: 'BAD_ARGUMENT',
      facts: { call: 'moveData', option: 'dir' },
    });
  }
  await assert.rejects(torrent.moveData(to, { progress: () => {} } as never), { code: 'BAD_ARGUMENT' });
  await assert.rejects(torrent.moveData(path.join(from, 'tree/deep')), { code: 'BAD_ARGUMENT' });
  await mkdir(path.join(to, 'taken/tree'), { recursive: true });
  await assert.rejects(torrent.moveData(path.join(to, 'taken')), { code: 'FILE_EXISTS' });
  assert.deepEqual(never, [], 'its peers never knew');
  await assert.rejects(torrent.moveData(path.join(set.folder, 'tree/sub')), { code: 'IN_USE' });
  await assert.rejects(torrent.moveData(to, { signal: AbortSignal.abort() }), { code: 'ABORTED' });
  const oops = new Error('of the user');
  await assert.rejects(
    torrent.moveData(to, {
      onProgress: () => {
        throw oops;
      },
    }),
    (error: Error) => error === oops || error.cause === oops,
  );
  assert.deepEqual(readdirSync(to).sort(), ['same', 'taken']);
  await until('it seeds', LIMIT_MS, () => torrent.state === 'seeding');
  assert.equal(torrent.output, from);
  await isServed(scope, set, engine);
  const [first, second] = [torrent.moveData(path.join(to, '1')), torrent.moveData(path.join(to, '2'))];
  const checked = torrent.recheck();
  await Promise.all([first, second, checked]);
  assert.equal(torrent.output, path.join(to, '2'));
  assert.deepEqual(readdirSync(path.join(to, '1')), []);
  await seed.close();
  const last = torrent.moveData(path.join(to, '3'));
  last.catch(() => {});
  const { deleted } = await engine.remove(torrent, { deleteData: true });
  await last.then(
    () => {},
    (error) => assert.ok(error.code === 'ABORTED' || error.code === 'CLOSED', error.code),
  );
  assert.equal(deleted.length, FILES.length, 'wherever it was');
  await assert.rejects(torrent.moveData(to), { code: 'CLOSED' });
});

test('stopped while a large file is copied it ends at once and seeds on', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 40 * 1024 * 1024);
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output: set.folder, mode: 'seed', trackers: [] });
  await whole(torrent);
  const far = existsSync('/dev/shm') ? await tempFolder(scope, '/dev/shm') : null;
  if (far !== null) {
    const stop = new AbortController();
    const moving = torrent.moveData(far, { signal: stop.signal, onProgress: () => stop.abort() });
    await assert.rejects(moving, { code: 'ABORTED' });
    assert.deepEqual(readdirSync(far), []);
    await until('it seeds', LIMIT_MS, () => torrent.state === 'seeding');
  }
  await torrent.stop();
});

test('a torrent that rests for want of space is moved to where there is some, and goes on', async (t) => {
  const scope = openScope(t);
  const small = await smallDisk(t, scope, 'size=1m');
  if (small === null) return;
  const set = await fileSet(scope, LENGTH, { pieceLengthBytes: PIECE });
  const { torrent } = await download(scope, set, { output: small });
  await assert.rejects(torrent.done, { code: 'NO_SPACE' });
  await until('it rests', LIMIT_MS, () => torrent.state === 'paused');
  const output = await tempFolder(scope);
  await torrent.moveData(output);
  assert.equal(torrent.state, 'paused');
  torrent.resume();
  await whole(torrent);
  assert.deepEqual(await readFile(path.join(output, 'image.bin')), await readFile(set.path));
  assert.deepEqual(readdirSync(small), []);
});
