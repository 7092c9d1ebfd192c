/** What a depot that is not well means for the agent: away, busy, failed at one thing, slow without an end. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { DepotClient } from '../../src/depot/agent/depot-client.js';
import { DepotAway, DepotFailed } from '../../src/depot/agent/depot-trouble.js';
import { AGENT_LIMITS } from '../../src/depot/agent/limits.js';
import { StallWatch } from '../../src/depot/agent/stall-watch.js';
import { GONE_MS } from '../../src/depot/gone-watch.js';
import { agentOf, bytesOf, folderOf, get, sha256, untilTrue } from './agent-harness.js';
import { createTorrentBytes } from './agent-torrent.js';
import { fetchScene, readAll, rowOf } from './fetch-scene.js';
import { type Answer, type Answers, info, liar, send, sendBegin, sendRange } from './lying-depot.js';

const SHORT = bytesOf(1000);
const FACTS = { sha256: sha256(SHORT), lengthBytes: SHORT.length };
const HONEST: Answers = { info: info(FACTS), bytes: send(SHORT) };

const answering =
  (status: number, headers: Record<string, string> = {}, body = '{}'): Answer =>
  (_request, response) =>
    void response.writeHead(status, headers).end(body);

/** A byte now and then, for ever. */
const dripping: Answer = (_request, response) => {
  response.writeHead(200);
  const timer = setInterval(() => response.write(' '), 20);
  response.once('close', () => clearInterval(timer));
};

async function clientOf(context: TestContext, answers: Answers): Promise<DepotClient> {
  const { url } = await liar(context, answers);
  const client = new DepotClient({ url, token: null, userAgent: 'test' });
  context.after(() => client.destroy());
  return client;
}

for (const [what, answer, status, code, retryAfter, isAway] of [
  ['503 with Retry-After', answering(503, { 'retry-after': '7' }), 503, 'BUSY', '7', false],
  ['503 with a time of a year', answering(503, { 'retry-after': '31536000' }), 503, 'BUSY', '3600', false],
  ['503 alone', answering(503), 504, 'DEPOT_AWAY', '5', true],
  ['503 with a date', answering(503, { 'retry-after': 'Sat, 28 Nov' }), 504, 'DEPOT_AWAY', '5', true],
  ['500', answering(500), 502, 'DEPOT_FAILED', '5', false],
  ['500 for damaged bytes', answering(500, {}, '{"code":"BAD_DATA"}'), 502, 'BAD_DATA', null, false],
  ['502 of a proxy', answering(502), 504, 'DEPOT_AWAY', '5', true],
  ['504 of a proxy', answering(504), 504, 'DEPOT_AWAY', '5', true],
  ['429', answering(429, { 'retry-after': '3' }), 429, 'REFUSED', '3', false],
] as const) {
  test(`a depot that answers ${what} is a ${status} with ${code}`, async (context) => {
    const folder = await folderOf(context);
    const { url } = await liar(context, { info: answer });
    const { agent } = await agentOf(context, url, join(folder, 'cache'));
    const given = await get(agent.url, 'artifacts/x');
    assert.equal(given.status, status);
    assert.equal((JSON.parse(String(given.bytes)) as { code: string }).code, code);
    assert.equal(given.headers.get('retry-after'), retryAfter);
    assert.equal(agent.stats().isDepotAway, isAway);
  });
}

for (const status of [500, 503]) {
  test(`a depot that begins to answer ${status}: what is cached is given, marked stale`, async (context) => {
    const folder = await folderOf(context);
    const answers: Answers = { ...HONEST };
    const { url } = await liar(context, answers);
    const first = await agentOf(context, url, join(folder, 'cache'));
    assert.equal((await get(first.agent.url, 'artifacts/x')).status, 200);
    await first.agent.close(0);
    answers.info = answering(status, { 'retry-after': '1' });
    const { agent } = await agentOf(context, url, join(folder, 'cache'));
    const given = await get(agent.url, 'artifacts/x');
    assert.equal(given.status, 200);
    assert.deepEqual(given.bytes, SHORT);
    assert.notEqual(given.headers.get('x-swarmhaul-stale'), null);
  });
}

test('an answer of which a byte comes now and then is given up in time', async (context) => {
  const client = await clientOf(context, { info: dripping });
  await assert.rejects(client.resolve('artifacts/x', 200), (error) => {
    assert.ok(error instanceof DepotAway && !(error instanceof DepotFailed));
    assert.match(error.message, /too slowly/);
    return true;
  });
  assert.equal(client.isAway, true);
});

test('as many long streams as there may be keep no question waiting', async (context) => {
  const long = bytesOf(100_000);
  const { url, seen } = await liar(context, { info: info(FACTS), bytes: sendBegin(long, 10) });
  const client = new DepotClient({ url, token: null, userAgent: 'test' });
  context.after(() => client.destroy());
  const { signal } = new AbortController();
  for (let stream = 0; stream < AGENT_LIMITS.fetches; stream++) await client.open(rowOf(long, null), null, signal);
  assert.equal(seen.length, AGENT_LIMITS.fetches);
  assert.equal((await client.resolve('artifacts/x', 5_000))?.sha256, FACTS.sha256);
  assert.equal(client.isAway, false);
});

