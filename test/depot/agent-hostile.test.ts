/** Depots that lie: no byte-complete bad answer leaves the agent, nothing bad is kept, nothing hangs. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentOf, bytesOf, folderOf, get, sha256, untilTrue } from './agent-harness.js';
import { createTorrentBytes } from './agent-torrent.js';
import { type Answers, info, liar, send, sendRange, taken } from './lying-depot.js';

test('bytes of another digest never come to their end, and are not kept', async (context) => {
  const folder = await folderOf(context);
  const [good, bad] = [bytesOf(300_000), bytesOf(300_000)];
  const depot = await liar(context, { info: info({ sha256: sha256(good), lengthBytes: 300_000 }), bytes: send(bad) });
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  for (let turn = 0; turn < 2; turn++) {
    const { status, bytes, isWhole } = await taken(`${agent.url}/artifacts/x`);
    assert.ok(!isWhole || status === 502, `${status} with ${bytes} bytes, whole: ${isWhole}`);
    assert.ok(bytes < 300_000);
  }
  await untilTrue(async () => agent.stats().blobs === 0);
});

test('a torrent whose bytes have another digest is no blob', async (context) => {
  const folder = await folderOf(context);
  const bad = bytesOf(6 * 2 ** 20);
  const { bytes: torrent, infoHash } = createTorrentBytes('x', bad);
  const depot = await liar(context, {
    info: info({ sha256: 'ab'.repeat(32), lengthBytes: bad.length, infoHash }),
    torrent: send(torrent),
    bytes: sendRange(bad),
  });
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  const { status, bytes, isWhole } = await taken(`${agent.url}/artifacts/x`);
  assert.ok(!isWhole || status === 502, `${status} with ${bytes} bytes, whole: ${isWhole}`);
  assert.ok(bytes < bad.length);
  assert.equal((await taken(`${agent.url}/artifacts/x`)).bytes < bad.length, true);
  await untilTrue(async () => agent.stats().blobs === 0);
});

const GOOD = bytesOf(6 * 2 ** 20);
const FACTS = { sha256: sha256(GOOD), lengthBytes: GOOD.length };
const OTHER = createTorrentBytes('x', bytesOf(6 * 2 ** 20));
const RIGHT = createTorrentBytes('x', GOOD);

const LIES: Readonly<Record<string, Answers>> = {
  'no JSON': { info: send(Buffer.from('<html>')) },
  'an info without an end': {
    info: (_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (response.write(Buffer.alloc(65_536, 32)));
      };
      response.on('drain', more);
      more();
    },
  },
  'a length that is none': { info: info({ ...FACTS, lengthBytes: -1 }) },
  'a digest that is none': { info: info({ ...FACTS, sha256: '../../etc/passwd' }) },
  'another length than it sends': { info: info({ sha256: sha256(GOOD), lengthBytes: 1000 }), bytes: send(GOOD) },
  'an encoding': { info: info({ ...FACTS }), bytes: send(GOOD, { 'content-encoding': 'gzip' }) },
  'a redirect of the name': {
    info: (_request, response) => void response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
  },
  'a redirect of the bytes': {
    info: info({ sha256: sha256(GOOD), lengthBytes: 1000 }),
    bytes: (_request, response) => void response.writeHead(307, { location: 'http://169.254.169.254/' }).end(),
  },
  'the torrent of something else': {
    info: info({ ...FACTS, infoHash: RIGHT.infoHash }),
    torrent: send(OTHER.bytes),
    bytes: send(bytesOf(GOOD.length)),
  },
  'a torrent that is none': {
    info: info({ ...FACTS, infoHash: RIGHT.infoHash }),
    torrent: send(Buffer.from('d4:info')),
    bytes: send(bytesOf(GOOD.length)),
  },
};

for (const [what, answers] of Object.entries(LIES)) {
  test(`a depot that answers ${what} is a 502, or an answer that breaks off`, async (context) => {
    const folder = await folderOf(context);
    const depot = await liar(context, answers);
    const { agent } = await agentOf(context, depot.url, join(folder, 'cache'), { token: 'secret-token' });
    const { status, isWhole } = await taken(`${agent.url}/artifacts/x`);
    assert.ok(status === 502 || !isWhole, `${status}, whole: ${isWhole}`);
    await untilTrue(async () => agent.stats().blobs === 0);
    assert.equal((await get(agent.url, 'healthz')).status, 200);
    const shown = await Promise.all(['status', 'metrics', 'receipts', 'readyz'].map((path) => get(agent.url, path)));
    for (const { bytes } of shown) assert.doesNotMatch(String(bytes), /secret-token/);
  });
}

test('a refusal of the depot is told without saying whose token it was', async (context) => {
  const folder = await folderOf(context);
  const depot = await liar(context, {
    info: (_request, response) => {
      response.writeHead(401, { 'content-type': 'application/problem+json', 'www-authenticate': 'Bearer' });
      response.end(JSON.stringify({ status: 401, code: 'BAD_TOKEN', detail: 'the token is not known here' }));
    },
  });
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'), { token: 'secret-token' });
  const answer = await get(agent.url, 'artifacts/x');
  assert.equal(answer.status, 403);
  assert.equal((JSON.parse(String(answer.bytes)) as { code: string }).code, 'BAD_TOKEN');
  assert.doesNotMatch(String(answer.bytes), /secret-token/);
  const asked = depot.seen.find(({ url }) => url?.includes('?info'));
  assert.equal(asked?.headers.authorization, 'Bearer secret-token');
});

test('names of other hosts, and writes of other sites, are refused', async (context) => {
  const folder = await folderOf(context);
  const depot = await liar(context, {});
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  const { request } = await import('node:http');
  const ask = (headers: Record<string, string>, method = 'GET'): Promise<number> =>
    new Promise((resolve, reject) => {
      const { port } = agent;
      request({ port, host: '127.0.0.1', path: '/artifacts/x', method, headers }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      })
        .on('error', reject)
        .end();
    });
  assert.equal(await ask({ host: 'evil.example' }), 421);
  assert.equal(await ask({ host: `127.0.0.1:${agent.port}`, origin: 'http://evil.example' }, 'PUT'), 403);
  assert.equal(await ask({ host: `127.0.0.1:${agent.port}`, 'sec-fetch-site': 'cross-site' }, 'DELETE'), 403);
});
