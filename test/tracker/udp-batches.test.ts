/** Datagrams that wait together: taken with one call, answered with one, and each answer goes where it belongs. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import { until } from '../../lab/wait.js';
import { connectRequest } from '../../src/discovery/udp-messages.js';
import { canBatchDatagrams, receiveMany, sendMany } from '../../src/native/datagrams.js';
import { TrackerService } from '../../src/tracker/service.js';
import { UdpDoor } from '../../src/tracker/udp-door.js';
import { UdpService } from '../../src/tracker/udp-service.js';

const skip = canBatchDatagrams() ? false : 'no batches of datagrams here';
const CLIENTS = 4;
const EACH = 50;

async function open(context: TestContext, host: string, calls = { receiveMany, sendMany }): Promise<UdpDoor> {
  const now = (): number => 1e8;
  const service = new TrackerService({ intervalS: 60, registeredOnly: false, random: () => 0.5, now });
  const udpService = new UdpService(service, () => host);
  const door = await UdpDoor.open({ host, port: 0, service: udpService, secret: Buffer.alloc(16, 7), now, calls });
  context.after(() => door.close());
  return door;
}

async function client(context: TestContext, port: number, host: string): Promise<Socket> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  context.after(() => socket.close());
  socket.connect(port, host);
  await once(socket, 'connect');
  return socket;
}

/** Sends `EACH` connects from each before anything is read; resolves when all have their own answers. */
async function burst(sockets: readonly Socket[]): Promise<string[][]> {
  const done = sockets.map(
    (socket) =>
      new Promise<string[]>((resolve) => {
        const ids: string[] = [];
        const expected = new Set<number>();
        const base = 1_000 * sockets.indexOf(socket);
        for (let k = 1; k <= EACH; k++) expected.add(base + k);
        socket.on('message', (answer: Buffer) => {
          assert.deepEqual([answer.length, answer.readUInt32BE(0)], [16, 0]);
          assert.ok(expected.delete(answer.readUInt32BE(4)), `transaction ${answer.readUInt32BE(4)} is another's`);
          ids.push(answer.toString('hex', 8, 16));
          if (expected.size === 0) resolve(ids);
        });
      }),
  );
  for (const [index, socket] of sockets.entries())
    for (let k = 1; k <= EACH; k++) socket.send(connectRequest(1_000 * index + k));
  return Promise.all(done);
}

/** What is received and sent with each call. */
function counting(onSend = sendMany) {
  const seen = { received: [] as number[], sent: [] as number[] };
  const calls: { receiveMany: typeof receiveMany; sendMany: typeof sendMany } = {
    receiveMany: (...words) => {
      const count = receiveMany(...words);
      seen.received.push(count);
      return count;
    },
    sendMany: (...words) => {
      const count = onSend(...words);
      seen.sent.push(count);
      return count;
    },
  };
  return { seen, calls };
}

test('what waits is taken and answered many at once, each at its own sender', { skip }, async (context) => {
  const { seen, calls } = counting();
  const door = await open(context, '127.0.0.1', calls);
  const sockets = [];
  for (let k = 0; k < CLIENTS; k++) sockets.push(await client(context, door.port, '127.0.0.1'));
  const ids = await burst(sockets);
  // One address and one minute: one id.
  assert.equal(new Set(ids.flat()).size, 1);
  assert.ok(Math.max(...seen.received) > 1, `${seen.received}`);
  assert.ok(Math.max(...seen.sent) > 1, `${seen.sent}`);
});

test('of both families on one socket each gets the id of its own address', { skip }, async (context) => {
  const { seen, calls } = counting();
  const door = await open(context, '::', calls);
  const hosts = ['127.0.0.1', '::1', '127.0.0.2', '::1'];
  const sockets = [];
  for (const host of hosts) {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4').bind(0, host);
    await once(socket, 'listening');
    socket.connect(door.port, host.includes(':') ? '::1' : '127.0.0.1');
    await once(socket, 'connect');
    context.after(() => socket.close());
    sockets.push(socket);
  }
  const ids = (await burst(sockets)).map((all) => [...new Set(all)]);
  assert.deepEqual(
    ids.map(({ length }) => length),
    [1, 1, 1, 1],
  );
  assert.equal(new Set(ids.flat()).size, 3);
  assert.deepEqual(ids[1], ids[3]);
  assert.ok(Math.max(...seen.received) > 1, `${seen.received}`);
});

test('where the kernel has no room the answers wait with Node', { skip }, async (context) => {
  for (const host of ['127.0.0.1', '::1']) {
    const { seen, calls } = counting(() => -constants.errno.EAGAIN);
    const door = await open(context, host, calls);
    await burst([await client(context, door.port, host), await client(context, door.port, host)]);
    assert.ok(seen.sent.length > 0);
  }
});

test('an answer that cannot be sent keeps the others from nothing', { skip }, async (context) => {
  let refused = 0;
  const { calls } = counting((fd, datagrams, first, end) => {
    if (first % 3 !== 0) return sendMany(fd, datagrams, first, Math.min(end, first + 1));
    refused++;
    return -constants.errno.EPERM;
  });
  const door = await open(context, '127.0.0.1', calls);
  const socket = await client(context, door.port, '127.0.0.1');
  let answered = 0;
  let last = -1;
  socket.on('message', (answer: Buffer) => {
    answered++;
    last = answer.readUInt32BE(4);
  });
  for (let k = 0; k < EACH; k++) socket.send(connectRequest(k));
  await until('all are answered or refused', 5_000, () => (answered + refused >= EACH ? true : undefined));
  assert.ok(refused > 0 && answered > refused, `${refused} refused, ${answered} answered, the last ${last}`);
});

test('one by one, without batches, all is answered the same', async (context) => {
  const before = process.env.SWARMHAUL_NATIVE;
  process.env.SWARMHAUL_NATIVE = 'off';
  context.after(() => {
    if (before === undefined) delete process.env.SWARMHAUL_NATIVE;
    else process.env.SWARMHAUL_NATIVE = before;
  });
  const { seen, calls } = counting();
  const door = await open(context, '127.0.0.1', calls);
  const ids = await burst([await client(context, door.port, '127.0.0.1')]);
  assert.equal(new Set(ids.flat()).size, 1);
  assert.deepEqual(seen.received, []);
});

test('a closed door touches no descriptor', { skip }, async (context) => {
  const { seen, calls } = counting();
  const door = await open(context, '127.0.0.1', calls);
  const socket = await client(context, door.port, '127.0.0.1');
  await burst([socket]);
  const { length } = seen.received;
  socket.removeAllListeners('message');
  socket.on('error', () => {});
  for (let k = 0; k < EACH; k++) socket.send(connectRequest(k));
  door.close();
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.equal(seen.received.length, length);
});
