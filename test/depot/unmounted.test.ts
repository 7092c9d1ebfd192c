/** A disk that is unmounted under a depot or an agent, and another one mounted over it: nothing is taken for lost. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { openScope, type Scope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { openFolderStore } from '../../src/depot/store/folders.js';
import { Layout } from '../../src/depot/store/layout.js';
import { unmountedAbove } from '../../src/depot/store/mounts.js';
import { skipWithout } from '../support/requirements.js';
import { agentOf, bytesOf, depotOf, folderOf, get, put } from './agent-harness.js';
import { ADD, rowOf } from './catalogue-conformance.js';
import { quickFolder } from './quick-folder.js';

const LONG = bytesOf(300_000);

/** A folder that comes and goes where `at` is. */
class Disk {
  readonly at: string;
  readonly #kept: string;

  constructor(folder: string) {
    this.at = join(folder, 'disk');
    this.#kept = join(folder, 'kept');
    for (const made of [this.at, this.#kept]) mkdirSync(made);
  }

  mount(): void {
    execFileSync('mount', ['--bind', this.#kept, this.at], { stdio: 'ignore' });
  }

  unmount(): void {
    execFileSync('umount', ['-l', this.at]);
  }
}

function diskOf(t: TestContext, scope: Scope, folder: string): Disk | null {
  const disk = new Disk(folder);
  try {
    disk.mount();
  } catch {
    skipWithout(t, 'this user may not mount');
    return null;
  }
  scope.defer(() => {
    try {
      disk.unmount();
    } catch {}
  });
  return disk;
}

async function status(url: string, method: string, name: string, body?: Buffer): Promise<[number, string]> {
  const answer = await fetch(`${url}/artifacts/${name}`, { method, ...(body === undefined ? {} : { body }) });
  const text = await answer.text();
  return [answer.status, answer.status < 300 ? '' : (JSON.parse(text) as { code: string }).code];
}

test('unmounted: all that would be untrue is an error, and as it comes back it is as it was', async (t) => {
  const disk = diskOf(t, openScope(t), await folderOf(t));
  if (disk === null) return;
  const warnings: string[] = [];
  const depot = await depotOf(t, disk.at, { log: (_level, message) => warnings.push(message) });
  await put(depot.url, 'long', LONG);
  await put(depot.url, 'short', bytesOf(100));
  disk.unmount();
  assert.deepEqual(await status(depot.url, 'GET', 'long'), [500, 'IO']);
  assert.deepEqual(await status(depot.url, 'GET', 'never'), [500, 'IO']);
  assert.deepEqual(await status(depot.url, 'DELETE', 'short'), [500, 'IO']);
  for (const body of [bytesOf(10), LONG, bytesOf(5 * 2 ** 20)])
    assert.deepEqual(await status(depot.url, 'PUT', 'other', body), [500, 'IO']);
  assert.equal((await fetch(`${depot.url}/readyz`)).status, 503);
  assert.match(warnings.join('\n'), /is not the folder that was opened: it was unmounted/);
  assert.deepEqual(readdirSync(disk.at), []);
  disk.mount();
  assert.equal((await fetch(`${depot.url}/readyz`)).status, 200);
  assert.ok((await get(depot.url, 'artifacts/long')).bytes.equals(LONG));
  assert.deepEqual(await status(depot.url, 'GET', 'never'), [404, 'NOT_FOUND']);
  await put(depot.url, 'other', LONG);
});

test('a disk mounted over a depot that runs: nothing of it is touched', async (t) => {
  const disk = diskOf(t, openScope(t), await folderOf(t));
  if (disk === null) return;
  const real = await depotOf(t, disk.at);
  await put(real.url, 'kept', LONG);
  await real.close(0);
  disk.unmount();
  const shadow = await depotOf(t, disk.at);
  await put(shadow.url, 'same', LONG);
  disk.mount();
  assert.deepEqual(await status(shadow.url, 'GET', 'kept'), [500, 'IO']);
  assert.deepEqual(await status(shadow.url, 'PUT', 'more', bytesOf(20)), [500, 'IO']);
  // Its blob is one of the other, too.
  assert.deepEqual(await status(shadow.url, 'DELETE', 'same'), [500, 'IO']);
  await shadow.close(0);
  const again = await depotOf(t, disk.at);
  assert.ok((await get(again.url, 'artifacts/kept')).bytes.equals(LONG));
  assert.equal((await get(again.url, 'artifacts/more')).status, 404);
});

test('a store in the place of another: its views and records are not touched', async (t) => {
  const folder = join(await quickFolder(openScope(t)), 'store');
  const store = await openFolderStore({ folder });
  t.after(() => store.close());
  const upload = await store.create({ lengthBytes: LONG.length, piecesFromBytes: 1 });
  await upload.write(LONG);
  const { sha256 } = await upload.finish();
  await store.commit(upload, null);
  await store.place(sha256, 'x');
  execFileSync('mv', [folder, `${folder}.aside`]);
  execFileSync('cp', ['-r', `${folder}.aside`, folder]);
  const layout = new Layout(folder);
  truncateSync(layout.blob(sha256), 5);
  const files = (): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const before = files();
  await assert.rejects(store.place(sha256, 'y'), { code: 'IO' });
  await assert.rejects(store.placeAll('z', [{ path: 'x', sha256 }]), { code: 'IO' });
  await assert.rejects(store.verify(sha256), { code: 'IO' });
  await store.leave(sha256, 'x');
  assert.deepEqual(files(), before);
});

test('where a disk is to be mounted, and is not, nothing new is made', () => {
  const fstab = [
    '# /dev/sdz /srv/comment ext4 defaults 0 2',
    'UUID=1 / ext4 errors=remount-ro 0 1',
    'UUID=2 none swap sw 0 0',
    'UUID=3  /srv/depot/\text4 defaults,nofail 0 2',
    'UUID=4 /mnt ext4 noauto,user 0 2',
    'UUID=5 /with\\040space xfs defaults 0 2',
  ].join('\n');
  const line = (at: string): string => `36 35 98:0 / ${at} rw,noatime shared:1 - ext4 /dev/sda rw`;
  const found = (folder: string, ...mounted: string[]): string | null =>
    unmountedAbove(folder, fstab, ['/', ...mounted].map(line).join('\n'));
  assert.equal(found('/srv/depot'), '/srv/depot');
  assert.equal(found('/srv/depot/data'), '/srv/depot');
  assert.equal(found('/srv/depot/data', '/srv/depot'), null);
  for (const folder of ['/srv', '/srv/depots', '/srv/comment', '/mnt/data', '/var/lib/haul'])
    assert.equal(found(folder), null);
  assert.equal(found('/with space/x'), '/with space');
  assert.equal(found('/with space/x', '/with\\040space'), null);
});

test('a catalogue whose folder is gone is not made anew in its place, nor called damaged', async (t) => {
  const folder = await quickFolder(openScope(t));
  const [place, aside] = [join(folder, 'catalogue'), join(folder, 'aside')];
  const catalogue = await openLevelCatalogue(place);
  await catalogue.put(rowOf('artifacts/a', 'a'), ADD);
  execFileSync('mv', [place, aside]);
  // As a device does that is gone.
  const batch = async (): Promise<void> => {
    throw Object.assign(new Error('IO error: 000003.log: Input/output error'), { code: 'LEVEL_IO_ERROR' });
  };
  t.mock.method(ClassicLevel.prototype, 'batch', batch);
  await assert.rejects(catalogue.put(rowOf('artifacts/b', 'b'), ADD), {
    code: 'IO',
    message: /was unmounted or moved/,
  });
  assert.ok(!existsSync(place));
  t.mock.restoreAll();
  execFileSync('mv', [aside, place]);
  await catalogue.put(rowOf('artifacts/b', 'b'), ADD);
  assert.notEqual(await catalogue.get('artifacts/a'), null);
  // Another one in its place would do what such a file says, when it is opened.
  execFileSync('mv', [place, aside]);
  mkdirSync(place);
  t.mock.method(ClassicLevel.prototype, 'batch', batch);
  await assert.rejects(catalogue.put(rowOf('artifacts/c', 'c'), ADD), { code: 'IO' });
  assert.deepEqual(readdirSync(place), []);
  t.mock.restoreAll();
  rmdirSync(place);
  execFileSync('mv', [aside, place]);
  await catalogue.close();
});

test('an agent whose cache is unmounted passes bytes on, and writes nothing beside it', async (t) => {
  const disk = diskOf(t, openScope(t), await folderOf(t));
  if (disk === null) return;
  const depot = await depotOf(t, join(await folderOf(t), 'data'));
  const { agent } = await agentOf(t, depot.url, disk.at);
  const files = { short: bytesOf(100), long: LONG, large: bytesOf(5 * 2 ** 20), cached: bytesOf(400_000) };
  for (const [name, bytes] of Object.entries(files)) await put(depot.url, name, bytes);
  assert.ok((await get(agent.url, 'artifacts/cached')).bytes.equals(files.cached));
  disk.unmount();
  for (const [name, bytes] of Object.entries(files)) {
    const answer = await get(agent.url, `artifacts/${name}`);
    assert.equal(answer.status, 200, name);
    assert.ok(answer.bytes.equals(bytes), name);
  }
  assert.deepEqual(readdirSync(disk.at), []);
  const ready = await (await fetch(`${agent.url}/readyz`)).text();
  assert.match(ready, /its folder is not there, or its disk fails/);
  disk.mount();
  await until('what is fetched is kept again', 20_000, async () => {
    await get(agent.url, 'artifacts/long');
    return /"message":""/.test(await (await fetch(`${agent.url}/readyz`)).text());
  });
  rmSync(join(disk.at, 'nothing'), { force: true });
});
