/** Lists of buffers through real sockets: in order, each told once, whatever the other side does. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { until, withDeadline } from '../../lab/wait.js';
import { GatheredWrites } from '../../src/peer/gathered-writes.js';

const DEADLINE_MS = 15_000;
const HOST = '127.0.0.1';
/** With the bodies 53 MB: more than the kernel takes for a reader that rests. */
const LISTS = 400;

/** List i: a header of 13 bytes and a body, both of bytes that tell where they belong; every third has no body. */
function listOf(i: number): Buffer[] {
  const header = Buffer.alloc(13, i % 251);
  return i % 3 === 2 ? [header] : [header, Buffer.alloc(200_000 + i, (i * 7) % 253)];
}

const ALL = Buffer.concat(Array.from({ length: LISTS }, (_, i) => listOf(i)).flat());

/** Both ends; the first one does not read. */
async function pair(scope: Scope): Promise<[net.Socket, net.Socket]> {
  const server = net.createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  scope.defer(() => void server.close());
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const dialled = net.connect((server.address() as net.AddressInfo).port, HOST);
  const ends: [net.Socket, net.Socket] = [await withDeadline(accepted, 'a connection', DEADLINE_MS), dialled];
  for (const socket of ends) {
    socket.on('error', () => {});
    scope.defer(() => void socket.destroy());
  }
  return ends;
}

function readAll(socket: net.Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= length) resolve(Buffer.concat(chunks));
    });
    socket.resume();
  });
}

test('lists arrive whole and in order, also those that waited for a reader, and each is told once', async (t) => {
  const scope = openScope(t);
  const [reader, sender] = await pair(scope);
  const writes = new GatheredWrites(sender);
  const told: number[] = [];
  for (let i = 0; i < LISTS; i++) writes.write(listOf(i), (error) => void told.push(error ? -1 : i));
  await until('the kernel has all that it takes', DEADLINE_MS, () => told.length > 0);
  assert.ok(told.length < LISTS, 'nothing had to wait');
  const all = await withDeadline(readAll(reader, ALL.length), 'all bytes', DEADLINE_MS);
  assert.ok(all.equals(ALL));
  await until('all were told', DEADLINE_MS, () => told.length === LISTS);
  assert.deepEqual(
    told,
    Array.from({ length: LISTS }, (_, i) => i),
  );
});

test('a list on its own goes out at once', async (t) => {
  const scope = openScope(t);
  const [reader, sender] = await pair(scope);
  const writes = new GatheredWrites(sender);
  for (let i = 0; i < 20; i++) {
    const list = listOf(i);
    const expected = Buffer.concat(list);
    const told = new Promise<unknown>((resolve) => writes.write(list, resolve));
    reader.removeAllListeners('data');
    assert.ok((await withDeadline(readAll(reader, expected.length), 'the list', DEADLINE_MS)).equals(expected));
    assert.equal((await told) ?? null, null);
  }
});

test('what is written before the connection stands goes out when it does', async (t) => {
  const scope = openScope(t);
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  scope.defer(() => void server.close());
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const sender = net.connect((server.address() as net.AddressInfo).port, HOST);
  scope.defer(() => void sender.destroy());
  const writes = new GatheredWrites(sender);
  for (let i = 0; i < LISTS; i++) writes.write(listOf(i), () => {});
  const reader = await withDeadline(accepted, 'a connection', DEADLINE_MS);
  scope.defer(() => void reader.destroy());
  const all = await withDeadline(readAll(reader, ALL.length), 'all bytes', DEADLINE_MS);
  assert.ok(all.equals(ALL));
});

for (const who of ['the other side', 'we'] as const) {
  test(`where ${who} close in the middle, every list that did not leave is told as such`, async (t) => {
    const scope = openScope(t);
    const [reader, sender] = await pair(scope);
    const writes = new GatheredWrites(sender);
    // Of a write that was under way when we closed Node says no error.
    const told: boolean[] = [];
    const closed = new Promise<void>((resolve) => sender.once('close', () => resolve()));
    for (let i = 0; i < LISTS; i++) writes.write(listOf(i), (error) => void told.push(!error && !sender.destroyed));
    await until('the kernel has all that it takes', DEADLINE_MS, () => told.length > 0);
    if (who === 'we') sender.destroy();
    else reader.resetAndDestroy();
    await withDeadline(closed, 'the end', DEADLINE_MS);
    await until('all were told', DEADLINE_MS, () => told.length === LISTS);
    assert.equal(told.lastIndexOf(true) + 1, told.indexOf(false), 'told out of order');
    assert.ok(told.includes(false));
  });
}