test('a fetch of which next to nothing comes is given up, sooner while the depot is away', () => {
  const { stallMs, stuckMs, stuckBytes } = AGENT_LIMITS;
  const silent = new StallWatch(0);
  assert.equal(silent.look(stallMs - 1, 0, true, false), false);
  assert.equal(silent.look(stallMs, 0, true, false), true);
  const here = new StallWatch(0);
  assert.equal(here.look(stallMs, 0, false, false), false);
  // A byte now and then does not help.
  for (let second = 1; second < stuckMs / 1000; second++)
    assert.equal(here.look(second * 1000, second, false, false), false);
  assert.equal(here.look(stuckMs, 1000, false, false), true);
  const moving = new StallWatch(0);
  assert.equal(moving.look(stuckMs - 1, stuckBytes, false, false), false);
  assert.equal(moving.look(stuckMs * 2 - 2, stuckBytes, false, false), false);
  assert.equal(moving.look(stuckMs * 2, stuckBytes, false, false), true);
  // What is here is being looked at.
  const working = new StallWatch(0);
  assert.equal(working.look(stuckMs * 2, 0, false, true), false);
});

test('a torrent of which nothing comes any more, and whose depot is gone, is given up soon', {
  timeout: 60_000,
}, async (context) => {
  const good = bytesOf(6 * 2 ** 20);
  const stuck = sendBegin(good, 2 ** 20);
  const answers = { bytes: stuck, seed: stuck };
  const { depot, fetch, client, growSlow, tickAfter } = await fetchScene(context, good, answers, () => 1);
  await growSlow(2 ** 20);
  await untilTrue(async () => depot.seen.some(({ url }) => url!.startsWith('/blobs/')));
  assert.equal(client.isAway, false);
  depot.vanish();
  tickAfter(0);
  tickAfter(GONE_MS);
  await untilTrue(async () => client.isAway === true);
  tickAfter(0);
  let isOver = false;
  fetch.done.catch(() => {
    isOver = true;
  });
  tickAfter(AGENT_LIMITS.stallMs - 1);
  await setImmediate();
  assert.equal(isOver, false);
  tickAfter(AGENT_LIMITS.stallMs);
  await assert.rejects(fetch.done, DepotAway);
});

for (const comesBack of [true, false])
  test(`a depot that goes with its .torrent unasked for, and ${comesBack ? 'is back soon' : 'stays away'}`, {
    timeout: 60_000,
  }, async (context) => {
    const good = bytesOf(6 * 2 ** 20);
    let isAway = false;
    const unlessAway =
      (answer: Answer): Answer =>
      (request, response) =>
        isAway ? void response.destroy() : answer(request, response);
    const breaking: Answer = (_request, response) => {
      response.writeHead(200, { 'content-length': good.length });
      isAway = true;
      response.write(good.subarray(0, 2 ** 20), () => void response.destroy());
    };
    const answers = {
      bytes: unlessAway(breaking),
      torrent: unlessAway(send(createTorrentBytes('x', good).bytes)),
      seed: unlessAway(sendRange(good)),
    };
    const { depot, fetch, client, tickAfter } = await fetchScene(context, good, answers);
    const read = readAll(fetch.read({ begin: 0, end: good.length }, new AbortController().signal));
    fetch.done.catch(() => {});
    const askedFor = (): number => depot.seen.filter(({ url }) => url!.endsWith('?torrent')).length;
    const untilAsked = (times: number): Promise<void> =>
      untilTrue(async () => {
        tickAfter(0);
        return askedFor() >= times;
      });
    // Once beside the stream, and again when that is over.
    await untilAsked(2);
    isAway = !comesBack;
    await untilAsked(3);
    if (comesBack) {
      assert.equal((await read).bytes.compare(good), 0);
      return;
    }
    await untilTrue(async () => client.isAway === true);
    tickAfter(0);
    tickAfter(AGENT_LIMITS.stallMs);
    assert.ok((await read).error instanceof DepotAway);
  });

test('a stream that breaks in the middle, and that the depot fails to go on with, ends its answer', async (context) => {
  const folder = await folderOf(context);
  const long = bytesOf(100_000);
  let asked = 0;
  const { url } = await liar(context, {
    info: info({ sha256: sha256(long), lengthBytes: long.length }),
    bytes: (request, response) => {
      asked++;
      if (request.headers.range !== undefined) answering(500)(request, response);
      else {
        response.writeHead(200, { 'content-length': long.length });
        response.write(long.subarray(0, 50_000), () => void response.destroy());
      }
    },
  });
  const { agent } = await agentOf(context, url, join(folder, 'cache'));
  const answer = await get(agent.url, 'artifacts/x').catch((error: Error) => error);
  assert.ok(answer instanceof Error || answer.status >= 500);
  // What the depot failed at is not asked again at once.
  assert.equal(asked, 2);
  await untilTrue(async () => agent.stats().fetches === 0);
});

test('an answer that comes late does not say that a depot is well which has said otherwise since', async (context) => {
  let answerHealth = (): void => {};
  const server = createServer((request, response) => {
    if (request.url === '/healthz') answerHealth = () => void response.end('ok');
    else response.writeHead(503).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new DepotClient({ url, token: null, userAgent: 'test' });
  context.after(() => client.destroy());
  const look = client.look('look', 10_000);
  await assert.rejects(client.resolve('artifacts/x', 10_000), DepotAway);
  assert.equal(client.isAway, true);
  await untilTrue(async () => {
    answerHealth();
    return Promise.race([look.then(() => true), setImmediate(false)]);
  });
  assert.equal(client.isAway, true);
});
