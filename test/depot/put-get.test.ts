/** Artifacts over HTTP: what is put, is got, byte for byte, under the conditions that the request names. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { HaulError } from '../../src/errors.js';
import { openTestDoor, talk } from './door-harness.js';

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const base64Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64');

const EXPECT = 'Expect: 100-continue\r\n\r\n';

interface ProblemBody {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

async function problem(answer: Response): Promise<ProblemBody> {
  assert.equal(answer.headers.get('content-type'), 'application/problem+json');
  const body = (await answer.json()) as ProblemBody;
  assert.equal(body.status, answer.status);
  return body;
}

test('what is put is told of in full, and comes back', async (context) => {
  const door = await openTestDoor(context);
  const bytes = randomBytes(3_000_000);
  const url = `${door.url}/artifacts/ci/42/im%20age.raw`;
  const put = await fetch(url, { method: 'PUT', body: bytes });
  assert.equal(put.status, 201);
  const told = (await put.json()) as Record<string, string | number>;
  const sha256 = sha256Of(bytes);
  assert.deepEqual([told.name, told.sha256, told.lengthBytes, told.url], ['ci/42/im age.raw', sha256, 3_000_000, url]);
  assert.equal(put.headers.get('location'), url);
  assert.match(String(told.magnet), /^magnet:\?xt=urn:btih:[0-9a-f]{40}&dn=im%20age.raw&tr=http.*announce&ws=http/);
  assert.equal(told.torrentUrl, `${url}?torrent`);
  const got = await fetch(url);
  assert.equal(got.status, 200);
  assert.deepEqual(Buffer.from(await got.arrayBuffer()), bytes);
  assert.equal(got.headers.get('etag'), `"${sha256}"`);
  assert.equal(got.headers.get('repr-digest'), `sha-256=:${base64Of(bytes)}:`);
  assert.equal(got.headers.get('accept-ranges'), 'bytes');
  assert.equal(got.headers.get('content-length'), '3000000');
  const head = await fetch(url, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, '3000000']);
});

test('the same bytes are 200, others are 409 unless they may replace', async (context) => {
  const { url } = await openTestDoor(context);
  const put = (body: string, query = '', headers = {}): Promise<Response> =>
    fetch(`${url}/artifacts/a${query}`, { method: 'PUT', body, headers });
  assert.equal((await put('one')).status, 201);
  assert.equal((await put('one')).status, 200);
  assert.equal((await problem(await put('two'))).code, 'FILE_EXISTS');
  assert.equal((await put('two')).status, 409);
  assert.equal((await put('one', '', { 'if-none-match': '*' })).status, 412);
  assert.equal((await put('two', '', { 'if-match': '"other"' })).status, 412);
  assert.equal((await put('three', '?overwrite=true')).status, 200);
  assert.equal(await (await fetch(`${url}/artifacts/a`)).text(), 'three');
  const expiring = (await (await put('three', '?retention-days=2')).json()) as { created: string; expires: string };
  assert.equal(Date.parse(expiring.expires) - Date.parse(expiring.created), 2 * 86_400_000);
});

test('a digest that does not fit is 422 and nothing is kept; one that cannot be read is 400', async (context) => {
  const { url, depository } = await openTestDoor(context);
  const body = 'the bytes';
  const right = base64Of(Buffer.from(body));
  const put = async (headers: Record<string, string>): Promise<number> =>
    (await fetch(`${url}/artifacts/a`, { method: 'PUT', body, headers })).status;
  assert.equal(await put({ 'repr-digest': `sha-256=:${base64Of(Buffer.from('other'))}:` }), 422);
  assert.equal(await put({ 'x-checksum-sha256': '0'.repeat(64) }), 422);
  assert.equal(await put({ 'x-checksum-sha256': 'abc' }), 400);
  assert.equal(await put({ 'repr-digest': 'sha-256=abc' }), 400);
  assert.equal(await put({ 'repr-digest': 'sha-256=:YWJj:' }), 400);
  assert.equal(await put({ 'repr-digest': `sha-256=:${right}:`, 'x-checksum-sha256': '0'.repeat(64) }), 400);
  assert.equal(depository.rows.size, 0);
  assert.equal(await put({ 'repr-digest': `md5=:YWJj:, sha-256=:${right}:` }), 201);
});

test('one range is answered, with its conditions; several get the whole', async (context) => {
  const { url } = await openTestDoor(context);
  const file = `${url}/artifacts/digits`;
  await fetch(file, { method: 'PUT', body: '0123456789' });
  const etag = (await fetch(file)).headers.get('etag')!;
  const get = async (headers: Record<string, string>): Promise<[number, string, string | null]> => {
    const answer = await fetch(file, { headers });
    return [answer.status, await answer.text(), answer.headers.get('content-range')];
  };
  assert.deepEqual(await get({ range: 'bytes=2-4' }), [206, '234', 'bytes 2-4/10']);
  assert.deepEqual(await get({ range: 'bytes=7-' }), [206, '789', 'bytes 7-9/10']);
  assert.deepEqual(await get({ range: 'bytes=-3' }), [206, '789', 'bytes 7-9/10']);
  assert.deepEqual(await get({ range: 'bytes=5-99999' }), [206, '56789', 'bytes 5-9/10']);
  assert.deepEqual(await get({ range: 'bytes=0-1,3-4' }), [200, '0123456789', null]);
  assert.deepEqual(await get({ range: `bytes=${'0-0,'.repeat(3000)}1-1` }), [200, '0123456789', null]);
  assert.deepEqual(await get({ range: 'lines=1-2' }), [200, '0123456789', null]);
  assert.deepEqual(await get({ range: 'bytes=4-2' }), [200, '0123456789', null]);
  assert.deepEqual(await get({ range: 'bytes=2-4', 'if-range': '"other"' }), [200, '0123456789', null]);
  assert.deepEqual(await get({ range: 'bytes=2-4', 'if-range': etag }), [206, '234', 'bytes 2-4/10']);
  const beyond = await fetch(file, { headers: { range: 'bytes=10-' } });
  assert.deepEqual([beyond.status, beyond.headers.get('content-range')], [416, 'bytes */10']);
  assert.equal((await problem(beyond)).code, 'RANGE');
  assert.equal((await fetch(file, { headers: { 'if-none-match': `"a", W/${etag}` } })).status, 304);
  assert.equal((await fetch(file, { headers: { 'if-match': '"a"' } })).status, 412);
});

