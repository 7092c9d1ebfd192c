import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ABSENCE_MS_MAX, ClockGuard, CONFIRM_MS, STEP_MS_MAX } from '../../../src/depot/keep/clock-guard.js';

const MINUTE = 60_000;
const YEAR = 365 * 24 * 60 * MINUTE;
const START = 1_800_000_000_000;

/** Both clocks, moved by hand. */
class Hands {
  wallMs = START;
  elapsedMs = 5;
  pass(ms: number): this {
    this.wallMs += ms;
    this.elapsedMs += ms;
    return this;
  }
  set(byMs: number): this {
    this.wallMs += byMs;
    return this;
  }
}

test('a clock that goes as time does is believed, also where looks come late', () => {
  const hands = new Hands();
  const guard = new ClockGuard(null, hands);
  for (const ms of [MINUTE, 50 * MINUTE, 0, 24 * 60 * MINUTE]) assert.equal(guard.look({ ...hands.pass(ms) }), true);
});

test('steps as NTP makes them are believed', () => {
  const hands = new Hands();
  const guard = new ClockGuard(START, hands);
  for (const ms of [STEP_MS_MAX, -STEP_MS_MAX, 900]) assert.equal(guard.look({ ...hands.pass(MINUTE).set(ms) }), true);
});

for (const [title, by] of [
  ['years ahead', 10 * YEAR],
  ['back to 1970', -START],
  ['some minutes ahead', 3 * MINUTE],
] as const) {
  test(`a clock set ${title} is doubted for an hour, and then taken to be right`, () => {
    const hands = new Hands();
    const guard = new ClockGuard(null, { ...hands });
    assert.equal(guard.look({ ...hands.pass(MINUTE).set(by) }), false);
    assert.deepEqual(guard.doubt, { kind: 'jump', byMs: by, sinceElapsedMs: hands.elapsedMs });
    for (let minute = 1; minute < 60; minute++) {
      assert.equal(guard.look({ ...hands.pass(MINUTE) }), false);
      assert.equal(guard.leftMs(hands), CONFIRM_MS - minute * MINUTE);
    }
    assert.equal(guard.look({ ...hands.pass(MINUTE) }), true);
    assert.equal(guard.doubt, null);
  });
}

test('a clock that jumps again begins its hour again, also when it is set right', () => {
  const hands = new Hands();
  const guard = new ClockGuard(null, { ...hands });
  guard.look({ ...hands.set(YEAR) });
  for (let minute = 0; minute < 59; minute++) guard.look({ ...hands.pass(MINUTE) });
  assert.equal(guard.look({ ...hands.pass(MINUTE).set(-YEAR) }), false);
  for (let minute = 0; minute < 59; minute++) assert.equal(guard.look({ ...hands.pass(MINUTE) }), false);
  assert.equal(guard.look({ ...hands.pass(MINUTE) }), true);
});

test('a start long after the last run, or before it, is doubted for an hour; one soon after is not', () => {
  for (const [lastWallMs, isSure] of [
    [START - 7 * 24 * 60 * MINUTE, true],
    [START - ABSENCE_MS_MAX - 1, false],
    [START + STEP_MS_MAX, true],
    [START + STEP_MS_MAX + 1, false],
    [0, false],
    [null, true],
  ] as const) {
    const hands = new Hands();
    const guard = new ClockGuard(lastWallMs, { ...hands });
    assert.equal(guard.look({ ...hands.pass(MINUTE) }), isSure, `${lastWallMs}`);
    assert.equal(guard.look({ ...hands.pass(CONFIRM_MS) }), true);
  }
});

test('a clock that says nonsense is not believed', () => {
  const guard = new ClockGuard(null, { wallMs: START, elapsedMs: 0 });
  assert.equal(guard.look({ wallMs: Number.NaN, elapsedMs: 1 }), false);
});

test('what is published while the clock is behind gets the time that it must be', () => {
  const hands = new Hands();
  const guard = new ClockGuard(START - MINUTE, hands);
  assert.equal(guard.nowMs(hands), START);
  guard.look({ ...hands.pass(MINUTE) });
  hands.pass(MINUTE).set(-30 * YEAR);
  assert.equal(guard.nowMs(hands), START + 2 * MINUTE, 'before anybody looked');
  for (let minute = 0; minute < 60; minute++) {
    guard.look({ ...hands.pass(MINUTE) });
    assert.equal(guard.nowMs(hands), START + (minute + 3) * MINUTE);
  }
  guard.look({ ...hands.pass(MINUTE) });
  assert.equal(guard.nowMs(hands), hands.wallMs, 'after an hour it is believed');
  hands.set(YEAR);
  assert.equal(guard.nowMs(hands), hands.wallMs, 'ahead it harms nobody');
});

test('a start with a clock of 1970 goes on with the time of the last run', () => {
  const hands = new Hands();
  const guard = new ClockGuard(START, hands.set(-START));
  assert.equal(guard.nowMs({ ...hands.pass(5 * MINUTE) }), START + 5 * MINUTE);
});
