/** The store in a folder: the suite of all stores, what others do to its folder, and every moment at which it ends. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  appendFile,
  chmod,
  cp,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openScope } from '../../lab/scope.js';
import { openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { Depot } from '../../src/depot/publish.js';
import { type FolderStore, openFolderStore } from '../../src/depot/store/folders.js';
import { forEachConcurrently } from '../../src/storage/concurrently.js';
import { bytesOf, code, KIB, MIB, read, sha256 } from './depot-kit.js';
import { quickFolder } from './quick-folder.js';
import { fill, names, PIECES_FROM, put, testStore } from './store-conformance.js';

const CHILD = fileURLToPath(new URL('publish-child.js', import.meta.url));

async function open(t: TestContext, folder?: string): Promise<FolderStore & { readonly folder: string }> {
  const scope = openScope(t);
  const place = folder ?? join(await quickFolder(scope), 'depot');
  const store = await openFolderStore({ folder: place });
  scope.defer(() => store.close());
  return Object.assign(store, { folder: place });
}

function placeOf(folder: string, name: string): string {
  return join(folder, 'blobs', name.slice(0, 2), name);
}

testStore('the store in a folder', { open });

test('a folder has one owner, and one that is not a depot is not touched', async (t) => {
  const store = await open(t);
  await assert.rejects(openFolderStore({ folder: store.folder }), code('IN_USE'));
  const other = join(await quickFolder(openScope(t)), 'home');
  await mkdir(join(other, 'tmp'), { recursive: true });
  await writeFile(join(other, 'tmp', '0123456789abcdef-1'), 'precious');
  await assert.rejects(openFolderStore({ folder: other }), code('BAD_ARGUMENT'));
  assert.deepEqual(await readdir(other), ['tmp']);
  assert.deepEqual(await readdir(join(other, 'tmp')), ['0123456789abcdef-1']);
});

for (const length of [5 * KIB, 3 * MIB]) {
  test(`a blob of ${length} bytes that was cut, written, replaced or linked elsewhere is never served`, async (t) => {
    const store = await open(t);
    const bytes = bytesOf(length);
    const name = await put(store, bytes);
    const place = placeOf(store.folder, name);
    const damages: [string, () => Promise<unknown>][] = [
      ['cut', () => truncate(place, length - 1)],
      ['cut to nothing', () => truncate(place, 0)],
      ['longer', () => appendFile(place, 'x')],
      ['written', () => writeFile(place, 'x', { flag: 'r+' })],
      ['another file', async () => writeFile(`${place}.x`, bytesOf(length, 7)).then(() => rename(`${place}.x`, place))],
      ['a link', async () => rename(place, `${place}.x`).then(() => symlink(`${place}.x`, place))],
      ['a folder', async () => rm(place).then(() => mkdir(place))],
    ];
    for (const [what, damage] of damages) {
      await chmod(place, 0o644);
      await damage();
      await assert.rejects(read(store.read(name, { begin: 0, end: 1 })), code('BAD_DATA'), what);
      await assert.rejects(read(store.read(name, { begin: 0, end: 1 })), code('BAD_DATA'), `${what}, again`);
      await assert.rejects(store.place(name, 'file'), code('BAD_DATA'), what);
      if (what === 'a folder') await rm(place, { recursive: true });
      assert.equal(await put(store, bytes), name, `${what}: good bytes heal it`);
      assert.ok((await read(store.read(name, { begin: 0, end: length }))).equals(bytes), what);
    }
    await rm(place);
    await assert.rejects(read(store.read(name, { begin: 0, end: 1 })), code('NOT_FOUND'));
  });
}

test('a blob that is cut or written while it is read ends the reading before a wrong byte', async (t) => {
  const store = await open(t);
  const bytes = bytesOf(9 * MIB);
  for (const damage of ['cut', 'written'] as const) {
    const name = await put(store, bytes);
    const place = placeOf(store.folder, name);
    await chmod(place, 0o644);
    let at = 0;
    const reading = async (): Promise<void> => {
      for await (const slice of store.read(name, { begin: 0, end: bytes.length })) {
        assert.ok(bytes.subarray(at, at + slice.length).equals(slice), `${damage}: wrong bytes at ${at}`);
        if (at === 0) await (damage === 'cut' ? truncate(place, 5 * MIB) : writeFile(place, 'xxxx', { flag: 'r+' }));
        at += slice.length;
      }
    };
    await assert.rejects(reading(), code('BAD_DATA'));
    assert.ok(at < 4 * MIB);
  }
});

test('a store that was copied elsewhere is hashed once and served; a changed blob in it is not', async (t) => {
  const store = await open(t);
  const [good, bad, small] = [bytesOf(MIB), bytesOf(2 * MIB), bytesOf(10)];
  for (const bytes of [good, bad, small]) await put(store, bytes, ['artifacts/x', '{}']);
  const copy = join(await quickFolder(openScope(t)), 'copy');
  await cp(store.folder, copy, { recursive: true });
  const place = placeOf(copy, sha256(bad));
  await chmod(place, 0o644);
  await writeFile(place, 'x', { flag: 'r+' });
  await utimes(place, 0, 0);
  const other = await open(t, copy);
  assert.ok((await read(other.read(sha256(good), { begin: 0, end: MIB }))).equals(good));
  assert.equal((await other.sidecar(sha256(good)))?.names.get('artifacts/x'), '{}');
  assert.ok((await read(other.read(sha256(small), { begin: 0, end: 10 }))).equals(small));
  await assert.rejects(read(other.read(sha256(bad), { begin: 0, end: 1 })), code('BAD_DATA'));
});

test('a sidecar that is damaged or gone is made anew', async (t) => {
  const store = await open(t);
  const bytes = bytesOf(MIB);
  const name = await put(store, bytes);
  const { pieces } = (await store.sidecar(name))!;
  await store.close();
  for (const text of [null, '', '{}', '{"format":1}\n0\n']) {
    const side = `${placeOf(store.folder, name)}.json`;
    await (text === null ? rm(side) : writeFile(side, text));
    const again = await open(t, store.folder);
    assert.ok((await read(again.read(name, { begin: 0, end: MIB }))).equals(bytes));
    assert.deepEqual((await again.sidecar(name))?.pieces, pieces);
    await again.close();
  }
});

test('what is no blob is not listed nor removed, what was under way is swept, no link followed', async (t) => {
  const store = await open(t);
  const name = await put(store, bytesOf(10));
  const upload = await store.create({ lengthBytes: null, piecesFromBytes: PIECES_FROM });
  await fill(upload, bytesOf(MIB));
  await store.close();
  const { folder } = store;
  const outside = join(await quickFolder(openScope(t)), 'outside');
  await writeFile(outside, 'precious');
  await writeFile(join(folder, 'tmp', 'feedfeedfeedfeed-7'), 'left over');
  await symlink(outside, join(folder, 'tmp', 'feedfeedfeedfeed-8'));
  await writeFile(join(folder, 'tmp', 'notes.txt'), 'mine');
  const view = join(folder, 'views', 'f'.repeat(40));
  await mkdir(join(view, 'dist', 'sub'), { recursive: true });
  await link(placeOf(folder, name), join(view, 'dist', 'sub', 'file'));
  await symlink(outside, join(view, 'dist', 'away'));
  await symlink(outside, placeOf(folder, 'a'.repeat(64)));
  await mkdir(placeOf(folder, 'b'.repeat(64)));
  await writeFile(join(folder, 'blobs', 'aa', 'README'), 'mine');
  await writeFile(`${placeOf(folder, 'c'.repeat(64))}.json`, 'of no blob');
  const again = await open(t, folder);
  assert.deepEqual(await names(again), [name]);
  assert.equal(again.usedBytes, 10);
  assert.deepEqual(await readdir(join(folder, 'tmp')), ['notes.txt']);
  assert.deepEqual(await readdir(join(folder, 'views')), []);
  assert.equal(await readFile(outside, 'utf8'), 'precious');
  assert.deepEqual(await readdir(join(folder, 'blobs', 'cc')), []);
  assert.equal(await again.stat('a'.repeat(64)), null);
  await assert.rejects(read(again.read('a'.repeat(64), { begin: 0, end: 1 })), code('BAD_DATA'));
  await again.close();
  await rm(join(folder, 'blobs', 'cc'), { recursive: true });
  await symlink('/', join(folder, 'blobs', 'cc'));
  await assert.rejects(openFolderStore({ folder }), code('NOT_A_DIRECTORY'));
});

/** What the child says until it is dead. @param step 0: it goes to its end */
function runChild(folder: string, step: number): Promise<string[][]> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CHILD, folder, String(step)], (_, stdout) => {
      resolve(stdout.split('\n').map((line) => line.split(' ')));
    });
  });
}