test('listings go page by page, by pattern, and by what goes next', async (context) => {
  const { url } = await openTestDoor(context);
  for (const name of ['ci/1/a.log', 'ci/1/b.raw', 'ci/2/a.log', 'other/x'])
    await fetch(`${url}/artifacts/${name}?retention-days=${name.length}`, { method: 'PUT', body: name });
  const list = async (rest: string): Promise<[names: string, cursor: string | null]> => {
    const answer = await fetch(`${url}/artifacts/${rest}`);
    assert.equal(answer.status, 200, rest);
    const page = (await answer.json()) as { items: { name: string }[]; cursor: string | null };
    return [page.items.map(({ name }) => name).join(' '), page.cursor];
  };
  assert.deepEqual(await list(''), ['ci/1/a.log ci/1/b.raw ci/2/a.log other/x', null]);
  assert.deepEqual(await list('ci/1/'), ['ci/1/a.log ci/1/b.raw', null]);
  assert.deepEqual(await list('nothing/'), ['', null]);
  assert.deepEqual(await list('?pattern=**/*.log'), ['ci/1/a.log ci/2/a.log', null]);
  assert.deepEqual(await list('ci/?pattern=*/{b,c}.*'), ['ci/1/b.raw', null]);
  assert.equal((await list('?order=expiring&limit=1'))[0], 'other/x');
  const [first, cursor] = await list('?limit=3');
  assert.equal(first, 'ci/1/a.log ci/1/b.raw ci/2/a.log');
  assert.deepEqual(await list(`?limit=3&cursor=${cursor}`), ['other/x', null]);
  assert.equal((await fetch(`${url}/artifacts/?limit=0`)).status, 400);
  assert.equal((await fetch(`${url}/artifacts/?limit=1001`)).status, 400);
  assert.equal((await fetch(`${url}/artifacts/?cursor=!`)).status, 404);
});

