/** What becomes whole, or is left, while others want the room. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BlobCache, type Reservation } from '../../src/depot/agent/blob-cache.js';
import { CacheFolder } from '../../src/depot/agent/cache-folder.js';
import type { Presence } from '../../src/depot/agent/presence.js';
import { Seeds } from '../../src/depot/agent/seeds.js';
import { HaulError } from '../../src/errors.js';
import { createEngine } from '../../src/index.js';
import { atEnd, bytesOf, folderOf, sha256 } from './agent-harness.js';
import { createTorrentBytes } from './agent-torrent.js';

const FACTS = { infoHash: null, fileName: 'blob' };
const BYTES = bytesOf(8_000);
const DIGEST = sha256(BYTES);

async function scene(context: TestContext): Promise<{ cache: BlobCache; reserved: Reservation }> {
  const folder = await CacheFolder.open(join(await folderOf(context), 'cache'));
  atEnd(context, () => folder.close());
  const cache = new BlobCache({
    folder,
    cacheBytes: 10_000,
    log: () => {},
    wallClockMs: () => 0,
    onGone: () => {},
    isBusy: () => false,
  });
  const reserved = cache.reserve(DIGEST, BYTES.length);
  await reserved.room;
  await folder.make(DIGEST);
  await writeFile(cache.path({ sha256: DIGEST, ...FACTS }), BYTES);
  return { cache, reserved };
}

test('what has just become whole does not go before whoever fetched it has taken it', async (context) => {
  const { cache, reserved } = await scene(context);
  const settled = cache.settle(reserved.blob, FACTS);
  // Before whoever waits for it goes on.
  const evicted = settled.then(() => cache.makeRoom(10_000));
  const whole = await settled;
  await evicted;
  assert.equal(cache.find(DIGEST), whole);
  cache.release(whole);
  await cache.makeRoom(10_000);
  assert.deepEqual([cache.find(DIGEST), cache.usedBytes], [null, 0]);
});

test('the room of a part is nobody else’s while it is counted what of it stays', async (context) => {
  const { cache, reserved } = await scene(context);
  const left = cache.leavePart(reserved.blob);
  assert.throws(() => cache.reserve(sha256(Buffer.from('b')), 8_000), /no room/);
  assert.equal(cache.usedBytes, 8_000);
  await left;
  assert.equal(cache.usedBytes, reserved.blob.lengthBytes);
});

test('of what is whole only one file stays, whatever other names it was fetched by before', async (context) => {
  const { cache, reserved } = await scene(context);
  const data = cache.folder.data(DIGEST);
  const left = ['other', '.0123456789abcdef.haul-resume.tmp'];
  for (const name of left) await writeFile(join(data, name), 'part');
  cache.release(await cache.settle(reserved.blob, FACTS));
  assert.deepEqual(await readdir(data), ['blob']);
  for (const name of left) await writeFile(join(data, name), 'part');
  await cache.load();
  assert.deepEqual([await readdir(data), cache.usedBytes], [['blob'], BYTES.length]);
});

test('a cached blob of which the disk gives a peer nothing leaves the cache', async (context) => {
  const { cache, reserved } = await scene(context);
  const engine = await createEngine({ port: false });
  atEnd(context, () => engine.close());
  const presence = { add: () => {}, remove: () => {} } as unknown as Presence;
  const seeds = new Seeds({ engine, cache, log: () => {}, now: () => 0, presence, inOrder: (tiers) => tiers });
  const { bytes, infoHash } = createTorrentBytes('blob', BYTES);
  const whole = await cache.settle(reserved.blob, { ...FACTS, infoHash });
  seeds.add(whole, null);
  cache.release(whole);
  const torrent = engine.add(bytes, { output: cache.folder.data(DIGEST), mode: 'seed', trustData: true });
  torrent.emit('warning', new HaulError('SYSTEM_LIMIT', 'paused', { errno: 'EMFILE' }));
  assert.equal(cache.find(DIGEST), whole);
  torrent.emit('warning', new HaulError('IO', 'paused', { errno: 'EIO' }));
  assert.equal(cache.find(DIGEST), null);
});

test('a part that goes while it is counted what of it stays is not counted', async (context) => {
  const { cache, reserved } = await scene(context);
  const left = cache.leavePart(reserved.blob);
  await cache.drop(reserved.blob);
  await left;
  assert.equal(cache.usedBytes, 0);
});
