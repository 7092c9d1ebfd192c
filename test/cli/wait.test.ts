import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { delayOrAborted, settledOrAborted } from '../../src/cli/wait.js';

describe('waiting that an interrupt ends', () => {
  it('says whether the promise or the signal came first', async () => {
    const never = new Promise<void>(() => {});
    const controller = new AbortController();
    assert.equal(await settledOrAborted(Promise.resolve(), controller.signal), 'settled');
    const waiting = settledOrAborted(never, controller.signal);
    controller.abort();
    assert.equal(await waiting, 'aborted');
    assert.equal(await settledOrAborted(never, controller.signal), 'aborted');
  });

  it('passes a rejection through, and swallows one that comes after the signal', async () => {
    const controller = new AbortController();
    await assert.rejects(settledOrAborted(Promise.reject(new Error('full')), controller.signal), /full/);
    let fail = (_: Error): void => {};
    const late = new Promise<void>((_, reject) => {
      fail = reject;
    });
    const waiting = settledOrAborted(late, controller.signal);
    controller.abort();
    assert.equal(await waiting, 'aborted');
    // The runner would report an unhandled rejection as a failure of this test.
    fail(new Error('stopped'));
    await new Promise(setImmediate);
  });

  it('waits longer than one timer can', async (context) => {
    mock.timers.enable({ apis: ['setTimeout'] });
    context.after(() => mock.timers.reset());
    const { signal } = new AbortController();
    const waitMs = 40 * 86_400_000;
    let outcome = 'waiting';
    const waiting = delayOrAborted(waitMs, signal).then((end) => {
      outcome = end;
    });
    mock.timers.tick(2 ** 31 - 1);
    await Promise.resolve();
    assert.equal(outcome, 'waiting');
    mock.timers.tick(waitMs - (2 ** 31 - 1));
    await waiting;
    assert.equal(outcome, 'elapsed');
  });

  it('ends a wait for ever at the signal', async () => {
    const controller = new AbortController();
    const waiting = delayOrAborted(Number.POSITIVE_INFINITY, controller.signal);
    controller.abort();
    assert.equal(await waiting, 'aborted');
    assert.equal(await delayOrAborted(1e9, controller.signal), 'aborted');
  });
});