function namesIn(said: readonly string[][], word: string): Map<string, string> {
  return new Map(said.flatMap(([first, name, digest]) => (first === word ? [[name!, digest ?? '']] : [])));
}

async function killedAt(t: TestContext, step: number): Promise<void> {
  const folder = join(await quickFolder(openScope(t)), 'depot');
  const said = await runChild(folder, step);
  assert.deepEqual(said.at(-2), ['at', String(step)], 'it was killed there');
  const acknowledged = namesIn(said, 'put');
  const store = await open(t, folder);
  const catalogue = await openLevelCatalogue(join(folder, 'catalogue'));
  const depot = new Depot({ store, catalogue });
  await depot.sweep();
  const { rows } = await catalogue.list({ prefix: 'artifacts/', cursor: null, limit: 100 });
  const named = new Map(rows.map((row) => [row.name, row]));
  const [removing, removed] = [namesIn(said, 'removing'), namesIn(said, 'removed')];
  for (const [name, digest] of acknowledged)
    assert.ok(named.has(name) !== removed.has(name) || removing.has(name), `step ${step}: ${name} ${digest}`);
  for (const name of removed.keys()) assert.ok(!named.has(name), `step ${step}: ${name} was removed`);
  for (const row of rows) {
    const bytes = await read(depot.read(row, { begin: 0, end: row.lengthBytes }));
    assert.equal(sha256(bytes), row.sha256, `step ${step}: ${row.name}`);
    const digest = acknowledged.get(row.name);
    if (digest !== undefined && row.name !== 'artifacts/replaced') assert.equal(row.sha256, digest);
  }
  assert.deepEqual(await names(store), [...new Set(rows.map((row) => row.sha256))].sort(), `step ${step}: strays`);
  assert.deepEqual(await readdir(join(folder, 'tmp')), []);
  await depot.close();
  await catalogue.close();
  await store.close();
}

test('a process that is killed at any step of publishing leaves the old state or the new', async (t) => {
  const said = await runChild(join(await quickFolder(openScope(t)), 'depot'), 0);
  const steps = Number(namesIn(said, 'steps').keys().next().value);
  // write, settle, force, put and remove, before and after each.
  assert.ok(steps >= 40, `${steps} steps`);
  const all = Array.from({ length: steps }, (_, index) => index + 1);
  await forEachConcurrently(all, 3, (step) => killedAt(t, step));
});
