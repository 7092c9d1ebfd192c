import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Waker } from '../../src/engine/waker.js';
import { Turns } from '../../src/torrent/turns.js';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('so many have their turn at once, in order of asking, and who is stopped waits no longer', async () => {
  const turns = new Turns(1);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const { signal } = new AbortController();
  const stopped = new AbortController();
  const use = (name: string, given = signal): Promise<string | null> =>
    turns.run(() => {
      begun.push(name);
      return new Promise((resolve) => ends.push(() => resolve(name)));
    }, given);
  const answers = [use('a'), use('b', stopped.signal), use('c')];
  stopped.abort();
  assert.equal(await answers[1], null);
  await settle();
  assert.deepEqual(begun, ['a']);
  ends[0]!();
  await settle();
  assert.deepEqual(begun, ['a', 'c']);
  ends[1]!();
  assert.deepEqual(await Promise.all(answers), ['a', null, 'c']);
  await assert.rejects(
    turns.run(() => Promise.reject(new Error('broken')), signal),
    /broken/,
  );
  assert.equal(await turns.run(() => Promise.resolve('free again'), signal), 'free again');
});

test('a wake that takes long gives its turn to others, and still answers', async () => {
  const waker = new Waker<string>({ atOnce: 1, waiting: 3, timeoutMs: 10_000, hangMs: 60_000, retryMs: 5_000 }, 0);
  let end!: (found: string) => void;
  const long = waker.wake('long', (yieldTurn) => {
    yieldTurn();
    return new Promise((resolve) => {
      end = resolve;
    });
  });
  assert.equal(await waker.wake('next', () => Promise.resolve('next')), 'next');
  end('long');
  assert.equal(await long, 'long');
  assert.equal(waker.running, 0);
});
