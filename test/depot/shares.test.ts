/** Places for downloads and uploads are shared by addresses: nobody takes them all. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { until } from '../../lab/wait.js';
import { DEPOT_HTTP_LIMITS } from '../../src/depot/http/limits.js';
import { openTestDoor, type TestDoor } from './door-harness.js';

/** Connections from this address that send these bytes; what each got so far. */
function crowd(context: TestContext, port: number, localAddress: string, count: number, bytes: string): string[] {
  const got: string[] = Array.from({ length: count }, () => '');
  got.forEach((_, at) => {
    const socket = net.connect({ port, host: '127.0.0.1', localAddress }, () => socket.write(bytes));
    context.after(() => void socket.destroy());
    socket.on('error', () => {});
    socket.setEncoding('latin1').once('data', (text: string) => {
      got[at] = text.slice(0, 12);
    });
  });
  return got;
}

const count = (got: readonly string[], status: number): number =>
  got.filter((text) => text === `HTTP/1.1 ${status}`).length;

/** An artifact of which one byte comes, and no other until the end of the test. */
async function doorWithSlow(context: TestContext): Promise<TestDoor & { reading(): number }> {
  const door = await openTestDoor(context);
  await fetch(`${door.url}/artifacts/slow`, { method: 'PUT', body: 'two' });
  let reading = 0;
  const ended = new Promise<void>((resolve) => context.after(() => resolve()));
  door.depository.read = async function* () {
    reading++;
    yield Buffer.from('t');
    await ended;
  };
  return { ...door, reading: () => reading };
}

test('one address that takes all downloads that it gets leaves some for others', async (context) => {
  const { port, reading } = await doorWithSlow(context);
  const get = 'GET /artifacts/slow HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const { answers } = DEPOT_HTTP_LIMITS;
  const greedy = crowd(context, port, '127.0.0.2', answers + 10, get);
  await until('all have an answer', 30_000, () => greedy.every((text) => text !== ''));
  assert.ok(count(greedy, 200) < answers && count(greedy, 200) > answers / 2, `${count(greedy, 200)}`);
  assert.equal(count(greedy, 200) + count(greedy, 503), answers + 10);
  const other = crowd(context, port, '127.0.0.3', 50, get);
  await until('others have theirs', 30_000, () => other.every((text) => text !== ''));
  assert.equal(count(other, 200), 50);
  assert.equal(reading(), count(greedy, 200) + 50);
});

test('one address that sends all uploads that it may leaves places for others', async (context) => {
  // Nobody is slow while the clock stands.
  const { port, depository } = await openTestDoor(context, { door: { now: () => 0 } });
  let begun = 0;
  const publish = depository.publish.bind(depository);
  depository.publish = (request) => {
    begun++;
    return publish(request);
  };
  const { uploads } = DEPOT_HTTP_LIMITS;
  const put = 'PUT /artifacts/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n';
  const greedy = crowd(context, port, '127.0.0.2', uploads + 10, put);
  // The rest of them wait.
  const share = Math.ceil((uploads * 2) / 3);
  await until('it has its share', 30_000, () => count(greedy, 100) >= share);
  const other = crowd(context, port, '127.0.0.3', 30, put);
  await until('others have theirs', 30_000, () => other.every((text) => text !== ''));
  assert.equal(count(other, 100), 30);
  assert.equal(count(greedy, 100), share);
  assert.equal(depository.publishing, share + 30);
  // Nothing was made ready for those that have no place.
  assert.equal(begun, depository.publishing);
});
