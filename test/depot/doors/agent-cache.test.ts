/** The Actions cache on agents: what a job saves by the agent of its host, a job elsewhere restores by its own. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { agentOf, depotOf, folderOf } from '../agent-harness.js';
import { requireActionsClient, runJob, type Step } from './actions-client.js';

const MIB = 1024 * 1024;
const TIMEOUT = { timeout: 180_000 };
const V1 = '/_apis/artifactcache';
const TWIRP = '/twirp/github.actions.results.api.v1.CacheService';

interface Said {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function post(url: string, path: string, body: unknown): Promise<Said> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body), headers });
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith('{') ? (JSON.parse(text) as Said['body']) : { text } };
}

/** Saves by v2 as the client does with short entries. Resolves with the last status. */
async function save(url: string, key: string, bytes: Uint8Array): Promise<number> {
  const created = await post(url, `${TWIRP}/CreateCacheEntry`, { key, version: 'v' });
  if (created.status !== 200) return created.status;
  const link = String(created.body.signed_upload_url);
  assert.equal(new URL(link).host, new URL(url).host);
  const put = await fetch(link, { method: 'PUT', body: bytes });
  assert.equal(put.status, 201, await put.text());
  return (await post(url, `${TWIRP}/FinalizeCacheEntryUpload`, { key, version: 'v', size_bytes: bytes.length })).status;
}

async function lookup(url: string, ...keys: string[]): Promise<Said> {
  const answer = await fetch(`${url}${V1}/cache?keys=${encodeURIComponent(keys.join(','))}&version=v`);
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? {} : (JSON.parse(text) as Said['body']) };
}

async function jobsOnTwoHosts(context: TestContext, protocol: Step['protocol']): Promise<void> {
  if (await requireActionsClient(context)) return;
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const [one, two] = [
    await agentOf(context, depot.url, join(folder, 'one')),
    await agentOf(context, depot.url, join(folder, 'two')),
  ];
  const workspace = join(folder, 'job', 'work');
  await mkdir(join(workspace, 'deps', 'sub'), { recursive: true });
  const bytes = randomBytes(40 * MIB);
  await writeFile(join(workspace, 'deps', 'large.bin'), bytes);
  await writeFile(join(workspace, 'deps', 'sub', 'small.txt'), 'small');
  const restore = (...keys: string[]): Step => ({ work: 'restore', protocol, keys, remove: 'deps' });
  const first = await runJob(one.agent.url, workspace, [
    { work: 'restore', protocol, keys: ['Linux-npm-1', 'Linux-'] },
    { work: 'save', protocol, keys: ['Linux-npm-1'] },
    { work: 'save', protocol, keys: ['Linux-npm-1'] },
  ]);
  assert.equal(first.results[0], null);
  assert.notEqual(first.results[1], -1, first.output);
  assert.equal(first.results[2], -1, first.output);
  const { results, output } = await runJob(two.agent.url, workspace, [
    restore('Linux-npm-2', 'Windows-', 'Linux-npm-'),
    restore('Linux-npm-1'),
    { work: 'restore', protocol, keys: ['Windows-npm'] },
  ]);
  assert.deepEqual(results, ['Linux-npm-1', 'Linux-npm-1', null], output);
  assert.deepEqual(await readFile(join(workspace, 'deps', 'large.bin')), bytes);
  assert.equal(await readFile(join(workspace, 'deps', 'sub', 'small.txt'), 'utf8'), 'small');
  // The second time it was there.
  const last = two.receipts.at(-1)!;
  assert.equal(last.localBytes, last.sentBytes);
  assert.deepEqual(await readdir(join(folder, 'one', 'tmp', 'actions-cache')), []);
}

test('a job of one host saves, a job of another restores, by v1', TIMEOUT, (context) => jobsOnTwoHosts(context, 'v1'));

test('a job of one host saves, a job of another restores, by v2', TIMEOUT, (context) => jobsOnTwoHosts(context, 'v2'));

