/** Connections on which the agent gets bytes from the depot: used again, strict about what an answer is, patient. */
import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer as createSecureServer } from 'node:tls';
import { DepotGets, type GetAnswer } from '../../src/depot/agent/depot-gets.js';
import { readHead } from '../../src/depot/agent/response-head.js';
import { CERTIFICATE, PRIVATE_KEY } from '../support/certificate.js';
import { bytesOf } from './agent-harness.js';

const MIB = 2 ** 20;
type Serve = (socket: Socket, request: number, connection: number) => void;

interface Scene {
  readonly gets: DepotGets;
  connections(): number;
  get(signal?: AbortSignal): Promise<GetAnswer>;
}

async function sceneOf(
  context: TestContext,
  serve: Serve,
  silenceMs = 60_000,
  ca: readonly string[] | null = null,
): Promise<Scene> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const serveOne = (socket: Socket): void => {
    const connection = ++connections;
    let requests = 0;
    sockets.add(socket);
    socket.on('error', () => {}).on('data', () => serve(socket, ++requests, connection));
  };
  const server: Server =
    ca === null ? createServer(serveOne) : createSecureServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, serveOne);
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as import('node:net').AddressInfo;
  const origin = `${ca === null ? 'http' : 'https'}://127.0.0.1:${port}`;
  const gets = new DepotGets({ origin, connectMs: 5_000, silenceMs, ...(ca === null ? {} : { ca }) });
  context.after(async () => {
    await gets.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const get = (signal = new AbortController().signal): Promise<GetAnswer> => gets.get('/x', { 'x-test': '1' }, signal);
  return { gets, connections: () => connections, get };
}

const headOf = (length: number, more = ''): string => `HTTP/1.1 200 OK\r\n${more}Content-Length: ${length}\r\n\r\n`;

function reply(socket: Socket, bytes: Uint8Array): void {
  socket.write(headOf(bytes.length));
  socket.write(bytes);
}

async function bytesIn({ body }: GetAnswer): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

test('one connection serves one GET after the other', async (context) => {
  const bytes = bytesOf(3 * MIB);
  const scene = await sceneOf(context, (socket) => reply(socket, bytes));
  for (let turn = 0; turn < 3; turn++) assert.deepEqual(await bytesIn(await scene.get()), bytes);
  assert.equal(scene.connections(), 1);
  assert.equal(scene.gets.count, 0);
});

test('the same over TLS, from a server whose certificate is trusted, and from no other', async (context) => {
  const bytes = bytesOf(3 * MIB);
  const scene = await sceneOf(context, (socket) => reply(socket, bytes), 60_000, [CERTIFICATE]);
  for (let turn = 0; turn < 3; turn++) assert.deepEqual(await bytesIn(await scene.get()), bytes);
  assert.equal(scene.connections(), 1);
  const other = await sceneOf(context, (socket) => reply(socket, bytes), 60_000, []);
  await assert.rejects(other.get(), { code: /CERT/ });
  assert.equal(other.gets.count, 0);
});

test('a connection that the server has closed meanwhile is replaced by another', async (context) => {
  const scene = await sceneOf(context, (socket, request) => {
    if (request === 1) socket.write(`${headOf(2)}ok`);
    else socket.destroy();
  });
  for (let turn = 0; turn < 3; turn++) assert.equal(String(await bytesIn(await scene.get())), 'ok');
  assert.equal(scene.connections(), 3);
});

test('a sink that is full keeps the connection waiting, and nothing is lost', async (context) => {
  const bytes = bytesOf(5 * MIB);
  const scene = await sceneOf(context, (socket) => reply(socket, bytes));
  const answer = await scene.get();
  const place = Buffer.alloc(bytes.length);
  let here = 0;
  const room = 1000;
  await answer.body.pour({
    room: () => place.subarray(here, here + room),
    came: (count) => {
      here += count;
      if (here % 7 !== 0) return true;
      setImmediate(() => answer.body.resume());
      return false;
    },
  });
  assert.equal(here, bytes.length);
  assert.deepEqual(place, bytes);
});

test('what comes in pieces, after interim answers, is one answer', async (context) => {
  const text = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n${headOf(5)}hello`;
  const scene = await sceneOf(context, (socket) => {
    const next = (at: number): void => {
      if (at < text.length) socket.write(text[at]!, () => setImmediate(next, at + 1));
    };
    next(0);
  });
  const answer = await scene.get();
  assert.equal(answer.status, 200);
  assert.equal(String(await bytesIn(answer)), 'hello');
});

for (const [what, text] of [
  ['no HTTP', 'SSH-2.0-x\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx'],
  ['a folded header', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 1\r\n\r\nx'],
  ['more bytes than were said', `${headOf(1)}xy`],
  ['a head without end', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(4000)}`],
  ['interim answers without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)],
  ['the end of the connection', ''],
] as const)
  test(`${what}: no answer, and the connection is closed`, async (context) => {
    const scene = await sceneOf(context, (socket) => (text === '' ? socket.end() : socket.write(text)));
    await assert.rejects(scene.get(), (error: NodeJS.ErrnoException) => typeof error.code === 'string');
    assert.equal(scene.gets.count, 0);
  });

test('bytes that nobody asked for, between two answers, end the connection', async (context) => {
  const sockets: Socket[] = [];
  const scene = await sceneOf(context, (socket) => {
    sockets.push(socket);
    socket.write(`${headOf(2)}ok`);
  });
  assert.equal(String(await bytesIn(await scene.get())), 'ok');
  const closed = new Promise((resolve) => sockets[0]!.once('close', resolve));
  sockets[0]!.write(`${headOf(3)}bad`);
  await closed;
  assert.equal(String(await bytesIn(await scene.get())), 'ok');
  assert.equal(scene.connections(), 2);
});

test('a body that breaks off, or falls silent, rejects', async (context) => {
  const scene = await sceneOf(
    context,
    (socket, _request, connection) => {
      socket.write(`${headOf(10)}half`);
      if (connection === 1) setImmediate(() => socket.end());
    },
    50,
  );
  await assert.rejects(bytesIn(await scene.get()), { code: 'UND_ERR_SOCKET' });
  await assert.rejects(bytesIn(await scene.get()), { code: 'UND_ERR_BODY_TIMEOUT' });
});

test('an answer that is left does no harm to the next one on its connection', async (context) => {
  const scene = await sceneOf(context, (socket) => void socket.write(`${headOf(2)}ok`));
  const first = await scene.get();
  await bytesIn(first);
  const second = await scene.get();
  first.body.destroy();
  first.body.resume();
  assert.equal(String(await bytesIn(second)), 'ok');
  assert.equal(scene.connections(), 1);
  const third = await scene.get();
  third.body.destroy();
  await assert.rejects(bytesIn(third));
  assert.equal(scene.gets.count, 0);
});

test('who gives up before the head ends the request', async (context) => {
  const scene = await sceneOf(context, () => {});
  const abort = new AbortController();
  const asked = scene.get(abort.signal);
  setImmediate(() => abort.abort());
  await assert.rejects(asked);
  assert.equal(scene.gets.count, 0);
});

test('heads are read as they are written', () => {
  const head = (text: string) => readHead(Buffer.from(text, 'latin1'));
  assert.equal(head('HTTP/1.1 200 OK\r\nA: b\r\n'), 'more');
  const ok = head('HTTP/1.1 404 Not Found\r\nX-A:  b c \t\r\nx-a: d\r\nContent-Length: 7\r\n\r\nrest');
  assert.ok(ok !== null && ok !== 'more');
  assert.deepEqual({ ...ok.headers }, { 'x-a': 'b c', 'content-length': '7' });
  assert.deepEqual([ok.status, ok.lengthBytes, ok.isKept, ok.headBytes], [404, 7, true, 66]);
  const more = (text: string) =>
    head(`HTTP/1.1 ${text}\r\n\r\n`) as Exclude<ReturnType<typeof readHead>, 'more' | null>;
  assert.equal(more('200 OK\r\nConnection: close\r\nContent-Length: 1').isKept, false);
  assert.equal(more('200 OK\r\nTransfer-Encoding: chunked').lengthBytes, null);
  assert.equal(more('304 Not Modified\r\nContent-Length: 9').lengthBytes, 0);
  assert.equal(head('HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n')?.valueOf() === null, false);
  for (const bad of ['HTTP/2 200', 'HTTP/1.1 20 OK', 'HTTP/1.1 200 OK\r\nno colon', 'HTTP/1.1 200 OK\r\nA : b'])
    assert.equal(head(`${bad}\r\n\r\n`), null, bad);
});
