/** One question for whichever of several answers it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hedged, NoneAnswered } from '../../src/depot/agent/hedge.js';

class Failure extends Error {}

interface Asked {
  readonly target: number;
  readonly signal: AbortSignal;
  answer(value: string): void;
  fail(error: Error): void;
  /** The next may be asked. */
  late(): void;
}

function scene(targets: readonly number[]) {
  const asked: Asked[] = [];
  const dropped: string[] = [];
  const lates = new Map<number, () => void>();
  const outcome = hedged<string>({
    targets,
    atOnce: 3,
    isFailure: (error) => error instanceof Failure,
    drop: (answer) => dropped.push(answer),
    late: (target, signal) =>
      new Promise((resolve) => {
        lates.set(target, resolve);
        signal.addEventListener('abort', () => resolve());
      }),
    ask: (target, signal) =>
      new Promise((answer, fail) => asked.push({ target, signal, answer, fail, late: () => lates.get(target)!() })),
  });
  outcome.catch(() => {});
  return { asked, dropped, outcome };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the first is asked alone; the next when it fails', async () => {
  const { asked, outcome } = scene([7, 8, 9]);
  assert.deepEqual(
    asked.map(({ target }) => target),
    [7],
  );
  asked[0]!.fail(new Failure('away'));
  await settle();
  assert.equal(asked.length, 2);
  asked[1]!.answer('it');
  assert.equal(await outcome, 'it');
});

test('who lets us wait is asked on beside the next; the first answer counts, the other is ended', async () => {
  const { asked, dropped, outcome } = scene([7, 8, 9]);
  asked[0]!.late();
  await settle();
  assert.equal(asked.length, 2);
  asked[1]!.answer('second');
  assert.equal(await outcome, 'second');
  assert.deepEqual(
    asked.map(({ signal }) => signal.aborted),
    [true, false],
  );
  asked[0]!.answer('first');
  await settle();
  assert.deepEqual(dropped, ['first']);
  assert.equal(asked.length, 2);
});

test('no more than three are asked at once; one that fails makes place', async () => {
  const { asked, outcome } = scene([1, 2, 3, 4, 5]);
  for (let at = 0; at < 3; at++) {
    asked[at]!.late();
    await settle();
  }
  assert.equal(asked.length, 3);
  asked[1]!.fail(new Failure('away'));
  await settle();
  assert.equal(asked.length, 4);
  asked[0]!.answer('it');
  assert.equal(await outcome, 'it');
});

test('what is no failure is an answer; where all fail each is told of', async () => {
  const refused = scene([1, 2]);
  refused.asked[0]!.fail(new TypeError('403'));
  await assert.rejects(refused.outcome, TypeError);
  assert.equal(refused.asked.length, 1);
  const { asked, outcome } = scene([1, 2]);
  asked[0]!.late();
  await settle();
  asked[0]!.fail(new Failure('one'));
  asked[1]!.fail(new Failure('two'));
  await assert.rejects(outcome, (error) => {
    assert.ok(error instanceof NoneAnswered);
    assert.deepEqual(
      error.errors.map((each) => (each as Error).message),
      ['one', 'two'],
    );
    return true;
  });
});
