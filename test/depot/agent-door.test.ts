/** The agent's door before those who do not mean well, and beside the depot's: the same requests, the same answers. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { seededBytes } from '../../lab/data.js';
import { until } from '../../lab/wait.js';
import type { Agent, Depot } from '../../src/index.js';
import { makeRandom } from '../../src/random.js';
import { agentOf, depotOf, folderOf, get, put, sha256 } from './agent-harness.js';
import { answersIn, essence, exchange, requestText, statusesOf } from './raw-answers.js';

const MIB = 2 ** 20;
const SHORT = seededBytes(1, 1000);
const LONG = seededBytes(2, 5 * MIB + 123);
const AC = 'ab'.repeat(32);

interface Pair {
  readonly depot: Depot;
  readonly agent: Agent;
}

async function pairOf(context: TestContext): Promise<Pair> {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  await put(depot.url, 'short', SHORT);
  await put(depot.url, 'dir/long', LONG);
  await put(depot.url, 'empty', Buffer.alloc(0));
  await put(depot.url, encodeURIComponent('é ü;"'), SHORT);
  for (const path of [`cas/${sha256(SHORT)}`, `ac/${AC}`]) {
    const answer = await fetch(`${depot.url}/${path}`, { method: 'PUT', body: SHORT });
    assert.equal(answer.status, 201, path);
  }
  return { depot, agent };
}

const TARGETS = [
  '/artifacts/short',
  '/artifacts/short?info',
  '/artifacts/empty',
  '/artifacts/%C3%A9%20%C3%BC%3B%22',
  '/artifacts/%73hort',
  `/cas/${sha256(SHORT)}`,
  `/ac/${AC}`,
  '/artifacts/none',
  `/cas/${'0'.repeat(64)}`,
];
/** What is refused, or is nothing. */
const BAD_TARGETS = [
  '/artifacts/..',
  '/artifacts/%2e%2e/short',
  '/artifacts/x/../short',
  '/artifacts/a%2Fb',
  '/artifacts/a%5Cb',
  '/artifacts/a%00b',
  '/artifacts/%0d%0aX:%20y',
  '/artifacts/%ff',
  '/artifacts/%c0%ae%c0%ae/short',
  '/artifacts/%',
  '/artifacts/a//b',
  '//artifacts/short',
  '/artifacts/C:x',
  `/artifacts/${'a'.repeat(256)}`,
  `/artifacts/${'a/'.repeat(40)}a`,
  '/artifacts/short/',
  '/artifacts/short?x=1',
  '/artifacts/short?info=1',
  '/artifacts/short?info&info',
  '/artifacts/short#x',
  '/cas/..',
  `/cas/${'z'.repeat(64)}`,
  `/cas/${sha256(SHORT).toUpperCase()}`,
  '/artifacts',
  '/nothing',
  'http://evil.example/artifacts/short',
  'http://localhost/artifacts/short',
  'ftp://localhost/artifacts/short',
];
const TAG = `"${sha256(SHORT)}"`;
const HEADERS = [
  'Range: bytes=0-9',
  'Range: bytes=990-',
  'Range: bytes=-7',
  'Range: bytes=-0',
  'Range: bytes=9-2',
  'Range: bytes=1000-',
  'Range: bytes=0-99999999999999999999',
  'Range: bytes=99999999999999999999-',
  'Range: bytes=0-0,2-3',
  'Range: bytes=5-9,0-4,2-7',
  `Range: bytes=${'0-0,'.repeat(2_000)}1-1`,
  'Range: bits=0-9',
  'Range: bytes=a-b',
  'Range: bytes = 0-9',
  'Range: bytes=0-9\r\nRange: bytes=10-19',
  `If-Range: ${TAG}`,
  `If-Range: W/${TAG}`,
  'If-Range: "other"',
  'If-Range: Sat, 01 Jan 2050 00:00:00 GMT',
  `If-Match: ${TAG}`,
  'If-Match: *',
  'If-Match: "other"',
  `If-Match: "other", ${TAG}`,
  `If-Match: W/${TAG}`,
  'If-Match: nonsense',
  `If-None-Match: ${TAG}`,
  `If-None-Match: W/${TAG}`,
  'If-None-Match: *',
  'If-None-Match: "other"',
  'If-None-Match: "unended',
  'If-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT',
  'If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT',
  'Accept-Encoding: gzip',
  'Accept: text/html',
  'Authorization: Bearer whatever',
  'Origin: http://evil.example',
  'Sec-Fetch-Site: cross-site',
];
const METHODS = ['POST', 'PATCH', 'TRACE', 'OPTIONS', 'PROPFIND', 'MKCOL'];

