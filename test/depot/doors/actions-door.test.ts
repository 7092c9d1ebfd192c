/** The Actions cache's door by hand: parts and blocks in any order, hostile requests, what was interrupted. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../../lab/scope.js';
import { entryName, entryPrefix, keyOf } from '../../../src/depot/doors/cache-names.js';
import { blockListOf, contentRangeOf } from '../../../src/depot/doors/cache-requests.js';
import { CacheService } from '../../../src/depot/doors/cache-service.js';
import { CACHE_LIMITS } from '../../../src/depot/doors/limits.js';
import { Tickets } from '../../../src/depot/doors/tickets.js';
import { quickFolder } from '../quick-folder.js';
import { openPlace } from './depot-place.js';

const V1 = '/_apis/artifactcache';
const TWIRP = '/twirp/github.actions.results.api.v1.CacheService';

interface Said {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function said(answer: Response): Promise<Said> {
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith('{') ? (JSON.parse(text) as Said['body']) : { text } };
}

function clientOf(url: string) {
  const post = async (path: string, body: unknown, type = 'application/json'): Promise<Said> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return said(await fetch(`${url}${path}`, { method: 'POST', body: text, headers: { 'content-type': type } }));
  };
  const patch = async (id: unknown, range: string, body: Uint8Array | string): Promise<number> => {
    const headers = { 'content-range': range };
    const answer = await fetch(`${url}${V1}/caches/${id}`, { method: 'PATCH', body, headers });
    await answer.text();
    return answer.status;
  };
  const lookup = async (query: string): Promise<Said> => said(await fetch(`${url}${V1}/cache?${query}`));
  const put = async (link: string, body: Uint8Array | string): Promise<number> => {
    const answer = await fetch(link, { method: 'PUT', body });
    await answer.text();
    return answer.status;
  };
  return { post, patch, lookup, put };
}

test('parts of v1 come in any order, and an entry is there when they are whole', async (context) => {
  const { url } = await openPlace(context);
  const { post, patch, lookup } = clientOf(url);
  const bytes = randomBytes(3_000_000);
  const reserved = await post(`${V1}/caches`, { key: 'a', version: 'v' });
  assert.equal(reserved.status, 201);
  const id = reserved.body.cacheId;
  assert.equal(typeof id, 'number');
  assert.equal((await post(`${V1}/caches`, { key: 'a', version: 'v' })).status, 409);
  assert.equal(await patch(id, 'bytes 2000000-2999999/*', bytes.subarray(2_000_000)), 204);
  assert.equal((await post(`${V1}/caches/${id}`, { size: 3_000_000 })).status, 422);
  assert.equal(await patch(id, 'bytes 0-999999/*', bytes.subarray(0, 1_000_000)), 204);
  assert.equal(await patch(id, 'bytes 900000-1999999/*', bytes.subarray(900_000, 2_000_000)), 204);
  assert.equal((await lookup('keys=a&version=v')).status, 204);
  assert.equal((await post(`${V1}/caches/${id}`, { size: 2_999_999 })).status, 422);
  assert.equal((await post(`${V1}/caches/${id}`, { size: 3_000_000 })).status, 204);
  assert.equal((await post(`${V1}/caches/${id}`, { size: 2_999_999 })).status, 404);
  const { body } = await lookup('keys=a&version=v');
  assert.deepEqual([body.result, body.cacheKey], ['hit', 'a']);
  const link = String(body.archiveLocation);
  assert.deepEqual(Buffer.from(await (await fetch(link)).arrayBuffer()), bytes);
  const part = await fetch(link, { headers: { 'x-ms-range': 'bytes=10-19' } });
  assert.equal(part.status, 206);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(10, 20));
  assert.equal((await lookup('keys=a&version=w')).status, 204);
  assert.equal((await post(`${V1}/caches`, { key: 'a', version: 'v' })).status, 409);
});

test('blocks of v2 come in any order, and the list says which is where', async (context) => {
  const { url } = await openPlace(context);
  const { post, put } = clientOf(url);
  const created = await post(`${TWIRP}/CreateCacheEntry`, { key: 'a', version: 'v' });
  const link = String(created.body.signed_upload_url);
  assert.equal(new URL(link).host, new URL(url).host);
  const ids = ['first', 'second', 'third'].map((name) => Buffer.from(name).toString('base64'));
  const block = (index: number, body: string): Promise<number> =>
    put(`${link}?comp=block&blockid=${encodeURIComponent(ids[index]!)}`, body);
  assert.equal(await block(2, 'three'), 201);
  assert.equal(await block(0, 'uno'), 201);
  assert.equal(await block(0, 'one'), 201);
  const list = (...order: number[]): string =>
    `<?xml version="1.0"?><BlockList>${order.map((at) => `<Latest>${ids[at]}</Latest>`).join('')}</BlockList>`;
  assert.equal(await put(`${link}?comp=blocklist`, list(0, 1, 2)), 400);
  assert.equal(await block(1, 'two'), 201);
  assert.equal(await put(`${link}?comp=blocklist`, list(0, 1, 2)), 201);
  const entry = { key: 'a', version: 'v' };
  assert.equal((await post(`${TWIRP}/FinalizeCacheEntryUpload`, { ...entry, size_bytes: '12' })).status, 422);
  const finalized = await post(`${TWIRP}/FinalizeCacheEntryUpload`, { ...entry, sizeBytes: 11 });
  assert.deepEqual([finalized.status, finalized.body.ok], [200, true]);
  const found = await post(`${TWIRP}/GetCacheEntryDownloadURL`, { key: 'b', version: 'v', restore_keys: ['a'] });
  assert.deepEqual([found.body.ok, found.body.matched_key], [true, 'a']);
  assert.equal(await (await fetch(String(found.body.signed_download_url))).text(), 'onetwothree');
  const twice = await post(`${TWIRP}/CreateCacheEntry`, entry);
  assert.deepEqual([twice.status, twice.body.code], [409, 'already_exists']);
});

test('what cannot be understood is refused, and nothing of it is kept', async (context) => {
  const { url } = await openPlace(context);
  const { post, patch, lookup, put } = clientOf(url);
  for (const body of ['', '{', '[]', 'null', '{"key":1,"version":"v"}', '{"key":"","version":"v"}', '{"key":"a"}'])
    assert.equal((await post(`${V1}/caches`, body)).status, 400, body);
  for (const key of ['a,b', 'x'.repeat(513), '\ud800', '~'.repeat(400)])
    assert.equal((await post(`${V1}/caches`, { key, version: 'v' })).status, 400, key);
  assert.equal((await post(`${V1}/caches`, { key: 'a', version: 'v'.repeat(129) })).status, 400);
  assert.equal((await post(`${V1}/caches`, { key: 'a', version: 'v', cacheSize: 2 ** 50 })).status, 413);
  assert.equal((await post(`${V1}/caches`, 'x'.repeat(100_000))).status, 413);
  assert.equal((await lookup('version=v')).status, 400);
  assert.equal((await lookup('keys=,&version=v')).status, 400);
  assert.equal((await lookup(`keys=${Array(12).fill('k').join(',')}&version=v`)).status, 400);
  const { cacheId } = (await post(`${V1}/caches`, { key: '../../etc', version: '..' })).body;
  for (const range of ['bytes 3-2/*', 'bytes 0-9', 'bytes */5', 'bytes=0-4', 'bytes 0-4/3', 'bytes 0-3/*'])
    assert.equal((await patch(cacheId, range, '12345')) >= 400, true, range);
  assert.equal(await patch(cacheId, `bytes ${2 ** 45}-${2 ** 45 + 4}/*`, '12345'), 413);
  for (const id of ['0', '-1', '1e3', '99999999999999999999', '%00'])
    assert.equal(await patch(id, 'bytes 0-4/*', '12345'), 404, id);
  for (const size of [-1, 1.5, 'x', null, 2 ** 60])
    assert.equal((await post(`${V1}/caches/${cacheId}`, { size })).status, 400);
  assert.equal((await post(`${TWIRP}/CreateCacheEntry`, '\n\u0001a', 'application/protobuf')).status, 415);
  assert.equal(
    (await post(`${TWIRP}/FinalizeCacheEntryUpload`, { key: 'n', version: 'v', size_bytes: '0' })).status,
    404,
  );
  const keys = Array(11).fill('k');
  assert.equal(
    (await post(`${TWIRP}/GetCacheEntryDownloadURL`, { key: 'n', version: 'v', restore_keys: keys })).status,
    400,
  );
  const link = String((await post(`${TWIRP}/CreateCacheEntry`, { key: 'n', version: 'v' })).body.signed_upload_url);
  assert.equal(await put(`${link}?comp=block`, 'x'), 400);
  assert.equal(await put(`${link}?comp=block&blockid=%00`, 'x'), 400);
  assert.equal(await put(`${link}?comp=lease`, 'x'), 400);
  assert.equal(await put(`${link}?comp=blocklist`, '<!DOCTYPE x [<!ENTITY a "b">]><BlockList>&a;</BlockList>'), 400);
  assert.equal(await put(`${link}x`, 'x'), 403);
  assert.equal(await put(link.replace('/upload/', '/download/'), 'x'), 405);
  assert.equal((await fetch(link.replace('/upload/', '/download/'))).status, 403);
  const names = (await (await fetch(`${url}/artifacts/`)).json()) as { items: unknown[] };
  assert.deepEqual(names.items, []);
});

test('a clock that is set ends no link', async (context) => {
  const nowMs = Date.now();
  context.mock.timers.enable({ apis: ['Date'], now: nowMs });
  const { url } = await openPlace(context);
  const { post, put } = clientOf(url);
  const entry = { key: 'a', version: 'v' };
  const created = await post(`${TWIRP}/CreateCacheEntry`, entry);
  context.mock.timers.setTime(nowMs + 2 * CACHE_LIMITS.linkMs);
  assert.equal(await put(String(created.body.signed_upload_url), 'one'), 201);
  await post(`${TWIRP}/FinalizeCacheEntryUpload`, { ...entry, size_bytes: '3' });
  const found = await post(`${TWIRP}/GetCacheEntryDownloadURL`, entry);
  context.mock.timers.setTime(1000);
  assert.equal(await (await fetch(String(found.body.signed_download_url))).text(), 'one');
});

test('with tokens a stranger reserves nothing, and links need none', async (context) => {
  const [token, reader] = ['a'.repeat(43), 'b'.repeat(43)];
  const { url } = await openPlace(context, {
    tokenLines: `${token} read,write actions-cache/\n${reader} read actions-cache/`,
    anonymous: 'none',
  });
  const { post, lookup } = clientOf(url);
  assert.equal((await post(`${V1}/caches`, { key: 'a', version: 'v' })).status, 401);
  assert.equal((await lookup('keys=a&version=v')).status, 401);
  const call = async (method: string, body: unknown, by = token): Promise<Record<string, string>> => {
    const headers = { authorization: `Bearer ${by}`, 'content-type': 'application/json' };
    const answer = await fetch(`${url}${TWIRP}/${method}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return (await answer.json()) as Record<string, string>;
  };
  // As clients of Twirp read them, whoever of us says no.
  for (const [by, code] of [
    ['x', 'unauthenticated'],
    [reader, 'permission_denied'],
  ] as const) {
    const { code: said, msg, ...rest } = await call('CreateCacheEntry', { key: 'a', version: 'v' }, by);
    assert.deepEqual([said, typeof msg, rest], [code, 'string', {}]);
  }
  const anonymous = await post(`${TWIRP}/GetCacheEntryDownloadURL`, { key: 'a', version: 'v' });
  assert.deepEqual([anonymous.status, anonymous.body.code], [401, 'unauthenticated']);
  const entry = { key: 'a', version: 'v' };
  const { signed_upload_url } = await call('CreateCacheEntry', entry);
  assert.equal((await fetch(signed_upload_url!, { method: 'PUT', body: 'bytes' })).status, 201);
  await call('FinalizeCacheEntryUpload', { ...entry, size_bytes: '5' });
  const { signed_download_url } = await call('GetCacheEntryDownloadURL', entry);
  assert.equal(await (await fetch(signed_download_url!)).text(), 'bytes');
});

test('what was interrupted is swept, its key is free again, and a start sweeps, too', async (context) => {
  const folder = await quickFolder(openScope(context));
  let nowMs = 0;
  const store = { find: async () => null, newest: async () => null, publish: async () => {} };
  await writeFile(join(folder, '7.part'), 'left over');
  await writeFile(join(folder, 'mine.txt'), 'of somebody else');
  const service = await CacheService.open({ store, folder, monotonic: () => nowMs });
  context.after(() => service.close());
  assert.deepEqual(await readdir(folder), ['mine.txt']);
  const entry = { key: 'a', version: 'v' };
  const upload = await service.reserve(entry, null);
  await assert.rejects(service.reserve(entry, null), { code: 'FILE_EXISTS' });
  const body = (async function* () {
    yield Buffer.from('12345');
  })();
  await upload.putRange({ begin: 0, end: 5 }, { body, signal: new AbortController().signal, lengthBytes: 5 });
  nowMs += CACHE_LIMITS.idleMs;
  service.sweep();
  assert.equal(service.uploads, 1);
  nowMs += 1;
  const next = await service.reserve(entry, null);
  assert.equal(service.uploads, 1);
  assert.equal(service.upload(upload.id), null);
  await next.remove();
});

test('a commit that is sent again, since its answer was lost, is answered as the first one', async (context) => {
  const { url } = await openPlace(context);
  const { post, patch, put } = clientOf(url);
  const { cacheId } = (await post(`${V1}/caches`, { key: 'a', version: 'v' })).body;
  assert.equal(await patch(cacheId, 'bytes 0-4/*', '12345'), 204);
  const commit = async (size: number) => (await post(`${V1}/caches/${cacheId}`, { size })).status;
  assert.deepEqual([await commit(5), await commit(5), await commit(6)], [204, 204, 404]);
  assert.equal(await patch(cacheId, 'bytes 0-4/*', '67890'), 404);
  const entry = { key: 'b', version: 'v' };
  const link = String((await post(`${TWIRP}/CreateCacheEntry`, entry)).body.signed_upload_url);
  await put(link, 'bytes');
  const finalize = (size: string) => post(`${TWIRP}/FinalizeCacheEntryUpload`, { ...entry, size_bytes: size });
  const first = await finalize('5');
  assert.equal(first.status, 200);
  assert.deepEqual(await finalize('5'), first);
  assert.equal((await finalize('6')).status, 404);
});

test('an id of before a restart, or of another depot, is nobody else’s upload', async (context) => {
  const store = { find: async () => null, newest: async () => null, publish: async () => {} };
  const ids = new Set<number>();
  for (let start = 0; start < 3; start++) {
    const folder = await quickFolder(openScope(context));
    const service = await CacheService.open({ store, folder, monotonic: () => 0 });
    for (const key of ['a', 'b']) ids.add((await service.reserve({ key, version: 'v' }, null)).id);
    await service.close();
  }
  assert.equal(ids.size, 6);
  for (const id of ids) assert.ok(Number.isSafeInteger(id) && id > 0 && String(id).length <= 15);
});

test('names keep how keys begin, and give the key back', () => {
  const keys = [
    'a',
    'Linux-node-',
    'Linux/../x',
    '..',
    'ü ~%2F',
    'x'.repeat(512),
    `${'/'.repeat(200)}end`,
    'CON.',
    '-',
  ];
  for (const key of keys) {
    const name = entryName({ key, version: 'v' });
    assert.equal(keyOf(name), key);
    assert.match(name, /^artifacts\/actions-cache\/v(?:\/[A-Za-z0-9_~-]{1,200})+$/);
    for (let length = 1; length < key.length; length += 7)
      assert.ok(name.startsWith(entryPrefix({ key: key.slice(0, length), version: 'v' })), key);
  }
  for (const name of ['artifacts/x/v/a', 'artifacts/actions-cache/v', 'artifacts/actions-cache/v/~zz', 'ac/v/a/b'])
    assert.equal(keyOf(name), null, name);
});

test('ranges, block lists and links that were tampered with are none', () => {
  assert.deepEqual(contentRangeOf('bytes 0-0/*'), { begin: 0, end: 1 });
  for (const value of [undefined, '', 'bytes 0-1', 'bytes -1-2/*', `bytes 0-${'9'.repeat(16)}/*`, 'bytes 1-2/*, 3-4/*'])
    assert.throws(() => contentRangeOf(value), { status: 400 });
  assert.deepEqual(blockListOf('<BlockList>\n <Latest>YQ==</Latest><Committed>Yg==</Committed></BlockList>'), [
    'YQ==',
    'Yg==',
  ]);
  assert.deepEqual(blockListOf('<BlockList></BlockList>'), []);
  const hostile = [
    '',
    '<BlockList>',
    '<BlockList><Latest>&#97;</Latest></BlockList>',
    '<BlockList><Latest>a b</Latest></BlockList>',
  ];
  for (const xml of [
    ...hostile,
    `<BlockList>${'<Latest>YQ==</Latest>'.repeat(50_001)}</BlockList>`,
    `${' '.repeat(100_000)}x`,
  ])
    assert.throws(() => blockListOf(xml), { status: 400 });
  let nowMs = 1_800_000_000_000;
  const tickets = new Tickets(() => nowMs);
  const ticket = tickets.make('upload', '7', 10_000);
  assert.equal(tickets.read('upload', ticket), '7');
  assert.equal(tickets.read('download', ticket), null);
  assert.equal(new Tickets(() => nowMs).read('upload', ticket), null);
  for (const bad of ['', '.', '..', '...', `${ticket}.`, ticket.slice(0, -1), ticket.replace(/^[^.]+/, 'OA')])
    assert.equal(tickets.read('upload', bad), null, bad);
  nowMs += 12_000;
  assert.equal(tickets.read('upload', ticket), null);
});
