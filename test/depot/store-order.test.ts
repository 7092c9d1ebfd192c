/**
 * What is forced to the device, and when: store and catalogue are asked through hands that write each step down,
 * and that refuse where a test says so.
 */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { Depot } from '../../src/depot/publish.js';
import { type FolderStore, openFolderStore } from '../../src/depot/store/folders.js';
import type { Hands } from '../../src/depot/store/group.js';
import { HaulError } from '../../src/errors.js';
import { smallDisk } from '../support/small-disk.js';
import { bytesOf, code, contentOf, KIB, request, sha256 } from './depot-kit.js';
import { MemoryCatalogue } from './memory-catalogue.js';
import { quickFolder } from './quick-folder.js';

const IO = new HaulError('IO', 'Input/output error');

interface Watched {
  readonly store: FolderStore;
  readonly depot: Depot;
  readonly catalogue: MemoryCatalogue;
  readonly folder: string;
  /** In order. */
  readonly steps: string[];
  /** The device refuses. */
  isBad: boolean;
}

async function watched(t: TestContext, place?: string): Promise<Watched> {
  const scope = openScope(t);
  const folder = place ?? join(await quickFolder(scope), 'depot');
  const steps: string[] = [];
  let opened = 0;
  const wrapHands = (hands: Hands): Hands => ({
    write: (files, isForced) => {
      steps.push(`write ${files.length}${isForced ? ' forced' : ''}`);
      return hands.write(files, isForced);
    },
    settle: async (settlements, isForced) => {
      steps.push(`settle ${settlements.length}${isForced ? ' forced' : ''}`);
      const outcomes = await hands.settle(settlements, isForced);
      if (!isForced || !made.isBad) return outcomes;
      return outcomes.map((outcome) => ({ ...outcome, failure: IO }));
    },
    remove: (files) => hands.remove(files),
    openForce: async () => {
      const force = await hands.openForce();
      const name = ++opened;
      steps.push(`open ${name}`);
      if (force === null) return null;
      const all = (): Promise<boolean> => {
        steps.push(`force ${name}`);
        return made.isBad ? Promise.reject(IO) : force.all();
      };
      return { all, close: () => force.close() };
    },
  });
  const store = await openFolderStore({ folder, wrapHands });
  const catalogue = new MemoryCatalogue();
  const put = catalogue.put.bind(catalogue);
  t.mock.method(catalogue, 'put', (...all: Parameters<typeof put>) => {
    steps.push('put');
    return put(...all);
  });
  const depot = new Depot({ store, catalogue, torrentFromBytes: 100 * KIB });
  scope.defer(async () => {
    await depot.close();
    await store.close();
  });
  const made: Watched = { store, depot, catalogue, folder, steps, isBad: false };
  return made;
}

function publishAll(depot: Depot, count: number, length = KIB, folder = ''): Promise<PromiseSettledResult<unknown>[]> {
  const all = Array.from({ length: count }, (_, index) =>
    depot.publish(request(`${folder}${index}`, bytesOf(length, index + 1))),
  );
  return Promise.allSettled(all);
}

describe('order of a publish', () => {
  test('alone: bytes forced, then name and folder forced, then the row', async (t) => {
    const { depot, steps } = await watched(t);
    await depot.publish(request('x', bytesOf(KIB)));
    assert.deepEqual(steps, ['write 1 forced', 'settle 1 forced', 'put']);
  });

  test('in company: opened before anything is written, all forced behind that, then the rows', async (t) => {
    const { depot, steps } = await watched(t);
    await depot.publish(request('first', bytesOf(10)));
    steps.length = 0;
    await publishAll(depot, 3);
    // Tried once.
    assert.deepEqual(steps.splice(0, 2), ['open 1', 'force 1']);
    assert.deepEqual(steps, ['open 2', 'write 3', 'settle 3', 'force 2', 'put', 'put', 'put']);
    steps.length = 0;
    await Promise.all([5, 6, 7].map((seed) => depot.publish(request(`${seed}`, bytesOf(KIB, seed)))));
    assert.deepEqual(steps, ['open 3', 'write 3', 'settle 3', 'force 3', 'put', 'put', 'put'], 'one of its own each');
  });
});

