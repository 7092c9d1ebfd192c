/** Requests in a row on one connection: a web seed is asked for hundreds of files in one go, and nobody floods. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import { Throttle } from '../../src/peer/throttle.js';
import { type ConnectionLimits, HttpConnections } from '../../src/tracker/http-connections.js';
import { startTracker } from '../../src/tracker/server.js';

const HOST = '127.0.0.1';
const DEADLINE_MS = 60_000;
const LENGTH_BYTES = 20_000;

/** A tracker that offers one file. */
async function startShelf(scope: Scope): Promise<number> {
  const location = path.join(await tempFolder(scope), 'file');
  await writeFile(location, Buffer.alloc(LENGTH_BYTES));
  const tracker = await startTracker({ port: 0, host: HOST });
  scope.defer(() => tracker.close());
  const isSame = async (): Promise<boolean> => true;
  const file = { path: ['file'], location, lengthBytes: LENGTH_BYTES, etag: '"1"', uploads: new Throttle([]), isSame };
  tracker.serveData([file]);
  return tracker.port;
}

function client(scope: Scope, port: number, localAddress = HOST): Socket {
  const socket = connect({ port, host: HOST, localAddress }).on('error', () => {});
  scope.defer(() => void socket.destroy());
  return socket;
}

/** Longer than one read of the server holds: as libtorrent asks, which waits for no answer. */
const ask = (index: number): string =>
  `GET /data/file HTTP/1.1\r\nHost: ${'x'.repeat(400)}\r\nRange: bytes=${index}-${index + 9}\r\n\r\n`;

test('hundreds of parts that are asked for in one go all come, in that order', async (t) => {
  const scope = openScope(t);
  const socket = client(scope, await startShelf(scope));
  const count = 300;
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  socket.write(Array.from({ length: count }, (_, index) => ask(index)).join(''));
  const begins = (): number[] => [...text.matchAll(/^content-range: bytes (\d+)-/gm)].map(([, begin]) => Number(begin));
  await until('all answers', DEADLINE_MS, () => begins().length === count || socket.destroyed);
  assert.deepEqual(
    begins(),
    Array.from({ length: count }, (_, index) => index),
  );
});

/** Counts requests; `url` begins with /turn where they wait for their turn. */
async function startCounter(
  scope: Scope,
  answer: RequestListener,
  limits?: ConnectionLimits,
): Promise<{ port: number; seen(): number; count(): number }> {
  let seen = 0;
  const connections = new HttpConnections((url) => url.startsWith('/turn'), limits);
  const guarded = connections.guard((request, response) => {
    seen++;
    answer(request, response);
  });
  const server = createServer(guarded);
  connections.watch(server);
  server.listen(0, HOST);
  await once(server, 'listening');
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen: () => seen, count: () => connections.count };
}

test('of an endless row of requests no more are read than one read holds until those are answered', async (t) => {
  const scope = openScope(t);
  const ends: (() => void)[] = [];
  const { port, seen } = await startCounter(scope, (_request, response) => {
    ends.push(() => response.end('x'));
  });
  const line = 'GET /turn HTTP/1.1\r\nHost: x\r\n\r\n';
  const socket = client(scope, port).resume();
  const count = 6_000;
  let isFlushed = false;
  socket.write(line.repeat(count), () => {
    isFlushed = true;
  });
  const mostAtOnce = Math.ceil(65_536 / line.length) + 8;
  await until('some are read', DEADLINE_MS, () => seen() > 8);
  // Who comes later is served, so that the first has had its time too.
  const later = client(scope, port);
  later.write('GET /turn HTTP/1.1\r\nHost: x\r\n\r\n');
  const before = seen();
  await until('a later one is read', DEADLINE_MS, () => seen() > before);
  assert.ok(seen() <= mostAtOnce + 1, `${seen()} are read`);
  let most = 0;
  await until('all are answered', DEADLINE_MS, () => {
    most = Math.max(most, ends.length);
    for (const end of ends.splice(0)) end();
    return seen() === count + 1;
  });
  assert.ok(isFlushed);
  assert.ok(most <= mostAtOnce + 1, `${most} waited at once`);
});

test('too many requests that are answered at once, behind a row of those that wait, end the connection', async (t) => {
  const scope = openScope(t);
  const { port, seen } = await startCounter(scope, () => {});
  const row = (url: string, count: number): string => `GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(count);
  const socket = client(scope, port).resume();
  const closed = once(socket, 'close');
  socket.write(row('/turn', 20) + row('/other', 100));
  await closed;
  assert.equal(seen(), 28);
});

test('who goes away with hundreds of requests waiting leaves nothing behind', async (t) => {
  const scope = openScope(t);
  const port = await startShelf(scope);
  const first = client(scope, port);
  first.write(ask(0).repeat(400));
  await once(first, 'data');
  first.destroy();
  const socket = client(scope, port);
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  socket.write(ask(7));
  await until('another is served', DEADLINE_MS, () => text.includes('content-range: bytes 7-16/'));
});

const NARROW: ConnectionLimits = { total: 6, share: 3, waiting: { total: 1e6, share: 1e5 } };

test('a crowd of idle connections turns out none in the middle of a request, whoever they are', async (t) => {
  const scope = openScope(t);
  const { port, seen, count } = await startCounter(scope, () => {}, NARROW);
  const upload = client(scope, port, '127.0.0.2');
  upload.write('PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n123');
  await until('the upload began', DEADLINE_MS, () => seen() === 1);
  for (const address of ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5'])
    for (let k = 0; k < 5; k++) await once(client(scope, port, address), 'connect');
  await until('all places are taken', DEADLINE_MS, () => count() === NARROW.total);
  const last = client(scope, port, '127.0.0.6');
  last.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('whoever comes later is served', DEADLINE_MS, () => seen() === 2);
  assert.ok(!upload.destroyed && !last.destroyed);
});

test('an address whose requests take all connections makes room for others, and keeps its share', async (t) => {
  const scope = openScope(t);
  const { port, seen, count } = await startCounter(scope, () => {}, NARROW);
  const ask = (address: string): Socket => {
    const socket = client(scope, port, address).resume();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    return socket;
  };
  const greedy: Socket[] = [];
  for (let k = 0; k < NARROW.total; k++) {
    greedy.push(ask('127.0.0.2'));
    await until('it is busy', DEADLINE_MS, () => seen() === k + 1);
  }
  // It has its share: nobody goes for one more of it.
  const refused = ask('127.0.0.2');
  await once(refused, 'close');
  for (let k = 0; k < 3; k++) {
    ask('127.0.0.3');
    await until('others are served', DEADLINE_MS, () => seen() === NARROW.total + k + 1);
  }
  await until('so many of it are closed', DEADLINE_MS, () => greedy.filter((socket) => socket.destroyed).length === 3);
  assert.deepEqual(
    greedy.map((socket) => socket.destroyed),
    [false, false, false, true, true, true],
  );
  // Both have their share, and all are in the middle of a request.
  await once(ask('127.0.0.4'), 'close');
  assert.equal(count(), NARROW.total);
});
