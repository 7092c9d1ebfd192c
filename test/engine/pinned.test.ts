/** Downloads of what must have a hash that is known: of the torrent, of its file. Real peers, real files. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { sha256File } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import type { AddOptions, EngineOptions, Torrent } from '../../src/api.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';

const LIMIT_MS = 30_000;
const PIECE = 65_536;
const WRONG = 'ab'.repeat(32);

async function add(
  scope: Scope,
  set: DataSet,
  options: Partial<AddOptions>,
  engineOptions: EngineOptions = {},
): Promise<Torrent> {
  const seed = await startSeed(scope, set);
  const engine = await startEngine(scope, engineOptions);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  return engine.add(set.metainfo, { output: await tempFolder(scope), peers, trackers: [], ...options });
}

const ends = (torrent: Torrent): Promise<void> => withDeadline(torrent.done, 'the download ends', LIMIT_MS);
const visible = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => !name.startsWith('.'));

for (const storage of ['mapped', 'positional'] as const) {
  test(`a file with its SHA-256 is done, whatever the order of its pieces (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 20_000_000 + 77, { pieceLengthBytes: PIECE });
    const sha256 = (await sha256File(set.path)).toUpperCase();
    const torrent = await add(scope, set, { sha256, infoHash: set.metainfo.infoHashHex }, { storage });
    await ends(torrent);
    assert.deepEqual(await visible(torrent.output), ['image.bin']);
  });

  test(`a file with another SHA-256 is not done and not under its name (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 10_000_000, { pieceLengthBytes: PIECE });
    const torrent = await add(scope, set, { sha256: WRONG }, { storage });
    // What somebody left there stays.
    await writeFile(path.join(torrent.output, 'image.bin.mismatch'), 'mine');
    const image = path.join(torrent.output, 'image.bin');
    const aside = `${image}.mismatch-2`;
    const events: string[] = [];
    torrent.on('done', () => events.push('done'));
    torrent.on('failed', ({ code }) => events.push(code));
    const sha256 = await sha256File(set.path);
    await assert.rejects(ends(torrent), {
      code: 'MISMATCH',
      facts: { path: aside, sha256, expected: WRONG },
      message: `${image}: its SHA-256 is ${sha256}, not ${WRONG}; the file is now ${aside}`,
    });
    assert.deepEqual([events, torrent.state], [['MISMATCH'], 'failed']);
    assert.deepEqual((await visible(torrent.output)).sort(), ['image.bin.mismatch', 'image.bin.mismatch-2']);
    assert.equal(await readFile(path.join(torrent.output, 'image.bin.mismatch'), 'utf8'), 'mine');
    assert.equal(await sha256File(aside), sha256);
  });
}

test('after a mismatch the same download starts anew, or goes on when the file is put back', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 3_000_000, { pieceLengthBytes: PIECE });
  const output = await tempFolder(scope);
  await assert.rejects(ends(await add(scope, set, { output, sha256: WRONG })), { code: 'MISMATCH' });
  const sha256 = await sha256File(set.path);
  const anew = await add(scope, set, { output, sha256 });
  await ends(anew);
  assert.equal(anew.stats().downloadedBytes, 3_000_000);
  await anew.stop();
  await rename(path.join(output, 'image.bin.mismatch'), path.join(output, 'image.bin'));
  const back = await add(scope, set, { output, sha256 });
  await ends(back);
  assert.equal(back.stats().downloadedBytes, 0);
});

test('a file that is complete already is compared too', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 3_000_000, { pieceLengthBytes: PIECE });
  const output = await tempFolder(scope);
  await copyFile(set.path, path.join(output, 'image.bin'));
  const good = await add(scope, set, { output, sha256: await sha256File(set.path) });
  await ends(good);
  await good.stop();
  const bad = await add(scope, set, { output, sha256: WRONG });
  await assert.rejects(ends(bad), { code: 'MISMATCH' });
  assert.equal(bad.stats().downloadedBytes, 0);
  assert.deepEqual(await visible(output), ['image.bin.mismatch']);
});

test('a download that is paused and resumed is compared at its end, and once', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 8_000_000, { pieceLengthBytes: PIECE });
  const torrent = await add(scope, set, { sha256: await sha256File(set.path), downloadBytesPerSec: 4_000_000 });
  await once(torrent, 'verified');
  await torrent.pause();
  torrent.setLimits({ downloadBytesPerSec: null });
  torrent.resume();
  await ends(torrent);
  await torrent.pause();
  torrent.resume();
  await withDeadline(once(torrent, 'state'), 'it goes on', LIMIT_MS);
  const paused = await add(scope, set, { sha256: WRONG, downloadBytesPerSec: 4_000_000 });
  await once(paused, 'verified');
  await paused.pause();
  paused.setLimits({ downloadBytesPerSec: null });
  paused.resume();
  await assert.rejects(ends(paused), { code: 'MISMATCH' });
});

test('the one file that is not skipped may be pinned, an empty one too', async (t) => {
  const scope = openScope(t);
  const files = [
    { path: 'a.bin', lengthBytes: 3 * PIECE + 100 },
    { path: 'b.bin', lengthBytes: 5 * PIECE + 9 },
    { path: 'empty', lengthBytes: 0 },
  ];
  const set = await treeSet(scope, files, { pieceLengthBytes: PIECE });
  const sha256 = await sha256File(path.join(set.path, 'b.bin'));
  const only = (name: string): AddOptions['priorities'] => {
    return ({ path: parts }) => (parts.at(-1) === name ? 'normal' : 'skip');
  };
  const torrent = await add(scope, set, { sha256, priorities: only('b.bin') });
  await ends(torrent);
  const bad = await add(scope, set, { sha256: WRONG, priorities: only('b.bin') });
  await assert.rejects(ends(bad), { code: 'MISMATCH' });
  assert.deepEqual(await visible(path.join(bad.output, 'tree')), ['b.bin.mismatch']);
  await assert.rejects(add(scope, set, { sha256 }), {
    code: 'BAD_ARGUMENT',
    message: /a single file: tree has several/,
  });
  const nothing = createHash('sha256').digest('hex');
  await ends(await add(scope, set, { sha256: nothing, priorities: only('empty') }));
});

test('a torrent with another info-hash is not added', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300_000);
  const engine = await startEngine(scope);
  const { infoHash, infoHashHex, infoBytes } = set.metainfo;
  const output = path.join(await tempFolder(scope), 'not made');
  const wrongs = ['ab'.repeat(20), WRONG, 'A'.repeat(32), Buffer.alloc(20), Buffer.alloc(32, 1)];
  for (const wrong of wrongs) {
    assert.throws(() => engine.add(set.torrent, { output, infoHash: wrong }), {
      code: 'MISMATCH',
      message: /^image\.bin: this is another torrent than was asked for: its info-hash is [0-9a-f]+, not [0-9a-f]+$/,
    });
  }
  for (const bad of ['', infoHashHex.slice(1), Buffer.alloc(19), 7 as unknown as string])
    assert.throws(() => engine.add(set.torrent, { output, infoHash: bad }), { code: 'BAD_ARGUMENT' });
  for (const bad of ['', infoHashHex, Buffer.alloc(32) as unknown as string])
    assert.throws(() => engine.add(set.torrent, { output, sha256: bad }), { code: 'BAD_ARGUMENT' });
  const seeding = { output: set.folder, mode: 'seed', trackers: [] } as const;
  assert.throws(() => engine.add(set.torrent, { ...seeding, sha256: WRONG }), { code: 'BAD_ARGUMENT' });
  const version2 = createHash('sha256').update(infoBytes).digest();
  for (const right of [infoHash, infoHashHex.toUpperCase(), version2, version2.toString('hex')]) {
    const torrent = engine.add(set.torrent, { ...seeding, infoHash: right });
    await ends(torrent);
    await torrent.stop();
  }
});

test('a file that cannot be read when it is hashed fails, and a stop in the middle ends it', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 30_000_000, { pieceLengthBytes: PIECE });
  const torrent = await add(scope, set, { sha256: await sha256File(set.path), downloadBytesPerSec: 20_000_000 });
  await once(torrent, 'verified');
  await torrent.stop();
  await assert.rejects(ends(torrent), { code: 'CLOSED' });
  assert.equal(torrent.state, 'stopped');
});
