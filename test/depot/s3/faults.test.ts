/** A store on S3 when the server, the way to it or its bucket is not as it should be. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { MOTO, S3_KEYS, type S3Server, startAnyS3 } from '../../../lab/s3-server.js';
import { openScope, Scope } from '../../../lab/scope.js';
import { until } from '../../../lab/wait.js';
import { Objects } from '../../../src/depot/store/s3/objects.js';
import { openS3Store, type S3StoreOptions } from '../../../src/depot/store/s3/open.js';
import { parseS3Url } from '../../../src/depot/store/s3/place.js';
import { loadSdk } from '../../../src/depot/store/s3/sdk.js';
import type { S3Store } from '../../../src/depot/store/s3/store.js';
import { HaulError } from '../../../src/errors.js';
import { requirePrograms } from '../../support/requirements.js';
import { bytesOf, code, KIB, MIB, read, sha256 } from '../depot-kit.js';
import { quickFolder } from '../quick-folder.js';
import { fill, fromSource, names, PIECES_FROM, put } from '../store-conformance.js';
import { type FaultProxy, startFaultProxy } from './fault-proxy.js';

Object.assign(process.env, S3_KEYS);

const TIMES = { connectMs: 10_000, silenceMs: 30_000, requestMs: 60_000, chunkMs: 60_000, attempts: 3 };
/** Where it is waited for. */
const QUICK = { ...TIMES, silenceMs: 500, requestMs: 2_000 };
const LENGTH = 20 * MIB + 5;

const servers = new Scope();
let server: S3Server;
let prefixes = 0;
before(async () => {
  server = (await startAnyS3(servers)) ?? server;
});
after(() => servers.close());

interface Scene {
  readonly store: S3Store;
  readonly proxy: FaultProxy;
  readonly options: S3StoreOptions;
  /** What is in the bucket, past the proxy. */
  readonly objects: Objects;
}

/** Null: skipped. */
async function open(t: TestContext, more: Partial<S3StoreOptions> = {}): Promise<Scene | null> {
  if (server === undefined && (await requirePrograms(t, [MOTO]))) return null;
  const scope = openScope(t);
  const proxy = await startFaultProxy(scope, server.endpoint);
  const prefix = `faults/${++prefixes}`;
  const url = `s3://${server.bucket}/${prefix}?endpoint=${proxy.endpoint}`;
  const options = { url, data: await quickFolder(scope), times: TIMES, ...more };
  const store = await openS3Store(options);
  scope.defer(() => store.close());
  const objects = new Objects(await loadSdk(), parseS3Url(server.url(prefix)), TIMES);
  scope.defer(() => objects.close());
  return { store, proxy, options, objects };
}

/** The cache forgets all of it. */
async function again(t: TestContext, { store, options }: Scene): Promise<S3Store> {
  await store.close();
  await rm(join(options.data, 'cache'), { recursive: true });
  const other = await openS3Store(options);
  openScope(t).defer(() => other.close());
  return other;
}

function whole(store: S3Store, name: string, end = LENGTH): Promise<Buffer> {
  return read(store.read(name, { begin: 0, end }));
}

test('bodies that are cut or silent are asked for again from there; lies are never given out', async (t) => {
  const scene = await open(t, { times: { ...TIMES, silenceMs: 1_000 } });
  if (scene === null) return;
  const bytes = bytesOf(LENGTH);
  const name = await put(scene.store, bytes);
  for (const kind of ['cut', 'silent'] as const) {
    const store = await again(t, scene);
    let faults = 0;
    scene.proxy.fault = (method, url) =>
      method === 'GET' && url.includes(name) && url.includes('blobs/') && faults++ < 3
        ? { kind, afterBytes: 3 * MIB }
        : null;
    assert.ok((await whole(store, name)).equals(bytes), kind);
    assert.ok(faults > 3, kind);
    await store.close();
  }
  const store = await again(t, scene);
  scene.proxy.fault = (_, url) => (url.includes('blobs/') ? { kind: 'lie' } : null);
  await assert.rejects(whole(store, name), code('BAD_DATA'));
  scene.proxy.fault = () => null;
  // Chunks that were on their way are lies, too.
  const other = await again(t, { ...scene, store });
  assert.ok((await whole(other, name)).equals(bytes), 'and it is read again when it is good');
});

