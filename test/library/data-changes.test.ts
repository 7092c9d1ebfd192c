/** What is changed of a torrent's data while it is in use: checked again, other files wanted. Against a real seed. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { open, readFile, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, FilePriorities, HaulError, Torrent } from '../../src/index.js';
import { partFilePath } from '../../src/storage/resume.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';

const LIMIT_MS = 30_000;
const PIECE = 65_536;
const LENGTH = 40 * PIECE;

/** Every border lies inside a piece. */
const FILES = [
  { path: 'a', lengthBytes: 10 * PIECE + 100 },
  { path: 'b', lengthBytes: 20 * PIECE + 1000 },
  { path: 'c', lengthBytes: PIECE + 77 },
  { path: 'd', lengthBytes: 5 * PIECE + 5 },
  { path: 'e-empty', lengthBytes: 0 },
];

async function download(scope: Scope, set: DataSet, options: Partial<AddOptions> = {}): Promise<Torrent> {
  const seed = await startSeed(scope, set);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const engine = await startEngine(scope);
  return engine.add(set.torrent, { output: await tempFolder(scope), trackers: [], peers, ...options });
}

const whole = (torrent: Torrent): Promise<void> => withDeadline(torrent.done, 'the download', LIMIT_MS);

/** Resolves when its state changes: a check of so little is over within milliseconds. */
const nextState = (torrent: Torrent): Promise<void> =>
  withDeadline(new Promise((resolve) => torrent.once('state', () => resolve())), 'another state', LIMIT_MS);

/** Other bytes in the middle of a file, which keeps its length and its time. */
async function spoil(file: string): Promise<void> {
  const { atime, mtime } = await stat(file);
  const handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(100, 'x'), 0, 100, 20 * PIECE + 50);
  await handle.close();
  await utimes(file, atime, mtime);
}

test('a download is checked again: what went bad on disk is fetched anew, and nothing else', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH, { pieceLengthBytes: PIECE });
  const torrent = await download(scope, set);
  const file = path.join(torrent.output, 'image.bin');
  await whole(torrent);
  const before = torrent.stats().downloadedBytes;
  await torrent.recheck();
  await whole(torrent);
  assert.equal(torrent.state, 'seeding');
  assert.equal(torrent.stats().downloadedBytes, before, 'all is good');
  for (const isPaused of [false, true]) {
    const states: string[] = [];
    const note = (state: string): void => void states.push(state);
    if (isPaused) await torrent.pause();
    await spoil(file);
    const { downloadedBytes } = torrent.stats();
    torrent.on('state', note);
    const { done } = torrent;
    const checked = torrent.recheck();
    if (!isPaused) assert.notEqual(torrent.done, done);
    await checked;
    if (isPaused) {
      assert.equal(torrent.state, 'paused');
      torrent.resume();
    }
    await whole(torrent);
    torrent.off('state', note);
    assert.ok(states.includes('checking'), states.join());
    assert.deepEqual(await readFile(file), await readFile(set.path));
    assert.equal(torrent.stats().downloadedBytes - downloadedBytes, PIECE);
  }
  await torrent.stop();
  await assert.rejects(torrent.recheck(), { code: 'CLOSED' });
});

test('a seed that was taken on trust is hashed when it is checked again, and fails where it is bad', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH, { pieceLengthBytes: PIECE });
  const [seed] = (await startSeed(scope, set)).torrents;
  await seed!.recheck();
  await whole(seed!);
  assert.equal(seed!.state, 'seeding');
  await spoil(set.path);
  await assert.rejects(seed!.recheck(), { code: 'BAD_DATA' });
  assert.equal(seed!.state, 'failed');
});

