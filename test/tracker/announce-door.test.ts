/**
 * Plain announces are answered before HTTP sees them; everything else must reach HTTP as if nothing stood before it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AnnounceDoor, type DoorOptions } from '../../src/tracker/announce-door.js';
import { isBegunAnnounce, readPlainAnnounce } from '../../src/tracker/plain-announce.js';
import { startTracker } from '../../src/tracker/server.js';

const HOST = 'Host: x\r\n';
const QUERY = `info_hash=${'%aa'.repeat(20)}&peer_id=${'p'.repeat(20)}&port=9&left=1`;
const ANNOUNCE = `GET /announce?${QUERY} HTTP/1.1\r\n${HOST}\r\n`;
const LAST = `GET /announce?${QUERY} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;

test('a plain announce is read up to its end, and says whether it is the last', () => {
  const text = `..${ANNOUNCE}${LAST}`;
  const first = readPlainAnnounce(text, 2);
  assert.deepEqual(first, { query: QUERY, end: 2 + ANNOUNCE.length, isLast: false });
  assert.deepEqual(readPlainAnnounce(text, first.end), { query: QUERY, end: text.length, isLast: true });
  const usual =
    'User-Agent: libtorrent/2.0\r\nACCEPT-ENCODING: gzip\r\nhost: a:1\r\naccept: */*\r\nconnection: Keep-Alive\r\n';
  assert.equal(readPlainAnnounce(`GET /announce?a HTTP/1.1\r\n${usual}\r\n`, 0)?.isLast, false);
});

test('whatever is not plain is left to HTTP', () => {
  const requests = [
    '',
    'GET /announce?a HTTP/1.1\r\n\r\n',
    `GET /announce?a HTTP/1.1\r\n${HOST}${HOST}\r\n`,
    `GET /announce?a HTTP/1.1\r\n${HOST}`,
    `GET /announce?a HTTP/1.1\r\n${HOST}\n`,
    `GET /announce?a HTTP/1.1\n${HOST}\r\n`,
    `GET /announce?a HTTP/1.0\r\n${HOST}\r\n`,
    `GET /announce?a  HTTP/1.1\r\n${HOST}\r\n`,
    `GET /announce?\xff HTTP/1.1\r\n${HOST}\r\n`,
    `GET /announce HTTP/1.1\r\n${HOST}\r\n`,
    `GET /scrape?a HTTP/1.1\r\n${HOST}\r\n`,
    `HEAD /announce?a HTTP/1.1\r\n${HOST}\r\n`,
    `GET /announce?a HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\n`,
    `GET /announce?a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`,
    `GET /announce?a HTTP/1.1\r\n${HOST}Expect: 100-continue\r\n\r\n`,
    `GET /announce?a HTTP/1.1\r\n${HOST}Connection: upgrade\r\n\r\n`,
    `GET /announce?a HTTP/1.1\r\n${HOST}Connection: close, te\r\n\r\n`,
    `GET /announce?a HTTP/1.1\r\n${HOST} folded: 1\r\n\r\n`,
    `GET /announce?a HTTP/1.1\r\n${HOST}accept : 1\r\n\r\n`,
    `GET /announce?a HTTP/1.1\r\n${HOST}accept: \0\r\n\r\n`,
  ];
  for (const request of requests) assert.equal(readPlainAnnounce(request, 0), null, JSON.stringify(request));
});

test('a request that has not come as a whole is known by its beginning', () => {
  for (const text of ['G', 'GET /announce?', ANNOUNCE.slice(0, -1), `GET /announce?${'a'.repeat(9000)}`])
    assert.equal(isBegunAnnounce(`..${text}`, 2), true, text);
  for (const text of [
    'GET /s',
    'get',
    ANNOUNCE,
    'GET /announce?a HTTP/1.1\n\n',
    'GET /announce? HTTP/1.1\nhost: x\n\r\n',
  ])
    assert.equal(isBegunAnnounce(`..${text}`, 2), false, text);
});

/** Sends parts of a conversation, a moment apart; returns everything until the server ends the connection. */
async function talk(context: TestContext, parts: readonly string[], endsOwnSide = false): Promise<string> {
  const tracker = await startTracker({ port: 0, host: '127.0.0.1' });
  context.after(() => tracker.close());
  const socket = connect(tracker.port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (text) => {
    answer += text;
  });
  const ended = new Promise((resolve, reject) => socket.once('end', resolve).once('error', reject));
  for (const [index, part] of parts.entries()) {
    if (index > 0) await delay(30);
    socket.write(part, 'latin1');
  }
  if (endsOwnSide) socket.end();
  await ended;
  return answer;
}

const count = (answer: string, pattern: RegExp): number => answer.match(pattern)?.length ?? 0;

