/** Work that many ask for: once for all, in turns between addresses, and none that nobody waits for. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Jobs } from '../../../src/depot/folders/jobs.js';
import { code } from '../depot-kit.js';

const WAIT_MS = 20_000;
const LINGER_MS = 30_000;

interface Begun {
  readonly key: string;
  readonly signal: AbortSignal;
  readonly end: (result: string) => void;
}

/** Work that ends when the test says so, or with the signal. */
function openJobs(t: TestContext, limits = { atOnce: 1, waiting: 6 }) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const jobs = new Jobs<string>({ ...limits, lingerMs: LINGER_MS });
  const begun: Begun[] = [];
  const wait = (key: string, group = 'a', signal = new AbortController().signal): Promise<string> => {
    const work = (until: AbortSignal): Promise<string> =>
      new Promise((resolve, reject) => {
        until.addEventListener('abort', () => reject(new Error('given up')));
        begun.push({ key, signal: until, end: resolve });
      });
    const asked = jobs.begin(key, group, work).then((job) => jobs.wait(job, WAIT_MS, signal));
    asked.catch(() => {});
    return asked;
  };
  return { jobs, begun, wait };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('it is done once for all who ask meanwhile, and anew for who asks later', async (t) => {
  const { begun, wait } = openJobs(t);
  const asked = [wait('x'), wait('x', 'b')];
  await turn();
  begun[0]!.end('done');
  assert.deepEqual(await Promise.all(asked), ['done', 'done']);
  const later = wait('x');
  await turn();
  begun[1]!.end('again');
  assert.equal(await later, 'again');
});

test('who has waited long enough gets nothing; the work goes on, and is there for who comes in time', async (t) => {
  const { begun, wait } = openJobs(t);
  const first = wait('x');
  await turn();
  t.mock.timers.tick(WAIT_MS);
  assert.equal(await first, 'late');
  t.mock.timers.tick(LINGER_MS - 1);
  const second = wait('x');
  await turn();
  t.mock.timers.tick(LINGER_MS);
  begun[0]!.end('done');
  assert.equal(await second, 'late');
  assert.equal(begun.length, 1);
});

test('work that nobody waits for ends after a while, also in the queue; who asks then begins anew', async (t) => {
  const { jobs, begun, wait } = openJobs(t);
  const gone = new AbortController();
  const asked = [wait('x', 'a', gone.signal), wait('y', 'a', gone.signal)];
  await turn();
  gone.abort();
  assert.deepEqual(await Promise.all(asked), ['late', 'late']);
  t.mock.timers.tick(LINGER_MS);
  assert.equal(begun[0]!.signal.aborted, true);
  const again = wait('x');
  await turn();
  await turn();
  assert.deepEqual(
    begun.map(({ key }) => key),
    ['x', 'x'],
  );
  begun[1]!.end('done');
  assert.equal(await again, 'done');
  assert.equal(jobs.count, 0);
});

test('an address that asks for many waits for one that asks for one, and takes not all places', async (t) => {
  const { begun, wait } = openJobs(t, { atOnce: 2, waiting: 6 });
  for (const key of ['1', '2', '3', '4']) void wait(key, 'a');
  await turn();
  await assert.rejects(wait('5', 'a'), code('IN_USE'));
  void wait('6', 'b');
  await turn();
  begun[0]!.end('');
  await turn();
  await turn();
  assert.deepEqual(
    begun.map(({ key }) => key),
    ['1', '2', '6'],
  );
});

test('closing ends all of it', async (t) => {
  const { jobs, begun, wait } = openJobs(t);
  const asked = [wait('x'), wait('y')];
  await turn();
  await jobs.close();
  for (const each of asked) await assert.rejects(each);
  assert.equal(begun.length, 1);
  await assert.rejects(wait('z'), code('CLOSED'));
});