interface Asked {
  readonly method: string;
  readonly target: string;
  readonly lines: readonly string[];
}

function someRequests(seed: number, count: number): Asked[] {
  const random = makeRandom(seed);
  const dice = (below: number): number => Math.floor(random() * below);
  const one = <T>(of: readonly T[]): T => of[dice(of.length)]!;
  return Array.from({ length: count }, () => {
    const kind = dice(10);
    const method = kind === 0 ? one(METHODS) : kind < 4 ? 'HEAD' : 'GET';
    const lines = [...new Set(Array.from({ length: dice(4) }, () => one(HEADERS)))];
    const target = dice(4) === 0 ? one(BAD_TARGETS) : one(TARGETS);
    return { method, target, lines: lines.filter((line, at) => isFirstOfName(line, at, lines)) };
  });
}

function isFirstOfName(line: string, at: number, lines: readonly string[]): boolean {
  const name = line.slice(0, line.indexOf(':'));
  return lines.findIndex((other) => other.startsWith(`${name}:`)) === at;
}

/** Of requests in one write. */
async function inOneWrite(port: number, asked: readonly Asked[]): Promise<unknown[]> {
  const texts = asked.map(({ method, target, lines }, at) => {
    const last = at === asked.length - 1 ? ['Connection: close'] : [];
    return requestText(method, target, [...lines, ...last]);
  });
  const bytes = await exchange(port, Buffer.from(texts.join(''), 'latin1'));
  return answersIn(
    bytes,
    asked.map(({ method }) => method),
  ).map(essence);
}

test('hundreds of requests, forty in one write, are answered by an agent as by its depot', async (context) => {
  const { depot, agent } = await pairOf(context);
  const port = Number(new URL(depot.url).port);
  const rangesOfLong: Asked[] = ['0-0', '262143-262144', '1000000-4000000', '-1', '5243002-', '5243003-', '3-2'].map(
    (range) => ({ method: 'GET', target: '/artifacts/dir/long', lines: [`Range: bytes=${range}`] }),
  );
  const requests = [...rangesOfLong, ...someRequests(7, 400)];
  const statuses = new Set<number>();
  for (let at = 0; at < requests.length; at += 40) {
    const batch = requests.slice(at, at + 40);
    const [expected, found] = await Promise.all([inOneWrite(port, batch), inOneWrite(agent.port, batch)]);
    assert.equal(expected.length, batch.length, `${at}`);
    for (const [k, answer] of expected.entries()) {
      assert.deepEqual(found[k], answer, JSON.stringify(batch[k]));
      statuses.add((answer as { status: number }).status);
    }
  }
  assert.deepEqual([...statuses].sort(), [200, 204, 206, 304, 400, 404, 405, 412, 416, 421]);
});

test('the description of the door names what it has, and the statuses that it answers with', async (context) => {
  const { depot, agent } = await pairOf(context);
  interface Document {
    readonly openapi: string;
    readonly info: { title: string };
    readonly paths: Record<string, Record<string, { responses: Record<string, { content?: object }> }>>;
  }
  const read = async (url: string): Promise<Document> =>
    JSON.parse(String((await get(url, 'openapi.json')).bytes)) as Document;
  const [ofDepot, { openapi, info, paths }] = [await read(depot.url), await read(agent.url)];
  assert.deepEqual([openapi, info.title], ['3.1.0', 'Swarmhaul agent']);
  const [artifact, key] = ['/artifacts/{path}', '/cas/{key}'];
  for (const path of [artifact, key, '/ac/{key}', '/artifacts/{prefix}/', '/receipts/{id}', '/local/{path}', '/readyz'])
    assert.ok(path in paths, path);
  for (const path of [artifact, key])
    for (const [method, { responses }] of Object.entries(ofDepot.paths[path]!)) {
      const own = paths[path]![method]!.responses;
      // What the depot says, of the same type, and that it may be away.
      for (const status of [...Object.keys(responses), '502', '504']) assert.ok(status in own, `${method} ${status}`);
      for (const [status, { content = {} }] of Object.entries(responses))
        assert.equal(Object.keys(own[status]!.content ?? {})[0], Object.keys(content)[0], `${method} ${status}`);
    }
});

