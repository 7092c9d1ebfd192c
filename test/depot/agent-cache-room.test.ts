/** What the cache has no room for, and files of it that somebody writes into. */
import assert from 'node:assert/strict';
import { appendFile, open, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readLocal } from '../../src/depot/agent/local-read.js';
import { stampOf } from '../../src/storage/stamp-files.js';
import { agentOf, bytesOf, depotOf, folderOf, get, put, sha256, untilTrue } from './agent-harness.js';
import { createTorrentBytes } from './agent-torrent.js';
import { readAll } from './fetch-scene.js';
import { type Answers, info, liar, send, sendBegin, sendRange, taken } from './lying-depot.js';

const MIB = 2 ** 20;
/** The least that an agent takes. */
const CACHE_BYTES = 64 * MIB;
const LONG = bytesOf(CACHE_BYTES + 1_000_001);
const DIGEST = sha256(LONG);
const FACTS = { sha256: DIGEST, lengthBytes: LONG.length };
const { bytes: TORRENT, infoHash } = createTorrentBytes('x', LONG);
const PLAIN: Answers = { info: info(FACTS), bytes: sendRange(LONG) };
const SWARM: Answers = { ...PLAIN, info: info({ ...FACTS, infoHash }), torrent: send(TORRENT) };

async function bytesIn(folder: string): Promise<number> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    files.filter((file) => file.isFile()).map((file) => stat(join(file.parentPath ?? file.path, file.name))),
  );
  return sizes.reduce((sum, { blocks }) => sum + blocks * 512, 0);
}

for (const [what, answers] of Object.entries({ 'with a torrent': SWARM, 'without one': PLAIN })) {
  test(`a blob ${what} that is longer than the cache is passed through, and no disk is taken`, async (context) => {
    const cache = join(await folderOf(context), 'cache');
    const { url } = await liar(context, answers);
    const { agent } = await agentOf(context, url, cache, { cacheBytes: CACHE_BYTES });
    const whole = await taken(`${agent.url}/artifacts/x`);
    assert.deepEqual([whole.status, whole.isWhole, whole.sha256], [200, true, DIGEST]);
    for (const [first, last] of [
      [0, 0],
      [300_000, 700_000],
      [LONG.length - 5, LONG.length - 1],
    ] as const) {
      const part = await taken(`${agent.url}/artifacts/x`, { range: `bytes=${first}-${last}` });
      assert.deepEqual([part.status, part.isWhole], [206, true]);
      assert.equal(part.sha256, sha256(LONG.subarray(first, last + 1)), `${first}-${last}`);
    }
    assert.equal(agent.stats().usedBytes, 0);
    assert.ok((await bytesIn(cache)) < MIB);
  });

  test(`a blob ${what} that is passed through with a bad byte is never complete`, async (context) => {
    const cache = join(await folderOf(context), 'cache');
    const bad = Buffer.from(LONG);
    bad[500_000]! ^= 1;
    const { url } = await liar(context, { ...answers, bytes: sendRange(bad) });
    const { agent } = await agentOf(context, url, cache, { cacheBytes: CACHE_BYTES });
    for (const headers of [{}, { range: 'bytes=400000-600000' }, { range: 'bytes=500000-500000' }]) {
      const { status, isWhole } = await taken(`${agent.url}/artifacts/x`, headers as Record<string, string>);
      assert.ok(status >= 500 || !isWhole, `${status}, whole: ${isWhole}`);
    }
  });
}

test('a long blob without a torrent has its place in the cache while it comes, and gives it back', async (context) => {
  const cache = join(await folderOf(context), 'cache');
  const long = LONG.subarray(0, 20 * MIB);
  const { url } = await liar(context, {
    info: info({ sha256: sha256(long), lengthBytes: long.length }),
    bytes: sendBegin(long, MIB),
  });
  const { agent } = await agentOf(context, url, cache, { cacheBytes: CACHE_BYTES });
  const abort = new AbortController();
  const coming = fetch(`${agent.url}/artifacts/x`, { signal: abort.signal });
  await (await coming).body!.getReader().read();
  assert.equal(agent.stats().usedBytes, long.length);
  abort.abort();
  await untilTrue(async () => agent.stats().usedBytes === 0);
});

test('a cached file that was written into after it was looked at ends its answer before its end', async (context) => {
  const path = join(await folderOf(context), 'file');
  await writeFile(path, LONG.subarray(0, MIB));
  const handle = await open(path, 'r+');
  context.after(() => handle.close());
  const stamp = stampOf(await handle.stat({ bigint: true }));
  const range = { begin: 0, end: MIB };
  assert.equal((await readAll(readLocal({ handle, stamp }, range))).error, null);
  await handle.write(Buffer.from('x'), 0, 1, 10);
  const { bytes, error } = await readAll(readLocal({ handle, stamp }, range));
  assert.ok(error !== null && bytes.length < MIB, `${bytes.length} bytes`);
  await appendFile(path, 'y');
  assert.ok((await readAll(readLocal({ handle, stamp }, { begin: 5, end: 6 }))).error !== null);
});

test('what is published or removed through an agent is seen through it at once', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  for (let turn = 0; turn < 3; turn++) {
    const bytes = bytesOf(1000 + turn);
    await put(agent.url, 'name?overwrite=true', bytes);
    assert.equal(sha256((await get(agent.url, 'artifacts/name')).bytes), sha256(bytes), `turn ${turn}`);
  }
  assert.equal((await fetch(`${agent.url}/artifacts/name`, { method: 'DELETE' })).ok, true);
  assert.equal((await get(agent.url, 'artifacts/name')).status, 404);
});

test('what was said of a name while something else was published under it is not believed later', async (context) => {
  const folder = await folderOf(context);
  const [before, after] = [bytesOf(1000), bytesOf(1000)];
  let current = before;
  const late: (() => void)[] = [];
  let isSlow = true;
  const { url, seen } = await liar(context, {
    info: (request, response) => {
      const facts = { sha256: sha256(current), lengthBytes: 1000 };
      const answer = (): void => info(facts)(request, response);
      if (isSlow) late.push(answer);
      else answer();
    },
    bytes: (request, response) => {
      if (request.method === 'PUT') {
        current = after;
        request.resume().once('end', () => response.writeHead(201).end());
      } else send(current)(request, response);
    },
  });
  const { agent } = await agentOf(context, url, join(folder, 'cache'));
  const asking = get(agent.url, 'artifacts/x').catch(() => null);
  await untilTrue(async () => late.length === 1);
  await put(agent.url, 'x', after);
  isSlow = false;
  assert.equal(sha256((await get(agent.url, 'artifacts/x')).bytes), sha256(after));
  late[0]!();
  await asking;
  assert.equal(sha256((await get(agent.url, 'artifacts/x')).bytes), sha256(after));
  assert.ok(seen.some(({ method }) => method === 'PUT'));
});
