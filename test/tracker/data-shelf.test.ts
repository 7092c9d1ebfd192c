/** The data of a share over HTTP: who goes away holds nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { truncate, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import { Throttle } from '../../src/peer/throttle.js';
import { deferred } from '../../src/torrent/endings.js';
import { DataShelf } from '../../src/tracker/data-shelf.js';

const HOST = '127.0.0.1';
const DEADLINE_MS = 10_000;
const LENGTH_BYTES = 100_000;

interface Shelf {
  readonly port: number;
  /** The first answer has ended. */
  readonly served: Promise<void>;
  /** Each of them. */
  readonly answers: Promise<void>[];
}

/** A shelf with one file behind a server of its own. @param look is called before the file is found unchanged */
async function startShelf(
  scope: Scope,
  look: (response: ServerResponse, location: string) => Promise<void> = async () => {},
  lengthBytes: number = LENGTH_BYTES,
  now: () => number = () => 0,
): Promise<Shelf> {
  const location = path.join(await tempFolder(scope), 'file');
  await writeFile(location, '1');
  await truncate(location, lengthBytes);
  const shelf = new DataShelf(now);
  const answers: Promise<void>[] = [];
  const { promise: served, resolve } = deferred();
  const server = createServer((request, response) => {
    const isSame = async (): Promise<boolean> => {
      await look(response, location);
      return true;
    };
    shelf.put([{ path: ['file'], location, lengthBytes, etag: '"1"', uploads: new Throttle([]), isSame }]);
    answers.push(shelf.serve('file', request, response));
    void answers[0]!.then(resolve);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, served, answers };
}

test('a client that goes away while its file is opened holds neither a place nor a descriptor', async (t) => {
  const scope = openScope(t);
  const { port, served } = await startShelf(scope, async (response) => {
    const closed = once(response, 'close');
    client.destroy();
    await closed;
  });
  const client = connect(port, HOST, () => client.write('GET /file HTTP/1.1\r\nHost: x\r\n\r\n'));
  await withDeadline(served, 'the answer has ended', DEADLINE_MS);
});

test('who asks again before its answer has come, takes nothing and goes, holds no answer for ever', async (t) => {
  const scope = openScope(t);
  const { port, answers } = await startShelf(scope, undefined, 64 * 1024 * 1024);
  const asked = 'GET /file HTTP/1.1\r\nHost: x\r\n\r\n';
  const client = connect(port, HOST, () => client.write(asked + asked));
  await until('both were heard', DEADLINE_MS, () => answers.length === 2);
  await once(client, 'readable');
  client.destroy();
  await withDeadline(Promise.all(answers), 'both answers have ended', DEADLINE_MS);
});

test('who asks for heads has no more places than who asks for bodies', async (t) => {
  const scope = openScope(t);
  const { promise: looked, resolve } = deferred();
  const { port, answers } = await startShelf(scope, () => looked);
  const statuses: number[] = [];
  const asking = Array.from({ length: 10 }, async () => {
    const { status } = await fetch(`http://${HOST}:${port}/file`, { method: 'HEAD' });
    statuses.push(status);
  });
  await until('all were heard', DEADLINE_MS, () => answers.length === asking.length);
  await until('those beyond the bound have an answer', DEADLINE_MS, () => statuses.length === 6);
  resolve();
  await Promise.all(asking);
  assert.deepEqual(statuses, [...Array(6).fill(503), ...Array(4).fill(200)]);
});

test('where all places are taken, an address that has several gives one to an address that has none', async (t) => {
  const scope = openScope(t);
  let nowMs = 0;
  const { port } = await startShelf(scope, undefined, 64 * 1024 * 1024, () => nowMs);
  /** The status; nothing else is read. */
  const ask = async (address: number): Promise<number> => {
    const options = { host: HOST, port, localAddress: `127.0.0.${address}`, agent: false };
    const sent = request(options).end();
    scope.defer(() => void sent.destroy());
    const [response] = await once(sent, 'response');
    return (response as IncomingMessage).statusCode!;
  };
  for (let place = 0; place < 16; place++) assert.equal(await ask(1 + (place % 4)), 200);
  assert.equal(await ask(5), 503);
  nowMs = 20_000;
  assert.equal(await ask(1), 503);
  assert.deepEqual([await ask(5), await ask(5), await ask(5), await ask(5)], [200, 200, 200, 503]);
  assert.equal(await ask(6), 200);
});

test('of a file that is cut off meanwhile the connection ends, and nobody waits for the rest', async (t) => {
  const scope = openScope(t);
  const { port, served } = await startShelf(scope, (_response, location) => truncate(location, 10));
  const reply = await fetch(`http://${HOST}:${port}/file`);
  await assert.rejects(withDeadline(reply.arrayBuffer(), 'the body has ended', DEADLINE_MS), { name: 'TypeError' });
  await withDeadline(served, 'the answer has ended', DEADLINE_MS);
});

test('requests that are sent in a row are answered in a row, more than one may have at a time', async (t) => {
  const scope = openScope(t);
  const { port, answers } = await startShelf(scope);
  const asked = Array.from(
    { length: 7 },
    (_, k) => `GET /file HTTP/1.1\r\nHost: x\r\nRange: bytes=${k}-${k + 9}\r\n\r\n`,
  );
  const client = connect(port, HOST, () => client.write(asked.join('')));
  let text = '';
  client.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  await until('seven answers', DEADLINE_MS, () => text.split('content-range: ').length === 8 && text.endsWith('\0'));
  assert.deepEqual(
    [...text.matchAll(/^content-range: bytes (\d+)-/gm)].map(([, begin]) => Number(begin)),
    [0, 1, 2, 3, 4, 5, 6],
  );
  assert.ok(!text.includes(' 503 '));
  await withDeadline(Promise.all(answers), 'all answers have ended', DEADLINE_MS);
  client.destroy();
});
