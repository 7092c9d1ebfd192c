/** A torrent in the hands of its user: paused and resumed, found and removed. Against a real seed. */
import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { access, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import { createEngine, type Engine, type HaulError, type Torrent } from '../../src/index.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';

const LIMIT_MS = 20_000;
const PIECE = 65_536;

interface Pair {
  readonly set: DataSet;
  readonly seed: Engine;
  readonly leech: Engine;
  readonly torrent: Torrent;
}

/** A seed and a leech that is held back, with something verified and something missing. */
async function halfWay(scope: Scope): Promise<Pair> {
  const set = await fileSet(scope, 3_000_000, { pieceLengthBytes: PIECE });
  const seed = await startSeed(scope, set);
  const leech = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const options = { output: await tempFolder(scope), trackers: [], peers, downloadBytesPerSec: 500_000 };
  const torrent = leech.add(set.torrent, options);
  await once(torrent, 'verified');
  return { set, seed, leech, torrent };
}

test('a download is paused and resumed: what was verified is not fetched again', async (t) => {
  const { set, seed, torrent } = await halfWay(openScope(t));
  const states: string[] = [];
  torrent.on('state', (state) => states.push(state));
  const told = once(torrent, 'paused');
  const pausing = torrent.pause();
  assert.equal(torrent.state, 'paused');
  await pausing;
  assert.deepEqual(await told, [null]);
  await torrent.pause();
  const before = torrent.stats();
  assert.ok(before.verifiedBytes > 0 && before.verifiedBytes < 3_000_000, `${before.verifiedBytes}`);
  assert.deepEqual([before.state, before.peers, before.downloadBytesPerSec], ['paused', 0, 0]);
  assert.deepEqual([torrent.peers(), torrent.error], [[], null]);
  assert.equal(torrent.files()[0]!.verifiedBytes, before.verifiedBytes);
  await until('the seed has lost its peer', LIMIT_MS, () => seed.stats().connections === 0);
  torrent.setLimits({ downloadBytesPerSec: null });
  const { done } = torrent;
  torrent.resume();
  torrent.resume();
  await done;
  assert.deepEqual(await readFile(path.join(torrent.output, 'image.bin')), await readFile(set.path));
  const { downloadedBytes } = torrent.stats();
  assert.ok(downloadedBytes < 3_000_000 + 20 * PIECE, `${downloadedBytes}`);
  assert.ok(downloadedBytes >= 3_000_000, `${downloadedBytes}`);
  assert.deepEqual([states[0], states[1], states.at(-1)], ['paused', 'preparing', 'seeding']);
  assert.ok(!states.includes('stopping'), states.join());
});

test('a seed is paused and resumed without being hashed again, unless a file was written meanwhile', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 1_000_000);
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output: set.folder, mode: 'seed', trackers: [] });
  await torrent.done;
  const states: string[] = [];
  torrent.on('state', (state) => states.push(state));
  const seeding = () => until('it seeds again', LIMIT_MS, () => torrent.state === 'seeding');
  await torrent.pause();
  torrent.resume();
  await seeding();
  assert.deepEqual(states, ['paused', 'preparing', 'downloading', 'seeding']);
  await torrent.pause();
  await writeFile(set.path, Buffer.from(await readFile(set.path)));
  states.length = 0;
  torrent.resume();
  await seeding();
  assert.ok(states.includes('checking'), states.join());
  await torrent.pause();
  await writeFile(set.path, 'other');
  const failed = once(torrent, 'failed');
  torrent.resume();
  const [error] = await failed;
  assert.equal((error as HaulError).code, 'BAD_DATA');
  assert.equal(torrent.error, error);
  assert.throws(() => torrent.resume(), { code: 'CLOSED' });
  assert.deepEqual(engine.torrents, []);
});

