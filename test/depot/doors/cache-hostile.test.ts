/** The Actions cache before those who do not mean well, or are slow: what is booked, stalled bodies, expired links. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openScope } from '../../../lab/scope.js';
import { until } from '../../../lab/wait.js';
import { cacheRoutes } from '../../../src/depot/doors/cache-routes.js';
import { CacheService } from '../../../src/depot/doors/cache-service.js';
import type { CacheUpload } from '../../../src/depot/doors/cache-upload.js';
import { CACHE_LIMITS } from '../../../src/depot/doors/limits.js';
import { Tickets } from '../../../src/depot/doors/tickets.js';
import { bytesOf, notFound } from '../../../src/depot/http/artifact-routes.js';
import { hashToken, type Token } from '../../../src/depot/http/tokens.js';
import { openTestDoor } from '../door-harness.js';
import { MemoryDepository } from '../memory-depository.js';
import { quickFolder } from '../quick-folder.js';

const V1 = '/_apis/artifactcache';
const TWIRP = '/twirp/github.actions.results.api.v1.CacheService';
const GIB = 2 ** 30;

interface Clock {
  wallMs: number;
  monotonicMs: number;
}

/** A door over entries in memory, with clocks of the test's own. */
async function openCache(context: TestContext, tokens?: readonly Token[]) {
  const folder = await quickFolder(openScope(context));
  const clock: Clock = { wallMs: 1_800_000_000_000, monotonicMs: 0 };
  const entries = new MemoryDepository();
  const service = await CacheService.open({
    store: { find: (name) => entries.find(name), newest: async () => null, publish: (ask) => entries.publish(ask) },
    folder,
    monotonic: () => clock.monotonicMs,
  });
  context.after(() => service.close());
  const otherRoutes = cacheRoutes({
    service,
    tickets: new Tickets(() => clock.wallMs),
    bytes: async (exchange, name) => {
      const row = await entries.find(name);
      if (row === null) throw notFound();
      return bytesOf(exchange, row, { depository: entries }, false);
    },
  });
  const door = await openTestDoor(context, { ...(tokens === undefined ? {} : { tokens }), door: { otherRoutes } });
  const post = async (path: string, body: unknown): Promise<Record<string, string | number>> => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(door.url + path, { method: 'POST', body: JSON.stringify(body), headers });
    return (await answer.json()) as Record<string, string | number>;
  };
  return { ...door, folder, clock, service, entries, post };
}

const bodyOf = (text: string) =>
  (async function* () {
    yield Buffer.from(text);
  })();

const part = (text: string) => ({
  body: bodyOf(text),
  signal: new AbortController().signal,
  lengthBytes: Buffer.byteLength(text),
});

test('a byte far behind books no more than its block, and holes are free', async (context) => {
  const { service, folder } = await openCache(context);
  const uploads: CacheUpload[] = [];
  for (let k = 0; k < 20; k++) uploads.push(await service.reserve({ key: `k${k}`, version: 'v' }, null));
  for (const upload of uploads) {
    await upload.putRange({ begin: CACHE_LIMITS.entryBytes - 1, end: CACHE_LIMITS.entryBytes }, part('x'));
    assert.ok(upload.stagedBytes <= 4096, String(upload.stagedBytes));
    assert.ok(statSync(join(folder, `${upload.id}.part`)).blocks * 512 <= 64 * 1024);
  }
  const [first] = uploads;
  await first!.putRange({ begin: 0, end: 5 }, part('12345'));
  await first!.putRange({ begin: 3, end: 8 }, part('45678'));
  assert.equal(first!.stagedBytes, 8192);
  await assert.rejects(first!.putRange({ begin: 0, end: CACHE_LIMITS.entryBytes + 1 }, part('x')));
  // A part that broke off is on the disk all the same.
  await assert.rejects(
    first!.putRange({ begin: 1_000_000, end: 1_100_000 }, { ...part('y'.repeat(50_000)), lengthBytes: null }),
    { code: 'MISMATCH' },
  );
  assert.ok(first!.stagedBytes >= 50_000 + 8192, String(first!.stagedBytes));
});

test('room is taken as bytes come, and there is an end of it', async (context) => {
  const { service } = await openCache(context);
  const upload = await service.reserve({ key: 'a', version: 'v' }, null);
  Object.defineProperty(await service.reserve({ key: 'b', version: 'v' }, null), 'stagedBytes', {
    get: () => CACHE_LIMITS.stagedBytes - 10,
  });
  await upload.putRange({ begin: GIB, end: GIB + 5 }, part('12345')).catch(() => {});
  await assert.rejects(upload.putRange({ begin: 0, end: 20 }, part('1'.repeat(20))), { code: 'NO_SPACE' });
});

