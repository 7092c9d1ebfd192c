/** The UDP load believes no answer that it did not ask for, and tells what was lost. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../lab/child.js';
import { Scope } from '../../lab/scope.js';

const UDP_LOAD = fileURLToPath(new URL('../../bench/support/udp-load.js', import.meta.url));
const CONNECTION_ID = Buffer.from('0123456789abcdef', 'hex');
const isLinux = process.platform === 'linux';

/** The answer to an announce, or null for none. */
type Answer = (request: Buffer, number: number) => Buffer | null;

function reply(action: number, request: Buffer, rest: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(action, 0);
  request.copy(head, 4, 12, 16);
  return Buffer.concat([head, rest]);
}

const honest: Answer = (request) => reply(1, request, Buffer.alloc(12 + 2 * 6));

/** A tracker on a free port that connects everyone and answers announces by `answer`. */
async function fakeTracker(context: TestContext, answer: Answer) {
  const socket: Socket = createSocket('udp4');
  context.after(() => socket.close());
  const requests: Buffer[] = [];
  /** Of each socket its own. */
  const transactions = new Set<string>();
  socket.on('message', (request, { port, address }) => {
    if (request.length === 16) {
      socket.send(reply(0, request, CONNECTION_ID), port, address);
      return;
    }
    transactions.add(`${port} ${request.readUInt32BE(12)}`);
    const bytes = answer(request, requests.push(request) - 1);
    if (bytes !== null) socket.send(bytes, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, requests, transactions };
}

async function runLoad(context: TestContext, port: number, announces: number): Promise<Record<string, number>> {
  const scope = new Scope();
  context.after(() => scope.close());
  const numbers = { port, sockets: 2, outstanding: 8, swarms: 3, peers: 10, announces, seconds: 30 };
  const words = Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const text = await run(scope, process.execPath, [UDP_LOAD, ...words, '--timeout-ms', '1000']);
  return JSON.parse(text) as Record<string, number>;
}

test('announces of the UDP load are whole, and each is asked for once', { skip: !isLinux }, async (context) => {
  const { port, requests } = await fakeTracker(context, honest);
  const { answered, lost, late, bytes } = await runLoad(context, port, 90);
  assert.deepEqual({ answered, lost, late, bytes }, { answered: 90, lost: 0, late: 0, bytes: 90 * 32 });
  assert.equal(requests.length, 90);
  const peers = new Set(requests.map((request) => request.toString('latin1', 36, 56)));
  assert.equal(peers.size, 30);
  for (const request of requests) {
    assert.deepEqual([request.length, request.readUInt32BE(8)], [98, 1]);
    assert.deepEqual(request.subarray(0, 8), CONNECTION_ID);
    const k = Number(request.toString('latin1', 44, 56));
    const peer = Math.floor(k / 3);
    assert.deepEqual([request[35], request.readUInt16BE(96)], [k % 3, 10_000 + peer]);
    assert.equal(request.readBigUInt64BE(64), peer % 5 === 0 ? 0n : 1n);
  }
});

test('an announce without an answer is lost once and sent again as another', { skip: !isLinux }, async (context) => {
  const { port, transactions } = await fakeTracker(context, (request, number) =>
    number === 3 || number === 5 ? null : honest(request, number),
  );
  const { answered, lost } = await runLoad(context, port, 20);
  assert.deepEqual({ answered, lost }, { answered: 20, lost: 2 });
  assert.equal(transactions.size, 22);
});

const lies: readonly [string, Answer, RegExp][] = [
  ['to nobody', (request) => reply(1, Buffer.alloc(request.length, 0xff), Buffer.alloc(12)), /never asked/],
  ['of another kind', (request) => reply(2, request, Buffer.alloc(12)), /action 2, 20 bytes/],
  ['with half a peer', (request) => reply(1, request, Buffer.alloc(12 + 3)), /action 1, 23 bytes/],
  ['that refuses', (request) => reply(3, request, Buffer.from('go away')), /refuses: go away/],
];
for (const [name, answer, error] of lies) {
  test(`an answer ${name} ends the load with an error`, { skip: !isLinux }, async (context) => {
    const { port } = await fakeTracker(context, answer);
    await assert.rejects(runLoad(context, port, 20), error);
  });
}
