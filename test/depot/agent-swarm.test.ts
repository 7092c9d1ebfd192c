/** Agents among each other, as processes do it: a thin line to the depot, a depot that goes away half way. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentOf, bytesOf, depotOf, folderOf, get, put, sha256, untilTrue } from './agent-harness.js';
import { ThinLine } from './thin-line.js';

const MIB = 2 ** 20;

/** Resolves when so many bytes of an answer are here. What follows is taken, too. */
function firstBytes(url: string, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent: false }, (response) => {
      let gotBytes = 0;
      response.on('data', (chunk: Buffer) => {
        gotBytes += chunk.length;
        if (gotBytes >= count) resolve();
      });
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

test('where the line to the depot is thin another agent gives the most of it', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const line = await ThinLine.open(context, depot.port, 4 * MIB);
  const bytes = bytesOf(24 * MIB);
  await put(depot.url, 'ci/image.raw', bytes);
  const first = await agentOf(context, line.url, join(folder, 'cache-1'));
  const second = await agentOf(context, line.url, join(folder, 'cache-2'));
  assert.equal(sha256((await get(first.agent.url, 'artifacts/ci/image.raw')).bytes), sha256(bytes));
  const answer = await get(second.agent.url, 'artifacts/ci/image.raw');
  assert.equal(sha256(answer.bytes), sha256(bytes));
  await get(second.agent.url, `receipts/${answer.headers.get('x-swarmhaul-receipt')}`);
  const { peerBytes, webSeedBytes } = second.receipts[0]!;
  assert.ok(peerBytes > bytes.length / 2, `${peerBytes} bytes of peers, ${webSeedBytes} of the depot`);
});

test('the depot goes away half way: peers give the rest', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const line = await ThinLine.open(context, depot.port, 4 * MIB);
  const bytes = bytesOf(24 * MIB);
  await put(depot.url, 'ci/image.raw', bytes);
  const first = await agentOf(context, line.url, join(folder, 'cache-1'), {
    engine: { port: 0, uploadBytesPerSec: 8 * MIB },
  });
  assert.equal(sha256((await get(first.agent.url, 'artifacts/ci/image.raw')).bytes), sha256(bytes));
  const second = await agentOf(context, line.url, join(folder, 'cache-2'));
  const coming = get(second.agent.url, 'artifacts/ci/image.raw');
  await untilTrue(async () => {
    const { bytes: text } = await get(second.agent.url, 'status');
    const { fetches } = JSON.parse(String(text)) as { fetches: { peerBytes: number }[] };
    return fetches[0] !== undefined && fetches[0].peerBytes > MIB;
  });
  line.cut();
  await depot.close(0);
  const answer = await coming;
  assert.equal(answer.status, 200);
  assert.equal(sha256(answer.bytes), sha256(bytes));
});

test('agents that fetch together hand the first quarter over long before they have all of it', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'), { engine: { port: 0, uploadBytesPerSec: 8 * MIB } });
  const bytes = bytesOf(32 * MIB);
  await put(depot.url, 'ci/image.raw', bytes);
  const caches = [join(folder, 'cache-1'), join(folder, 'cache-2')];
  const agents = await Promise.all(caches.map((cache) => agentOf(context, depot.url, cache)));
  const shares = agents.map(async ({ agent }) => {
    await firstBytes(`${agent.url}/artifacts/ci/image.raw`, bytes.length / 4);
    const { bytes: text } = await get(agent.url, 'status');
    const { fetches } = JSON.parse(String(text)) as { fetches: { peerBytes: number; webSeedBytes: number }[] };
    // What is over is in the list no more.
    const { peerBytes, webSeedBytes } = fetches[0] ?? { peerBytes: bytes.length, webSeedBytes: 0 };
    return (peerBytes + webSeedBytes) / bytes.length;
  });
  // Rarest first they have all by then: one of the first pieces is among the last to come.
  for (const share of await Promise.all(shares)) assert.ok(share < 0.9, `it had ${share} of all`);
});
