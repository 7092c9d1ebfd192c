import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Waker } from '../../src/engine/waker.js';

const LIMITS = { atOnce: 2, waiting: 3, timeoutMs: 10_000, hangMs: 60_000, retryMs: 5_000 };

/** Wakes that end when the test says so. */
class Sleepers {
  readonly begun: string[] = [];
  readonly #ends = new Map<string, (found: string | null) => void>();

  begin(name: string): () => Promise<string | null> {
    return () => {
      this.begun.push(name);
      return new Promise((resolve) => this.#ends.set(name, resolve));
    };
  }

  end(name: string, found: string | null): void {
    this.#ends.get(name)!(found);
  }
}

/** All that follows from what has happened so far. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('all who ask for one name share one wake', async () => {
  const waker = new Waker<string>(LIMITS, 0);
  const sleepers = new Sleepers();
  const answers = [1, 2, 3].map(() => waker.wake('a', sleepers.begin('a')));
  await settle();
  assert.deepEqual(sleepers.begun, ['a']);
  sleepers.end('a', 'awake');
  assert.deepEqual(await Promise.all(answers), ['awake', 'awake', 'awake']);
  assert.equal(waker.running, 0);
});

test('so many run at once, so many wait in turn, and the rest are refused', async () => {
  const waker = new Waker<string>(LIMITS, 0);
  const sleepers = new Sleepers();
  const names = ['a', 'b', 'c', 'd', 'e'];
  const answers = names.map((name) => waker.wake(name, sleepers.begin(name)));
  assert.equal(await waker.wake('f', sleepers.begin('f')), null);
  await settle();
  assert.deepEqual(sleepers.begun, ['a', 'b']);
  for (const name of names) {
    sleepers.end(name, name);
    await settle();
    assert.ok(waker.running <= 2);
  }
  assert.deepEqual(sleepers.begun, names);
  assert.deepEqual(await Promise.all(answers), names);
});

test('a wake that hangs ends for those who wait, and the next has its turn when it ended all the same', async () => {
  const waker = new Waker<string>({ ...LIMITS, atOnce: 1 }, 0);
  const sleepers = new Sleepers();
  const hanging = waker.wake('hangs', sleepers.begin('hangs'));
  waker.tick(5_000);
  const next = waker.wake('next', sleepers.begin('next'));
  waker.tick(10_000);
  assert.equal(await hanging, null);
  await settle();
  assert.deepEqual(sleepers.begun, ['hangs']);
  assert.equal(waker.running, 1);
  sleepers.end('hangs', 'late');
  await settle();
  assert.deepEqual(sleepers.begun, ['hangs', 'next']);
  sleepers.end('next', 'awake');
  assert.equal(await next, 'awake');
  assert.equal(waker.running, 0);
});

test('wakes that hang for ever give their turns back in the end, and none is begun again meanwhile', async () => {
  const waker = new Waker<string>(LIMITS, 0);
  const sleepers = new Sleepers();
  const ask = (name: string): Promise<string | null> => waker.wake(name, sleepers.begin(name));
  const hanging = [ask('a'), ask('b')];
  for (let nowMs = 1_000; nowMs < 70_000; nowMs += 1_000) {
    waker.tick(nowMs);
    void ask('a');
    void ask('c');
    await settle();
    assert.deepEqual(sleepers.begun, ['a', 'b']);
  }
  assert.deepEqual(await Promise.all(hanging), [null, null]);
  waker.tick(70_000);
  assert.equal(await ask('a'), null);
  void ask('c');
  await settle();
  assert.deepEqual(sleepers.begun, ['a', 'b', 'c']);
  // What comes too late changes nothing.
  sleepers.end('a', 'late');
  sleepers.end('b', null);
  await settle();
  assert.equal(waker.running, 1);
});

test('a name that nobody waits for any more loses its place in the queue', async () => {
  const waker = new Waker<string>({ ...LIMITS, atOnce: 1, waiting: 1 }, 0);
  const sleepers = new Sleepers();
  const first = new AbortController();
  const ask = (name: string, gone?: AbortController): Promise<string | null> =>
    waker.wake(name, sleepers.begin(name), gone?.signal);
  const running = [ask('a', first), ask('a')];
  const leavers = [new AbortController(), new AbortController()];
  const waiting = leavers.map((gone) => ask('b', gone));
  leavers[0]!.abort();
  assert.equal(await waiting[0], null);
  assert.equal(await ask('c'), null);
  leavers[1]!.abort();
  assert.equal(await waiting[1], null);
  const heir = ask('c');
  // What has begun goes on.
  first.abort();
  assert.equal(await running[0], null);
  await settle();
  sleepers.end('a', 'awake');
  assert.equal(await running[1], 'awake');
  await settle();
  sleepers.end('c', 'awake');
  assert.equal(await heir, 'awake');
  assert.deepEqual(sleepers.begun, ['a', 'c']);
});

test('one that waited in vain for its turn may be asked for again at once', async () => {
  const waker = new Waker<string>({ ...LIMITS, atOnce: 1 }, 0);
  const sleepers = new Sleepers();
  void waker.wake('a', sleepers.begin('a'));
  const waiting = waker.wake('b', sleepers.begin('b'));
  waker.tick(10_000);
  assert.equal(await waiting, null);
  const again = waker.wake('b', sleepers.begin('b'));
  await settle();
  sleepers.end('a', null);
  await settle();
  sleepers.end('b', 'awake');
  assert.equal(await again, 'awake');
});

for (const [title, begin] of [
  ['resolves with nothing', async () => null],
  ['rejects', () => Promise.reject(new Error('no'))],
  [
    'throws',
    () => {
      throw new Error('no');
    },
  ],
] as const) {
  test(`a wake that ${title} is not tried again for a while`, async () => {
    const waker = new Waker<string>(LIMITS, 0);
    let begun = 0;
    const counting = (): Promise<string | null> => {
      begun++;
      return begin();
    };
    assert.equal(await waker.wake('a', counting), null);
    assert.equal(await waker.wake('a', counting), null);
    assert.equal(begun, 1);
    waker.tick(4_999);
    assert.equal(await waker.wake('a', counting), null);
    waker.tick(5_000);
    assert.equal(await waker.wake('a', async () => 'awake'), 'awake');
    assert.equal(begun, 1);
  });
}

test('the end answers all who wait, and begins none of them', async () => {
  const waker = new Waker<string>({ ...LIMITS, atOnce: 1 }, 0);
  const sleepers = new Sleepers();
  const ask = (name: string): Promise<string | null> => waker.wake(name, sleepers.begin(name));
  const answers = [ask('a'), ask('b'), ask('c')];
  await settle();
  waker.close();
  assert.deepEqual(await Promise.all(answers), [null, null, null]);
  sleepers.end('a', 'late');
  assert.equal(await ask('d'), null);
  await settle();
  assert.deepEqual(sleepers.begun, ['a']);
});
