/** The order of virtual time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Events } from '../../sim/events.js';
import { Fifo } from '../../sim/fifo.js';

interface Entry {
  readonly atMs: number;
  readonly order: number;
}

/** The obvious queue: sort by time, then by the order of scheduling. */
function first(entries: Entry[]): Entry | undefined {
  return entries.sort((a, b) => a.atMs - b.atMs || a.order - b.order).shift();
}

describe('the events', () => {
  test('happen by time, and at equal times in the order they were scheduled, also when events schedule events', () => {
    const step = fc.record({ happens: fc.boolean(), delaysMs: fc.array(fc.nat(5), { maxLength: 4 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const events = new Events();
        const waiting: Entry[] = [];
        let order = 0;
        let happened = -1;
        const kind = events.kind((a) => {
          happened = a;
        });
        for (const { happens, delaysMs } of steps) {
          for (const delayMs of delaysMs) {
            waiting.push({ atMs: events.nowMs + delayMs, order });
            events.at(events.nowMs + delayMs, kind, order++);
          }
          assert.equal(events.pending, waiting.length);
          if (!happens) continue;
          const expected = first(waiting);
          assert.equal(events.step(), expected !== undefined);
          if (expected === undefined) continue;
          assert.deepEqual([happened, events.nowMs], [expected.order, expected.atMs]);
        }
      }),
    );
  });

  test('keep their order beyond the first capacity', () => {
    const events = new Events();
    const seen: number[] = [];
    const kind = events.kind((a) => seen.push(a));
    const times = Array.from({ length: 5000 }, (_, index) => (index * 7919) % 1000);
    times.forEach((time, index) => {
      events.at(time, kind, index);
    });
    while (events.step()) {}
    const expected = times.map((atMs, order) => ({ atMs, order })).sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    assert.deepEqual(
      seen,
      expected.map(({ order }) => order),
    );
  });

  test('cannot happen before now, or at no time at all', () => {
    const events = new Events();
    const kind = events.kind(() => {});
    events.at(10, kind);
    events.step();
    assert.throws(() => events.at(9, kind), /before 10/);
    assert.throws(() => events.at(Number.NaN, kind), RangeError);
  });

  test('hash to the same for the same times, kinds and arguments, and to something else for others', () => {
    const hashOf = (atMs: number, argument: number, notes: readonly number[]): string => {
      const events = new Events();
      const kind = events.kind(() => notes.forEach((note) => void events.note(note)));
      events.at(atMs, kind, argument);
      events.step();
      return events.hash;
    };
    const hashes = [hashOf(1, 2, [3]), hashOf(1.5, 2, [3]), hashOf(1, 3, [3]), hashOf(1, 2, []), hashOf(1, 2, [4])];
    assert.equal(new Set(hashes).size, hashes.length);
    assert.equal(hashOf(1, 2, [3]), hashes[0]);
    assert.match(hashes[0]!, /^[0-9a-f]{16}$/);
  });

  test('a call may schedule a call in its own place', () => {
    const events = new Events();
    const seen: string[] = [];
    events.callAt(1, () => {
      seen.push('first');
      events.callAt(1, () => seen.push('second'));
    });
    while (events.step()) {}
    assert.deepEqual(seen, ['first', 'second']);
  });
});

test('a ring gives back what went in, in order, whatever is taken out of its middle', () => {
  const step = fc.oneof(
    fc.record({ push: fc.tuple(fc.nat(3), fc.nat(3)) }),
    fc.constant({ shift: true }),
    fc.record({ remove: fc.tuple(fc.nat(3), fc.nat(3)) }),
    fc.constant({ clear: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const ring = new Fifo();
      let expected: [number, number, number, number][] = [];
      let count = 0;
      for (const each of steps) {
        if ('push' in each) {
          const [a, b] = each.push;
          ring.push(a, b, ++count, count / 2);
          expected.push([a, b, count, count / 2]);
        } else if ('remove' in each) {
          const [a, b] = each.remove;
          const at = expected.findIndex((entry) => entry[0] === a && entry[1] === b);
          assert.equal(ring.includes(a, b), at >= 0);
          assert.equal(ring.remove(a, b), at >= 0);
          if (at >= 0) expected.splice(at, 1);
        } else if ('clear' in each) {
          ring.clear();
          expected = [];
        } else if (expected.length > 0) {
          assert.deepEqual([ring.a, ring.b, ring.c, ring.timeMs], expected.shift());
        }
        if ('shift' in each && ring.length > expected.length) ring.shift();
        const seen: number[] = [];
        ring.forEach((_a, _b, c) => {
          seen.push(c);
        });
        assert.deepEqual(
          seen,
          expected.map((entry) => entry[2]),
        );
        if (expected.length > 0) assert.equal(ring.lastMs, expected.at(-1)![3]);
      }
    }),
  );
});