test('a block that broke off is sent again to its place', async (context) => {
  const { service } = await openCache(context);
  const upload = await service.reserve({ key: 'a', version: 'v' }, null);
  const id = Buffer.from('one').toString('base64');
  for (let k = 0; k < 50; k++)
    await assert.rejects(upload.putBlock(id, { ...part('short'), lengthBytes: GIB }), { code: 'MISMATCH' });
  assert.throws(() => upload.order([id]), { code: 'BAD_ARGUMENT' });
  await upload.putBlock(id, part('whole'));
  upload.order([id]);
  const chunks: Buffer[] = [];
  for await (const chunk of upload.take(5)) chunks.push(Buffer.from(chunk));
  assert.equal(Buffer.concat(chunks).toString(), 'whole');
});

test('a body that stalls is given up, and its entry can be finished by another', async (context) => {
  const { port, post, service, clock, url } = await openCache(context);
  const { cacheId } = await post(`${V1}/caches`, { key: 'a', version: 'v' });
  const socket = net.connect(port, '127.0.0.1');
  context.after(() => void socket.destroy());
  let text = '';
  socket.setEncoding('latin1').on('data', (more: string) => {
    text += more;
  });
  socket.write(
    `PATCH ${V1}/caches/${cacheId} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n` +
      'Content-Range: bytes 0-9/*\r\n\r\n123',
  );
  const upload = service.upload(Number(cacheId))!;
  await until('it is being written', 10_000, () => upload.isBusy && upload.stagedBytes > 0);
  const commit = await fetch(`${url}${V1}/caches/${cacheId}`, { method: 'POST', body: '{"size":10}' });
  assert.equal(commit.status, 503);
  // While it is written it is not swept, however long that takes. It may not have begun to wait for the next bytes yet.
  await until('it is given up', 10_000, () => {
    clock.monotonicMs += 31_000;
    return text.includes('\r\n\r\n');
  });
  assert.match(text, /^HTTP\/1\.1 408 /);
  await until('nobody writes', 10_000, () => !upload.isBusy);
  const headers = { 'content-range': 'bytes 0-9/*' };
  const again = await fetch(`${url}${V1}/caches/${cacheId}`, { method: 'PATCH', body: '0123456789', headers });
  assert.equal(again.status, 204);
  assert.equal((await fetch(`${url}${V1}/caches/${cacheId}`, { method: 'POST', body: '{"size":10}' })).status, 204);
});

test('a link whose time is over is refused, for uploads and downloads', async (context) => {
  const { post, clock } = await openCache(context);
  const entry = { key: 'a', version: 'v' };
  const upload = String((await post(`${TWIRP}/CreateCacheEntry`, entry)).signed_upload_url);
  const put = async (): Promise<number> => (await fetch(upload, { method: 'PUT', body: 'bytes' })).status;
  assert.equal(await put(), 201);
  clock.wallMs += CACHE_LIMITS.linkMs + 2_000;
  assert.equal(await put(), 403);
  await post(`${TWIRP}/FinalizeCacheEntryUpload`, { ...entry, size_bytes: '5' });
  const download = String((await post(`${TWIRP}/GetCacheEntryDownloadURL`, entry)).signed_download_url);
  assert.equal((await fetch(download)).status, 200);
  clock.wallMs += CACHE_LIMITS.linkMs + 2_000;
  const late = await fetch(download);
  assert.deepEqual([late.status, late.headers.get('x-ms-error-code')], [403, 'AuthenticationFailed']);
});

test('who may not read entries hears the same whether one is there or not', async (context) => {
  const secret = 'elsewhere-0123456789';
  const fixed = { id: 'x', expiresMs: null, note: '', createdMs: 0 };
  const tokens: Token[] = [{ ...fixed, hash: hashToken(secret), scopes: ['read'], prefix: 'artifacts/ci/' }];
  const { entries, url } = await openCache(context, tokens);
  await entries.publish({
    ...{ name: 'artifacts/actions-cache/v/there', lengthBytes: 1, sha256: null, contentType: null },
    ...{ retentionDays: null, overwrite: false, onlyIfNew: false, signal: new AbortController().signal },
    body: bodyOf('x'),
  });
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
  for (const key of ['there', 'missing']) {
    const v1 = await fetch(`${url}${V1}/cache?keys=${key}&version=v`, { headers });
    const body = JSON.stringify({ key, version: 'v' });
    const v2 = await fetch(`${url}${TWIRP}/GetCacheEntryDownloadURL`, { method: 'POST', headers, body });
    assert.deepEqual([v1.status, v2.status], [403, 403], key);
    assert.equal(((await v2.json()) as { code: string }).code, 'permission_denied');
  }
});
