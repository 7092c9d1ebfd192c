/** What is published through an agent is in its cache then, and only what the depot has stored. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { AGENT_LIMITS } from '../../src/depot/agent/limits.js';
import { PutCopy } from '../../src/depot/agent/put-copy.js';
import { agentOf, bytesOf, depotOf, folderOf, get, put, sha256, untilTrue } from './agent-harness.js';

const MIB = 1024 * 1024;
const SHORT = bytesOf(100_000);
const LONG = bytesOf(6 * MIB + 5);

const copyTo = (path: string, bytesMax: number): PutCopy => new PutCopy(path, { bytesMax, bookedBytes: 0 });

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}

async function leftIn(folder: string): Promise<string[]> {
  return (await readdir(join(folder, 'tmp'))).filter((name) => name !== 'actions-cache');
}

test('what was put through an agent comes from its cache, the depot away, after a restart too', async (context) => {
  const folder = await folderOf(context);
  const cache = join(folder, 'cache');
  const depot = await depotOf(context, join(folder, 'depot'));
  const first = await agentOf(context, depot.url, cache);
  await put(first.agent.url, 'short', SHORT);
  await put(first.agent.url, 'long', LONG);
  await put(first.agent.url, 'empty', new Uint8Array(0));
  const bytes = SHORT.length + LONG.length;
  await untilTrue(async () => first.agent.stats().usedBytes === bytes && first.agent.stats().blobs === 2);
  const here = await get(first.agent.url, 'artifacts/long');
  assert.equal(sha256(here.bytes), sha256(LONG));
  assert.deepEqual(await leftIn(cache), []);
  await depot.close(0);
  await first.agent.close(0);
  const second = await agentOf(context, depot.url, cache);
  for (const [name, bytes] of [
    ['short', SHORT],
    ['long', LONG],
  ] as const) {
    const given = await get(second.agent.url, `artifacts/${name}`);
    assert.equal(given.status, 200);
    assert.equal(sha256(given.bytes), sha256(bytes));
    assert.notEqual(given.headers.get('x-swarmhaul-stale'), null);
  }
  for (const { localBytes, sentBytes } of [...first.receipts, ...second.receipts]) assert.equal(localBytes, sentBytes);
});

test('an upload that is refused leaves nothing, nor does one of which the depot says other bytes', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const honest = await agentOf(context, depot.url, join(folder, 'one'));
  for (const bytes of [SHORT, LONG]) {
    const headers = { 'x-checksum-sha256': '0'.repeat(64) };
    const { status } = await fetch(`${honest.agent.url}/artifacts/a`, { method: 'PUT', body: bytes, headers });
    assert.equal(status, 422);
  }
  const said = { name: 'a', sha256: 'ab'.repeat(32), lengthBytes: LONG.length, contentType: null, infoHash: null };
  const rest = { created: new Date().toISOString(), expires: null, isPinned: false, url: 'http://x/', magnet: null };
  const liar = createServer((request, response) => {
    request
      .resume()
      .on('end', () => response.writeHead(201).end(JSON.stringify({ ...said, ...rest, torrentUrl: null })));
  });
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
  context.after(() => liar.close());
  const url = `http://127.0.0.1:${(liar.address() as AddressInfo).port}`;
  const lied = await agentOf(context, url, join(folder, 'two'));
  await put(lied.agent.url, 'a', LONG);
  for (const [{ agent }, name] of [
    [honest, 'one'],
    [lied, 'two'],
  ] as const) {
    // What goes on beside the answers ends first.
    await agent.close(0);
    for (const part of ['small', 'blobs']) assert.deepEqual(await readdir(join(folder, name, part)), []);
    assert.deepEqual(await leftIn(join(folder, name)), []);
  }
});

test('a copy that cannot be kept is given up, and the bytes pass all the same', async (context) => {
  const folder = await folderOf(context);
  const passed = async (copy: PutCopy): Promise<string> => {
    const parts: Uint8Array[] = [];
    for await (const part of copy.passing(chunksOf(LONG))) parts.push(part);
    return sha256(Buffer.concat(parts));
  };
  const path = join(folder, 'copy');
  for (const copy of [copyTo(path, LONG.length - 1), copyTo(join(folder, 'none', 'copy'), MIB ** 2)]) {
    assert.equal(await passed(copy), sha256(LONG));
    assert.equal(await copy.end(), null);
  }
  const dropped = copyTo(path, MIB ** 2);
  await passed(dropped);
  await dropped.drop();
  assert.deepEqual(await readdir(folder), []);
  const kept = copyTo(path, LONG.length);
  await passed(kept);
  assert.deepEqual(await kept.end(), { lengthBytes: LONG.length, bytes: null, path });
  const short = copyTo(path, MIB);
  for await (const _ of short.passing(chunksOf(SHORT)));
  assert.deepEqual((await short.end())?.bytes, Buffer.from(SHORT));
  assert.ok(LONG.length > AGENT_LIMITS.smallBytes);
});

test('what a client put by its own token is given to nobody whom the depot would not let read it', async (context) => {
  const folder = await folderOf(context);
  const [reader, writer] = ['r'.repeat(43), 'w'.repeat(43)];
  const depot = await depotOf(context, join(folder, 'depot'), {
    tokenLines: `${reader} read a/\n${writer} read,write`,
    anonymous: 'none',
  });
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'), { token: reader });
  const headers = { authorization: `Bearer ${writer}` };
  const { status } = await fetch(`${agent.url}/artifacts/b/secret`, { method: 'PUT', body: SHORT, headers });
  assert.equal(status, 201);
  await untilTrue(async () => agent.stats().blobs === 1);
  assert.equal((await get(agent.url, 'artifacts/b/secret')).status, 403);
  await depot.close(0);
  assert.equal((await get(agent.url, 'artifacts/b/secret')).status, 504);
});
