import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RunQueue } from '../../src/webseed/run-queue.js';

const whole = (offset: number): number => Math.floor(offset / 16) * 16;

test('what is asked in a row becomes one run, cut at a block where it is too long', () => {
  const queue = new RunQueue();
  for (let begin = 0; begin < 160; begin += 16) queue.push(begin, begin + 16);
  queue.push(320, 336);
  assert.equal(queue.bytes, 176);
  assert.deepEqual(queue.take(100, whole), { begin: 0, end: 96 });
  assert.deepEqual(queue.take(100, whole), { begin: 96, end: 160 });
  queue.giveBack(112, 160);
  assert.deepEqual(queue.take(100, whole), { begin: 112, end: 160 });
  assert.deepEqual(queue.take(100, whole), { begin: 320, end: 336 });
  assert.equal(queue.take(100, whole), null);
  assert.equal(queue.bytes, 0);
});

test('what is cancelled is taken out, in the middle of a run too; the rest comes once, in order', () => {
  const block = fc.nat({ max: 40 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('ask', 'cancel', 'take'), block), { maxLength: 80 }), (steps) => {
      const queue = new RunQueue();
      const waiting = new Set<number>();
      for (const [what, at] of steps) {
        if (what === 'ask' && !waiting.has(at)) {
          waiting.add(at);
          queue.push(at * 16, at * 16 + 16);
        } else if (what === 'cancel') {
          waiting.delete(at);
          queue.remove(at * 16, at * 16 + 16);
        } else if (what === 'take') {
          const run = queue.take(48, whole);
          assert.equal(run === null, waiting.size === 0);
          for (let begin = run?.begin ?? 0; begin < (run?.end ?? 0); begin += 16) assert.ok(waiting.delete(begin / 16));
        }
        assert.equal(queue.bytes, waiting.size * 16);
      }
    }),
  );
});

test('what waits in another queue is taken out at once', () => {
  const [queue, other] = [new RunQueue(), new RunQueue()];
  queue.push(0, 160);
  other.push(16, 32);
  other.push(144, 176);
  queue.removeAll(other);
  assert.deepEqual([queue.bytes, other.bytes], [128, 48]);
  assert.deepEqual(queue.runs, [
    { begin: 0, end: 16 },
    { begin: 32, end: 144 },
  ]);
});
