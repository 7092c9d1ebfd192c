/**
 * Files that somebody touches while an engine downloads or seeds them: it says so in time, and never reports done over
 * other bytes.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine, Torrent } from '../../src/api.js';
import type { HaulError } from '../../src/errors.js';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { loadResume, saveResume } from '../../src/storage/resume.js';
import { stampFiles } from '../../src/storage/stamp-files.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const PIECE_BYTES = 256 * KIB;
const DEADLINE_MS = 30_000;

const peersOf = (seed: Engine) => [{ host: '127.0.0.1', port: seed.port! }];

function failure(torrent: Torrent): Promise<HaulError> {
  return withDeadline(new Promise((resolve) => torrent.once('failed', resolve)), 'the torrent fails', DEADLINE_MS);
}

/** Runs it once more from the start, as the next command would, until the whole is there and right. */
async function assertHeals(scope: Scope, set: DataSet, seed: Engine, output: string): Promise<Torrent> {
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output, trackers: [], peers: peersOf(seed), overwrite: true });
  await withDeadline(torrent.done, 'the next download ends', DEADLINE_MS);
  const { name } = set.metainfo;
  assert.deepEqual(await readTree(path.join(output, name)), await readTree(set.path));
  await engine.close();
  return torrent;
}

for (const storage of ['mapped', 'positional'] as const) {
  for (const [what, disturb] of [
    ['removed', (file: string) => fs.rmSync(file)],
    ['replaced by rename', replace],
    ['moved away with its folder', (file: string) => fs.renameSync(path.dirname(file), `${path.dirname(file)} moved`)],
  ] as const) {
    test(`a file that is ${what} before the last piece is verified is not reported done (${storage})`, async (t) => {
      const scope = openScope(t);
      const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
      const seed = await startSeed(scope, set);
      const output = path.join(await tempFolder(scope), 'out');
      const engine = await startEngine(scope, { storage });
      const torrent = engine.add(set.metainfo, { output, trackers: [], peers: peersOf(seed) });
      let count = 0;
      torrent.on('verified', () => {
        if (++count === set.metainfo.geometry.pieceCount) disturb(path.join(output, 'image.bin'));
      });
      await assert.rejects(
        withDeadline(torrent.done, 'it ends', DEADLINE_MS),
        (error: HaulError) =>
          ['NOT_FOUND', 'BAD_DATA'].includes(error.code) &&
          /image\.bin .*run the same command again/.test(error.message),
      );
      await torrent.stop();
      await engine.close();
      await assertHeals(scope, set, seed, output);
    });
  }

  test(`a file that is gone is told while nothing arrives, and while it is seeded (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await treeSet(scope, [
      { path: 'a', lengthBytes: MIB },
      { path: 'b', lengthBytes: MIB },
    ]);
    const output = await tempFolder(scope);
    const engine = await startEngine(scope, { storage });
    const waiting = engine.add(set.metainfo, { output, trackers: [] });
    await until('it waits for peers', DEADLINE_MS, () => waiting.state === 'downloading');
    fs.rmSync(path.join(output, 'tree/b'));
    const error = await failure(waiting);
    assert.equal(error.code, 'NOT_FOUND');
    assert.match(error.message, /tree\/b is gone/);
    await waiting.stop();

    const seed = await startSeed(scope, set, { storage });
    replace(path.join(set.folder, 'tree/a'));
    assert.match((await failure(seed.torrents[0]!)).message, /tree\/a is another file now/);
  });
}

function replace(file: string): void {
  fs.copyFileSync(file, `${file}.copy`);
  fs.renameSync(`${file}.copy`, file);
}

test('a stop after the file was removed records nothing, and the next download fetches all', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 8 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output, trackers: [], peers: peersOf(seed) });
  const warnings: string[] = [];
  torrent.on('warning', ({ message }) => warnings.push(message));
  await withDeadline(
    new Promise<void>((resolve) => {
      torrent.once('verified', () => {
        fs.rmSync(path.join(output, 'image.bin'));
        void torrent.stop().then(resolve);
      });
    }),
    'it stops',
    DEADLINE_MS,
  );
  assert.match(warnings.join('\n'), /image\.bin is gone/);
  await engine.close();
  const next = await assertHeals(scope, set, seed, output);
  assert.equal(next.stats().downloadedBytes, 8 * MIB);
});

for (const storage of ['mapped', 'positional'] as const) {
  test(`what another program writes into a download in place is found before it is done (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 8 * MIB, { pieceLengthBytes: PIECE_BYTES });
    const seed = await startSeed(scope, set);
    const output = await tempFolder(scope);
    const engine = await startEngine(scope, { storage });
    const torrent = engine.add(set.metainfo, { output, trackers: [], peers: peersOf(seed) });
    let count = 0;
    // Again and again: one write that falls into one of ours leaves no time of its own.
    torrent.on('verified', (piece) => {
      if (++count % 2 === 0) overwrite(path.join(output, 'image.bin'), piece * PIECE_BYTES);
    });
    await assert.rejects(withDeadline(torrent.done, 'it ends', DEADLINE_MS), {
      code: 'BAD_DATA',
      message: /another program wrote to image\.bin .*run the same command again/,
    });
    await engine.close();
    const next = await assertHeals(scope, set, seed, output);
    assert.ok(next.stats().downloadedBytes > 0);
  });

  test(`a file only looked at by others, or given its own bytes again, is reported done (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 8 * MIB, { pieceLengthBytes: PIECE_BYTES });
    const seed = await startSeed(scope, set);
    const output = await tempFolder(scope);
    const engine = await startEngine(scope, { storage });
    const torrent = engine.add(set.metainfo, { output, trackers: [], peers: peersOf(seed) });
    torrent.on('verified', (piece) => {
      const file = path.join(output, 'image.bin');
      const bytes = fs.readFileSync(file).subarray(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES);
      if (piece % 4 === 0) overwrite(file, piece * PIECE_BYTES, bytes);
    });
    await withDeadline(torrent.done, 'it ends', DEADLINE_MS);
    assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
  });
}

function overwrite(file: string, begin: number, bytes: Buffer = Buffer.alloc(PIECE_BYTES, 'other')): void {
  const fd = fs.openSync(file, 'r+');
  fs.writeSync(fd, bytes, 0, bytes.length, begin);
  fs.closeSync(fd);
}

test('bytes that were changed without a trace are found by the sample at the next start', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 8 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output, trackers: [], peers: peersOf(seed) });
  await withDeadline(torrent.done, 'it ends', DEADLINE_MS);
  await engine.close();
  const file = path.join(output, 'image.bin');
  const record = path.join(output, `.${set.metainfo.infoHashHex.slice(0, 16)}.haul-resume`);
  const whenRecorded = fs.readFileSync(record);
  overwrite(file, 3 * PIECE_BYTES);
  // As if it had been recorded after that.
  const synced = new Bitfield(set.metainfo.geometry.pieceCount);
  synced.setAll();
  const stamps = await stampFiles(set.metainfo, output, null);
  await saveResume(set.metainfo, output, { synced, isClean: true, stamps });
  assert.notDeepEqual(fs.readFileSync(record), whenRecorded);
  assert.equal((await loadResume(set.metainfo, output)).trusted.isFull, true);
  const next = await assertHeals(scope, set, seed, output);
  assert.equal(next.stats().downloadedBytes, PIECE_BYTES);
});
