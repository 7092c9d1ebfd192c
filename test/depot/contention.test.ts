/** Many at one name, bodies that never end or hardly come, and pages of other sites: against the real store. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { until } from '../../lab/wait.js';
import type { DepotOptions } from '../../src/depot/publish.js';
import { bytesOf, MIB, openKit, sha256 } from './depot-kit.js';
import { ask, openTestDoor, statusOf, talk } from './door-harness.js';

async function openReal(context: TestContext, options: Partial<DepotOptions> = {}) {
  const kit = await openKit(context, options);
  const inside = { depository: kit.depot, catalogue: kit.catalogue };
  return { ...kit, ...(await openTestDoor(context, { inside })) };
}

/** Nothing on its way, and no blob that nobody names. */
async function isClean(folder: string, blobs: number): Promise<boolean> {
  const names = await readdir(folder, { recursive: true });
  const onTheWay = names.filter((name) => name.startsWith('tmp/'));
  return onTheWay.length === 0 && names.filter((name) => /\/[0-9a-f]{64}$/.test(name)).length === blobs;
}

test('of many that put one name at once one wins, the others hear so, and only its bytes are kept', async (context) => {
  const { url, folder } = await openReal(context);
  const bodies = Array.from({ length: 12 }, (_, k) => bytesOf(2 * MIB, k + 1));
  const put = (body: Buffer, query = ''): Promise<Response> =>
    fetch(`${url}/artifacts/a${query}`, { method: 'PUT', body });
  const answers = await Promise.all(bodies.map((body) => put(body)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array.from({ length: 11 }, () => 409)]);
  const winner = bodies[answers.findIndex(({ status }) => status === 201)]!;
  assert.deepEqual(Buffer.from(await (await fetch(`${url}/artifacts/a`)).arrayBuffer()), winner);
  await until('nothing else is kept', 10_000, () => isClean(folder, 1));
  // All may replace: the last one has it, whole.
  const replaced = await Promise.all(bodies.map((body) => put(body, '?overwrite=true')));
  assert.deepEqual([...new Set(replaced.map(({ status }) => status))], [200]);
  const last = Buffer.from(await (await fetch(`${url}/artifacts/a`)).arrayBuffer());
  assert.ok(bodies.some((body) => body.equals(last)));
  await until('nothing else is kept then', 10_000, () => isClean(folder, 1));
});

test('while one is put, got and removed by many, what is got is whole and of one of them', async (context) => {
  const { url, folder } = await openReal(context);
  const bodies = [bytesOf(3 * MIB, 1), bytesOf(3 * MIB + 7, 2)];
  const digests = new Set(bodies.map(sha256));
  const path = `${url}/artifacts/a`;
  const seen = new Map<string, number>();
  const note = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1);
  const ROUNDS = 25;
  const putting = bodies.map(async (body) => {
    for (let k = 0; k < ROUNDS; k++)
      note(`PUT ${(await fetch(`${path}?overwrite=true`, { method: 'PUT', body })).status}`);
  });
  const removing = (async () => {
    for (let k = 0; k < ROUNDS; k++) note(`DELETE ${(await fetch(path, { method: 'DELETE' })).status}`);
  })();
  const getting = Array.from({ length: 3 }, async () => {
    for (let k = 0; k < ROUNDS; k++) {
      const answer = await fetch(path);
      note(`GET ${answer.status}`);
      // Its connection may end where the blob goes meanwhile; other bytes never come.
      const bytes = await answer.arrayBuffer().catch(() => null);
      if (answer.status !== 200 || bytes === null) continue;
      const found = sha256(new Uint8Array(bytes));
      assert.ok(digests.has(found));
      assert.equal(answer.headers.get('etag'), `"${found}"`);
    }
  });
  await Promise.all([...putting, removing, ...getting]);
  const known = ['PUT 200', 'PUT 201', 'DELETE 204', 'DELETE 404', 'GET 200', 'GET 404'];
  assert.deepEqual(
    [...seen.keys()].filter((what) => !known.includes(what)),
    [],
    JSON.stringify([...seen]),
  );
  await fetch(path, { method: 'DELETE' });
  assert.equal((await fetch(path)).status, 404);
  await until('nothing is left', 10_000, () => isClean(folder, 0));
});

