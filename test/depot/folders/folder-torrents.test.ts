/** Folders as torrents: deterministic, private, made once, seeded while every row is what it was, gone with any. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../../lab/scope.js';
import { until } from '../../../lab/wait.js';
import { FolderTorrents } from '../../../src/depot/folders/folder-torrents.js';
import type { BlobStore } from '../../../src/depot/store/port.js';
import { code, request } from '../depot-kit.js';
import {
  ask,
  type Book,
  checkFiles,
  DEADLINE_MS,
  depotWith,
  FILES,
  fetchFolder,
  openBook,
  publishAll,
  putAll,
  recordOf,
  torrentBytes,
  torrentOf,
} from './folder-scene.js';

/** What the torrents need of the store. */
function hands({ store }: Book): Pick<BlobStore, 'read' | 'pieces' | 'placeAll' | 'leaveAll'> {
  return {
    read: (sha256, range) => store.read(sha256, range),
    pieces: (sha256) => store.pieces(sha256),
    placeAll: (id, files) => store.placeAll(id, files),
    leaveAll: (id) => store.leaveAll(id),
  };
}

test('the same files below two prefixes, in two depots, are one torrent: private, and fit for BEP 19', async (t) => {
  const scope = openScope(t);
  const [one, two] = [await depotWith(scope), await depotWith(scope, { torrentFromBytes: 1 })];
  await putAll(one, 'ci/42/dist');
  await putAll(two, 'other/dist', new Map([...FILES].reverse()));
  const [a, b] = [await torrentOf(one.url, 'ci/42/dist'), await torrentOf(two.url, 'other/dist')];
  assert.equal(a.infoHashHex, b.infoHashHex);
  assert.deepEqual([a.name, a.isPrivate, a.isMultiFile, a.creationDate], ['dist', true, true, null]);
  assert.deepEqual(a.trackers, [[`${one.url}/announce`]]);
  assert.deepEqual(a.webSeeds, [`${one.url}/folders/${a.infoHashHex}/`]);
  const stored = a.files.filter(({ isPad }) => !isPad);
  assert.deepEqual(
    stored.map(({ path }) => path.slice(1).join('/')),
    [...FILES.keys()],
  );
  for (const { lengthBytes, beginBytes } of stored)
    if (lengthBytes >= 4 * 2 ** 20) assert.equal(beginBytes % a.geometry.pieceLengthBytes, 0);
});

test('a folder is fetched from the depot as a peer, and by its web seed', async (t) => {
  const scope = openScope(t);
  const depot = await depotWith(scope);
  await putAll(depot, 'ci/dist');
  const torrent = await torrentBytes(depot.url, 'ci/dist');
  await checkFiles(await fetchFolder(scope, torrent, depot.peerPort));
  await checkFiles(await fetchFolder(scope, torrent, null));
});

const FILES_OF_A = { 'a/dist/x': 'one', 'a/dist/y': 'two', 'a/other': 'three' };

test('it goes with any of its rows, before the blob does; who asks again gets the new one', async (t) => {
  const book = await openBook(openScope(t));
  const { folders, engine, depot, data } = book;
  await publishAll(book, FILES_OF_A);
  const changes = [
    () => depot.remove('artifacts/a/dist/x'),
    () => depot.publish(request('a/dist/y', Buffer.from('other'), { overwrite: true })),
  ];
  const seen = new Set<string>();
  for (const change of changes) {
    const { infoHash } = await recordOf(book, 'a/dist');
    seen.add(infoHash);
    assert.ok((await engine.wake(infoHash)) !== null);
    assert.ok(folders.isInUse('artifacts/a/dist/y') && !folders.isInUse('artifacts/a/other'));
    const members = seen.size === 1 ? ['artifacts/a/dist/x', 'artifacts/a/dist/y'] : ['artifacts/a/dist/y'];
    assert.deepEqual([...folders.namesInUse()], members);
    await change();
    assert.deepEqual([engine.get(infoHash), folders.count, await engine.wake(infoHash)], [null, 0, null]);
    assert.equal(folders.has(Buffer.from(infoHash, 'hex').toString('latin1')), false);
    assert.deepEqual([...folders.namesInUse()], []);
    for (const name of ['views', 'folders']) assert.deepEqual(await readdir(join(data, name)), []);
  }
  seen.add((await recordOf(book, 'a/dist')).infoHash);
  assert.equal(seen.size, 3);
});

test('what is added below the prefix, and goes again, takes no torrent away that it is not in', async (t) => {
  const book = await openBook(openScope(t));
  await publishAll(book, FILES_OF_A);
  const before = await recordOf(book, 'a/dist');
  await publishAll(book, { 'a/dist/z': 'later' });
  const with3 = await recordOf(book, 'a/dist');
  assert.deepEqual([before.files, with3.files, book.folders.count], [2, 3, 2]);
  await book.depot.remove('artifacts/a/dist/z');
  assert.equal((await recordOf(book, 'a/dist')).infoHash, before.infoHash);
  assert.equal(book.folders.count, 1);
});

test('folders of one name that hold the same are one torrent, which stays as long as one of them', async (t) => {
  const book = await openBook(openScope(t));
  await publishAll(book, { ...FILES_OF_A, 'b/dist/x': 'one', 'b/dist/y': 'two' });
  const { infoHash } = await recordOf(book, 'a/dist');
  assert.equal((await recordOf(book, 'b/dist')).infoHash, infoHash);
  await book.depot.remove('artifacts/a/dist/x');
  assert.deepEqual(book.folders.prefixesOf(infoHash), ['artifacts/b/dist/']);
  assert.ok((await book.engine.wake(infoHash)) !== null);
  await book.depot.remove('artifacts/b/dist/y');
  assert.equal(await book.engine.wake(infoHash), null);
});

