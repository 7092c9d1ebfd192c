/** An agent between its clients and a depot: the same answers, one fetch for all, a cache that outlives both. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AgentReceipt } from '../../src/index.js';
import { agentOf, bytesOf, depotOf, folderOf, get, put, sha256 } from './agent-harness.js';

const MIB = 2 ** 20;

test('an artifact comes through the agent as from the depot, then from its cache', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const { agent, receipts, warnings } = await agentOf(context, depot.url, join(folder, 'cache'));
  for (const [path, length] of [
    ['ci/1/short.bin', 70_000],
    ['ci/1/empty', 0],
    ['ci/1/long.raw', 9 * MIB + 5],
  ] as const) {
    const bytes = bytesOf(length);
    await put(depot.url, path, bytes);
    const direct = await get(depot.url, `artifacts/${path}`);
    for (let turn = 0; turn < 2; turn++) {
      const answer = await get(agent.url, `artifacts/${path}`);
      assert.equal(answer.status, 200, `${answer.bytes.subarray(0, 300)} ${warnings.join()}`);
      assert.equal(sha256(answer.bytes), sha256(bytes));
      for (const name of ['etag', 'repr-digest', 'content-type', 'content-disposition', 'last-modified'])
        assert.equal(answer.headers.get(name), direct.headers.get(name), name);
      // Of nothing there is no receipt.
      if (length === 0) continue;
      const id = answer.headers.get('x-swarmhaul-receipt')!;
      const receipt = JSON.parse(String((await get(agent.url, `receipts/${id}`)).bytes)) as AgentReceipt;
      assert.deepEqual(
        receipts.find((each) => each.id === id),
        receipt,
      );
      assert.equal(receipt.outcome, 'done');
      const { peerBytes, webSeedBytes, localBytes } = receipt;
      if (turn === 1) assert.deepEqual([peerBytes, webSeedBytes, localBytes], [0, 0, length]);
      else assert.equal(localBytes, 0);
    }
  }
});

test('ranges, conditions and what is not there are answered as by the depot', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  const bytes = bytesOf(12 * MIB);
  await put(depot.url, 'a/image.raw', bytes);
  const far = await get(agent.url, 'artifacts/a/image.raw', { range: 'bytes=11000000-11000999' });
  assert.equal(far.status, 206);
  assert.deepEqual(far.bytes, bytes.subarray(11_000_000, 11_001_000));
  assert.equal(far.headers.get('content-range'), `bytes 11000000-11000999/${bytes.length}`);
  const last = await get(agent.url, 'artifacts/a/image.raw', { range: 'bytes=-3' });
  assert.deepEqual(last.bytes, bytes.subarray(-3));
  const etag = `"${sha256(bytes)}"`;
  assert.equal((await get(agent.url, 'artifacts/a/image.raw', { 'if-none-match': etag })).status, 304);
  assert.equal((await get(agent.url, 'artifacts/a/image.raw', { range: 'bytes=99999999-' })).status, 416);
  const missing = await get(agent.url, 'artifacts/a/none');
  assert.equal(missing.status, 404);
  assert.equal(missing.headers.get('content-type'), 'application/problem+json');
  assert.equal((await get(agent.url, 'artifacts/..%2Fsecret')).status, 400);
});

test('a depot that is away: what is cached comes marked stale, what is not is a 504', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const [short, long] = [bytesOf(1000), bytesOf(5 * MIB)];
  await put(depot.url, 'short', short);
  await put(depot.url, 'long', long);
  await put(depot.url, 'other', bytesOf(10));
  const first = await agentOf(context, depot.url, join(folder, 'cache'));
  for (const name of ['short', 'long']) await get(first.agent.url, `artifacts/${name}`);
  // What was just fetched is still being put away.
  await first.agent.close();
  await depot.close(0);
  // Another agent on the same cache, which has never seen the depot.
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  for (const [name, bytes] of [
    ['short', short],
    ['long', long],
  ] as const) {
    const answer = await get(agent.url, `artifacts/${name}`);
    assert.equal(answer.status, 200, String(answer.bytes.subarray(0, 300)));
    assert.equal(sha256(answer.bytes), sha256(bytes));
    assert.notEqual(answer.headers.get('x-swarmhaul-stale'), null);
    assert.match(answer.headers.get('warning') ?? '', /^111 /);
  }
  const away = await get(agent.url, 'artifacts/other');
  assert.equal(away.status, 504);
  assert.equal((JSON.parse(String(away.bytes)) as { code: string }).code, 'DEPOT_AWAY');
});

test('many requests for one blob are one fetch', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const { agent, receipts } = await agentOf(context, depot.url, join(folder, 'cache'));
  const bytes = bytesOf(20 * MIB);
  await put(depot.url, 'one', bytes);
  const answers = await Promise.all(Array.from({ length: 8 }, () => get(agent.url, 'artifacts/one')));
  for (const answer of answers) assert.equal(sha256(answer.bytes), sha256(bytes));
  await Promise.all(answers.map(({ headers }) => get(agent.url, `receipts/${headers.get('x-swarmhaul-receipt')}`)));
  assert.equal(receipts.length, 8);
  const most = Math.max(...receipts.map((receipt) => receipt.peerBytes + receipt.webSeedBytes));
  assert.ok(most <= bytes.length * 1.05, `${most} bytes were fetched`);
});
