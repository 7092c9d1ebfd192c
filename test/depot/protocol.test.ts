/** HTTP by hand: versions, framing, methods, expectations, bodies, and who leaves early. Each ends as it must. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import net from 'node:net';
import { test } from 'node:test';
import { until } from '../../lab/wait.js';
import { Problem, STATUS_TITLES } from '../../src/depot/http/problems.js';
import { ask, openTestDoor, statusOf, talk } from './door-harness.js';

const HOST = 'Host: localhost\r\n';
const NEXT = `GET /version HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;
const put = (headers: string, body: string): string => `PUT /artifacts/a HTTP/1.1\r\n${HOST}${headers}\r\n\r\n${body}`;
const statuses = (text: string): number[] =>
  [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, found]) => Number(found));

const both = 'Content-Length: 4\r\nTransfer-Encoding: chunked';
const ambiguous: [title: string, bytes: string, status: number][] = [
  ['two lengths that agree', put('Content-Length: 4\r\nContent-Length: 4', 'abcd'), 400],
  ['two lengths that do not', put('Content-Length: 4\r\nContent-Length: 5', 'abcd'), 400],
  ['a list of lengths', put('Content-Length: 4, 4', 'abcd'), 400],
  ['a length and chunks', put(both, '0\r\n\r\n'), 400],
  ['chunks and a length', put('Transfer-Encoding: chunked\r\nContent-Length: 4', '0\r\n\r\n'), 400],
  ['both, before a word to go on', put(`Expect: 100-continue\r\n${both}`, ''), 400],
  ['two lengths of a GET', `GET /version HTTP/1.1\r\n${HOST}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd`, 400],
  ['two codings', put('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 400],
  ['a coding behind chunked', put('Transfer-Encoding: chunked, identity', '0\r\n\r\n'), 400],
  ['an empty coding', put('Transfer-Encoding: ', ''), 501],
  ['a chunk in bare line feeds', put('Transfer-Encoding: chunked', '3\nabc\n0\n\n'), 400],
  ['a chunk beyond all numbers', put('Transfer-Encoding: chunked', 'fffffffffffffffff\r\nabc'), 400],
  ['a length behind the chunks', put('Transfer-Encoding: chunked', '3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n'), 400],
  ['endless trailers', put('Transfer-Encoding: chunked', `3\r\nabc\r\n0\r\n${'X: 1\r\n'.repeat(20_000)}`), 431],
  ['an endless extension of a chunk', put('Transfer-Encoding: chunked', `3;${'a'.repeat(200_000)}`), 413],
  ['an expectation that nobody knows', put('Expect: x\r\nContent-Length: 3', 'abc'), 417],
  ['a tunnel', `CONNECT localhost:80 HTTP/1.1\r\n${HOST}\r\n`, 405],
  ['TLS', `\x16\x03\x01\x02\x00\x01${'a'.repeat(500)}`, 400],
];
for (const [title, bytes, status] of ambiguous)
  test(`${title}: ${status}, and nothing behind it is read`, async (context) => {
    const door = await openTestDoor(context);
    // Until the other side closes it.
    const answer = await talk(door.port, Buffer.from(bytes + NEXT, 'latin1'));
    assert.deepEqual(statuses(answer), [status], answer);
    assert.match(answer, /\r\nconnection: close\r\n/i);
    const { title: word, status: told } = JSON.parse(answer.slice(answer.indexOf('{'))) as Problem['body'];
    assert.equal(told, status);
    assert.notEqual(word, 'Error');
    assert.equal(door.depository.rows.size, 0);
  });

test('a length, or another host, behind thousands of headers is seen', async (context) => {
  const { port, depository } = await openTestDoor(context);
  const many = 'a:b\r\n'.repeat(2500);
  assert.deepEqual(statuses(await talk(port, put(`${many}Connection: close\r\nContent-Length: 3`, 'abc'))), [201]);
  assert.equal(depository.rows.get('artifacts/a')?.lengthBytes, 3);
  const twice = `GET /version HTTP/1.1\r\n${HOST}${many}Host: evil.example\r\nConnection: close\r\n\r\n`;
  assert.deepEqual(statuses(await talk(port, twice)), [400]);
});

test('every method has an answer, and those that are nobody’s are named', async (context) => {
  const { port } = await openTestDoor(context);
  for (const method of ['TRACE', 'PATCH', 'POST', 'PROPFIND', 'MKCOL', 'PURGE', 'LOCK', 'M-SEARCH']) {
    const answer = await ask(port, `${method} /artifacts/a`);
    assert.equal(statusOf(answer), 405, method);
    assert.match(answer, /allow: GET, HEAD, PUT, DELETE, OPTIONS\r/i);
  }
  for (const path of ['/', '/artifacts/', '/version', '/healthz', '/readyz', '/metrics', '/openapi.json', '/events']) {
    const [get, head] = [
      await talk(port, `GET ${path} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`, (text) => text.includes('\r\n\r\n')),
      await ask(port, `HEAD ${path}`),
    ];
    assert.deepEqual([statusOf(get), statusOf(head)], [200, 200], path);
    assert.equal(head.slice(head.indexOf('\r\n\r\n')), '\r\n\r\n', path);
    const fields = (text: string): string[] => {
      const lines = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n').slice(1);
      return lines.filter((line) => !/^(?:date|connection|transfer-encoding):/i.test(line));
    };
    assert.deepEqual(fields(head), fields(get), path);
  }
});

test('HTTP/1.0, upgrades, expectations and trailers are what they were', async (context) => {
  const { port, depository } = await openTestDoor(context);
  assert.equal(statusOf(await talk(port, `GET /version HTTP/1.0\r\n${HOST}\r\n`)), 200);
  assert.equal(statusOf(await talk(port, 'GET /version HTTP/1.0\r\n\r\n')), 400);
  assert.equal(statusOf(await talk(port, `GET /version HTTP/2.0\r\n${HOST}\r\n`)), 505);
  const upgrade = 'Connection: Upgrade, close\r\nUpgrade: h2c\r\n';
  assert.equal(statusOf(await talk(port, `GET /version HTTP/1.1\r\n${HOST}${upgrade}\r\n`)), 200);
  const expecting = 'Connection: close\r\nExpect: 100-Continue\r\nContent-Length: 3';
  assert.deepEqual(statuses(await talk(port, put(expecting, 'abc'))), [100, 201]);
  const old = `PUT /artifacts/b HTTP/1.0\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`;
  assert.deepEqual(statuses(await talk(port, old)), [201]);
  const chunks = '1;x=y\r\na\r\n2\r\nbc\r\n0\r\nX-Checksum-Sha256: 0\r\n\r\n';
  assert.deepEqual(statuses(await talk(port, put('Connection: close\r\nTransfer-Encoding: chunked', chunks))), [200]);
  assert.equal(depository.rows.get('artifacts/a')?.lengthBytes, 3);
});

test('a Content-Digest is verified as a Repr-Digest is', async (context) => {
  const { port, depository } = await openTestDoor(context);
  const digest = (text: string): string => `sha-256=:${createHash('sha256').update(text).digest('base64')}:`;
  const send = async (...headers: string[]): Promise<number> =>
    statusOf(await ask(port, ['PUT /artifacts/a', 'Content-Length: 3', ...headers].join('\n'), 'abc'));
  assert.equal(await send(`Content-Digest: ${digest('other')}`), 422);
  assert.equal(await send('Content-Digest: nonsense'), 400);
  assert.equal(await send(`Content-Digest: ${digest('abc')}`, `Repr-Digest: ${digest('other')}`), 400);
  assert.equal(depository.rows.size, 0);
  assert.equal(await send(`Content-Digest: ${digest('abc')}`, `Repr-Digest: ${digest('abc')}`), 201);
});

test('who leaves with the last byte has had all of it, says the log', async (context) => {
  const { port, depository, records, url } = await openTestDoor(context);
  await fetch(`${url}/artifacts/a`, { method: 'PUT', body: 'x'.repeat(100_000) });
  let isClosed = (): void => {};
  const closed = new Promise<void>((resolve) => {
    isClosed = resolve;
  });
  const read = depository.read.bind(depository);
  // What it was read from takes its time to be closed, as files do.
  depository.read = async function* (...words) {
    yield* read(...words);
    await closed;
  };
  const socket = net.connect(port, '127.0.0.1');
  socket.write(`GET /artifacts/a HTTP/1.1\r\n${HOST}\r\n`);
  let got = 0;
  socket.on('data', (bytes) => {
    got += bytes.length;
    if (got > 100_000) socket.destroy();
  });
  await until('it is logged', 10_000, () => records.length === 2);
  assert.deepEqual([records[1]!.sentBytes, records[1]!.isAborted], [100_000, false]);
  isClosed();
});

test('every status of a problem has a title', () => {
  for (const status of [
    400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 416, 421, 422, 500, 501, 502, 503, 504, 505, 507,
  ]) {
    assert.equal(new Problem(status, 'X', '').body.title, STATUS_TITLES[status]);
    assert.ok(STATUS_TITLES[status] !== undefined, String(status));
  }
});
