/** A name and its bytes in one question: what is said beside the bytes is believed no more than what is said else. */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { AgentOptions } from '../../src/index.js';
import { agentOf, bytesOf, depotOf, folderOf, get, put, sha256, type TestAgent, untilTrue } from './agent-harness.js';
import { createTorrentBytes } from './agent-torrent.js';
import { type Answer, type Answers, info, infoText, type Liar, liar, send, sendRange, taken } from './lying-depot.js';

const MIB = 2 ** 20;
const TELLS = { 'x-swarmhaul-info': '1' };
const GOOD = bytesOf(300_000);
const FACTS = { sha256: sha256(GOOD), lengthBytes: GOOD.length };

/** The bytes, and beside them what `?info` tells. */
const told = (bytes: Uint8Array, facts: Record<string, unknown>, more: Record<string, string> = {}): Answer =>
  send(bytes, { 'x-swarmhaul-info': Buffer.from(infoText(facts)).toString('base64'), ...more });

async function sceneOf(
  context: TestContext,
  answers: Answers,
  more: Partial<AgentOptions> = {},
): Promise<TestAgent & { readonly depot: Liar }> {
  const depot = await liar(context, answers, TELLS);
  const made = await agentOf(context, depot.url, join(await folderOf(context), 'cache'), more);
  await ready(made);
  return { ...made, depot };
}

/** It has asked what its depot can do. */
async function ready({ agent }: TestAgent): Promise<void> {
  await untilTrue(async () => agent.stats().isDepotAway === false);
}

const askedFor = ({ seen }: { readonly seen: readonly IncomingMessage[] }): string[] =>
  seen.map(({ url }) => url!).filter((url) => url !== '/healthz');

test('what nobody has asked for before costs one question, short or long, of any space', async (context) => {
  const folder = await folderOf(context);
  const asked: string[] = [];
  const depot = await depotOf(context, join(folder, 'depot'), {
    onRequest: ({ path, method }) => void (method === 'GET' && asked.push(path)),
  });
  const made = await agentOf(context, depot.url, join(folder, 'cache'));
  await ready(made);
  const { agent } = made;
  for (const length of [0, 1, 300_000, 4 * MIB, 9 * MIB]) {
    const bytes = bytesOf(length);
    const key = sha256(bytes);
    await put(depot.url, `a/${length}`, bytes);
    for (const path of [`artifacts/a/${length}`, `cas/${key}`]) {
      asked.length = 0;
      const direct = await get(depot.url, path);
      // It is told of when it has ended.
      await untilTrue(async () => asked.length > 0);
      asked.length = 0;
      const answer = await get(agent.url, path);
      assert.equal(answer.status, direct.status, path);
      assert.deepEqual(answer.bytes, direct.bytes);
      for (const name of ['etag', 'content-type', 'last-modified', 'content-disposition'])
        assert.equal(answer.headers.get(name), direct.headers.get(name), name);
      const questions = asked.filter((each) => each === `/${path}`);
      // What is short or has a .torrent, which is asked for beside the stream.
      if (path.startsWith('artifacts/')) assert.ok(questions.length <= (length >= 4 * MIB ? 2 : 1), asked.join());
    }
  }
});

test('what is told beside the bytes is told on: the time to the second, the type, the end', async (context) => {
  const facts = { ...FACTS, created: '2026-11-28T01:02:03.456Z', expires: '2030-01-01T00:00:00.000Z', isPinned: true };
  const { agent } = await sceneOf(context, { bytes: told(GOOD, { ...facts, contentType: 'text/plain' }) });
  const answer = await get(agent.url, 'artifacts/x');
  assert.deepEqual(answer.bytes, GOOD);
  assert.equal(answer.headers.get('content-type'), 'text/plain');
  const said = JSON.parse(String((await get(agent.url, 'artifacts/x?info')).bytes)) as typeof facts;
  for (const name of ['created', 'expires', 'isPinned'] as const) assert.equal(said[name], facts[name]);
});

