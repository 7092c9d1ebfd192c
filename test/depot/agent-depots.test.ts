/** An agent that knows several depots: real ones behind gates, and liars. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Torrent } from '../../src/api.js';
import { PartSeeds } from '../../src/depot/agent/part-seeds.js';
import { trackersInOrder } from '../../src/depot/agent/tracker-order.js';
import { startAgent } from '../../src/index.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { agentOf, bytesOf, depotOf, folderOf, get, put, sha256, type TestAgent, untilTrue } from './agent-harness.js';
import { Gate } from './gate.js';
import { info, liar, send, sendRange, taken } from './lying-depot.js';

const BYTES = bytesOf(2_000_000);
const HALF = BYTES.length / 2;

interface World extends TestAgent {
  /** The depot that is first, and the other one. */
  readonly gates: [Gate, Gate];
}

async function worldOf(context: TestContext): Promise<World> {
  const folder = await folderOf(context);
  const gates: Gate[] = [];
  for (const name of ['a', 'b']) {
    const depot = await depotOf(context, join(folder, name));
    for (const path of ['x', 'y']) await put(depot.url, path, BYTES);
    gates.push(await Gate.open(context, depot.url));
  }
  const depot = gates.map(({ url }) => url);
  const made = await agentOf(context, depot, join(folder, 'cache'));
  const { agent } = made;
  await untilTrue(async () =>
    agent.stats().depots.every(({ isAway, answerMs }) => isAway === false && answerMs !== null),
  );
  if (!agent.stats().depots[0]!.isFirst) gates.reverse();
  return { ...made, gates: gates as [Gate, Gate] };
}

interface Told {
  readonly depot: { readonly url: string };
  readonly depots: readonly { readonly url: string; readonly isAway: boolean; readonly isFirst: boolean }[];
}

test('a depot dies in the middle of a fetch: the client has all of it, and status tells of each', async (t) => {
  const { agent, gates, receipts, warnings } = await worldOf(t);
  const [first, second] = gates;
  first.passBytes = HALF;
  const held = first.held();
  const answer = taken(`${agent.url}/artifacts/x`);
  await held;
  await first.shut();
  const { status, isWhole, sha256: digest } = await answer;
  assert.deepEqual([status, isWhole, digest], [200, true, sha256(BYTES)]);
  await untilTrue(async () => receipts.length === 1);
  assert.equal(receipts[0]!.outcome, 'done');
  assert.equal(receipts[0]!.isStale, false);

  await untilTrue(async () => agent.stats().depots.find(({ url }) => url === first.url)!.isAway === true);
  assert.ok(warnings.some((text) => text.includes(first.url)));
  const said = JSON.parse(String((await get(agent.url, 'status')).bytes)) as Told;
  assert.equal(said.depot.url, second.url);
  assert.deepEqual(
    said.depots.map(({ url, isAway, isFirst }) => [url, isAway, isFirst]).sort(),
    [
      [first.url, true, false],
      [second.url, false, true],
    ].sort(),
  );
  const ready = await get(agent.url, 'readyz');
  assert.equal(ready.status, 200);
  assert.match(String(ready.bytes), /it cannot be reached: others are asked/);
  const metrics = String((await get(agent.url, 'metrics')).bytes);
  assert.ok(metrics.includes(`haul_agent_each_depot_up{depot="${first.url}"} 0\n`), metrics);
  assert.ok(metrics.includes(`haul_agent_each_depot_first{depot="${second.url}"} 1\n`));
  assert.match(metrics, /haul_agent_depot_up 1\n/);
});

test('all are away: what is cached is served, all else is an error that says so; one comes back', async (t) => {
  const { agent, gates } = await worldOf(t);
  assert.equal((await get(agent.url, 'artifacts/x')).status, 200);
  for (const gate of gates) await gate.shut();
  // What was asked a moment ago is believed.
  await untilTrue(async () => (await get(agent.url, 'artifacts/x')).headers.has('x-swarmhaul-stale'));
  const missing = await get(agent.url, 'artifacts/z');
  assert.equal(missing.status, 504);
  assert.match(String(missing.bytes), /none of 2/);
  assert.equal(missing.headers.get('retry-after'), '5');
  assert.equal(agent.stats().isDepotAway, true);
  await gates[1].reopen();
  await untilTrue(async () => (await get(agent.url, 'artifacts/y')).status === 200);
  assert.equal(agent.stats().isDepotAway, false);
});