describe('a device that refuses', () => {
  for (const length of [KIB, 200 * KIB]) {
    test(`blobs of ${length} bytes: nobody is told yes, nothing is left, and they can come again`, async (t) => {
      const made = await watched(t);
      const { depot, store, folder } = made;
      made.isBad = true;
      const outcomes = await publishAll(depot, 5, length);
      assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set(['rejected']));
      assert.equal(store.usedBytes, 0);
      const left: string[] = [];
      for await (const blob of store.list()) left.push(blob.sha256);
      assert.deepEqual(left, []);
      assert.deepEqual(await readdir(join(folder, 'tmp')), []);
      made.isBad = false;
      await publishAll(depot, 5, length);
      assert.equal(store.usedBytes, 5 * length);
      for (let index = 0; index < 5; index++)
        assert.ok((await contentOf(made, `${index}`)).equals(bytesOf(length, index + 1)));
    });
  }

  test('a blob that had a name before keeps it, and knows nothing of the one that failed', async (t) => {
    const made = await watched(t);
    const { depot, store } = made;
    const bytes = bytesOf(KIB);
    await depot.publish(request('before', bytes));
    made.isBad = true;
    const again = [1, 2, 3].map((index) => depot.publish(request(`again${index}`, bytes)));
    for (const { status } of await Promise.allSettled(again)) assert.equal(status, 'rejected');
    assert.ok((await contentOf(made, 'before')).equals(bytes));
    assert.deepEqual([...(await store.sidecar(sha256(bytes)))!.names.keys()], ['artifacts/before']);
  });
});

describe('what lies beside a blob', () => {
  test('is forgotten with it: bytes that come again have the names of now', async (t) => {
    for (const isFull of [false, true]) {
      const made = await watched(t);
      const { depot, store, folder } = made;
      const bytes = bytesOf(KIB);
      const { row } = await depot.publish(request('stale', bytes));
      const names = join(folder, 'blobs', row.sha256.slice(0, 2), 'names');
      const { length } = readdirSync(join(names, '..'));
      assert.equal(length, 2);
      // As a full disk does it: neither the removal nor that the blob is gone can be noted.
      const note = isFull
        ? t.mock.method(store, 'note', () => Promise.reject(new HaulError('NO_SPACE', 'full')))
        : null;
      if (isFull) await chmodAway(names);
      await depot.remove('artifacts/stale');
      note?.mock.restore();
      if (isFull) await rm(names, { recursive: true });
      if (isFull) writeFileSync(names, `\n${JSON.stringify([row.sha256, row.name, JSON.stringify(row)])}`);
      await depot.publish(request('fresh', bytes));
      assert.deepEqual([...(await store.sidecar(row.sha256))!.names.keys()], ['artifacts/fresh'], `${isFull}`);
    }
  });

  test('when it cannot be read it is an error, not nothing: no blob is swept, none renamed', async (t) => {
    const made = await watched(t);
    const { depot, store, folder } = made;
    const { row } = await depot.publish(request('x', bytesOf(KIB)));
    const names = join(folder, 'blobs', row.sha256.slice(0, 2), 'names');
    await rm(names);
    await mkdir(names);
    await assert.rejects(store.sidecar(row.sha256), { name: 'HaulError' });
    await made.catalogue.remove(row.name);
    assert.equal(await depot.sweep(), 0);
    assert.notEqual(await store.stat(row.sha256), null);
    assert.equal(await depot.find(row.name), null);
  });
});

/** A folder in its place: nothing can be appended. */
async function chmodAway(file: string): Promise<void> {
  await rm(file);
  await mkdir(file);
  await chmod(file, 0o500);
}

test('a disk that fills up at any moment of a publish: nothing is left, and it goes on with room', async (t) => {
  const disk = await smallDisk(t, openScope(t), 'size=24m');
  if (disk === null) return;
  const made = await watched(t, join(disk, 'depot'));
  const { depot, store, folder } = made;
  await depot.publish(request('before', bytesOf(KIB)));
  const others = join(disk, 'others');
  for (const free of [0, 4, 8, 12, 64, 140, 204, 300]) {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(others, Buffer.alloc(bavail * bsize - free * KIB));
    const outcomes = [...(await publishAll(depot, 4, 3 * KIB)), ...(await publishAll(depot, 2, 150 * KIB, 'long/'))];
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') assert.ok(code('NO_SPACE')(outcome.reason), `${free}: ${outcome.reason}`);
    rmSync(others);
    let stored = 0;
    for await (const { lengthBytes } of store.list()) stored += lengthBytes;
    assert.equal(store.usedBytes, stored, `${free} KiB: own bytes are counted right`);
    assert.deepEqual(await readdir(join(folder, 'tmp')), [], `${free} KiB`);
    assert.equal(await depot.sweep(), 0, `${free} KiB: no blob without a name`);
    for (let index = 0; index < 4; index++) {
      await depot.remove(`artifacts/${index}`);
      await depot.remove(`artifacts/long/${index}`);
    }
    assert.equal(store.usedBytes, KIB);
    assert.ok((await contentOf(made, 'before')).equals(bytesOf(KIB)));
  }
});