test('announces, other requests and announces again share one connection, in order', async (context) => {
  const stats = `GET /stats.json HTTP/1.1\r\n${HOST}\r\n`;
  const answer = await talk(context, [`${ANNOUNCE}${ANNOUNCE}${stats}${ANNOUNCE}`, ANNOUNCE, LAST]);
  assert.equal(count(answer, /HTTP\/1\.1 200 OK\r\n/g), 6);
  assert.ok(answer.includes('"announces":2,'), answer);
  assert.ok(answer.lastIndexOf('d8:complete') > answer.indexOf('"announces":2,'));
});

test('a request that comes in two parts is answered', async (context) => {
  const cut = ANNOUNCE.length - 40;
  const answer = await talk(context, [ANNOUNCE + ANNOUNCE.slice(0, cut), ANNOUNCE.slice(cut) + LAST]);
  assert.equal(count(answer, /8:intervali60e/g), 3);
});

test('an answer tells its length, its date and how long the connection stays', async (context) => {
  const [first = '', last = ''] = (await talk(context, [ANNOUNCE, LAST])).split(/(?<=e)(?=HTTP)/);
  const [head = '', body = ''] = first.split('\r\n\r\n');
  assert.equal(Number(/content-length: (\d+)/.exec(head)?.[1]), body.length);
  assert.ok(Math.abs(Date.parse(/date: (.*)/.exec(head)![1]!) - Date.now()) < 10_000, head);
  assert.match(head, /keep-alive: timeout=10/);
  assert.match(last, /connection: close/);
});

test('thousands of announces in one write are all answered', async (context) => {
  const answer = await talk(context, [ANNOUNCE.repeat(3000) + LAST]);
  assert.equal(count(answer, /8:intervali60e/g), 3001);
});

test('a client that ends its side gets its answer and the end of the connection', async (context) => {
  assert.equal(count(await talk(context, [ANNOUNCE], true), /8:intervali60e/g), 1);
});

/**
 * A door before a bare HTTP server that answers "http" to everything. `isEarly`: made before the server listens, when
 * there is nothing to stand before.
 */