test('a blob that was changed in the bucket is BAD_DATA, mended by a publish; a lost one is NOT_FOUND', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const { objects } = scene;
  let { store } = scene;
  for (const length of [100, LENGTH]) {
    const bytes = bytesOf(length, 3);
    const name = await put(store, bytes);
    store = await again(t, { ...scene, store });
    const place = `blobs/${name.slice(0, 2)}/${name}`;
    const changed = Buffer.from(bytes);
    changed[length - 1]! ^= 1;
    await objects.put(place, changed, false);
    await assert.rejects(whole(store, name, length), code('BAD_DATA'));
    assert.equal(await store.verify(name), false);
    assert.equal(await put(store, bytes), name);
    assert.ok((await objects.getShort(place))?.equals(bytes), 'the object is good again');
    assert.equal(await store.verify(name), true);
    store = await again(t, { ...scene, store });
    await objects.remove(place);
    await assert.rejects(whole(store, name, length), code('NOT_FOUND'));
    assert.equal(await store.stat(name), null);
  }
});

test('a wrong ETag makes no bytes wrong: parts that have one are no object, a read does not ask for it', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const { store, proxy, objects } = scene;
  const bytes = bytesOf(LENGTH, 19);
  proxy.fault = () => ({ kind: 'etag' });
  await failure(() => put(store, bytes));
  assert.deepEqual([await names(store), await multiparts(objects)], [[], []], 'nothing half is left');
  const short = await put(store, bytesOf(KIB, 19));
  proxy.fault = () => null;
  const name = await put(store, bytes);
  const other = await again(t, scene);
  proxy.fault = () => ({ kind: 'etag' });
  assert.ok((await whole(other, name)).equals(bytes));
  assert.ok((await whole(other, short, KIB)).equals(bytesOf(KIB, 19)));
});

test('hashes of pieces that are lost or damaged are made anew', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const bytes = bytesOf(LENGTH, 5);
  const name = await put(scene.store, bytes);
  const { pieces } = (await scene.store.pieces(name))!;
  const place = `pieces/${name.slice(0, 2)}/${name}`;
  let { store } = scene;
  for (const text of [null, '{}']) {
    store = await again(t, { ...scene, store });
    await (text === null ? scene.objects.remove(place) : scene.objects.put(place, Buffer.from(text), false));
    assert.ok((await whole(store, name)).equals(bytes));
    assert.deepEqual((await store.pieces(name))?.pieces, pieces);
    assert.ok((await scene.objects.getShort(place))!.length > 100, 'it is there again');
  }
});

test('SlowDown is waited for; a server that goes on with it, or is silent, is NETWORK in time', async (t) => {
  const scene = await open(t, { times: QUICK });
  if (scene === null) return;
  const { store, proxy } = scene;
  let faults = 0;
  proxy.fault = () => (faults++ < 2 ? { kind: 'answer', status: 503, code: 'SlowDown' } : null);
  const name = await put(store, bytesOf(10 * KIB));
  assert.ok(faults > 2);
  const slow: HaulError = await failure(() => {
    proxy.fault = () => ({ kind: 'answer', status: 503, code: 'SlowDown' });
    return store.stat(name);
  });
  assert.match(slow.message, /asks to slow down/);
  const expired = await failure(() => {
    proxy.fault = () => ({ kind: 'answer', status: 400, code: 'ExpiredToken' });
    return put(store, bytesOf(20 * KIB));
  });
  assert.match(expired.message, /credentials have expired/);
  assert.match(await store.elsewhere.ready(), /credentials have expired/);
  const silent = await failure(() => {
    proxy.fault = () => ({ kind: 'silent', afterBytes: -1 });
    return store.names(name);
  });
  assert.equal(silent.code, 'NETWORK');
  for (const { message } of [slow, expired, silent])
    for (const hidden of ['secret-in-it', ...Object.values(S3_KEYS).slice(0, 2)]) assert.ok(!message.includes(hidden));
  proxy.fault = () => null;
  assert.deepEqual(await names(store), [name], 'nothing half is left');
});

async function failure(body: () => Promise<unknown>): Promise<HaulError> {
  const error = await body().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(HaulError.is(error) && error.code === 'NETWORK', String(error));
  return error;
}