test('it is hashed once: for all who ask together, and not again after a restart', async (t) => {
  const scope = openScope(t);
  const reads: string[] = [];
  const book = await openBook(scope);
  await publishAll(book, FILES_OF_A);
  const read: BlobStore['read'] = (sha256, range) => {
    reads.push(sha256);
    return book.store.read(sha256, range);
  };
  const store = { ...hands(book), read };
  const { data, engine, catalogue } = book;
  const options = { data, engine, catalogue, store, torrentFromBytes: 1 };
  const first = new FolderTorrents(options);
  const asked = await Promise.all(Array.from({ length: 5 }, () => recordOf({ folders: first }, 'a/dist')));
  assert.equal(new Set(asked.map(({ infoHash }) => infoHash)).size, 1);
  assert.equal(reads.length, 2);
  const second = new FolderTorrents(options);
  await second.load();
  assert.equal((await recordOf({ folders: second }, 'a/dist')).infoHash, asked[0]!.infoHash);
  assert.equal(reads.length, 2);
  assert.ok((await engine.wake(asked[0]!.infoHash)) !== null);
});

test('a row that went while nobody looked: what was kept does not wake, and goes', async (t) => {
  const book = await openBook(openScope(t));
  await publishAll(book, FILES_OF_A);
  const { infoHash } = await recordOf(book, 'a/dist');
  await book.catalogue.remove('artifacts/a/dist/x');
  assert.equal(await book.engine.wake(infoHash), null);
  await until('it is gone', DEADLINE_MS, () => book.folders.count === 0);
});

test('a file that is damaged is no torrent of a folder, and one that is not ours is removed', async (t) => {
  const book = await openBook(openScope(t));
  await publishAll(book, FILES_OF_A);
  const { infoHash } = await recordOf(book, 'a/dist');
  const folder = join(book.data, 'folders');
  const [file] = await readdir(folder);
  const text = await readFile(join(folder, file!), 'utf8');
  await writeFile(join(folder, file!), text.replace('"x"', '"w"'));
  await writeFile(join(folder, 'else'), 'x');
  const { data, engine, catalogue, store } = book;
  const again = new FolderTorrents({ data, engine, catalogue, store, torrentFromBytes: 1 });
  await again.load();
  assert.deepEqual(await readdir(folder), [file]);
  assert.equal(await engine.wake(infoHash), null);
  assert.equal((await recordOf({ folders: again }, 'a/dist')).infoHash, infoHash);
});

test('a blob that was changed on disk is in no torrent, and wakes none', async (t) => {
  const book = await openBook(openScope(t));
  await publishAll(book, FILES_OF_A);
  const { infoHash } = await recordOf(book, 'a/dist');
  const { sha256 } = (await book.depot.find('artifacts/a/dist/x'))!;
  await writeFile(join(book.data, 'blobs', sha256.slice(0, 2), sha256), 'eno');
  assert.equal(await book.engine.wake(infoHash), null);
  await publishAll(book, { 'a/dist/z': 'more' });
  await assert.rejects(book.folders.request(ask('a/dist')), code('BAD_DATA'));
  assert.deepEqual(await readdir(join(book.data, 'views')), []);
});

test('a row that goes while its folder is hashed is not in what comes of it', async (t) => {
  const scope = openScope(t);
  const book = await openBook(scope);
  await publishAll(book, FILES_OF_A);
  let isFirst = true;
  const { data, engine, catalogue } = book;
  const read = async function* (sha256: string, range: { begin: number; end: number }): AsyncGenerator<Uint8Array> {
    yield* book.store.read(sha256, range);
    if (isFirst) await book.depot.remove('artifacts/a/dist/x');
    isFirst = false;
  };
  const store = { ...hands(book), read };
  const folders = new FolderTorrents({ data, engine, catalogue, store, torrentFromBytes: 1 });
  const record = await recordOf({ folders }, 'a/dist');
  assert.deepEqual([...record.members.keys()], ['y']);
  assert.equal(folders.count, 1);
});

test('too many, too long, a file and a folder at once, and all places taken are told', async (t) => {
  const scope = openScope(t);
  const small = { folderFiles: 3, folderBytes: 20, folderTorrents: 2 };
  const book = await openBook(scope, { limits: small, sleepAfterMs: DEADLINE_MS });
  await publishAll(book, { 'f/1': 'a', 'f/2': 'b', 'f/3': 'c', 'f/4': 'd', 'g/1': 'x'.repeat(21) });
  for (const prefix of ['f', 'g']) await assert.rejects(book.folders.request(ask(prefix)), code('LIMIT'));
  await publishAll(book, { 'h/a': 'file', 'h/a-b': 'between', 'h/a/b': 'below' });
  await assert.rejects(book.folders.request(ask('h')), code('FILE_EXISTS'));
  await publishAll(book, { 'i/empty': '' });
  for (const prefix of ['i', 'nothing', 'f/..']) assert.equal(await book.folders.request(ask(prefix)), 'none');
  // The one wanted least lately makes room, unless it is awake.
  await publishAll(book, { 'k/1': '1', 'l/1': '2', 'm/1': '3', 'n/1': '4' });
  const [k, l] = [await recordOf(book, 'k'), await recordOf(book, 'l')];
  assert.ok((await book.engine.wake(k.infoHash)) !== null);
  const m = await recordOf(book, 'm');
  assert.deepEqual(
    [k, l, m].map(({ infoHash }) => book.folders.prefixesOf(infoHash).length),
    [1, 0, 1],
  );
  assert.ok((await book.engine.wake(m.infoHash)) !== null);
  await assert.rejects(book.folders.request(ask('n')), code('IN_USE'));
  assert.equal(await book.folders.request(ask('n', { onlyMade: true })), 'none');
});