test('a check that is cut short by a pause or the end says so, and is made up for', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH, { pieceLengthBytes: PIECE });
  const torrent = await download(scope, set);
  await whole(torrent);
  const isUnderWay = nextState(torrent);
  const checked = torrent.recheck();
  checked.catch(() => {});
  await isUnderWay;
  await torrent.pause();
  await checked.then(
    () => {},
    (error) => assert.equal(error.code, 'CLOSED'),
  );
  torrent.resume();
  await whole(torrent);
  const last = torrent.recheck();
  last.catch(() => {});
  await torrent.stop();
  await assert.rejects(last, { code: 'CLOSED' });
});

/** Files of these names, and no others. */
const only =
  (names: string): FilePriorities =>
  ({ path: parts }) =>
    names.includes(parts.at(-1)![0]!) ? 'normal' : 'skip';

async function isHere(set: DataSet, torrent: Torrent, name: string): Promise<boolean> {
  const copy = path.join(torrent.output, 'tree', name);
  return existsSync(copy) && (await readFile(copy)).equals(await readFile(path.join(set.path, name)));
}

test('other files are wanted while a download runs: fewer, others, then all', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, FILES, { pieceLengthBytes: PIECE });
  const torrent = await download(scope, set, { downloadBytesPerSec: 400_000, sequential: true });
  await until('something is verified', LIMIT_MS, () => torrent.stats().verifiedPieces > 2);
  // Its pieces are shared with b and d.
  await torrent.setPriorities(only('c'));
  assert.deepEqual(
    torrent.files().map(({ priority }) => priority),
    ['skip', 'skip', 'normal', 'skip', 'skip'],
  );
  torrent.setLimits({ downloadBytesPerSec: null });
  await whole(torrent);
  assert.ok(await isHere(set, torrent, 'c'));
  assert.ok(!(await isHere(set, torrent, 'b')) && !(await isHere(set, torrent, 'd')));
  assert.ok(existsSync(path.join(torrent.output, 'tree', 'a')), 'what was begun stays');
  assert.ok(existsSync(partFilePath(set.metainfo, torrent.output)));
  const { wantedPieces } = torrent.stats();
  assert.ok(wantedPieces <= 3, `${wantedPieces}`);

  const { done } = torrent;
  const changed = torrent.setPriorities(['skip', 'high', 'low', 'skip', 'skip']);
  assert.notEqual(torrent.done, done);
  await changed;
  await whole(torrent);
  assert.ok((await isHere(set, torrent, 'b')) && (await isHere(set, torrent, 'c')));

  await torrent.pause();
  await torrent.setPriorities(() => 'normal');
  assert.equal(torrent.state, 'paused');
  torrent.resume();
  await whole(torrent);
  for (const { path: name } of FILES) assert.ok(await isHere(set, torrent, name), name);
  assert.ok(!existsSync(partFilePath(set.metainfo, torrent.output)));
  // Border pieces are fetched again where their bytes came to lie elsewhere.
  const { downloadedBytes, lengthBytes } = torrent.stats();
  assert.ok(downloadedBytes < lengthBytes + 16 * PIECE, `${downloadedBytes} of ${lengthBytes}`);
});

test('a file that was begun, then skipped, then wanted again is still ours, whatever is in it', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, FILES, { pieceLengthBytes: PIECE });
  // Nothing of b is verified, but bytes of it are there.
  const torrent = await download(scope, set, { priorities: only('b') });
  await whole(torrent);
  await torrent.pause();
  const file = path.join(torrent.output, 'tree', 'b');
  const handle = await open(file, 'r+');
  await handle.write(Buffer.alloc((await handle.stat()).size, 'x'));
  await handle.close();
  await torrent.setPriorities(only('c'));
  torrent.resume();
  await whole(torrent);
  await torrent.setPriorities(only('d'));
  await whole(torrent);
  await torrent.setPriorities(() => 'normal');
  await whole(torrent);
  for (const { path: name } of FILES) assert.ok(await isHere(set, torrent, name), name);
});