const LIES: Readonly<Record<string, Answers>> = {
  'another length than it sends': { bytes: told(GOOD, { ...FACTS, lengthBytes: 1000 }) },
  'another name': { bytes: told(GOOD, { ...FACTS, name: 'y' }) },
  'no base64': { bytes: send(GOOD, { 'x-swarmhaul-info': '%%%' }) },
  'a digest that is none': { bytes: told(GOOD, { ...FACTS, sha256: 'x' }) },
  'an encoding': { bytes: told(GOOD, FACTS, { 'content-encoding': 'gzip' }) },
  'the digest of other bytes': { bytes: told(bytesOf(300_000), FACTS) },
  'a part of it': {
    bytes: (_request, response) => {
      const text = Buffer.from(infoText(FACTS)).toString('base64');
      response.writeHead(206, { 'content-length': GOOD.length, 'x-swarmhaul-info': text }).end(GOOD);
    },
  },
  'a redirect': { bytes: (_request, response) => void response.writeHead(302, { location: '/other' }).end() },
};

for (const [what, answers] of Object.entries(LIES))
  test(`${what} beside the bytes: nothing comes to its end, nothing is kept`, async (context) => {
    const { agent } = await sceneOf(context, {
      info: (_request, response) => response.writeHead(500).end(),
      ...answers,
    });
    const answer = await taken(`${agent.url}/artifacts/x`);
    assert.ok(!answer.isWhole || answer.status >= 500, `${answer.status} with ${answer.bytes} bytes`);
    assert.notEqual(answer.sha256, FACTS.sha256);
    await untilTrue(async () => agent.stats().fetches === 0);
    assert.equal(agent.stats().blobs, 0);
  });

test('a depot that has said it can, and cannot, is asked in two steps from then on', async (context) => {
  const { agent, depot } = await sceneOf(context, { info: info(FACTS), bytes: sendRange(GOOD) });
  assert.deepEqual((await get(agent.url, 'artifacts/x')).bytes, GOOD);
  assert.deepEqual(askedFor(depot), ['/artifacts/x', '/artifacts/x?info', '/artifacts/x']);
  await get(agent.url, 'artifacts/y');
  assert.equal(askedFor(depot)[3], '/artifacts/y?info');
});

test('a depot too busy for bytes still tells what the name is, and peers may have it', async (context) => {
  const long = bytesOf(5 * MIB);
  const { bytes: torrent, infoHash } = createTorrentBytes('x', long);
  const { agent, depot } = await sceneOf(context, {
    info: info({ sha256: sha256(long), lengthBytes: long.length, infoHash }),
    torrent: send(torrent),
    bytes: (_request, response) => void response.writeHead(503, { 'retry-after': '1' }).end(),
    seed: sendRange(long),
  });
  assert.deepEqual((await get(agent.url, 'artifacts/x')).bytes, long);
  assert.equal(askedFor(depot)[1], '/artifacts/x?info');
});

test('bytes that nobody needs are not waited for: of a blob that is here, of a client that left', async (context) => {
  const open = new Set<string>();
  const endless: Answer = (request, response) => {
    open.add(request.url!);
    response.on('close', () => open.delete(request.url!));
    const text = Buffer.from(infoText({ ...FACTS, name: request.url!.slice('/artifacts/'.length) })).toString('base64');
    response.writeHead(200, { 'content-length': GOOD.length, 'x-swarmhaul-info': text });
    if (request.url === '/artifacts/x') response.end(GOOD);
    else response.write(GOOD.subarray(0, 10));
  };
  const { agent } = await sceneOf(context, { bytes: endless });
  assert.deepEqual((await get(agent.url, 'artifacts/x')).bytes, GOOD);
  await untilTrue(async () => agent.stats().blobs === 1);
  assert.deepEqual((await get(agent.url, 'artifacts/other')).bytes, GOOD);
  await untilTrue(async () => open.size === 0);
});

test('a name that got other bytes at the depot after it was asked for gives those, and no 404', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const made = await agentOf(context, depot.url, join(folder, 'cache'));
  await ready(made);
  const { agent, warnings } = made;
  for (const length of [1, 300_000, 5 * MIB]) {
    const path = `b/${length}`;
    await put(depot.url, path, bytesOf(length));
    const known = await get(agent.url, `artifacts/${path}?info`);
    assert.equal(known.status, 200);
    const other = bytesOf(length + 1);
    await put(depot.url, `${path}?overwrite=true`, other);
    const answer = await get(agent.url, `artifacts/${path}`);
    assert.deepEqual(
      [answer.status, answer.bytes.equals(other)],
      [200, true],
      `${length}: ${answer.bytes.length} bytes`,
    );
  }
  assert.deepEqual(warnings, []);
});