test('stopping, a signal and the end of the engine end a paused torrent', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000);
  const events: string[] = [];
  const stop = new AbortController();
  {
    await using engine = await createEngine({ port: 0, host: '127.0.0.1', threads: 1 });
    for (const event of ['added', 'removed', 'closed'] as const) engine.on(event, () => events.push(event));
    const add = async (options = {}): Promise<Torrent> =>
      engine.add(set.torrent, { output: await tempFolder(scope), trackers: [], ...options });
    const first = await add();
    const pausing = first.pause();
    await first.stop();
    await pausing;
    assert.equal(first.state, 'stopped');
    await assert.rejects(first.done, { code: 'CLOSED' });
    const second = await add({ signal: stop.signal });
    await second.pause();
    stop.abort();
    await assert.rejects(second.done, { code: 'ABORTED' });
    const third = await add();
    await third.pause();
    assert.equal(engine.stats().torrents, 1);
  }
  assert.deepEqual(events, ['added', 'removed', 'added', 'removed', 'added', 'removed', 'closed']);
});

test('events are awaited, iterated and named by strict types', async (t) => {
  const { torrent, leech } = await halfWay(openScope(t));
  const controller = new AbortController();
  const pieces: number[] = [];
  torrent.setLimits({ downloadBytesPerSec: null });
  const watching = (async () => {
    for await (const [piece] of on(torrent, 'verified', { signal: controller.signal })) pieces.push(piece as number);
  })();
  const engineDone = once(leech, 'done');
  await once(torrent, 'done');
  assert.deepEqual(await engineDone, [torrent]);
  controller.abort();
  await assert.rejects(watching, { name: 'AbortError' });
  assert.ok(pieces.length > 0);
});

test('a torrent is found by its info-hash, and removed with its data and nothing else', async (t) => {
  const scope = openScope(t);
  const files = ['a/deep/one', 'a/two', 'b/three', 'c/four'].map((name) => ({ path: name, lengthBytes: 100_000 }));
  const set = await treeSet(scope, files);
  const seed = await startSeed(scope, set);
  const leech = await startEngine(scope);
  const output = await tempFolder(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = leech.add(set.metainfo, { output, trackers: [], peers });
  await torrent.done;
  assert.equal(leech.get(set.metainfo.infoHash), torrent);
  assert.equal(leech.get(set.metainfo.infoHashHex.toUpperCase()), torrent);
  assert.equal(leech.get('00'.repeat(20)), null);
  assert.throws(() => leech.get('x'), { code: 'BAD_ARGUMENT' });
  const at = (name: string): string => path.join(output, 'tree', name);
  await writeFile(at('a/mine'), 'of the user');
  await rename(at('b/three'), at('b/three.mine'));
  await writeFile(at('b/three'), Buffer.alloc(100_000));
  const { deleted, kept } = await leech.remove(torrent, { deleteData: true });
  assert.deepEqual([torrent.state, leech.get(set.metainfo.infoHash)], ['stopped', null]);
  assert.deepEqual(deleted, ['a/deep/one', 'a/two', 'c/four'].map(at));
  assert.deepEqual(kept, [at('b/three')]);
  assert.deepEqual((await readdir(output, { recursive: true })).sort(), [
    'tree',
    'tree/a',
    'tree/a/mine',
    'tree/b',
    'tree/b/three',
    'tree/b/three.mine',
  ]);
  await assert.rejects(leech.remove(seed.torrents[0]!), { code: 'BAD_ARGUMENT' });
  await assert.rejects(leech.remove(torrent, { deleteDate: true } as never), { code: 'BAD_ARGUMENT' });
});

test('removed without its data it leaves all in place; a seed gives its data away when told to', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300_000);
  const other = await startSeed(scope, set);
  const engine = await startEngine(scope);
  const add = (): Torrent => engine.add(set.torrent, { output: set.folder, mode: 'seed', trackers: [] });
  const first = add();
  await first.done;
  assert.deepEqual(await engine.remove(first), { deleted: [], kept: [] });
  await access(set.path);
  const second = add();
  await second.done;
  await assert.rejects(engine.remove(second, { deleteData: true }), { code: 'IN_USE' });
  await access(set.path);
  await other.close();
  const { deleted } = await engine.remove(second, { deleteData: true });
  assert.deepEqual(deleted, [set.path]);
  assert.deepEqual(await readdir(set.folder), []);
});
