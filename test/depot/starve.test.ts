/** A few clients that hardly send, or take nothing, and those who come after them: nobody is kept out for long. */
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../../lab/wait.js';
import { Answers } from '../../src/depot/http/answers.js';
import { DEPOT_HTTP_LIMITS } from '../../src/depot/http/limits.js';
import { SenderRate } from '../../src/depot/http/sender-rate.js';
import { ChunkTurns, SmallChunks } from '../../src/depot/http/small-chunks.js';
import { UploadBody } from '../../src/depot/http/upload-body.js';
import { agentOf, depotOf, folderOf, get, put } from './agent-harness.js';
import { ask, openTestDoor, statusOf } from './door-harness.js';

const { slowUploadMs, answerStuckMs, answerIdleMs } = DEPOT_HTTP_LIMITS;
/** Of all places for uploads, of one address. */
const MOST = 171;

interface Client {
  readonly socket: net.Socket;
  got: string;
}

function clientsOf(context: TestContext, port: number, count: number, head: string): Client[] {
  return Array.from({ length: count }, (_, at) => {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    context.after(() => void socket.destroy());
    const client: Client = { socket, got: '' };
    socket.setEncoding('latin1').on('data', (text: string) => {
      client.got += text.slice(0, 1000);
    });
    socket.write(head.replace('NAME', `n${at}`));
    return client;
  });
}

const slowPut = 'PUT /artifacts/NAME HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx';
const answered = (clients: readonly Client[], status: number): number =>
  clients.filter(({ got }) => got.startsWith(`HTTP/1.1 ${status}`)).length;

test('a rate is that of the time that was spent waiting, of the last window or of the one that goes on', () => {
  const rate = new SenderRate(10_000);
  rate.wait(0);
  assert.equal(rate.bytesPerSec(9_999), Number.POSITIVE_INFINITY);
  assert.equal(rate.bytesPerSec(10_000), 0);
  rate.got(5_000, 50_000);
  // We were slow: that is not the sender's.
  rate.wait(100_000);
  assert.equal(rate.bytesPerSec(104_999), Number.POSITIVE_INFINITY);
  rate.got(105_000, 150_000);
  assert.equal(rate.bytesPerSec(105_000), 20_000);
  rate.wait(105_000);
  assert.equal(rate.bytesPerSec(114_000), 20_000);
  assert.equal(rate.bytesPerSec(125_000), 0);
});

test('where all places for uploads are taken one waits till the slowest gives way and hears why', async (context) => {
  let nowMs = 0;
  const { port, depository } = await openTestDoor(context, { door: { now: () => nowMs } });
  const slow = clientsOf(context, port, MOST, slowPut);
  await until('all have a place', 20_000, () => depository.publishing === MOST);
  const honest = ask(port, 'PUT /artifacts/honest\nContent-Length: 5', 'bytes');
  nowMs = slowUploadMs + 1;
  assert.equal(statusOf(await honest), 201);
  await until('one has given way', 10_000, () => answered(slow, 408) === 1);
  assert.match(
    slow.find(({ got }) => got.startsWith('HTTP/1.1 408'))!.got,
    /retry-after: 5\r[\s\S]*others want its place/i,
  );
  assert.equal(depository.publishing, MOST - 1);
});

test('an agent whose uploads are all slow gives their place to who waits', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  const slow = clientsOf(context, agent.port, 40, slowPut);
  const underWay = async (): Promise<number> =>
    ((await (await fetch(`${depot.url}/status`)).json()) as { uploads: unknown[] }).uploads.length;
  await until('they are under way', 20_000, async () => (await underWay()) >= 20);
  const began = performance.now();
  await put(agent.url, 'honest', Buffer.from('bytes'));
  assert.equal(String((await get(depot.url, 'artifacts/honest')).bytes), 'bytes');
  assert.ok(performance.now() - began < 3 * slowUploadMs);
  assert.ok(answered(slow, 408) >= 1);
});

/** What an answer is written to. @param takes whether its reader takes what is written */
function readerOf(takes: boolean) {
  const ignored = (): void => {};
  return {
    headersSent: false,
    destroyed: false,
    writableEnded: false,
    gone: ignored,
    once(_: string, gone: () => void): void {
      this.gone = gone;
    },
    off: ignored,
    end: ignored,
    write: (_: unknown, done: () => void) => (takes ? done() : undefined),
    destroy(): void {
      this.destroyed = true;
      this.gone();
    },
  };
}

type Reader = ReturnType<typeof readerOf>;

