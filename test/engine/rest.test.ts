/** A seed that nobody wants rests: it holds next to nothing, seems awake to its user, and serves who comes. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { copyFile, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { queryObjects } from 'node:v8';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, Engine, Torrent } from '../../src/api.js';
import { startEngine as startWith } from '../../src/engine/engine.js';
import type { HaulError } from '../../src/errors.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import { MappedStorage } from '../../src/storage/mapped.js';
import { PositionalStorage } from '../../src/storage/positional.js';
import { type DataSet, fileSet, liveOf, startEngine, treeSet } from '../support/engines.js';
import { connectRawPeer } from '../support/raw-peer.js';

const KIB = 1024;
const DEADLINE_MS = 20_000;
const PEER_ID = '-XX0001-peer01234567';

async function startResting(scope: Scope): Promise<Engine> {
  const engine = await startWith({ port: 0, host: '127.0.0.1', threads: 1, seed: 1 }, { restAfterMs: 0 });
  scope.defer(() => engine.close());
  return engine;
}

const isResting = (torrent: Torrent): boolean => liveOf(torrent).rest.isResting;

async function rested(torrent: Torrent): Promise<void> {
  await until('it rests', DEADLINE_MS, () => isResting(torrent) && liveOf(torrent).exchange === null);
}

async function addResting(engine: Engine, set: DataSet, options: Partial<AddOptions> = {}): Promise<Torrent> {
  const output = set.folder;
  const torrent = engine.add(set.metainfo, { output, mode: 'seed', trustData: true, trackers: [], ...options });
  await withDeadline(torrent.done, 'it seeds', DEADLINE_MS);
  await rested(torrent);
  return torrent;
}

/** This process has it open, or mapped. */
function isHeld(file: string): boolean {
  const fds = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return fds.includes(file) || readFileSync('/proc/self/maps', 'latin1').includes(file);
}

async function fetchFrom(scope: Scope, engine: Engine, set: DataSet): Promise<string> {
  const leech = await startEngine(scope);
  const output = await tempFolder(scope);
  const peers = [{ host: '127.0.0.1', port: engine.port! }];
  const torrent = leech.add(set.metainfo, { output, trackers: [], peers });
  await withDeadline(torrent.done, 'the download', DEADLINE_MS);
  await leech.close();
  return output;
}

/** That somebody can still reach. */
function reachable(): number[] {
  return [MappedStorage, PositionalStorage, Scheduler].map((kind) => queryObjects(kind, { format: 'count' }));
}

test('nothing holds on to the storage and the tables of a seed that rests', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300 * KIB, { pieceLengthBytes: 64 * KIB });
  const engine = await startResting(scope);
  const before = reachable();
  const torrent = await addResting(engine, set);
  // What ends its last step lets go of it.
  await liveOf(torrent).rest.settled();
  assert.deepEqual(reachable(), before);
});

test('a seed that nobody wants rests, seems awake, and serves who comes; then it rests again', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300 * KIB, { pieceLengthBytes: 64 * KIB });
  const engine = await startResting(scope);
  const torrent = await addResting(engine, set);
  const states: string[] = [];
  torrent.on('state', (state) => states.push(state));
  for (let turn = 1; turn <= 2; turn++) {
    assert.equal(torrent.state, 'seeding');
    assert.deepEqual(torrent.peers(), []);
    assert.equal(isHeld(set.path), false, 'no descriptor and no mapping is left');
    const output = await fetchFrom(scope, engine, set);
    assert.deepEqual(await readFile(path.join(output, 'image.bin')), await readFile(set.path));
    await rested(torrent);
    const { uploadedBytes, verifiedPieces, state, peers } = torrent.stats();
    assert.deepEqual([uploadedBytes, verifiedPieces, state, peers], [turn * 300 * KIB, 5, 'seeding', 0]);
  }
  assert.equal(engine.stats().uploadedBytes, 600 * KIB);
  assert.deepEqual(states, []);
  await torrent.stop();
  assert.equal(torrent.state, 'stopped');
  assert.deepEqual(readdirSync(set.folder), ['image.bin']);
});

test('a download that is complete rests too, and its place stays taken', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, [
    { path: 'a', lengthBytes: 100 * KIB },
    { path: 'empty', lengthBytes: 0 },
    { path: 'b/c', lengthBytes: 50 * KIB },
  ]);
  const seed = await startEngine(scope);
  await seed.add(set.metainfo, { output: set.folder, mode: 'seed', trackers: [] }).done;
  const engine = await startResting(scope);
  const output = await tempFolder(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = engine.add(set.metainfo, { output, trackers: [], peers });
  await withDeadline(torrent.done, 'the download', DEADLINE_MS);
  await rested(torrent);
  const other = await startEngine(scope);
  const isInUse = (error: HaulError): boolean => error.code === 'IN_USE';
  await assert.rejects(other.add(set.metainfo, { output, trackers: [] }).done, isInUse);
  const fetched = await fetchFrom(scope, engine, set);
  assert.deepEqual(await readFile(path.join(fetched, 'tree/b/c')), await readFile(path.join(set.path, 'b/c')));
});