test('what is wrong with bucket, keys, region, clock or server is said at the start', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const { proxy } = scene;
  const refused = async (expected: string, pattern: RegExp, bucket = server.bucket, more = ''): Promise<void> => {
    const data = await quickFolder(openScope(t));
    const url = `s3://${bucket}/start?endpoint=${proxy.endpoint}${more}`;
    const opening = openS3Store({ url, data, times: TIMES });
    await assert.rejects(opening, (error: unknown) => {
      assert.ok(HaulError.is(error), String(error));
      assert.equal(error.code, expected, error.message);
      assert.match(error.message, pattern);
      assert.ok(!error.message.includes('wrong-secret') && !error.message.includes('secret-in-it'));
      return true;
    });
  };
  await refused('BAD_ARGUMENT', /no such bucket/, 'no-such-bucket');
  const answer = (status: number, word: string) => () => ({ kind: 'answer', status, code: word }) as const;
  proxy.fault = answer(403, 'RequestTimeTooSkewed');
  await refused('NO_PERMISSION', /clock/);
  proxy.fault = answer(400, 'ExpiredToken');
  await refused('NO_PERMISSION', /credentials have expired/);
  proxy.fault = answer(301, 'PermanentRedirect');
  await refused('BAD_ARGUMENT', /region/);
  proxy.fault = answer(403, 'AccessDenied');
  await refused('NO_PERMISSION', /may not/);
  proxy.fault = () => null;
  if (!server.checksKeys) return;
  await refused('BAD_ARGUMENT', /region=/, server.bucket, '&region=eu-north-1');
  process.env.AWS_SECRET_ACCESS_KEY = 'wrong-secret';
  try {
    await refused('NO_PERMISSION', /secret key/);
    process.env.AWS_ACCESS_KEY_ID = 'nobody';
    await refused('NO_PERMISSION', /access key/);
  } finally {
    Object.assign(process.env, S3_KEYS);
  }
});

test('two stores put the same bytes at once: one object, and both have it', async (t) => {
  const scene = await open(t, { isShared: true });
  if (scene === null) return;
  const data = await quickFolder(openScope(t));
  const other = await openS3Store({ ...scene.options, data });
  openScope(t).defer(() => other.close());
  for (const bytes of [bytesOf(1000, 9), bytesOf(LENGTH, 9)]) {
    const found: string[] = await Promise.all(
      [scene.store, other, scene.store, other].map((store) => put(store, bytes)),
    );
    assert.deepEqual(new Set(found), new Set([sha256(bytes)]));
    for (const store of [scene.store, other]) assert.ok((await whole(store, found[0]!, bytes.length)).equals(bytes));
  }
  assert.equal((await names(scene.store)).length, 2);
});

test('a prefix has one owner, unless it is taken over; a folder has one process', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  await assert.rejects(openS3Store(scene.options), code('IN_USE'));
  const data = await quickFolder(openScope(t));
  await assert.rejects(openS3Store({ ...scene.options, data }), code('IN_USE'));
  const other = await openS3Store({ ...scene.options, data, takesOver: true });
  await other.close();
  await scene.store.close();
  await assert.rejects(openS3Store(scene.options), code('IN_USE'));
});

test('a prefix of depots that share a catalogue is of the first one, however it is reached', async (t) => {
  const scene = await open(t, { isShared: true });
  if (scene === null) return;
  const another = async (): Promise<S3Store> => {
    const store = await openS3Store({ ...scene.options, data: await quickFolder(openScope(t)) });
    openScope(t).defer(() => store.close());
    return store;
  };
  const other = await another();
  const bound = await Promise.allSettled([scene.store.elsewhere.bind('aa'), other.elsewhere.bind('bb')]);
  assert.equal(bound.filter(({ status }) => status === 'fulfilled').length, 1, 'one of them');
  const winner = bound[0]!.status === 'fulfilled' ? 'aa' : 'bb';
  for (const store of [scene.store, other, await another()]) {
    await store.elsewhere.bind(winner);
    await assert.rejects(store.elsewhere.bind('cc'), code('IN_USE'));
  }
  const alone = { ...scene.options, isShared: false, data: await quickFolder(openScope(t)) };
  await assert.rejects(openS3Store(alone), code('IN_USE'));
});