test('an upload whose depot dies in the middle is an error after which it can be sent again', async (t) => {
  const { agent, gates } = await worldOf(t);
  const asked = gates[0].asked;
  const answer = new Promise<{ status: number; retryAfter: string | undefined; text: string }>((resolve, reject) => {
    const upload = request(`${agent.url}/artifacts/new`, {
      method: 'PUT',
      agent: false,
      headers: { 'content-length': BYTES.length },
    });
    upload.on('error', reject);
    upload.on('response', (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        const retryAfter = response.headers['retry-after'];
        resolve({ status: response.statusCode!, retryAfter, text });
        upload.destroy();
      });
    });
    upload.write(BYTES.subarray(0, HALF));
  });
  // More of it than is kept to begin anew.
  await untilTrue(async () => gates[0].receivedBytes > HALF - 100_000 && gates[0].asked > asked);
  await gates[0].shut();
  const { status, retryAfter, text } = await answer;
  assert.deepEqual([status, retryAfter], [503, '1']);
  assert.match(text, /DEPOT_AWAY.*send it again|send it again.*DEPOT_AWAY/);
  await put(agent.url, 'new', BYTES);
  assert.equal((await get(agent.url, 'artifacts/new')).bytes.compare(BYTES), 0);
});

test('a depot with other bytes under the name: they come to no end, and the log says whose they were', async (t) => {
  const folder = await folderOf(t);
  const row = info({ sha256: sha256(BYTES), lengthBytes: BYTES.length });
  const other = bytesOf(BYTES.length);
  const lying = await liar(t, { info: row, bytes: sendRange(other) });
  let isCut = false;
  const honest = await liar(t, {
    info: row,
    bytes: (asked, response) => {
      if (isCut) {
        sendRange(BYTES)(asked, response);
        return;
      }
      isCut = true;
      response.writeHead(200, { 'content-length': BYTES.length });
      response.write(BYTES.subarray(0, HALF), () => void response.destroy());
    },
  });
  const { agent, warnings } = await agentOf(t, [honest.url, lying.url], join(folder, 'cache'));
  await untilTrue(async () => agent.stats().depots.every(({ isAway }) => isAway === false));
  // Whichever is asked first: until the liar is known for one nothing of it comes to its end.
  let last = await taken(`${agent.url}/artifacts/x`);
  for (let tries = 0; tries < 4 && !last.isWhole; tries++) last = await taken(`${agent.url}/artifacts/x`);
  assert.equal(last.isWhole, true);
  assert.equal(last.sha256, sha256(BYTES));
  const alone = await agentOf(
    t,
    [lying.url, `${lying.url}/.`.replace('127.0.0.1', 'localhost')],
    join(folder, 'other'),
  );
  assert.equal((await taken(`${alone.agent.url}/artifacts/x`)).isWhole, false);
  assert.ok(
    alone.warnings.some((text) => /gave bytes that are not those/.test(text)),
    `${alone.warnings}`,
  );
  assert.ok(warnings.every((text) => !text.includes(`${honest.url} gave bytes`)));
});

test('the same token goes to all of them, and trouble with it is an answer', async (t) => {
  const refuse = (status: number) =>
    liar(t, { info: (_request, response) => void response.writeHead(status).end('{}'), bytes: send(BYTES) });
  const depots = [await refuse(403), await refuse(403)];
  const folder = await folderOf(t);
  const { agent } = await agentOf(
    t,
    depots.map(({ url }) => url),
    join(folder, 'cache'),
    { token: 'a-secret' },
  );
  await untilTrue(async () => depots.every(({ seen }) => seen.length > 0));
  assert.equal((await get(agent.url, 'artifacts/x')).status, 403);
  const infos = depots.flatMap(({ seen }) => seen.filter(({ url }) => url!.endsWith('?info')));
  assert.equal(infos.length, 1);
  for (const { seen } of depots) for (const { headers } of seen) assert.equal(headers.authorization, 'Bearer a-secret');
});