async function doorScene(
  context: TestContext,
  options: Partial<DoorOptions> & { isEarly?: boolean; answer?: (query: string) => Buffer } = {},
) {
  const server = createServer((_request, response) => response.end('http'));
  const makeDoor = () =>
    new AnnounceDoor(server, {
      idleTimeoutS: 2,
      connectionsMax: 10,
      answer: (query) => Buffer.from(`door ${query}`),
      ...options,
    });
  const early = options.isEarly === true ? makeDoor() : null;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const door = early ?? makeDoor();
  context.after(() => {
    door.close();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const open = () => {
    const socket = connect(port, '127.0.0.1').setEncoding('latin1');
    const ended = once(socket, 'close');
    socket.on('error', () => {}); // A refused one may see a reset: 'close' tells all the same.
    return { socket, ended };
  };
  return { server, door, open };
}

/** More than the buffers of a connection hold, so that writes have to wait. */
const LARGE = Buffer.alloc(8 * 2 ** 20);
const SHORT = `GET /announce?a=b HTTP/1.1\r\n${HOST}\r\n`;
const OTHER = `GET /other HTTP/1.1\r\n${HOST}\r\n`;

test('a connection that says nothing is closed after the idle time, one that speaks is not', async (context) => {
  const { door, open } = await doorScene(context);
  const silent = open();
  const speaking = open();
  speaking.socket.write(SHORT);
  await once(speaking.socket, 'data');
  await once(open().socket.end(SHORT), 'data'); // Connections come in order: the silent one is there.
  door.tick();
  door.tick();
  speaking.socket.write(SHORT);
  await once(speaking.socket, 'data');
  door.tick();
  await silent.ended;
  speaking.socket.write(SHORT);
  await once(speaking.socket, 'data');
});

test('above the limit of connections the oldest is closed, and one that ends makes room', async (context) => {
  const { open } = await doorScene(context, { connectionsMax: 2 });
  const asks = async ({ socket }: ReturnType<typeof open>) => {
    socket.write(SHORT);
    assert.match(String(await once(socket, 'data')), /door a=b$/);
  };
  const [oldest, second, third] = [open(), open(), open()];
  await oldest.ended;
  await asks(second);
  await asks(third);
  second.socket.end(SHORT);
  assert.match(String(await once(second.socket, 'data')), /door a=b$/);
  await second.ended;
  await asks(open());
  await asks(third);
});

test('an idle crowd of one address keeps nobody out', async (context) => {
  const { open } = await doorScene(context, { connectionsMax: 50 });
  const crowd = Array.from({ length: 200 }, open);
  const { socket } = open();
  socket.write(SHORT);
  assert.match(String(await once(socket, 'data')), /door a=b$/);
  await Promise.all(crowd.slice(0, 151).map(({ ended }) => ended));
});

test('a connection that HTTP has no room for is closed and leaves nothing behind', async (context) => {
  const { server, open } = await doorScene(context);
  server.maxConnections = 1;
  const first = open();
  first.socket.write(OTHER);
  assert.match(String(await once(first.socket, 'data')), /http$/);
  const listeners = server.listenerCount('connection');
  const second = open();
  second.socket.write(OTHER);
  await second.ended;
  assert.equal(server.listenerCount('connection'), listeners);
});

test('answers that the kernel does not take at once arrive whole, before the end asked for', async (context) => {
  const { open } = await doorScene(context, { answer: () => LARGE });
  const { socket, ended } = open();
  const parts = [SHORT.repeat(3), SHORT + SHORT.replace(HOST, `${HOST}Connection: close\r\n`)];
  let bytes = 0;
  socket.on('data', (text) => {
    bytes += text.length;
    // The next part comes while the door still writes.
    socket.write(parts.shift() ?? '');
  });
  socket.write(SHORT.repeat(4));
  await ended;
  assert.ok(bytes > 9 * LARGE.length && bytes < 9 * (LARGE.length + 300), String(bytes));
});

test('a client that does not read its answers is silent too', async (context) => {
  const { door, open } = await doorScene(context, { answer: () => LARGE });
  const { socket, ended } = open();
  socket.pause().write(SHORT.repeat(4));
  await once(socket, 'readable');
  for (let tick = 0; tick < 3; tick++) door.tick();
  socket.resume();
  await ended;
  assert.ok(socket.bytesRead < 4 * LARGE.length, String(socket.bytesRead));
});

test('requests behind an answer that nobody reads are answered when it is read, in order', async (context) => {
  let answers = 0;
  const answer = (query: string) => {
    answers++;
    // More than the buffers of a connection may grow to.
    return query === 'a=b' ? Buffer.alloc(1) : Buffer.alloc(4 * LARGE.length, query.slice(-1));
  };
  const { door, open } = await doorScene(context, { answer });
  const { socket, ended } = open();
  socket.pause().write(['x', 'y', 'z'].map((letter) => SHORT.replace('a=b', `a=${letter}`)).join(''));
  await once(socket, 'readable');
  await once(open().socket.end(SHORT), 'data');
  assert.equal(answers, 2);
  assert.ok(door.waitingBytes < 4 * LARGE.length + 200_000, String(door.waitingBytes));
  let letters = '';
  socket.on('data', (part) => {
    const letter = String(part).at(-1)!;
    if (!letters.endsWith(letter) && 'xyz'.includes(letter)) letters += letter;
    if (letters === 'xyz') socket.end();
  });
  await ended;
  assert.deepEqual([letters, answers, door.waitingBytes], ['xyz', 4, 0]);
});

test('one read makes at most 64 KiB of answers and one more before the others have their turn', async (context) => {
  const turns: number[] = [];
  let inTurn = 0;
  const answer = () => {
    if (inTurn++ === 0) setImmediate(() => turns.push(inTurn)).ref();
    setImmediate(() => {
      inTurn = 0;
    });
    return Buffer.alloc(10_000);
  };
  const { open } = await doorScene(context, { answer });
  const { socket, ended } = open();
  socket.resume();
  socket.write(SHORT.repeat(100) + SHORT.replace(HOST, `${HOST}Connection: close\r\n`));
  await ended;
  assert.ok(turns.length > 10 && Math.max(...turns) <= 7, String(turns));
});

test('of the bytes that wait for slow readers there is a budget, and who waits longest gives way', async (context) => {
  const { door, open } = await doorScene(context, { answer: () => LARGE, waitingBytes: 3 * LARGE.length });
  const slow = [];
  for (let k = 0; k < 5; k++) {
    const { socket, ended } = open();
    socket.pause().write(SHORT.repeat(4));
    await once(socket, 'readable');
    slow.push({ socket, ended });
    assert.ok(door.waitingBytes <= 3 * LARGE.length, String(door.waitingBytes));
  }
  for (const { socket } of slow.slice(0, 2)) socket.resume();
  await Promise.all(slow.slice(0, 2).map(({ ended }) => ended));
  assert.ok(slow.slice(3).every(({ socket }) => !socket.closed));
});

test('a request that trickles in is closed after the idle time', async (context) => {
  const { door, open } = await doorScene(context);
  const { socket, ended } = open();
  socket.write(SHORT.slice(0, 20));
  await once(open().socket.end(SHORT), 'data');
  for (const byte of SHORT.slice(20, 24)) {
    socket.write(byte);
    await once(open().socket.end(SHORT), 'data');
    door.tick();
  }
  await ended;
});

test('a request longer than any announce goes to HTTP unfinished', async (context) => {
  const { open } = await doorScene(context);
  const { socket } = open();
  socket.write(`GET /announce?${'a'.repeat(17_000)}`);
  assert.match(String(await once(socket, 'data')), /^HTTP\/1\.1 431 /);
});

test('where connections cannot be had raw, HTTP answers announces too', async (context) => {
  const { open } = await doorScene(context, { isEarly: true });
  const { socket } = open();
  socket.write(SHORT);
  assert.match(String(await once(socket, 'data')), /http$/);
});