function send(answers: Answers, reader: Reader, bytes: AsyncIterable<Uint8Array>, group: string): Promise<void> {
  const slices = { lengthBytes: 2, open: () => bytes as AsyncGenerator<Uint8Array> };
  return answers.send(reader as never, slices, group, () => {
    reader.headersSent = true;
  });
}

async function* two(middle?: Promise<void>): AsyncGenerator<Uint8Array> {
  yield Buffer.from('a');
  await middle;
  yield Buffer.from('b');
}

test('a body of tiny chunks is refused when they are many, a few are as good as any', async (context) => {
  const { port, url, records, depository } = await openTestDoor(context);
  const head = 'Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';
  const few = await ask(
    port,
    'PUT /artifacts/few\nTransfer-Encoding: chunked',
    `${'1\r\nx\r\n'.repeat(10_000)}0\r\n\r\n`,
  );
  assert.equal(statusOf(few), 201);
  const many = Buffer.from('1\r\nx\r\n'.repeat(1_000_000));
  for (const target of ['PUT /artifacts/many', 'POST /artifacts/nobody-wants-it']) {
    const [client] = clientsOf(context, port, 1, `${target} HTTP/1.1\r\n${head}`);
    client!.socket.write(many);
    await until('the connection is ended', 20_000, () => client!.socket.closed);
  }
  assert.deepEqual(
    records.map(({ status }) => status),
    [201, 400, 405],
  );
  assert.ok(records[1]!.receivedBytes < 150_000);
  assert.equal((await fetch(`${url}/artifacts/many`)).status, 404);
  assert.equal(depository.publishing, 0);
});

test('a body that an agent refuses on its way says nothing of the depot', async (context) => {
  const depot = await depotOf(context, await folderOf(context));
  const { agent } = await agentOf(context, depot.url, await folderOf(context));
  await put(agent.url, 'first', Buffer.from('bytes'));
  assert.equal(agent.stats().isDepotAway, false);
  const head = 'Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';
  const [client] = clientsOf(context, agent.port, 1, `PUT /artifacts/many HTTP/1.1\r\n${head}`);
  client!.socket.write('1\r\nx\r\n'.repeat(100_000));
  await until('the connection is ended', 20_000, () => client!.socket.closed);
  assert.equal(answered([client!], 400), 1, client!.got.slice(0, 200));
  assert.equal(agent.stats().isDepotAway, false);
});

test('of answers that all take nothing one gives way to the next of its own address', async () => {
  let nowMs = 0;
  const answers = new Answers(() => nowMs, null);
  const idle = Array.from({ length: DEPOT_HTTP_LIMITS.answers }, () => readerOf(false));
  const sent = Promise.allSettled(idle.map((reader) => send(answers, reader, two(), 'own')));
  const gone = (): number => idle.filter(({ destroyed }) => destroyed).length;
  await until('as many as may are sent', 5_000, () => idle.filter(({ headersSent }) => headersSent).length > 300);
  const held = answers.count;
  await assert.rejects(send(answers, readerOf(true), two(), 'own'), /too many downloads/);
  nowMs = answerStuckMs + 1;
  await send(answers, readerOf(true), two(), 'own');
  assert.deepEqual([gone(), answers.count], [1, held - 1]);
  for (const reader of idle) reader.destroy();
  await sent;
});

test('who waits for bytes that we do not have yet is not slow', async () => {
  let nowMs = 0;
  const answers = new Answers(() => nowMs, null);
  let goOn = (): void => {};
  const middle = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const reader = readerOf(true);
  const sent = send(answers, reader, two(middle), 'own');
  await until('the first is sent', 5_000, () => reader.headersSent);
  nowMs = answerIdleMs + 1;
  answers.tick();
  assert.equal(reader.destroyed, false);
  goOn();
  await sent;
});

test('what is left of a body of which only the begin was read still comes, and is dropped', async (context) => {
  const turns = new ChunkTurns(() => 0);
  const dropped = new Promise<boolean>((resolve, reject) => {
    const server = http.createServer(async (request, response) => {
      try {
        const body = new UploadBody({
          request,
          response,
          expectsContinue: false,
          small: new SmallChunks(request),
          turns,
          now: () => 0,
        });
        for await (const _chunk of body.read()) break;
        await body.drop();
        resolve(request.readableEnded);
      } catch (error) {
        reject(error);
      }
    });
    context.after(() => void server.close().closeAllConnections());
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      http
        .request({ port, method: 'PUT' })
        .on('error', () => {})
        .end(Buffer.alloc(900_000));
    });
  });
  assert.equal(await dropped, true);
});