test('what goes next below a prefix is found behind thousands that go before, and a limit is kept', async (context) => {
  const { url, depository } = await openTestDoor(context);
  await fetch(`${url}/artifacts/mine/a?retention-days=30`, { method: 'PUT', body: 'a' });
  await fetch(`${url}/artifacts/mine/b?retention-days=20`, { method: 'PUT', body: 'b' });
  await fetch(`${url}/artifacts/mine/c`, { method: 'PUT', body: 'c' });
  const row = depository.rows.get('artifacts/mine/a')!;
  for (let k = 0; k < 2500; k++) {
    const name = `artifacts/other/${k}`;
    depository.rows.set(name, { ...row, name, expiresMs: row.createdMs + k });
  }
  const list = async (rest: string): Promise<string[]> => {
    const page = (await (await fetch(`${url}/artifacts/${rest}`)).json()) as { items: { name: string }[] };
    return page.items.map(({ name }) => name);
  };
  assert.deepEqual(await list('mine/?order=expiring'), ['mine/b', 'mine/a']);
  assert.deepEqual(await list('mine/?order=expiring&limit=1'), ['mine/b']);
  assert.deepEqual(await list('mine/?order=expiring&pattern=a'), ['mine/a']);
  assert.deepEqual(await list('?order=expiring&limit=2'), ['other/0', 'other/1']);
});

test('an artifact that is named x.torrent wins over the torrent of x', async (context) => {
  const { url } = await openTestDoor(context);
  await fetch(`${url}/artifacts/x`, { method: 'PUT', body: 'y'.repeat(100) });
  const torrent = (await (await fetch(`${url}/artifacts/x.torrent`)).json()) as { webSeedUrl: string };
  assert.match(torrent.webSeedUrl, /\/blobs\/[0-9a-f]{40}\/x$/);
  assert.equal(await (await fetch(torrent.webSeedUrl)).text(), 'y'.repeat(100));
  assert.deepEqual(await (await fetch(`${url}/artifacts/x?torrent`)).json(), torrent);
  assert.match(await (await fetch(`${url}/artifacts/x?magnet`)).text(), /^magnet:\?xt=urn:btih:[^\n]+\n$/);
  await fetch(`${url}/artifacts/x.torrent`, { method: 'PUT', body: 'mine' });
  assert.equal(await (await fetch(`${url}/artifacts/x.torrent`)).text(), 'mine');
  await fetch(`${url}/artifacts/short`, { method: 'PUT', body: 'z' });
  assert.equal((await fetch(`${url}/artifacts/short?torrent`)).status, 404);
});

test('DELETE removes a name, once', async (context) => {
  const { url } = await openTestDoor(context);
  await fetch(`${url}/artifacts/a`, { method: 'PUT', body: 'a' });
  const remove = (headers = {}): Promise<Response> => fetch(`${url}/artifacts/a`, { method: 'DELETE', headers });
  assert.equal((await remove({ 'if-match': '"other"' })).status, 412);
  assert.equal((await remove()).status, 204);
  assert.equal((await problem(await remove())).code, 'NOT_FOUND');
});

test('/cas takes what its path says, /ac whatever it gets', async (context) => {
  const { url } = await openTestDoor(context);
  const key = sha256Of(Buffer.from('blob'));
  const put = async (path: string, body: string): Promise<number> =>
    (await fetch(url + path, { method: 'PUT', body })).status;
  assert.equal(await put(`/cas/${key}`, 'blob'), 201);
  assert.equal(await put(`/cas/${key}`, 'blob'), 200);
  assert.equal(await put(`/cas/${'0'.repeat(64)}`, 'blob'), 422);
  assert.equal(await put('/cas/xyz', 'blob'), 400);
  assert.equal(await (await fetch(`${url}/cas/${key}`)).text(), 'blob');
  assert.equal(await put(`/ac/${key}`, 'result'), 201);
  assert.equal(await put(`/ac/${key}`, 'another'), 200);
  assert.equal(await (await fetch(`${url}/ac/${key}`)).text(), 'another');
  assert.equal((await fetch(`${url}/ac/${'1'.repeat(64)}`)).status, 404);
});

