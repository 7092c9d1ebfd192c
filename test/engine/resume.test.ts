import assert from 'node:assert/strict';
import { open, readFile, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import type { Engine, Torrent } from '../../src/api.js';
import { HaulError } from '../../src/errors.js';
import { type DataSet, fileSet, startEngine, startSeed } from '../support/engines.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const DEADLINE_MS = 30_000;

/** Downloads until some pieces are verified, then stops the engine. Returns how many. */
async function downloadSome(scope: Scope, set: DataSet, seed: Engine, output: string, pieces: number): Promise<number> {
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output, trackers: [], peers: [{ host: '127.0.0.1', port: seed.port! }] });
  await withDeadline(
    new Promise<void>((resolve) => {
      let count = 0;
      torrent.on('verified', () => {
        if (++count === pieces) resolve();
      });
    }),
    `${pieces} pieces are verified`,
    DEADLINE_MS,
  );
  await torrent.stop();
  const { verifiedPieces } = torrent.stats();
  await engine.close();
  return verifiedPieces;
}

async function finish(scope: Scope, set: DataSet, seed: Engine, output: string): Promise<Torrent> {
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output, trackers: [], peers: [{ host: '127.0.0.1', port: seed.port! }] });
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
  // The next run is the next owner of the place.
  await torrent.stop();
  return torrent;
}

test('a download that was stopped continues with what it had verified', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 64 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  const verified = await downloadSome(scope, set, seed, output, 8);
  assert.ok(verified >= 8);
  const torrent = await finish(scope, set, seed, output);
  assert.ok(
    torrent.stats().downloadedBytes <= 64 * MIB - verified * PIECE_BYTES,
    'verified pieces are not fetched again',
  );
});

test('a piece that was changed on disk between two runs is found and fetched again', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 16 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  await finish(scope, set, seed, output);
  const file = await open(path.join(output, 'image.bin'), 'r+');
  await file.write(Buffer.from('changed behind our back'), 0, 23, 5 * PIECE_BYTES + 99);
  await file.close();
  const torrent = await finish(scope, set, seed, output);
  assert.equal(torrent.stats().downloadedBytes, PIECE_BYTES);
});

test('data that is there without a resume record is checked and used', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 16 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output: set.folder, trackers: [] });
  await withDeadline(torrent.done, 'the check ends', DEADLINE_MS);
  assert.equal(torrent.stats().downloadedBytes, 0);
  assert.equal(torrent.state, 'seeding');
});

test('a file that was cut short between two runs is completed', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 8 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  await finish(scope, set, seed, output);
  await truncate(path.join(output, 'image.bin'), 3 * MIB);
  const torrent = await finish(scope, set, seed, output);
  assert.equal(torrent.stats().downloadedBytes, 5 * MIB);
});

test('seeding data that is shorter than the torrent says fails with one clear line', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
  await truncate(set.path, 1 * MIB);
  const engine = await startEngine(scope);
  for (const trustData of [true, false]) {
    const torrent = engine.add(set.metainfo, { output: set.folder, mode: 'seed', trustData, trackers: [] });
    const error = await torrent.done.then(
      () => assert.fail('it must not seed'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof HaulError);
    assert.equal(error.code, 'BAD_DATA');
    assert.doesNotMatch(error.message, /\n/);
    await torrent.stop();
  }
});

test('an output that is a file fails with one clear line and leaves the file alone', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 1 * MIB);
  const engine = await startEngine(scope);
  const before = await readFile(set.path);
  const torrent = engine.add(set.metainfo, { output: set.path, trackers: [] });
  await assert.rejects(
    torrent.done,
    (error: HaulError) => error.code === 'NOT_A_DIRECTORY' && error.message.includes(set.path),
  );
  assert.ok(before.equals(await readFile(set.path)));
});

test('an aborted download rejects with ABORTED and leaves a state that continues', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 32 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  const engine = await startEngine(scope);
  const controller = new AbortController();
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = engine.add(set.metainfo, { output, trackers: [], peers, signal: controller.signal });
  torrent.once('verified', () => controller.abort());
  await assert.rejects(torrent.done, (error: HaulError) => error.code === 'ABORTED');
  await torrent.stop();
  assert.equal(torrent.state, 'stopped');
  assert.equal((await stat(path.join(output, 'image.bin'))).size, 32 * MIB);
  await finish(scope, set, seed, output);
});