test('what is named is checked in a line; each counts once', async (t) => {
  const cache = join(await folderOf(t), 'cache');
  const many = Array.from({ length: 17 }, (_, at) => `http://depot-${at}:7070`);
  for (const [depot, message] of [
    [many, /17 depots are named, 16 may be/],
    [[], /no depot is named|depot/],
    [['http://a', 'ftp://b'], /http or https URL/],
    [['http://a', 'http://user:secret@b'], /the token is no part of the URL/],
    [['http://a', 5], /depot/],
  ] as const)
    await assert.rejects(startAgent({ depot: depot as string[], cache, httpPort: 0 }), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(!error.message.includes('secret') && !error.message.includes('\n'), error.message);
      return true;
    });
  const { agent, warnings } = await agentOf(
    t,
    ['http://127.0.0.1:1/', 'http://127.0.0.1:1', 'HTTPS://localhost:1', 'http://192.0.2.1:1'],
    cache,
    { token: 'a-secret' },
  );
  assert.deepEqual(
    agent.stats().depots.map(({ url }) => url),
    ['http://127.0.0.1:1', 'https://localhost:1', 'http://192.0.2.1:1'],
  );
  // Beside one with TLS.
  assert.ok(warnings.some((text) => text.includes('the token goes to http://192.0.2.1:1 without TLS')));
});

test('trackers of depots that answer come first, as the depots do; what nobody knows stays in its order', () => {
  const tiers = [['http://a:1/k/announce'], ['http://b:1/k/announce'], ['udp://x/'], ['http://c:1/base/k/announce']];
  const depots = (...rows: readonly (readonly [string, boolean])[]) => rows.map(([url, isAway]) => ({ url, isAway }));
  const order = (...rows: readonly (readonly [string, boolean])[]) =>
    trackersInOrder(tiers, depots(...rows)).map(([url]) => url![url!.indexOf('/') + 2]);
  assert.deepEqual(order(['http://b:1', false], ['http://c:1/base', false], ['http://a:1', true]), [
    'b',
    'c',
    'x',
    'a',
  ]);
  // A name that begins alike is another one.
  assert.deepEqual(order(['http://a:10', false]), ['a', 'b', 'x', 'c']);
});

test('one depot at a time is the web seed of a torrent: another where it fails, lies, or is not first any more', () => {
  let urls = ['http://agent:t@a/blobs/1/x', 'http://agent:t@b/blobs/1/x', 'http://agent:t@c/blobs/1/x'];
  let changed = (): void => {};
  let state = 'in-use';
  let named: readonly string[] = [];
  const seeds = new PartSeeds(
    {
      webSeedUrls: () => urls,
      follow: (call) => {
        changed = call;
        return () => {};
      },
    },
    { infoHashHex: '1', name: 'x' } as Metainfo,
  );
  named = seeds.named;
  seeds.begin({
    done: new Promise(() => {}),
    setWebSeeds: (given: readonly string[]) => {
      named = given;
    },
    sources: () => ({ webSeeds: named.map((url) => ({ url: url.replace('agent:t@', ''), state })) }),
  } as unknown as Torrent);
  const host = (): string => new URL(named[0]!).host;
  assert.deepEqual([host(), named.length], ['a', 1]);
  seeds.look();
  assert.equal(host(), 'a');
  state = 'failing';
  seeds.look();
  assert.equal(host(), 'b');
  state = 'banned';
  seeds.look();
  assert.equal(host(), 'c');
  seeds.look();
  assert.equal(host(), 'a');
  state = 'in-use';
  urls = [urls[1]!, urls[2]!, urls[0]!];
  changed();
  // It gave bad bytes.
  assert.equal(host(), 'a');
  urls = [urls[2]!, urls[0]!, urls[1]!];
  seeds.end();
  changed();
  assert.equal(host(), 'a');
});