test('priorities that make no sense are refused, and change nothing', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, FILES, { pieceLengthBytes: PIECE });
  const torrent = await download(scope, set);
  await whole(torrent);
  const { done } = torrent;
  for (const wrong of [5, null, undefined, 'skip', ['normal'], Array(5).fill('skip'), Array(5).fill(1), () => 'none']) {
    const error = await torrent.setPriorities(wrong as never).catch((thrown: HaulError) => thrown);
    assert.deepEqual([error?.code, error?.facts.option], ['BAD_ARGUMENT', 'priorities'], String(wrong));
  }
  assert.equal(torrent.state, 'seeding');
  assert.equal(torrent.done, done);
  const [seed] = (await startSeed(scope, set)).torrents;
  await assert.rejects(seed!.setPriorities(only('a')), { code: 'BAD_ARGUMENT' });
  await torrent.stop();
  await assert.rejects(torrent.setPriorities(only('a')), { code: 'CLOSED' });
});

test('a check tells how far it is, and called off it leaves all as it was', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH, { pieceLengthBytes: PIECE });
  const torrent = await download(scope, set);
  await whole(torrent);
  const seen: number[] = [];
  await torrent.recheck({ onProgress: (done, total) => seen.push(done, total) });
  assert.deepEqual(seen.slice(-2), [LENGTH, LENGTH]);
  assert.ok(seen.length >= 80);
  const [seed] = (await startSeed(scope, set)).torrents;
  for (const checked of [torrent, seed!]) {
    const states: string[] = [];
    checked.on('state', (state) => states.push(state));
    await assert.rejects(checked.recheck({ signal: AbortSignal.abort() }), { code: 'ABORTED' });
    assert.deepEqual(states, []);
    for (const how of ['stop', 'throw'] as const) {
      await whole(checked);
      const stop = new AbortController();
      const onProgress = (): void => {
        if (how === 'throw') throw new RangeError('of the user');
        stop.abort();
      };
      const expected = how === 'stop' ? { code: 'ABORTED' } : { name: 'RangeError', message: 'of the user' };
      await assert.rejects(checked.recheck({ signal: stop.signal, onProgress }), expected);
      await whole(checked);
      assert.equal(checked.state, 'seeding');
      assert.equal(checked.stats().verifiedBytes, LENGTH);
    }
    const late = new AbortController();
    await checked.recheck({ signal: late.signal });
    late.abort();
    await whole(checked);
    for (const wrong of [{ signal: 5 }, { onProgress: 'x' }, { progress: () => {} }, null]) {
      await assert.rejects(checked.recheck(wrong as never), { code: 'BAD_ARGUMENT' });
    }
    assert.equal(checked.state, 'seeding');
  }
});

test('priorities that skip the same files count at once, and the connections stay', async (t) => {
  const scope = openScope(t);
  const files = [{ path: 'a', lengthBytes: 600 * PIECE }, ...FILES.slice(1)];
  const set = await treeSet(scope, files, { pieceLengthBytes: PIECE });
  const torrent = await download(scope, set, { downloadBytesPerSec: 300_000, sequential: true });
  await until('something is verified', LIMIT_MS, () => torrent.stats().verifiedPieces > 1);
  const gone: unknown[] = [];
  torrent.on('peer', (_, change) => change === 'disconnected' && gone.push(change));
  const order: number[] = [];
  torrent.on('verified', (piece) => order.push(piece));
  let isAlone = false;
  torrent.on('verified', () => {
    isAlone ||= gone.length > 0;
  });
  const last = set.metainfo.files.findIndex(({ path: names }) => names.at(-1) === 'd');
  await torrent.setPriorities(set.metainfo.files.map((_, file) => (file === last ? 'high' : 'low')));
  assert.equal(torrent.state, 'downloading');
  assert.deepEqual(torrent.files().map(({ priority }) => priority)[last], 'high');
  torrent.setLimits({ downloadBytesPerSec: null });
  await whole(torrent);
  const { beginBytes } = set.metainfo.files[last]!;
  const first = Math.ceil(beginBytes / PIECE);
  const place = order.findIndex((piece) => piece >= first);
  assert.ok(place < order.length / 2, `${place} of ${order.length}`);
  assert.equal(isAlone, false);
  // Of a torrent that is whole, too.
  await torrent.setPriorities(set.metainfo.files.map(() => 'normal'));
  assert.equal(torrent.state, 'seeding');
});

