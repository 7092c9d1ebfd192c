/** Bodies in small chunks: few buffers are made of them, and who sends many waits for its turn. */
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { until } from '../../lab/wait.js';
import { DEPOT_HTTP_LIMITS } from '../../src/depot/http/limits.js';
import { ChunkTurns, SmallChunks } from '../../src/depot/http/small-chunks.js';

const { smallChunksPerSec, smallChunksMs } = DEPOT_HTTP_LIMITS;
const HEAD = 'PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';

interface Asked {
  readonly request: http.IncomingMessage;
  readonly small: SmallChunks;
}

/** A request with this body on its way. */
async function asked(context: TestContext, body: Buffer): Promise<Asked> {
  const server = http.createServer();
  context.after(() => void server.close().closeAllConnections());
  const came = new Promise<Asked>((resolve) => {
    server.on('request', (request) => resolve({ request, small: new SmallChunks(request) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1').on('error', () => {});
  context.after(() => void socket.destroy());
  socket.write(HEAD);
  socket.write(body);
  return came;
}

function chunked(bytes: Buffer, lengthOf: (at: number) => number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const part = bytes.subarray(at, at + lengthOf(at));
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
    at += part.length;
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

const BYTES = Buffer.from(Array.from({ length: 400_000 }, (_, at) => (at * 7 + (at >> 8)) & 0xff));

test('small chunks come as few, all bytes in their order', async (context) => {
  for (const [lengthOf, most] of [
    [() => 7, 200],
    [(at: number) => [1, 900, 1023, 1024, 5000, 70_000][at % 6]!, 400],
  ] as const) {
    const { request, small } = await asked(context, chunked(BYTES, lengthOf));
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    assert.ok(Buffer.concat(parts).equals(BYTES));
    assert.ok(parts.length < most, `${parts.length} parts`);
    assert.ok(small.takeFresh() > 50);
    assert.equal(small.takeFresh(), 0);
  }
});

test('small chunks that nobody takes are not read on', async (context) => {
  const body = chunked(Buffer.concat([BYTES, BYTES]), () => 7);
  const { request } = await asked(context, body);
  let before = -1;
  await until('no more is read', 10_000, () => {
    const isSame = request.socket.bytesRead === before && before > 60_000;
    before = request.socket.bytesRead;
    return isSame;
  });
  assert.ok(request.socket.bytesRead < 600_000, `${request.socket.bytesRead} of ${body.length}`);
  let length = 0;
  for await (const part of request) length += (part as Buffer).length;
  assert.equal(length, 2 * BYTES.length);
});

test('who sent many small chunks waits, with all others who did, and none too long', () => {
  let nowMs = 5_000;
  const turns = new ChunkTurns(() => nowMs);
  assert.ok(turns.waitMs(1) < 1);
  nowMs += 1;
  assert.equal(turns.waitMs(smallChunksPerSec / 10), 100);
  assert.equal(turns.waitMs(smallChunksPerSec / 10), 200);
  nowMs += 150;
  assert.equal(turns.waitMs(smallChunksPerSec / 10), 150);
  assert.equal(turns.waitMs(smallChunksPerSec * 60), smallChunksMs);
  nowMs += 60_000;
  assert.ok(turns.waitMs(1) < 1);
});
