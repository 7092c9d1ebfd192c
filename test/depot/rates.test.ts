/** The limits of a depot and an agent hold by HTTP, too: no transfer is quicker than they permit. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentOf, bytesOf, depotOf, folderOf, get, put, sha256 } from './agent-harness.js';

const RATE = 1_000_000;
/** A tenth of a second is kept, and what is read at once last is waited for by nobody. */
const LEAST_MS = 900;
const BYTES = bytesOf(1_500_000);

test('a depot sends no faster than its limit, and closes at once in the middle of it', async (context) => {
  const engine = { port: 0, uploadBytesPerSec: RATE };
  const depot = await depotOf(context, join(await folderOf(context), 'depot'), { engine });
  await put(depot.url, 'a', BYTES);
  const beganMs = performance.now();
  assert.equal(sha256((await get(depot.url, 'artifacts/a')).bytes), sha256(BYTES));
  const tookMs = performance.now() - beganMs;
  assert.ok(tookMs >= LEAST_MS, `${tookMs} ms`);
  const slow = await depotOf(context, join(await folderOf(context), 'slow'), {
    engine: { port: 0, uploadBytesPerSec: 100 },
  });
  await put(slow.url, 'a', BYTES);
  const { body } = await fetch(`${slow.url}/artifacts/a`);
  const reader = body!.getReader();
  await reader.read();
  await slow.close(0);
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  });
});

test('an agent fetches no faster than its limit: short blobs, and the begin of long ones', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'), { torrentFromBytes: 2 * BYTES.length });
  const long = bytesOf(2 * BYTES.length);
  await put(depot.url, 'short', BYTES);
  await put(depot.url, 'long', long);
  const more = { engine: { port: 0, downloadBytesPerSec: RATE } };
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'), more);
  for (const [name, bytes, least] of [
    ['short', BYTES, LEAST_MS],
    ['long', long, 1500],
  ] as const) {
    const beganMs = performance.now();
    assert.equal(sha256((await get(agent.url, `artifacts/${name}`)).bytes), sha256(bytes));
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs >= least, `${name}: ${tookMs} ms`);
  }
});