test('a failure is told, whoever pauses or changes the torrent while it ends', async (t) => {
  const scope = openScope(t);
  for (const how of ['pause', 'recheck', 'moveData'] as const) {
    const set = await fileSet(scope, LENGTH, { pieceLengthBytes: PIECE });
    const [seed] = (await startSeed(scope, set)).torrents;
    const failures: string[] = [];
    seed!.on('failed', ({ code }) => failures.push(code));
    const folder = await tempFolder(scope);
    const act = { pause: () => seed!.pause(), recheck: () => seed!.recheck(), moveData: () => seed!.moveData(folder) };
    let acted: Promise<string> | null = null;
    const end = (): string => 'done';
    const code = (error: HaulError): string => error.code;
    seed!.on('state', (state) => {
      if (state === 'stopping') acted ??= act[how]().then(end, code);
    });
    await spoil(set.path);
    await assert.rejects(seed!.recheck(), { code: 'BAD_DATA' });
    assert.equal(await acted, how === 'pause' ? 'done' : 'CLOSED');
    assert.deepEqual([seed!.state, seed!.error?.code, failures], ['failed', 'BAD_DATA', ['BAD_DATA']]);
  }
});

test('a check is made up for when other files are wanted or it is paused meanwhile', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, FILES, { pieceLengthBytes: PIECE });
  const torrent = await download(scope, set);
  await whole(torrent);
  const file = path.join(torrent.output, 'tree', 'b');
  const { atime, mtime } = await stat(file);
  for (const isPaused of [false, true]) {
    const { downloadedBytes } = torrent.stats();
    const handle = await open(file, 'r+');
    await handle.write(Buffer.alloc(100, 'x'), 0, 100, 5 * PIECE);
    await handle.close();
    await utimes(file, atime, mtime);
    const checking = nextState(torrent);
    const checked = torrent.recheck();
    if (isPaused) {
      checked.catch(() => {});
      await checking;
      await torrent.pause();
      torrent.resume();
    } else {
      await checking;
      await torrent.setPriorities(FILES.map(({ path: name }) => (name === 'a' ? 'skip' : 'normal')));
      await checked;
    }
    await whole(torrent);
    assert.ok(torrent.stats().downloadedBytes - downloadedBytes >= PIECE, 'the bad piece came anew');
    assert.ok(await isHere(set, torrent, 'b'));
  }
});

test('a check of data that somebody else reads pauses the torrent, which goes on when they are gone', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH, { pieceLengthBytes: PIECE });
  const torrent = await download(scope, set);
  await whole(torrent);
  const engine = await startEngine(scope);
  const reader = engine.add(set.torrent, { output: torrent.output, trackers: [], mode: 'seed' });
  await whole(reader);
  await assert.rejects(torrent.recheck(), { code: 'IN_USE' });
  assert.deepEqual([torrent.state, torrent.error?.code], ['paused', 'IN_USE']);
  await reader.stop();
  torrent.resume();
  await whole(torrent);
  assert.equal(torrent.error, null);
});

test('a function that says priorities is asked once for each file', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, FILES, { pieceLengthBytes: PIECE });
  const torrent = await download(scope, set, { downloadBytesPerSec: 100_000 });
  let asked = 0;
  await torrent.setPriorities(() => (asked++ < FILES.length ? 'normal' : ('none' as never)));
  assert.equal(asked, torrent.files().length);
  assert.ok(torrent.files().every(({ priority }) => priority === 'normal'));
});