test('uploads of this depot that were not ended are swept at its start, those of others are left', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const { store, options, objects } = scene;
  const bytes = bytesOf(LENGTH, 11);
  const upload = await store.create({ lengthBytes: null, piecesFromBytes: PIECES_FROM, sha256: sha256(bytes) });
  await fill(upload, bytes);
  const theirs = await objects.beginMultipart(`blobs/aa/${'a'.repeat(64)}`);
  const left = join(options.data, 'cache', 'multiparts');
  const journal = await until('the upload is noted', 30_000, async () => {
    const found = await readdir(left);
    return found.length === 1 ? found : undefined;
  });
  const noted = await readFile(join(left, journal[0]!));
  assert.equal((await multiparts(objects)).length, 2, 'parts are sent while they come');
  await store.close();
  assert.deepEqual(await multiparts(objects), [theirs.id], 'a close gives it up');
  const mine = await objects.beginMultipart(`blobs/bb/${'b'.repeat(64)}`);
  await writeFile(join(left, 'left'), JSON.stringify([mine.key, mine.id]));
  await writeFile(join(left, 'gone'), noted);
  await writeFile(join(left, 'damaged'), '{');
  const later = await openS3Store(options);
  openScope(t).defer(() => later.close());
  // Moto says that all were begun in 2010: that is long ago.
  assert.deepEqual(await multiparts(objects), server.checksKeys ? [theirs.id] : []);
  assert.deepEqual(await names(later), []);
});

async function multiparts(objects: Objects): Promise<string[]> {
  const found: string[] = [];
  for await (const { id } of objects.multiparts('blobs/')) found.push(id);
  return found;
}

test('bytes that are not those that were announced are put under what they are', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const { store } = scene;
  const bytes = bytesOf(LENGTH, 13);
  for (const announced of ['c'.repeat(64), sha256(bytes), sha256(bytes)]) {
    const upload = await store.create({ lengthBytes: LENGTH, piecesFromBytes: PIECES_FROM, sha256: announced });
    await fill(upload, bytes);
    assert.equal((await upload.finish()).sha256, sha256(bytes));
    await store.commit(upload, null);
    assert.deepEqual(await names(store), [sha256(bytes)]);
    assert.ok((await whole(store, sha256(bytes))).equals(bytes));
    if (announced === sha256(bytes)) break;
    await store.remove(sha256(bytes));
  }
});

test('a blob longer than the cache is read in chunks, each fetched once, and seeded in short ones', async (t) => {
  const scene = await open(t, { cacheBytes: 64 * MIB });
  if (scene === null) return;
  const length = 72 * MIB + 1;
  const bytes = bytesOf(length, 17);
  const name = await put(scene.store, bytes);
  const { store, proxy } = scene;
  const seeded = await store.place(name, 'image.raw');
  assert.ok('source' in seeded);
  proxy.sentBytes = 0;
  // As peers ask: all over, a piece or less at a time.
  for (const at of [50 * MIB, 0, 70 * MIB, 25 * MIB]) {
    const part = await fromSource(seeded.source, 0, 300 * KIB, at);
    assert.ok(part.equals(bytes.subarray(at, at + 300 * KIB)));
  }
  assert.ok(proxy.sentBytes < 5 * MIB, `${proxy.sentBytes} bytes came for four parts`);
  proxy.sentBytes = 0;
  const readers = await Promise.all(Array.from({ length: 4 }, () => whole(store, name, length)));
  for (const found of readers) assert.ok(found.equals(bytes));
  assert.ok(proxy.sentBytes < 1.3 * length, `${proxy.sentBytes} bytes came from S3 for four readers`);
  const [begin, end] = [40 * MIB - 3, 40 * MIB + 3];
  assert.ok((await read(store.read(name, { begin, end }))).equals(bytes.subarray(begin, end)));
  const small = await put(store, bytesOf(9 * MIB));
  const other = await again(t, scene);
  const place = await other.place(small, 'small.raw');
  assert.ok('source' in place);
  assert.ok((await fromSource(place.source, 0, 9 * MIB)).equals(bytesOf(9 * MIB)));
  await other.leave(small, 'small.raw');
});