test('a file that is gone or another one is told while the seed rests', async (t) => {
  const scope = openScope(t);
  const engine = await startResting(scope);
  const sets = [await fileSet(scope, 64 * KIB), await fileSet(scope, 96 * KIB), await fileSet(scope, 128 * KIB)];
  const [gone, replaced, cut] = await Promise.all(sets.map((set) => addResting(engine, set)));
  const failures = [gone!, replaced!, cut!].map(
    (torrent) => new Promise<HaulError>((resolve) => torrent.once('failed', resolve)),
  );
  await rm(sets[0]!.path);
  await copyFile(sets[1]!.path, `${sets[1]!.path}.new`);
  await rename(`${sets[1]!.path}.new`, sets[1]!.path);
  await writeFile(sets[2]!.path, 'short');
  const errors = await withDeadline(Promise.all(failures), 'they fail', DEADLINE_MS);
  assert.deepEqual(
    errors.map(({ code }) => code),
    ['NOT_FOUND', 'BAD_DATA', 'BAD_DATA'],
  );
  assert.match(errors[1]!.message, /image\.bin is another file now/);
  assert.equal(engine.torrents.length, 0);
});

test('what was written to while its seed rested is hashed before anything of it is served', async (t) => {
  const scope = openScope(t);
  const engine = await startResting(scope);
  const [touched, spoiled] = [await fileSet(scope, 64 * KIB), await fileSet(scope, 96 * KIB)];
  const good = await addResting(engine, touched);
  const bad = await addResting(engine, spoiled);
  const states: string[] = [];
  good.on('state', (state) => states.push(state));
  const failure = new Promise<HaulError>((resolve) => bad.once('failed', resolve));
  await utimes(touched.path, 1, 1);
  await writeFile(spoiled.path, Buffer.alloc(96 * KIB));
  assert.ok(isResting(good) && isResting(bad), 'nobody has asked');
  await fetchFrom(scope, engine, touched);
  assert.deepEqual(states, ['checking', 'seeding']);
  const peer = await connectRawPeer(scope, { port: engine.port!, metainfo: spoiled.metainfo, peerId: PEER_ID });
  assert.equal((await withDeadline(failure, 'it fails', DEADLINE_MS)).code, 'BAD_DATA');
  await withDeadline(peer.closed, 'the peer is let go', DEADLINE_MS);
  assert.ok(!peer.recorder.events.some((event) => event.startsWith('piece')));
});

test('a file whose time was set back after it was written to is hashed all the same', async (t) => {
  const scope = openScope(t);
  const engine = await startResting(scope);
  const set = await fileSet(scope, 96 * KIB);
  await utimes(set.path, 1, 1);
  const torrent = await addResting(engine, set);
  const failure = new Promise<HaulError>((resolve) => torrent.once('failed', resolve));
  await writeFile(set.path, Buffer.alloc(96 * KIB), { flag: 'r+' });
  await utimes(set.path, 1, 1);
  await connectRawPeer(scope, { port: engine.port!, metainfo: set.metainfo, peerId: PEER_ID });
  assert.equal((await withDeadline(failure, 'it fails', DEADLINE_MS)).code, 'BAD_DATA');
});

test('a seed that rests dials who its user names, and wakes when somebody answers', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300 * KIB, { pieceLengthBytes: 64 * KIB });
  const engine = await startResting(scope);
  const torrent = await addResting(engine, set);
  const leech = await startEngine(scope);
  const output = await tempFolder(scope);
  const download = leech.add(set.metainfo, { output, trackers: [] });
  await until('it waits for peers', DEADLINE_MS, () => download.state === 'downloading');
  torrent.addPeer('127.0.0.1', leech.port!);
  await withDeadline(download.done, 'the download', DEADLINE_MS);
  assert.equal(torrent.stats().uploadedBytes, 300 * KIB);
});

test('a seed that is stopped while it wakes, or an engine that is closed, ends as ever', async (t) => {
  const scope = openScope(t);
  const engine = await startResting(scope);
  const [one, other] = [await fileSet(scope, 64 * KIB), await fileSet(scope, 96 * KIB)];
  const torrent = await addResting(engine, one);
  await addResting(engine, other);
  void liveOf(torrent).rest.rise(() => {});
  await withDeadline(torrent.stop(), 'it stops', DEADLINE_MS);
  assert.equal(torrent.state, 'stopped');
  await withDeadline(engine.close(), 'the engine closes', DEADLINE_MS);
  for (const { folder } of [one, other]) assert.deepEqual(readdirSync(folder), ['image.bin']);
});
