/** What is in the place of a torrent's files and is not the torrent's: never changed unasked. */
import assert from 'node:assert/strict';
import { appendFile, cp, link, mkdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { seededBytes } from '../../lab/data.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import type { AddOptions, Engine } from '../../src/api.js';
import { HaulError } from '../../src/errors.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;

/** Downloads to the end and compares; rejects as `done` does. */
async function get(
  scope: Scope,
  set: DataSet,
  seed: Engine,
  output: string,
  options: Partial<AddOptions> = {},
): Promise<number> {
  const engine = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = engine.add(set.metainfo, { output, trackers: [], peers, ...options });
  try {
    await withDeadline(torrent.done, 'the download ends', 30_000);
    return torrent.stats().downloadedBytes;
  } finally {
    await engine.close();
  }
}

function isRefusal(...paths: string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HaulError, String(error));
    assert.equal(error.code, 'FILE_EXISTS', error.message);
    for (const name of paths) assert.ok(error.message.includes(name), error.message);
    assert.match(error.message, /--force overwrites/);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}

for (const [kind, lengthBytes] of [
  ['shorter', 9],
  ['equally long', 4 * MIB],
  ['longer', 5 * MIB],
] as const) {
  test(`a ${kind} file of somebody else is refused by name and left alone; overwrite goes on`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
    const seed = await startSeed(scope, set);
    const output = await tempFolder(scope);
    const file = path.join(output, 'image.bin');
    const precious = seededBytes('precious', lengthBytes);
    await writeFile(file, precious);
    const before = await stat(file, { bigint: true });
    await assert.rejects(get(scope, set, seed, output), isRefusal(file));
    assert.ok(precious.equals(await readFile(file)));
    const after = await stat(file, { bigint: true });
    assert.deepEqual([after.mtimeNs, after.ino], [before.mtimeNs, before.ino]);
    assert.deepEqual([...(await readTree(output)).keys()], ['image.bin'], 'nothing was made beside it');
    // The refused try has left no record that would make it ours.
    await assert.rejects(get(scope, set, seed, output), isRefusal(file));
    assert.equal(await get(scope, set, seed, output, { overwrite: true }), 4 * MIB);
    assert.deepEqual(await readTree(file), await readTree(set.path));
  });
}

test('an earlier version of an image is brought up to date without being asked, also a longer one', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  for (const lengthBytes of [3 * MIB, 4 * MIB, 6 * MIB]) {
    const output = await tempFolder(scope);
    const old = seededBytes('old', lengthBytes);
    (await readFile(set.path)).copy(old, PIECE_BYTES, PIECE_BYTES, 2 * PIECE_BYTES);
    await writeFile(path.join(output, 'image.bin'), old);
    assert.equal(await get(scope, set, seed, output), 4 * MIB - PIECE_BYTES);
    assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
  }
});

test('a whole image with more behind it is cut to its length', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  await cp(set.path, path.join(output, 'image.bin'));
  await appendFile(path.join(output, 'image.bin'), 'more');
  assert.equal(await get(scope, set, seed, output), 0);
  assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
});

test('files that hold nothing are nobody’s: empty, or zeros as a download killed early leaves them', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  for (const lengthBytes of [0, MIB / 2, MIB]) {
    const output = await tempFolder(scope);
    await writeFile(path.join(output, 'image.bin'), '');
    await truncate(path.join(output, 'image.bin'), lengthBytes);
    assert.equal(await get(scope, set, seed, output), MIB);
  }
});

const TREE = [
  { path: 'a/large', lengthBytes: MIB + 1000 },
  { path: 'a/tiny', lengthBytes: 100 },
  { path: 'b/empty', lengthBytes: 0 },
  { path: 'b/second', lengthBytes: MIB },
  { path: 'c', lengthBytes: 5 },
];

test('each file of a tree is judged by itself: one that is strange stops all, before anything is made', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, TREE, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  const at = (name: string) => path.join(output, 'tree', name);
  await mkdir(at('a'), { recursive: true });
  await mkdir(at('b'));
  await cp(path.join(set.path, 'a/large'), at('a/large'));
  await writeFile(at('a/tiny'), 'mine');
  await assert.rejects(get(scope, set, seed, output), isRefusal(at('a/tiny')));
  await writeFile(at('b/empty'), 'has no piece');
  await writeFile(at('b/second'), 'mine too');
  await writeFile(at('c'), 'and');
  await assert.rejects(
    get(scope, set, seed, output),
    isRefusal('4 files', 'tree/a/tiny', 'tree/b/empty', 'and 1 more'),
  );
  const found = await readTree(path.join(output, 'tree'));
  assert.deepEqual([...found.keys()], ['a/large', 'a/tiny', 'b/empty', 'b/second', 'c']);
  assert.equal(await readFile(at('c'), 'utf8'), 'and');
  await get(scope, set, seed, output, { overwrite: true });
  assert.deepEqual(await readTree(path.join(output, 'tree')), await readTree(set.path));
});

