/** Connections begun before anybody dials: taken over once, with every byte, and of no consequence when they fail. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { until, withDeadline } from '../../lab/wait.js';
import { connectAhead } from '../../src/peer/ahead.js';
import { connectSocket } from '../../src/peer/socket.js';

const DEADLINE_MS = 15_000;
const PATIENCE_MS = 50;
const HOST = '127.0.0.1';
/** More than the first read takes, and no multiple of anything. */
const SENT = Buffer.from(Uint8Array.from({ length: 100_003 }, (_, i) => i % 251));

interface Listening {
  readonly port: number;
  readonly accepted: net.Socket[];
  /** Resolves when so many connections have come in, with the last of them. */
  count(connections: number): Promise<net.Socket>;
}

async function listen(scope: Scope): Promise<Listening> {
  const accepted: net.Socket[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    scope.defer(() => void socket.destroy());
    accepted.push(socket);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  scope.defer(() => void server.close());
  const count = async (connections: number): Promise<net.Socket> => {
    await until(`${connections} connections`, DEADLINE_MS, () => accepted.length >= connections);
    return accepted[connections - 1]!;
  };
  return { port: (server.address() as net.AddressInfo).port, accepted, count };
}

/** Dials as a link does. Resolves with all that was sent, when it is all there. */
function dial(scope: Scope, port: number): { readonly connected: Promise<unknown>; all(): Promise<Buffer> } {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let finish: (all: Buffer) => void;
  const all = new Promise<Buffer>((resolve) => {
    finish = resolve;
  });
  const socket = connectSocket(HOST, port, (source, length) => {
    chunks.push(Buffer.from(source.subarray(0, length)));
    bytes += length;
    if (bytes >= SENT.length) finish(Buffer.concat(chunks));
    return true;
  });
  scope.defer(() => void socket.destroy());
  socket.on('error', () => {});
  const connected = withDeadline(once(socket, 'connect'), 'connect', DEADLINE_MS);
  return { connected, all: () => withDeadline(all, 'all bytes', DEADLINE_MS) };
}

test('one that stands is taken over: connect still comes, and every byte that was sent meanwhile', async (t) => {
  const scope = openScope(t);
  const server = await listen(scope);
  connectAhead(HOST, server.port);
  const far = await server.count(1);
  await new Promise<void>((resolve) => far.write(SENT.subarray(0, 50_000), () => resolve()));
  const { connected, all } = dial(scope, server.port);
  await connected;
  far.write(SENT.subarray(50_000));
  assert.ok((await all()).equals(SENT), 'the bytes differ');
  assert.equal(server.accepted.length, 1);
});

test('one that is still being made is taken over as well, and only once', async (t) => {
  const scope = openScope(t);
  const server = await listen(scope);
  connectAhead(HOST, server.port);
  const first = dial(scope, server.port);
  await first.connected;
  const second = dial(scope, server.port);
  await second.connected;
  await server.count(2);
  for (const far of server.accepted) far.write(SENT);
  assert.ok((await first.all()).equals(SENT));
  assert.ok((await second.all()).equals(SENT));
});

test('one that is refused tells who took it why', async (t) => {
  const scope = openScope(t);
  const server = net.createServer().listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  connectAhead(HOST, port);
  const socket = connectSocket(HOST, port, () => true);
  scope.defer(() => void socket.destroy());
  const [error] = await withDeadline(once(socket, 'error'), 'an error', DEADLINE_MS);
  assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
});

test('one that nobody takes in time is closed', async (t) => {
  const scope = openScope(t);
  const server = await listen(scope);
  connectAhead(HOST, server.port, PATIENCE_MS);
  const far = await server.count(1);
  far.resume();
  await withDeadline(once(far, 'close'), 'its end', DEADLINE_MS);
  const { connected } = dial(scope, server.port);
  await connected;
  await server.count(2);
});

test('names are left to those who look them up', async (t) => {
  const scope = openScope(t);
  const server = await listen(scope);
  connectAhead('localhost', server.port);
  const { connected } = dial(scope, server.port);
  await connected;
  await server.count(1);
  assert.equal(server.accepted.length, 1);
});
