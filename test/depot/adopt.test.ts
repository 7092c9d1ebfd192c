/** A file of ours becomes a blob without a copy: it gets a second name, is hashed where it lies, and stays. */
import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { type FolderStore, openFolderStore } from '../../src/depot/store/folders.js';
import { bytesOf, code, KIB, MIB, openKit, read, request, sha256 } from './depot-kit.js';
import { quickFolder } from './quick-folder.js';
import { fill, PIECES_FROM } from './store-conformance.js';

async function open(t: TestContext, bytes: Buffer): Promise<{ store: FolderStore; file: string; data: string }> {
  const scope = openScope(t);
  const folder = await quickFolder(scope);
  const data = join(folder, 'depot');
  const store = await openFolderStore({ folder: data });
  scope.defer(() => store.close());
  const file = join(folder, 'file');
  writeFileSync(file, bytes);
  return { store, file, data };
}

test('it is the very file, hashed as what is written, and nothing else has its name in tmp', async (t) => {
  const bytes = bytesOf(3 * MIB + 5);
  const { store, file, data } = await open(t, bytes);
  const upload = await store.adopt(file, { lengthBytes: bytes.length, piecesFromBytes: PIECES_FROM });
  const finished = await upload!.finish();
  const written = await store.create({ lengthBytes: bytes.length, piecesFromBytes: PIECES_FROM });
  await fill(written, bytes);
  const { pieces } = await written.finish();
  await written.abort();
  assert.equal(finished.sha256, sha256(bytes));
  assert.deepEqual(finished.pieces, pieces);
  assert.equal(await store.stat(finished.sha256), null);
  await store.commit(upload!, null);
  const blob = join(data, 'blobs', finished.sha256.slice(0, 2), finished.sha256);
  assert.equal(statSync(blob).ino, statSync(file).ino);
  assert.equal(statSync(blob).mode & 0o777, 0o444);
  assert.deepEqual(readdirSync(join(data, 'tmp')), []);
  assert.equal(store.usedBytes, bytes.length);
  assert.ok((await read(store.read(finished.sha256, { begin: 0, end: bytes.length }))).equals(bytes));
});

test('given up, of another length, there already, or short: the file stays, and nothing else does', async (t) => {
  const bytes = bytesOf(MIB);
  const { store, file, data } = await open(t, bytes);
  const options = { lengthBytes: bytes.length, piecesFromBytes: PIECES_FROM };
  const given = await store.adopt(file, options);
  const finishing = assert.rejects(given!.finish(), code('ABORTED'));
  await given!.abort();
  await finishing;
  for (const lengthBytes of [MIB - 1, MIB + 1]) {
    const other = await store.adopt(file, { ...options, lengthBytes });
    await assert.rejects(other!.finish(), code('MISMATCH'));
    await other!.abort();
  }
  const first = await store.create(options);
  await fill(first, bytes);
  const { sha256: name } = await first.finish();
  await store.commit(first, null);
  const second = await store.adopt(file, options);
  await second!.finish();
  await store.commit(second!, null);
  const blob = join(data, 'blobs', name.slice(0, 2), name);
  assert.notEqual(statSync(blob).ino, statSync(file).ino);
  assert.equal(store.usedBytes, MIB);
  writeFileSync(`${file}-short`, bytes.subarray(0, 64 * KIB));
  assert.equal(await store.adopt(`${file}-short`, { ...options, lengthBytes: 64 * KIB }), null);
  await assert.rejects(store.adopt(`${file}-missing`, options), code('NOT_FOUND'));
  assert.deepEqual(readdirSync(join(data, 'tmp')), []);
  assert.equal(statSync(file).nlink, 1);
});

test('a publish takes the file where the store can, else the body; it can be stopped while it is hashed', async (t) => {
  const bytes = bytesOf(2 * MIB);
  const { depot, store, folder } = await openKit(t);
  const file = join(folder, 'file');
  writeFileSync(file, bytes);
  let readBytes = 0;
  const body = async function* (): AsyncGenerator<Uint8Array> {
    readBytes += bytes.length;
    yield Buffer.from(bytes);
  };
  const stop = new AbortController();
  const stopped = depot.publish(request('a', bytes, { body: body(), file, signal: stop.signal }));
  stop.abort();
  await assert.rejects(stopped, code('ABORTED'));
  const { row } = await depot.publish(request('a', bytes, { body: body(), file }));
  assert.deepEqual([row.sha256, readBytes], [sha256(bytes), 0]);
  store.adopt = async () => null;
  await depot.publish(request('b', bytes, { body: body(), file }));
  assert.equal(readBytes, bytes.length);
});