test('what may stand in a query is told also where another one reads it', async (context) => {
  const { depot, agent } = await pairOf(context);
  interface Document {
    readonly paths: Record<string, Record<string, { parameters: { in: string; name: string }[] }>>;
  }
  const wordsOf = async (url: string, path: string, method: string): Promise<string[]> => {
    const { paths } = JSON.parse(String((await get(url, 'openapi.json')).bytes)) as Document;
    return paths[path]![method]!.parameters.filter((one) => one.in === 'query').map(({ name }) => name);
  };
  for (const path of ['/announce', '/{passkey}/announce'])
    for (const word of ['info_hash', 'peer_id', 'port', 'left', 'event', 'numwant', 'compact', 'zone'])
      assert.ok((await wordsOf(depot.url, path, 'get')).includes(word), `${path} ${word}`);
  assert.deepEqual(await wordsOf(depot.url, '/scrape', 'get'), ['info_hash']);
  const [ofDepot, ofAgent] = [depot.url, agent.url].map((url) => wordsOf(url, '/artifacts/{path}', 'put'));
  assert.ok((await ofAgent!).length > 0);
  assert.deepEqual(await ofAgent, await ofDepot);
});

describe('what is no good request is refused by an agent as by its depot', () => {
  const plain = 'Host: localhost\r\n';
  const texts: Record<string, string> = {
    'a flood of ranges': requestText('GET', '/artifacts/short', [`Range: bytes=${'0-0,'.repeat(100_000)}1-1`]),
    'endless headers': `GET /artifacts/short HTTP/1.1\r\n${plain}${'a: b\r\n'.repeat(200_000)}`,
    'a header without an end': `GET /artifacts/short HTTP/1.1\r\n${plain}a: ${'b'.repeat(1_000_000)}`,
    'a target without an end': `GET /artifacts/${'a'.repeat(1_000_000)}`,
    'two lengths': requestText('PUT', '/artifacts/a', ['Content-Length: 4', 'Content-Length: 5'], 'abcde'),
    'a length and chunks': requestText('PUT', '/artifacts/a', ['Content-Length: 4', 'Transfer-Encoding: chunked'], ''),
    'a coding that is none': requestText('PUT', '/artifacts/a', ['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'),
    'a chunk that is none': requestText('PUT', '/artifacts/a', ['Transfer-Encoding: chunked'], '3\r\nabc\r\nzz\r\n'),
    'a body beside GET': requestText('GET', '/artifacts/short', ['Content-Length: 3', 'Connection: close'], 'abc'),
    'no host': 'GET /artifacts/short HTTP/1.1\r\nConnection: close\r\n\r\n',
    'two hosts': requestText('GET', '/artifacts/short', ['Host: localhost', 'Connection: close']),
    'a host of others': 'GET /artifacts/short HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
    'a host with a user': 'GET /artifacts/short HTTP/1.1\r\nHost: a@localhost\r\nConnection: close\r\n\r\n',
    'a write of another site': requestText('PUT', '/artifacts/a', [
      'Origin: http://evil.example',
      'Content-Length: 0',
      'Connection: close',
    ]),
    'a removal by another site': requestText('DELETE', '/artifacts/short', [
      'Sec-Fetch-Site: cross-site',
      'Connection: close',
    ]),
    'a proxy is wanted': 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n',
    'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'HTTP/0.9': 'GET /artifacts/short\r\n\r\n',
    TLS: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'a NUL in a header': requestText('GET', '/artifacts/short', ['A: \0']),
    'a bare CR': requestText('GET', '/artifacts/short', ['A: b\rC: d', 'Connection: close']),
    'an expectation': requestText('PUT', '/artifacts/a', ['Expect: wonders', 'Content-Length: 1']),
  };
  test('status by status', async (context) => {
    const { depot, agent } = await pairOf(context);
    const port = Number(new URL(depot.url).port);
    for (const [what, text] of Object.entries(texts)) {
      const bytes = Buffer.from(text, 'latin1');
      const [expected, found] = await Promise.all([exchange(port, bytes), exchange(agent.port, bytes)]);
      const statuses = answersIn(found).map(({ status }) => status);
      assert.deepEqual(
        statuses,
        answersIn(expected).map(({ status }) => status),
        what,
      );
      assert.equal(statuses.length, 1, what);
      if (what === 'a body beside GET') continue;
      assert.ok(statuses[0]! >= 400, what);
      assert.match(String(found), /\r\ncontent-type: application\/problem\+json\r\n/i, what);
    }
    const { bytes } = await get(depot.url, 'artifacts/');
    assert.deepEqual((JSON.parse(String(bytes)) as { items: unknown[] }).items.length, 4);
    assert.equal((await get(agent.url, 'healthz')).status, 200);
  });
});

for (const at of ['depot', 'agent'] as const) {
  test(`at the ${at}, what is no request does not take the place of an answer to what is one`, async (context) => {
    const { depot, agent } = await pairOf(context);
    const port = at === 'agent' ? agent.port : Number(new URL(depot.url).port);
    const read = requestText('GET', '/artifacts/dir/long');
    const bad = 'hello\r\n\r\n';
    assert.deepEqual(await statusesOf(port, read + bad), [200, 400]);
    assert.deepEqual(
      await statusesOf(port, read + requestText('GET', '/artifacts/none') + bad + read),
      [200, 404, 400],
    );
    assert.deepEqual(await statusesOf(port, `${read}GET / HTTP/1.1\r\nA: ${'a'.repeat(30_000)}`), [200, 431]);
    // Who says that it is the last one is answered all the same.
    assert.deepEqual(
      await statusesOf(port, requestText('GET', '/artifacts/short', ['Connection: close']) + bad),
      [200],
    );
    const write = requestText('PUT', '/artifacts/written', ['Content-Length: 3'], 'abc');
    assert.deepEqual(await statusesOf(port, write + bad), [201, 400]);
    assert.equal(String((await get(depot.url, 'artifacts/written')).bytes), 'abc');
    const broken = requestText('PUT', '/artifacts/broken', ['Transfer-Encoding: chunked'], '3\r\nabc\r\nzz\r\n');
    assert.deepEqual(await statusesOf(port, read + broken), [200, 400]);
    assert.equal((await get(depot.url, 'artifacts/broken')).status, 404);
  });

  test(`at the ${at}, who has said all and closes its side gets its answer`, async (context) => {
    const { depot, agent } = await pairOf(context);
    const port = at === 'agent' ? agent.port : Number(new URL(depot.url).port);
    const [long] = answersIn(await exchange(port, requestText('GET', '/artifacts/dir/long'), true));
    assert.equal(sha256(long!.body), sha256(LONG));
    const write = requestText('PUT', '/artifacts/written', ['Content-Length: 3'], 'abc');
    assert.deepEqual(await statusesOf(port, write + requestText('GET', '/artifacts/short'), true), [201, 200]);
    const cut = requestText('PUT', '/artifacts/cut', ['Content-Length: 4'], 'abc');
    assert.deepEqual(await statusesOf(port, cut, true), [400]);
    assert.equal((await get(depot.url, 'artifacts/cut')).status, 404);
  });
}

test('a thousand requests in one write are answered in turn; who reads none of it is no burden', async (context) => {
  const { agent } = await pairOf(context);
  const names = Array.from({ length: 1000 }, (_, k) => ['short', 'none', 'empty'][k % 3]!);
  const texts = names.map((name, k) => {
    return requestText('GET', `/artifacts/${name}`, k === names.length - 1 ? ['Connection: close'] : []);
  });
  const answers = answersIn(await exchange(agent.port, texts.join('')));
  assert.deepEqual(
    answers.map(({ status, body }) => [status, status === 404 ? null : body.length]),
    names.map((name) => (name === 'none' ? [404, null] : [200, name === 'short' ? 1000 : 0])),
  );
  await get(agent.url, 'artifacts/dir/long');
  const before = process.memoryUsage().external;
  const silent = Array.from({ length: 8 }, () => {
    const socket = net.connect(agent.port, '127.0.0.1').on('error', () => {});
    socket.pause();
    socket.write(requestText('GET', '/artifacts/dir/long').repeat(1000));
    return socket;
  });
  context.after(() => silent.forEach((socket) => void socket.destroy()));
  const requests = async (): Promise<number> =>
    Number(/^haul_agent_requests (\d+)$/m.exec(String((await get(agent.url, 'metrics')).bytes))?.[1]);
  // Of each the first; those behind it cost nothing until their turn.
  await until('all of them ask', 20_000, async () => (await requests()) > 8);
  // Each holds what the kernel takes and a slice or two, not the 5 GiB that it asks for.
  assert.equal(sha256((await get(agent.url, 'artifacts/dir/long')).bytes), sha256(LONG));
  const heldBytes = process.memoryUsage().external - before;
  assert.ok(heldBytes < 64 * MIB, `${heldBytes} bytes`);
  for (const socket of silent) socket.destroy();
  await until('nothing of theirs is left', 20_000, async () => (await requests()) === 1);
});
