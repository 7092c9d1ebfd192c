/** Torrents and engines that are stopped at awkward moments, and embedders that do awkward things. */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { AWKWARD_FILES } from '../../lab/data.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, Torrent } from '../../src/api.js';
import type { HaulError } from '../../src/errors.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';

const MIB = 1024 * 1024;
const DEADLINE_MS = 20_000;
const PIECE_BYTES = 64 * 1024;

const smallSet = (scope: Scope): Promise<DataSet> => fileSet(scope, 4 * MIB + 5, { pieceLengthBytes: PIECE_BYTES });

async function download(scope: Scope, set: DataSet, ports: readonly number[], more: Partial<AddOptions> = {}) {
  const engine = await startEngine(scope);
  const peers = ports.map((port) => ({ host: '127.0.0.1', port }));
  return engine.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers, ...more });
}

async function assertWhole(torrent: Torrent, set: DataSet): Promise<void> {
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readTree(path.join(torrent.output, set.metainfo.name)), await readTree(set.path));
}

const codeOf = (torrent: Torrent): Promise<string> =>
  torrent.done.then(
    () => 'done',
    (error: HaulError) => error.code,
  );

test('a listener that stops the torrent while it stops gets the same end', async (t) => {
  const scope = openScope(t);
  const set = await smallSet(scope);
  const seed = await startSeed(scope, set);
  const torrent = await download(scope, set, [seed.port!]);
  const ends: Promise<void>[] = [];
  torrent.on('state', (state) => {
    if (state === 'stopping') ends.push(torrent.stop());
  });
  await until('a peer is connected', DEADLINE_MS, () => torrent.stats().peers > 0);
  await withDeadline(torrent.stop(), 'it has stopped', DEADLINE_MS);
  await withDeadline(Promise.all(ends), 'the inner stop ends too', DEADLINE_MS);
  assert.equal(ends.length, 1);
  assert.equal(torrent.state, 'stopped');
});

test('a listener that stops a torrent because it fails gets an end', async (t) => {
  const scope = openScope(t);
  const set = await smallSet(scope);
  const torrent = await download(scope, set, [], { output: set.path });
  const ends: Promise<void>[] = [];
  torrent.on('state', (state) => {
    if (state === 'stopping' || state === 'failed') ends.push(torrent.stop());
  });
  assert.equal(await withDeadline(codeOf(torrent), 'it fails', DEADLINE_MS), 'NOT_A_DIRECTORY');
  await until('both ends', DEADLINE_MS, () => ends.length === 2);
  await withDeadline(Promise.all(ends), 'both stops end', DEADLINE_MS);
  assert.equal(torrent.state, 'failed');
});

for (const state of ['preparing', 'checking', 'downloading', 'seeding'] as const) {
  test(`a torrent that is stopped twice while ${state} is gone, and can be added again at once`, async (t) => {
    const scope = openScope(t);
    const set = await smallSet(scope);
    const seed = await startSeed(scope, set);
    const engine = await startEngine(scope);
    const output = await tempFolder(scope);
    // Of its own: the seed reads the other.
    if (state === 'checking' || state === 'seeding') await cp(set.path, path.join(output, set.metainfo.name));
    const torrent = engine.add(set.metainfo, { output, trackers: [] });
    if (state !== 'preparing') {
      await until(`it is ${state}`, DEADLINE_MS, () => torrent.state === state || torrent.state === 'seeding');
    }
    await withDeadline(Promise.all([torrent.stop(), torrent.stop()]), 'it has stopped', DEADLINE_MS);
    assert.equal(torrent.state, 'stopped');
    assert.deepEqual(engine.torrents, []);
    const peers = [{ host: '127.0.0.1', port: seed.port! }];
    await assertWhole(engine.add(set.metainfo, { output, trackers: [], peers }), set);
  });
}

test('a signal that fired before ends the torrent at once, one that fires later ends the seeding', async (t) => {
  const scope = openScope(t);
  const set = await smallSet(scope);
  const early = await download(scope, set, [], { signal: AbortSignal.abort() });
  assert.equal(await withDeadline(codeOf(early), 'it ends', DEADLINE_MS), 'ABORTED');
  const controller = new AbortController();
  const late = await download(scope, set, [], { output: set.folder, mode: 'seed', signal: controller.signal });
  await withDeadline(late.done, 'it seeds', DEADLINE_MS);
  controller.abort();
  await until('it has stopped', DEADLINE_MS, () => late.state === 'stopped');
});

test('a failure is told as what it was, also when the embedder aborts because of it', async (t) => {
  const scope = openScope(t);
  const set = await smallSet(scope);
  const controller = new AbortController();
  const torrent = await download(scope, set, [], { output: set.path, signal: controller.signal });
  torrent.on('state', () => controller.abort());
  torrent.on('failed', () => controller.abort());
  assert.equal(await withDeadline(codeOf(torrent), 'it ends', DEADLINE_MS), 'NOT_A_DIRECTORY');
});

test('an engine that is closed twice with dials and downloads under way closes everything', async (t) => {
  const scope = openScope(t);
  const set = await smallSet(scope);
  const seed = await startSeed(scope, set);
  const engine = await startEngine(scope);
  const peers = [
    { host: '127.0.0.1', port: seed.port! },
    // Nobody answers there (RFC 5737): the dial is still under way.
    { host: '192.0.2.1', port: 9 },
  ];
  const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
  const warnings: string[] = [];
  torrent.on('warning', (error) => warnings.push(error.message));
  await until('it is under way', DEADLINE_MS, () => engine.stats().connections > 0);
  await withDeadline(Promise.all([engine.close(), engine.close()]), 'it is closed', DEADLINE_MS);
  assert.deepEqual(engine.torrents, []);
  await until('its links are gone', DEADLINE_MS, () => engine.stats().connections === 0);
  assert.deepEqual(warnings, []);
  assert.throws(() => engine.add(set.metainfo, { output: set.folder }), { code: 'CLOSED' });
});

test('two torrents in one engine do not get in each other’s way', async (t) => {
  const scope = openScope(t);
  const file = await smallSet(scope);
  const tree = await treeSet(scope, AWKWARD_FILES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, file);
  await seed.add(tree.metainfo, { output: tree.folder, mode: 'seed', trackers: [] }).done;
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const both = [file, tree].map((set) => engine.add(set.metainfo, { output, trackers: [], peers }));
  await assertWhole(both[0]!, file);
  await both[0]!.stop();
  await assertWhole(both[1]!, tree);
});