test('tiny files are ours when all pieces they share in are good, and skipped ones are not looked at', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, TREE, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  await cp(set.path, path.join(output, 'tree'), { recursive: true });
  await rm(path.join(output, 'tree/a/large'));
  // The last piece holds the end of `b/second` and `c`; that of `a/tiny` begins in the missing file.
  await assert.rejects(get(scope, set, seed, output), isRefusal('a/tiny'));
  await rm(path.join(output, 'tree/a/tiny'));
  await get(scope, set, seed, output);
  assert.deepEqual(await readTree(path.join(output, 'tree')), await readTree(set.path));

  const other = await tempFolder(scope);
  await mkdir(path.join(other, 'tree/b'), { recursive: true });
  await writeFile(path.join(other, 'tree/b/second'), 'mine');
  await get(scope, set, seed, other, { priorities: ({ path: name }) => (name.at(-1) === 'large' ? 'normal' : 'skip') });
  assert.equal(await readFile(path.join(other, 'tree/b/second'), 'utf8'), 'mine');
  // The record of that run does not know the file: wanted now, it is somebody else's as before.
  await assert.rejects(get(scope, set, seed, other), isRefusal('b/second'));
  assert.equal(await readFile(path.join(other, 'tree/b/second'), 'utf8'), 'mine');
});

test('what our record knows stays ours when nothing of it matches any more', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  await get(scope, set, seed, output);
  await writeFile(path.join(output, 'image.bin'), seededBytes('changed in place', MIB + 5), { flag: 'r+' });
  assert.equal(await get(scope, set, seed, output), MIB);
  assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
});

test('a file of ours that somebody replaced by his own is not ours any more', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  const file = path.join(output, 'image.bin');
  await get(scope, set, seed, output);
  const { mtime } = await stat(file);
  const precious = seededBytes('precious', MIB);
  await writeFile(`${file}.new`, precious);
  await rename(`${file}.new`, file);
  await assert.rejects(get(scope, set, seed, output), isRefusal(file));
  assert.ok(precious.equals(await readFile(file)));
  await rm(file);
  await get(scope, set, seed, output);
  assert.ok((await stat(file)).mtime > mtime);
});

test('a snapshot made of hard links keeps its bytes when a new version comes', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  const [file, kept] = [path.join(output, 'image.bin'), path.join(output, 'snapshot')];
  const old = seededBytes('old', MIB);
  (await readFile(set.path)).copy(old, PIECE_BYTES, PIECE_BYTES, 2 * PIECE_BYTES);
  await writeFile(file, old);
  await link(file, kept);
  await assert.rejects(get(scope, set, seed, output), (error) => {
    assert.ok(error instanceof HaulError && error.code === 'FILE_EXISTS', String(error));
    assert.match(error.message, /^\S+image\.bin has another name on this disk [^\n]+or --force does$/);
    return true;
  });
  assert.ok(old.equals(await readFile(kept)));
  await cp(file, `${file}.copy`);
  await rename(`${file}.copy`, file);
  assert.equal(await get(scope, set, seed, output), MIB - PIECE_BYTES);
  assert.ok(old.equals(await readFile(kept)));
  // Complete: nothing will be written, so a second name harms nothing.
  await link(file, `${kept}-2`);
  assert.equal(await get(scope, set, seed, output), 0);

  await rm(file);
  await link(kept, file);
  assert.equal(await get(scope, set, seed, output, { overwrite: true }), MIB - PIECE_BYTES);
  assert.deepEqual(await readTree(file), await readTree(set.path));
  assert.ok(old.equals(await readFile(kept)));
});

test('overwrite must be a boolean', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB);
  const engine = await startEngine(scope);
  const overwrite = 'yes' as unknown as boolean;
  assert.throws(() => engine.add(set.metainfo, { output: set.folder, overwrite }), { code: 'BAD_ARGUMENT' });
});

test('an empty file of the torrent that somebody wrote into is refused by name, though it was ours', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(scope, [
    { path: 'a', lengthBytes: MIB },
    { path: 'empty', lengthBytes: 0 },
  ]);
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  await get(scope, set, seed, output);
  const file = path.join(output, 'tree/empty');
  await writeFile(file, 'notes of mine');
  await assert.rejects(get(scope, set, seed, output), isRefusal(file));
  assert.equal(await readFile(file, 'latin1'), 'notes of mine');
  await get(scope, set, seed, output, { overwrite: true });
  assert.equal(await readFile(file, 'latin1'), '');
});
