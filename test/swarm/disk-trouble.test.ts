import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromSystemError, HaulError } from '../../src/errors.js';
import { DiskTrouble, LONGEST_PAUSE_MS, mayPass, QUIET_MS } from '../../src/swarm/disk-trouble.js';

const failure = (code: string): HaulError =>
  fromSystemError(Object.assign(new Error(`${code}: it failed, read`), { code }), 'read', '/data/image');

function scene() {
  const clock = { nowMs: 0 };
  const trouble = new DiskTrouble(() => clock.nowMs);
  const paused: string[] = [];
  trouble.onPause = (error) => paused.push(error.message);
  /** Lets time pass in steps of 100 ms until the hold ends; how long that took. */
  const untilTried = (): number => {
    const beganMs = clock.nowMs;
    while (!trouble.tick()) clock.nowMs += 100;
    return clock.nowMs - beganMs;
  };
  return { clock, trouble, paused, untilTried };
}

test('what is tried again waits longer each time, up to a minute; from the second on the pause is told once', () => {
  const { trouble, paused, untilTried } = scene();
  const pauses: number[] = [];
  for (let count = 0; count < 8; count++) {
    trouble.add(failure('EIO'));
    assert.equal(trouble.isHolding, true);
    assert.equal(trouble.pausedText === null, count === 0);
    pauses.push(untilTried());
    assert.equal(trouble.isHolding, false);
  }
  assert.deepEqual(pauses, [1000, 2000, 4000, 8000, 16_000, 32_000, LONGEST_PAUSE_MS, LONGEST_PAUSE_MS]);
  assert.equal(paused.length, 1);
});

test('many failures at the same time are one', () => {
  const { trouble, untilTried } = scene();
  for (let count = 0; count < 20; count++) trouble.add(failure('EMFILE'));
  assert.equal(untilTried(), 1000);
});

test('after some quiet the next failure is a first one again', () => {
  const { clock, trouble, untilTried } = scene();
  trouble.add(failure('EIO'));
  untilTried();
  trouble.add(failure('EIO'));
  untilTried();
  assert.match(trouble.pausedText!, /read \/data\/image: .*; it is tried again now/);
  clock.nowMs += QUIET_MS + 1;
  trouble.tick();
  assert.equal(trouble.pausedText, null);
  trouble.add(failure('EIO'));
  assert.equal(untilTried(), 1000);
});

test('work that waits is done again once for each pause, and it is not over while it has no good end', () => {
  const { clock, trouble, untilTried } = scene();
  const done: string[] = [];
  const again = () => done.push('again');
  trouble.add(failure('EIO'), 7, again);
  untilTried();
  assert.deepEqual(done, ['again']);
  // The device takes longer to fail than the time of quiet.
  clock.nowMs += QUIET_MS * 3;
  trouble.tick();
  trouble.add(failure('EIO'), 7, again);
  assert.equal(untilTried(), 2000);
  trouble.good(7);
  clock.nowMs += QUIET_MS + 1;
  trouble.tick();
  assert.equal(trouble.isCalm, true);
  assert.deepEqual(done, ['again', 'again']);
});

test('what cannot heal is no pause: a full disk, wrong data, no permission, a pool that never began', () => {
  for (const errno of ['EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'ESTALE'])
    assert.equal(mayPass(failure(errno)), true, errno);
  for (const errno of ['ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EFBIG', 'ENOENT', 'EBADF'])
    assert.equal(mayPass(failure(errno)), false, errno);
  assert.equal(mayPass(new HaulError('BAD_DATA', 'cut off', { errno: 'EFAULT' })), false);
  assert.equal(mayPass(new HaulError('POOL', 'gone', { atStart: false })), true);
  assert.equal(mayPass(new HaulError('POOL', 'never came', { atStart: true })), false);
});