test('an entry saved by an agent is an artifact, and comes by agents while the depot is away', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const [one, two] = [
    await agentOf(context, depot.url, join(folder, 'one')),
    await agentOf(context, depot.url, join(folder, 'two')),
  ];
  const bytes = randomBytes(100_000);
  assert.equal((await lookup(one.agent.url, 'a-1')).status, 204);
  assert.equal(await save(one.agent.url, 'a-1', bytes), 200);
  assert.equal(await save(two.agent.url, 'a-1', bytes), 409);
  assert.equal(await save(one.agent.url, 'a-2', new Uint8Array(0)), 200);
  const stored = await fetch(`${depot.url}/artifacts/actions-cache/v/a-1`);
  assert.deepEqual(Buffer.from(await stored.arrayBuffer()), bytes);
  const found = await lookup(two.agent.url, 'b', 'a-');
  assert.deepEqual([found.status, found.body.cacheKey], [200, 'a-2']);
  const exact = await lookup(two.agent.url, 'a-1', 'a-');
  assert.equal(exact.body.cacheKey, 'a-1');
  // A restore key that is a key, too, finds the newest that begins so, at an agent as at a depot.
  assert.equal(await save(one.agent.url, 'a-11', bytes), 200);
  for (const { url } of [depot, one.agent]) assert.equal((await lookup(url, 'b', 'a-1')).body.cacheKey, 'a-11');
  const link = String(exact.body.archiveLocation);
  assert.equal(new URL(link).host, new URL(two.agent.url).host);
  assert.deepEqual(Buffer.from(await (await fetch(link)).arrayBuffer()), bytes);
  assert.equal((await fetch(`${link}?info`)).headers.get('content-length'), '100000');
  await depot.close(0);
  const stale = await lookup(two.agent.url, 'a-1');
  assert.equal(stale.body.cacheKey, 'a-1');
  const cached = await fetch(String(stale.body.archiveLocation), { headers: { 'x-ms-range': 'bytes=10-19' } });
  assert.deepEqual(Buffer.from(await cached.arrayBuffer()), bytes.subarray(10, 20));
  // Of what begins so the newest whose bytes are here: those of a-2 never were.
  assert.equal((await lookup(two.agent.url, 'b', 'a-')).body.cacheKey, 'a-1');
  const request = { key: 'b', version: 'v', restore_keys: ['x', 'a'] };
  const restored = await post(two.agent.url, `${TWIRP}/GetCacheEntryDownloadURL`, request);
  assert.deepEqual([restored.body.ok, restored.body.matched_key], [true, 'a-1']);
  assert.deepEqual(Buffer.from(await (await fetch(String(restored.body.signed_download_url))).arrayBuffer()), bytes);
  const away = await lookup(two.agent.url, 'c-1');
  assert.deepEqual([away.status, away.body.typeKey], [504, 'DEPOT_AWAY']);
  const created = await post(two.agent.url, `${TWIRP}/CreateCacheEntry`, { key: 'd', version: 'v' });
  assert.deepEqual([created.status, created.body.code], [504, 'unavailable']);
});

test('an agent whose token only reads restores, saves nothing, and sends no token of the runner', async (context) => {
  const folder = await folderOf(context);
  const [reader, writer] = ['r'.repeat(43), 'w'.repeat(43)];
  const depot = await depotOf(context, join(folder, 'depot'), {
    tokenLines: `${reader} read actions-cache/\n${writer} read,write actions-cache/`,
    anonymous: 'none',
  });
  const reading = await agentOf(context, depot.url, join(folder, 'reading'), { token: reader });
  const writing = await agentOf(context, depot.url, join(folder, 'writing'), { token: writer });
  assert.equal(await save(writing.agent.url, 'a', Buffer.from('bytes')), 200);
  assert.equal(await save(reading.agent.url, 'b', Buffer.from('bytes')), 403);
  const headers = { authorization: 'Bearer header.payload.signature' };
  const answer = await fetch(`${reading.agent.url}${V1}/cache?keys=x,a&version=v`, { headers });
  const { archiveLocation } = (await answer.json()) as { archiveLocation: string };
  assert.equal(await (await fetch(archiveLocation)).text(), 'bytes');
  assert.equal((await lookup(writing.agent.url, 'b')).status, 204);
});

test('a depot that gives another entry than was asked for is not believed', async (context) => {
  const folder = await folderOf(context);
  let said = '';
  const liar = createServer((request, response) => {
    const isLookup = request.url?.startsWith(V1) === true;
    response.writeHead(isLookup ? 200 : 404).end(isLookup ? said : '');
  });
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
  context.after(() => liar.close());
  const { agent } = await agentOf(
    context,
    `http://127.0.0.1:${(liar.address() as AddressInfo).port}`,
    join(folder, 'a'),
  );
  for (const text of [
    '',
    '{}',
    '[]',
    '{"cacheKey":"other"}',
    '{"cacheKey":"a,b"}',
    '{"cacheKey":7}',
    'x'.repeat(70_000),
  ]) {
    said = text;
    const { status, body } = await lookup(agent.url, 'a');
    assert.deepEqual([status, body.typeKey], [502, 'BAD_DEPOT'], text.slice(0, 30));
  }
  // It is named and then not there.
  said = '{"cacheKey":"a-1"}';
  assert.equal((await lookup(agent.url, 'a')).status, 204);
});
