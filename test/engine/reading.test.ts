/** Reads of files while they arrive, and after. Real peers, real files, both storages. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, truncate } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, EngineOptions, Torrent } from '../../src/api.js';
import { type DataSet, fileSet, liveOf, startEngine, startSeed, treeSet } from '../support/engines.js';

const LIMIT_MS = 30_000;
const PIECE = 65_536;
const MB = 1_000_000;

interface Pair {
  readonly set: DataSet;
  readonly torrent: Torrent;
}

async function pair(
  scope: Scope,
  set: DataSet,
  options: Partial<AddOptions> = {},
  engineOptions: EngineOptions = {},
  seedOptions: EngineOptions = {},
): Promise<Pair> {
  const seed = await startSeed(scope, set, seedOptions);
  const engine = await startEngine(scope, engineOptions);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  return {
    set,
    torrent: engine.add(set.metainfo, { output: await tempFolder(scope), peers, trackers: [], ...options }),
  };
}

const single = (scope: Scope, lengthBytes: number): Promise<DataSet> =>
  fileSet(scope, lengthBytes, { pieceLengthBytes: PIECE });
const all = (bytes: AsyncIterable<Uint8Array>): Promise<Buffer> =>
  withDeadline(buffer(Readable.from(bytes)), 'the read ends', LIMIT_MS);
const next = (reader: AsyncIterator<Uint8Array>) => withDeadline(reader.next(), 'bytes come', LIMIT_MS);

describe('a read', () => {
  for (const storage of ['mapped', 'positional'] as const) {
    test(`gives the bytes of a file in order while it arrives, to several readers (${storage})`, async (t) => {
      const scope = openScope(t);
      const { set, torrent } = await pair(scope, await single(scope, 20 * MB + 17), {}, { storage });
      const whole = await readFile(set.path);
      const [one, two, part, tail] = await Promise.all([
        all(torrent.read(0)),
        all(torrent.read('image.bin')),
        all(torrent.read(0, { start: 7 * MB + 1, end: 9 * MB })),
        all(torrent.read(0, { start: 20 * MB })),
      ]);
      assert.ok(one.equals(whole) && two.equals(whole));
      assert.ok(part.equals(whole.subarray(7 * MB + 1, 9 * MB)) && tail.equals(whole.subarray(20 * MB)));
      await torrent.done;
      assert.ok((await all(torrent.read(0, { end: 3 * MB }))).equals(whole.subarray(0, 3 * MB)), 'of what is complete');
    });
  }

  test('begins where it is asked to, long before the rest is here', async (t) => {
    const scope = openScope(t);
    const { set, torrent } = await pair(scope, await single(scope, 20 * MB), {}, {}, { uploadBytesPerSec: 2 * MB });
    await once(torrent, 'verified');
    const whole = await readFile(set.path);
    for (const start of [15 * MB, 3 * MB + 5, 19 * MB, 9 * MB]) {
      const reader = torrent.read(0, { start });
      const { value } = await next(reader);
      assert.ok(whole.subarray(start, start + value!.length).equals(value!));
      assert.deepEqual(await reader.return!(), { done: true, value: undefined });
      assert.deepEqual(await next(reader), { done: true, value: undefined });
    }
    const { verifiedBytes } = torrent.stats();
    assert.ok(verifiedBytes < 10 * MB, `${verifiedBytes} bytes were fetched for four seeks`);
  });

  test('that is not asked holds nothing, and one that ends while it waits is told so', async (t) => {
    const scope = openScope(t);
    const { torrent } = await pair(scope, await single(scope, 3 * MB), { peers: [] });
    const never = torrent.read(0);
    assert.equal(typeof never[Symbol.asyncIterator], 'function');
    const reader = torrent.read(0);
    const [first, second] = [reader.next(), reader.next()];
    await reader.return!();
    assert.deepEqual(await Promise.all([first, second]), [
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    const stream = Readable.from(torrent.read(0));
    stream.resume();
    await until('it waits', LIMIT_MS, () => torrent.state === 'downloading');
    stream.destroy();
    await withDeadline(once(stream, 'close'), 'the stream ends', LIMIT_MS);
  });

  test('waits while the torrent is paused, and goes on with it', async (t) => {
    const scope = openScope(t);
    const { set, torrent } = await pair(scope, await single(scope, 6 * MB), { downloadBytesPerSec: MB });
    const reading = all(torrent.read(0));
    await once(torrent, 'verified');
    await torrent.pause();
    const begun = torrent.read(0, { start: 5 * MB });
    const waiting = begun.next();
    const winner = await Promise.race([
      waiting.then(() => 'bytes'),
      new Promise((resolve) => setImmediate(resolve, 'none')),
    ]);
    assert.equal(winner, 'none');
    torrent.setLimits({ downloadBytesPerSec: null });
    torrent.resume();
    const whole = await readFile(set.path);
    assert.ok((await reading).equals(whole));
    const { value } = await waiting;
    assert.ok(value!.equals?.(whole.subarray(5 * MB, 5 * MB + value!.length)) ?? true);
  });

  test('rejects when the torrent is stopped, removed, closed or has failed', async (t) => {
    const scope = openScope(t);
    for (const end of ['stop', 'close', 'abort'] as const) {
      const controller = new AbortController();
      const options = { peers: [], signal: controller.signal };
      const { torrent } = await pair(scope, await single(scope, 3 * MB), options);
      const waiting = all(torrent.read(0));
      const rejected = assert.rejects(waiting, { code: 'CLOSED' });
      if (end === 'stop') await torrent.stop();
      else controller.abort();
      await rejected;
      await assert.rejects(next(torrent.read(0)), { code: 'CLOSED' });
    }
    const { torrent } = await pair(scope, await single(scope, 3 * MB), { downloadBytesPerSec: MB });
    await once(torrent, 'verified');
    const reading = all(torrent.read(0));
    await truncate(path.join(torrent.output, 'image.bin'), 10);
    await assert.rejects(reading, { code: 'BAD_DATA', message: /cut off/ });
    await assert.rejects(torrent.done, { code: 'BAD_DATA' });
    await assert.rejects(next(torrent.read(0)), { code: 'BAD_DATA' });
  });

  test('of a seed that rests gets it up', async (t) => {
    const scope = openScope(t);
    const set = await single(scope, 3 * MB);
    const engine = await startEngine(scope);
    const torrent = engine.add(set.metainfo, { output: set.folder, mode: 'seed', trackers: [] });
    await torrent.done;
    const { rest } = liveOf(torrent);
    rest.tick(performance.now());
    rest.tick(performance.now() + 3_600_000);
    await until('it rests', LIMIT_MS, () => rest.isResting);
    assert.ok((await all(torrent.read(0))).equals(await readFile(set.path)));
    assert.ok(!rest.isResting);
  });

  test('of files of a tree: any, empty ones, by path or index; no padding, no skipped one, no nonsense', async (t) => {
    const scope = openScope(t);
    const files = [
      { path: 'a.bin', lengthBytes: 3 * PIECE + 100 },
      { path: 'sub/b.bin', lengthBytes: 5 * PIECE + 9 },
      { path: 'sub/empty', lengthBytes: 0 },
      { path: 'z.bin', lengthBytes: 2 * PIECE },
    ];
    const set = await treeSet(scope, files, { pieceLengthBytes: PIECE, padding: true } as never);
    const priorities: AddOptions['priorities'] = ({ path: parts }) => (parts.at(-1) === 'z.bin' ? 'skip' : 'normal');
    const { torrent } = await pair(scope, set, { priorities });
    for (const name of ['a.bin', 'sub/b.bin', 'sub/empty']) {
      const whole = await readFile(path.join(set.path, name));
      assert.ok((await all(torrent.read(name))).equals(whole), name);
      assert.ok((await all(torrent.read(`tree/${name}`))).equals(whole), name);
    }
    const bad = (file: unknown, options: object, option: string): void => {
      assert.throws(
        () => torrent.read(file as string, options),
        (error: { code: string; facts: { option: string } }) => {
          assert.deepEqual([error.code, error.facts.option], ['BAD_ARGUMENT', option]);
          return true;
        },
      );
    };
    const pad = set.metainfo.files.findIndex(({ isPad }) => isPad);
    if (pad >= 0) bad(pad, {}, 'file');
    for (const file of ['no', '', -1, 1.5, 99, null, 'z.bin']) bad(file, {}, 'file');
    for (const start of [-1, 1.5, Number.NaN, '0', 3 * PIECE + 101]) bad('a.bin', { start }, 'start');
    for (const end of [-1, 3 * PIECE + 101, Number.POSITIVE_INFINITY]) bad('a.bin', { end }, 'end');
    bad('a.bin', { start: 5, end: 4 }, 'start');
    bad('a.bin', { begin: 5 }, 'begin');
    assert.equal((await all(torrent.read('a.bin', { start: 7, end: 7 }))).length, 0);
    await torrent.done;
    const reading = next(torrent.read('sub/b.bin'));
    await torrent.setPriorities(() => 'normal');
    await reading;
    assert.ok((await all(torrent.read('z.bin'))).equals(await readFile(path.join(set.path, 'z.bin'))));
  });
});
