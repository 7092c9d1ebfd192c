import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { RATE_WINDOW_SECONDS, RollingRates } from '../../src/scheduler/peers/rate.js';

test('the average equals the exact sum of the last 20 clock seconds over their span, across any gaps', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 45_000 }), fc.nat(1_000_000)), { maxLength: 80 });
  fc.assert(
    fc.property(steps, fc.nat(100_000), (script, startMs) => {
      const rates = new RollingRates(2);
      rates.reset(1, startMs);
      const events: { second: number; bytes: number }[] = [];
      let nowMs = startMs;
      for (const [gapMs, bytes] of script) {
        nowMs += gapMs % 7 === 0 ? 0 : gapMs;
        rates.add(1, bytes, nowMs);
        events.push({ second: Math.floor(nowMs / 1000), bytes });
        const first = Math.floor(nowMs / 1000) - RATE_WINDOW_SECONDS + 1;
        const sum = events.filter(({ second }) => second >= first).reduce((total, event) => total + event.bytes, 0);
        const spanMs = nowMs - Math.max(first * 1000, startMs);
        assert.equal(rates.average(1, nowMs), sum / Math.max(1, spanMs / 1000));
        const last = events.filter(({ second }) => second === Math.floor(nowMs / 1000) - 1);
        assert.equal(
          rates.lastSecond(1, nowMs),
          last.reduce((total, event) => total + event.bytes, 0),
        );
      }
      assert.equal(rates.average(0, nowMs), 0);
    }),
  );
});

/** Bytes of a log that came after `sinceMs`, that moment excluded. */
function bytesAfter(log: readonly { readonly atMs: number; readonly bytes: number }[], sinceMs: number): number {
  return log.reduce((sum, { atMs, bytes }) => sum + (atMs > sinceMs ? bytes : 0), 0);
}

/** A pause before an addition in ms: the clock stands still, runs by steps, passes a second, stays away for long. */
const pauses = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 999 }),
  fc.integer({ min: 1_000, max: 25_000 }),
  fc.integer({ min: 60_000, max: 1e9 }),
);

test('against an exact window of 20 s: at least its last 19 s over 20, at most all of it over 19', () => {
  const steps = fc.array(fc.tuple(pauses, fc.nat(1_000_000)), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(steps, fc.nat(1e9), pauses, (script, startMs, lastPauseMs) => {
      const rates = new RollingRates(1);
      const log: { atMs: number; bytes: number }[] = [];
      rates.reset(0, startMs);
      // Older than the window, so that its beginning is the window's and not the row's.
      let nowMs = startMs + 21_000;
      for (const [pauseMs, bytes] of script) {
        nowMs += pauseMs;
        rates.add(0, bytes, nowMs);
        log.push({ atMs: nowMs, bytes });
      }
      nowMs += lastPauseMs;
      const average = rates.average(0, nowMs);
      const [least, most] = [bytesAfter(log, nowMs - 19_000) / 20, bytesAfter(log, nowMs - 20_000) / 19];
      assert.ok(least <= average && average <= most, `${least} <= ${average} <= ${most}`);
    }),
    { numRuns: 500 },
  );
});

test('the bounds against the exact window are no wider than needed', () => {
  // A clock at a whole second: the window is 19 s long, and what came just after 19 s ago is in it.
  const above = new RollingRates(1);
  above.reset(0, 0);
  above.add(0, 1900, 81_000);
  assert.equal(above.average(0, 100_000), 100);
  // At the end of a second it is almost 20 s long.
  const below = new RollingRates(1);
  below.reset(0, 0);
  below.add(0, 2000, 81_000);
  assert.ok(Math.abs(below.average(0, 100_999) - 100) < 0.01);
  // What came 19.999 s ago counts or not, depending on where in its second the clock is.
  below.add(0, 1e6, 100_999);
  assert.ok(below.average(0, 119_999) > 50_000);
  assert.equal(below.average(0, 120_000), 0);
});

test('a steady stream is rated at its speed from the second second on', () => {
  const rates = new RollingRates(1);
  rates.reset(0, 500);
  for (let nowMs = 600; nowMs <= 60_000; nowMs += 100) {
    rates.add(0, 1000, nowMs);
    if (nowMs >= 2_000) assert.ok(Math.abs(rates.average(0, nowMs) - 10_000) < 1_000, `at ${nowMs}`);
  }
});

test('a clock that steps back neither loses nor doubles bytes', () => {
  const rates = new RollingRates(1);
  rates.reset(0, 10_000);
  rates.add(0, 700, 12_000);
  rates.add(0, 300, 9_000);
  assert.equal(rates.average(0, 12_000), 1000 / 2);
});