test('a body without an end is refused where it is too long, and nothing of it is kept', async (context) => {
  const { port, folder } = await openReal(context, { blobBytesMax: 4 * MIB });
  const socket = net.connect(port, '127.0.0.1');
  context.after(() => void socket.destroy());
  let answer = '';
  let sentBytes = 0;
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer += text;
  });
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 'x'), Buffer.from('\r\n')]);
  const send = (): void => {
    while (!socket.destroyed && sentBytes < 64 * MIB && socket.write(chunk)) sentBytes += 65_536;
  };
  socket.on('error', () => {}).on('drain', send);
  socket.write('PUT /artifacts/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n');
  send();
  await until('it is refused', 30_000, () => answer.includes('\r\n\r\n'));
  assert.equal(statusOf(answer), 413);
  await until('its connection is closed', 10_000, () => socket.destroyed);
  assert.ok(sentBytes < 64 * MIB);
  await until('nothing is kept', 10_000, () => isClean(folder, 0));
});

test('a body that hardly comes, or comes no more, is given up with 408, and nothing of it is kept', async (context) => {
  let nowMs = 0;
  const pace = { bytesPerSec: 4096, windowMs: 30_000 };
  const { port, folder } = await openReal(context, { pace, monotonic: () => nowMs });
  const begin = Buffer.alloc(3 * MIB, 'x');
  for (const head of ['Content-Length: 10000000', 'Transfer-Encoding: chunked']) {
    const socket = net.connect(port, '127.0.0.1');
    context.after(() => void socket.destroy());
    let answer = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    socket.write(`PUT /artifacts/a HTTP/1.1\r\nHost: localhost\r\n${head}\r\n\r\n`);
    if (head.endsWith('chunked')) socket.write(`${begin.length.toString(16)}\r\n`);
    socket.write(begin);
    await until('it is being received', 10_000, async () => !(await isClean(folder, 0)));
    nowMs += 31_000;
    await until('it is given up', 10_000, () => answer.includes('\r\n\r\n'));
    assert.equal(statusOf(answer), 408);
    await until('nothing is kept', 10_000, () => isClean(folder, 0));
  }
});

test('100,000 ranges are too many headers, and as many as fit are answered with the whole', async (context) => {
  const { port, url } = await openTestDoor(context);
  await fetch(`${url}/artifacts/a`, { method: 'PUT', body: 'x'.repeat(1000) });
  const get = (ranges: number): Promise<string> => {
    const value = `bytes=${Array.from({ length: ranges }, () => '0-').join(',')}`;
    return talk(port, `GET /artifacts/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nRange: ${value}\r\n\r\n`);
  };
  assert.equal(statusOf(await get(100_000)), 431);
  const began = performance.now();
  const answer = await get(5_000);
  assert.equal(statusOf(answer), 200);
  assert.ok(answer.endsWith('x'.repeat(1000)));
  assert.ok(performance.now() - began < 5_000);
});

test('preflights are answered for origins that are allowed, and forms of others reach nothing', async (context) => {
  const { port, depository } = await openTestDoor(context, { door: { corsOrigins: ['https://ci.example'] } });
  const preflight = (origin: string): Promise<string> =>
    ask(port, `OPTIONS /artifacts/a\nOrigin: ${origin}\nAccess-Control-Request-Method: PUT`);
  const allowed = await preflight('https://ci.example');
  assert.equal(statusOf(allowed), 204);
  assert.match(allowed, /access-control-allow-origin: https:\/\/ci\.example\r/i);
  assert.match(allowed, /access-control-allow-methods: GET, HEAD, PUT, DELETE\r/i);
  assert.doesNotMatch(allowed, /allow-credentials|: \*/i);
  for (const origin of ['https://evil.example', 'null', 'https://ci.example.evil', 'http://ci.example'])
    assert.doesNotMatch(await preflight(origin), /access-control-allow/i, origin);
  const plain = await openTestDoor(context);
  assert.doesNotMatch(await ask(plain.port, 'OPTIONS /artifacts/a\nOrigin: https://ci.example'), /access-control/i);
  const types = ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain'];
  for (const type of types)
    for (const path of ['/artifacts/a', '/artifacts/a?_method=PUT', '/pins/a', `/cas/${'0'.repeat(64)}`]) {
      const head = `POST ${path}\nOrigin: https://evil.example\nContent-Type: ${type}\nX-HTTP-Method-Override: PUT`;
      const answer = await ask(port, `${head}\nSec-Fetch-Site: cross-site\nContent-Length: 3`, 'a=b');
      assert.ok([403, 405].includes(statusOf(answer)), `${path} ${type}: ${answer}`);
    }
  for (const method of ['PUT', 'DELETE'])
    assert.equal(statusOf(await ask(port, `${method} /pins/a\nOrigin: https://evil.example`)), 403);
  assert.equal(depository.rows.size, 0);
});