test('who waits to be asked for the body hears of trouble first, and is asked otherwise', async (context) => {
  const { port, depository } = await openTestDoor(context, { inside: { artifactBytesMax: 1000 } });
  depository.spaceBytes = 500;
  const expect = (length: number, more = ''): Promise<string> =>
    talk(
      port,
      `PUT /artifacts/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n${more}${EXPECT}`,
      (text) => text.includes('100 Continue'),
    );
  assert.match(await expect(1001), /^HTTP\/1.1 413 /);
  assert.match(await expect(501), /^HTTP\/1.1 507 /);
  assert.match(await expect(5), /^HTTP\/1.1 100 Continue/);
  assert.match(await expect(5, 'Authorization: Digest x\r\n'), /^HTTP\/1.1 100 Continue/);
  await depository.publish({
    ...{ name: 'artifacts/a', lengthBytes: null, sha256: null, contentType: null, retentionDays: null },
    ...{ overwrite: false, onlyIfNew: false, signal: new AbortController().signal },
    body: (async function* () {
      yield Buffer.from('0123456789');
    })(),
  });
  assert.match(await expect(5), /^HTTP\/1.1 409 /);
  assert.match(await expect(10), /^HTTP\/1.1 100 Continue/);
  assert.match(await expect(10, `X-Checksum-Sha256: ${'0'.repeat(64)}\r\n`), /^HTTP\/1.1 409 /);
  assert.match(await expect(10, 'If-None-Match: *\r\n'), /^HTTP\/1.1 412 /);
});

test('/openapi.json describes every route with the schemas that check', async (context) => {
  const { url } = await openTestDoor(context);
  const answer = await fetch(`${url}/openapi.json`);
  assert.equal(answer.status, 200);
  const { openapi, paths } = (await answer.json()) as {
    openapi: string;
    paths: Record<string, Record<string, unknown>>;
  };
  assert.equal(openapi, '3.1.0');
  assert.deepEqual(Object.keys(paths['/artifacts/{path}']!), ['get', 'head', 'put', 'delete']);
  const { parameters } = paths['/artifacts/{prefix}/']!.get as { parameters: { name: string; schema: unknown }[] };
  const limit = parameters.find(({ name }) => name === 'limit')!;
  assert.deepEqual(limit.schema, { type: 'integer', minimum: 1, maximum: 1000 });
  const put = paths['/artifacts/{path}']!.put as { parameters: { name: string; schema: unknown }[] };
  const overwrite = put.parameters.find(({ name }) => name === 'overwrite')!;
  assert.deepEqual(overwrite.schema, { type: 'string', enum: ['true', 'false'] });
});

test('who gets a name just while others replace it has the new bytes, with their head', async (context) => {
  const { url, depository } = await openTestDoor(context);
  const put = (body: string) => fetch(`${url}/artifacts/a?overwrite=true`, { method: 'PUT', body });
  await put('old');
  const { read } = depository;
  const gone = new HaulError('NOT_FOUND', 'the blob is gone');
  let reads = 0;
  context.mock.method(depository, 'read', async function* (this: unknown, ...all: unknown[]) {
    if (reads++ === 0) {
      await put('new');
      throw gone;
    }
    yield* Reflect.apply(read, depository, all) as AsyncIterable<Uint8Array>;
  });
  const answer = await fetch(`${url}/artifacts/a`);
  assert.equal(await answer.text(), 'new');
  assert.deepEqual([answer.status, answer.headers.get('etag')], [200, `"${sha256Of(Buffer.from('new'))}"`]);
  // Without end it is not looked for without end.
  // biome-ignore lint/correctness/useYield: it fails at once
  context.mock.method(depository, 'read', async function* () {
    throw gone;
  });
  const lost = await fetch(`${url}/artifacts/a`);
  assert.deepEqual([lost.status, /its bytes are gone: publish them again/.test(await lost.text())], [404, true]);
});
