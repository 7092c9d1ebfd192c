/** When what leaves a cache for something new goes, and what waits for that. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { BlobCache } from '../../src/depot/agent/blob-cache.js';
import { CacheFolder } from '../../src/depot/agent/cache-folder.js';
import { Deferred } from '../../src/depot/agent/fetch.js';
import { bytesOf, folderOf, sha256 } from './agent-harness.js';

const [OLD, NEW] = [bytesOf(600), bytesOf(700)];
const [OLD_SHA, NEW_SHA] = [sha256(OLD), sha256(NEW)];

interface Scene {
  readonly cache: BlobCache;
  readonly calm: Deferred<void>;
  isOldThere(): boolean;
}

/** With the old blob in it; there is room for one. @param freeBytes of the disk */
async function scene(context: TestContext, freeBytes: number, isTimed = false): Promise<Scene> {
  const folder = await CacheFolder.open(join(await folderOf(context), 'cache'));
  context.after(() => folder.close());
  context.mock.method(folder, 'freeBytes', async () => freeBytes);
  const calm = new Deferred<void>();
  const cache = new BlobCache({
    folder,
    cacheBytes: 1_000,
    log: () => {},
    wallClockMs: () => 0,
    onGone: () => {},
    isBusy: () => false,
    ...(isTimed ? {} : { calm: () => calm.promise }),
  });
  await cache.addSmall(OLD_SHA, OLD);
  return { cache, calm, isOldThere: () => existsSync(folder.small(OLD_SHA)) };
}

test('where the disk has room a fetch waits for nothing; what goes for it goes later', async (context) => {
  const { cache, calm, isOldThere } = await scene(context, 2 ** 40);
  const { room } = cache.reserve(NEW_SHA, NEW.length);
  assert.deepEqual([cache.usedBytes, cache.find(OLD_SHA)], [NEW.length, null]);
  await room;
  assert.ok(isOldThere());
  calm.resolve();
  await cache.close();
  assert.ok(!isOldThere());
});

test('where it has none, what goes for a fetch is gone before anything is written', async (context) => {
  const { cache, isOldThere } = await scene(context, 0);
  await cache.reserve(NEW_SHA, NEW.length).room;
  assert.ok(!isOldThere());
});

test('a cache is closed when nothing is removed from it any more', async (context) => {
  const { cache, isOldThere } = await scene(context, 2 ** 40, true);
  await cache.reserve(NEW_SHA, NEW.length).room;
  await cache.close();
  assert.ok(!isOldThere());
});

test('a blob that is wanted again while it goes waits until it is gone', async (context) => {
  const { cache, calm, isOldThere } = await scene(context, 2 ** 40);
  await cache.reserve(NEW_SHA, NEW.length).room;
  const { room } = cache.reserve(OLD_SHA, 200);
  let isReady = false;
  const ready = room.then(() => {
    isReady = true;
  });
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  assert.ok(!isReady && isOldThere());
  calm.resolve();
  await ready;
  assert.ok(!isOldThere());
});
