import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { RATE_WINDOW_SECONDS, RollingRates } from '../../src/scheduler/rate.js';

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
