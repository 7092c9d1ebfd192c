/** Making and checking torrents through the library door: `createTorrent`, `verifyTorrent`. */
import assert from 'node:assert/strict';
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { seededBytes, writeTree } from '../../lab/data.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { createEngine, createTorrent, HaulError, parseTorrent, verifyTorrent } from '../../src/index.js';

const PIECE = 32_768;
const FILES = [
  { path: 'a.bin', lengthBytes: 3 * PIECE },
  { path: 'b.bin', lengthBytes: 100 },
];

/** A call from plain JavaScript, whose types nobody checked. */
const untyped = <T extends (...args: never[]) => unknown>(call: T) =>
  call as unknown as (...args: unknown[]) => unknown;

function refuses(option: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HaulError, String(error));
    assert.equal(error.code, 'BAD_ARGUMENT');
    assert.equal(error.facts.option, option);
    assert.match(error.message, message);
    return true;
  };
}

test('a tree is made into a torrent with progress, and checked with progress', async (t) => {
  const folder = await tempFolder(openScope(t));
  await writeTree(path.join(folder, 'tree'), FILES, 1);
  const made: [number, number][] = [];
  const created = await createTorrent(path.join(folder, 'tree'), {
    trackers: [['http://tracker.example/announce']],
    pieceLengthBytes: PIECE,
    comment: 'of a test',
    isPrivate: true,
    creationDate: null,
    threads: 1,
    onProgress: (done, total) => made.push([done, total]),
  });
  const metainfo = parseTorrent(created.bytes);
  assert.equal(created.infoHashHex, metainfo.infoHashHex);
  assert.deepEqual(created.infoHash, metainfo.infoHash);
  assert.deepEqual([created.name, created.pieceCount, created.fileCount], ['tree', 4, 2]);
  assert.deepEqual([created.lengthBytes, created.pieceLengthBytes], [3 * PIECE + 100, PIECE]);
  assert.deepEqual([metainfo.comment, metainfo.isPrivate, metainfo.creationDate], ['of a test', true, null]);
  assert.equal(created.hashed.length, 2);
  assert.deepEqual(
    [made[0], made.at(-1)],
    [
      [0, created.lengthBytes],
      [created.lengthBytes, created.lengthBytes],
    ],
  );

  const checked: number[] = [];
  const good = await verifyTorrent(created.bytes, folder, { threads: 1, onProgress: (done) => checked.push(done) });
  assert.deepEqual(good, {
    isGood: true,
    pieceCount: 4,
    goodPieces: 4,
    badPieces: [],
    files: [
      { path: 'tree/a.bin', state: 'ok' },
      { path: 'tree/b.bin', state: 'ok' },
    ],
  });
  assert.equal(checked.at(-1), created.lengthBytes);

  await writeFile(path.join(folder, 'tree/a.bin'), seededBytes('other', PIECE), { flag: 'r+' });
  await rm(path.join(folder, 'tree/b.bin'));
  const bad = await verifyTorrent(metainfo, folder);
  assert.deepEqual([bad.isGood, bad.goodPieces, bad.badPieces], [false, 2, [0, 3]]);
  assert.deepEqual(
    bad.files.map(({ state }) => state),
    ['bad', 'missing'],
  );
});

test('what was made a moment ago is seeded without being hashed again, and nothing else in its place', async (t) => {
  const scope = openScope(t);
  const folder = await tempFolder(scope);
  await mkdir(path.join(folder, 'x'));
  await writeFile(path.join(folder, 'x', 'file'), seededBytes(1, 5000));
  const created = await createTorrent(path.join(folder, 'x'));
  const engine = await createEngine({ port: 0, host: '127.0.0.1' });
  scope.defer(() => engine.close());
  const options = { output: folder, mode: 'seed', trustData: true, hashed: created.hashed } as const;
  await engine.add(created.bytes, options).done;
  await engine.torrents[0]!.stop();
  await appendFile(path.join(folder, 'x', 'file'), 'more');
  await assert.rejects(engine.add(created.bytes, options).done, { code: 'BAD_DATA' });
});

test('a signal ends the work, before it begins and under way', async (t) => {
  const folder = await tempFolder(openScope(t));
  await writeTree(path.join(folder, 'tree'), FILES, 1);
  const tree = path.join(folder, 'tree');
  await assert.rejects(createTorrent(tree, { signal: AbortSignal.abort() }), { code: 'ABORTED' });
  const making = new AbortController();
  const options = { pieceLengthBytes: 16_384, signal: making.signal, onProgress: () => making.abort() };
  await assert.rejects(createTorrent(tree, options), { code: 'ABORTED' });
  const { bytes } = await createTorrent(tree, { pieceLengthBytes: 16_384 });
  await assert.rejects(verifyTorrent(bytes, folder, { signal: AbortSignal.abort() }), { code: 'ABORTED' });
  const checking = new AbortController();
  const check = verifyTorrent(bytes, folder, { signal: checking.signal, onProgress: () => checking.abort() });
  await assert.rejects(check, { code: 'ABORTED' });
});

test('wrong arguments are named', async (t) => {
  const folder = await tempFolder(openScope(t));
  const make = untyped(createTorrent);
  const check = untyped(verifyTorrent);
  await assert.rejects(async () => make(), refuses('path', /path must be a string that is not empty, not undefined/));
  await assert.rejects(async () => make(folder, null), refuses('options', /options must be an object, not null/));
  await assert.rejects(async () => make(folder, { private: true }), refuses('private', /is isPrivate meant\?$/));
  // As good as not given, also where the name is not known: objects are spread together.
  await assert.rejects(async () => make(path.join(folder, 'nothing'), { private: undefined }), { code: 'NOT_FOUND' });
  await assert.rejects(async () => make(folder, { trackers: ['http://x/'] }), refuses('trackers', /lists of URLs/));
  await assert.rejects(async () => make(folder, { signal: {} }), refuses('signal', /AbortSignal, not an object/));
  await assert.rejects(async () => make(folder, { threads: 0 }), refuses('threads', /from 1 to 256, not 0/));
  await assert.rejects(async () => check('x.torrent', folder), refuses('torrent', /read the file first$/));
  await assert.rejects(async () => check({}, folder), refuses('torrent', /the bytes of a \.torrent$/));
  await assert.rejects(async () => check(new Uint8Array(3), folder), { code: 'BAD_BENCODE' });
  await assert.rejects(async () => check({}), refuses('folder', /folder must be a string/));
  await assert.rejects(createTorrent(path.join(folder, 'nothing')), { code: 'NOT_FOUND' });
});
