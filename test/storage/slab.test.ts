import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { pageSize } from '../../src/native/mmap-io.js';
import { FreeRanges } from '../../src/storage/free-ranges.js';
import { type Place, placeRange, Slab } from '../../src/storage/slab.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { WorkJob, WorkResult } from '../../src/work/port.js';

const MIB = 1024 * 1024;
const pool = createWorkPool({ threads: 1 });
after(() => pool.close());

describe('free ranges', () => {
  test('warm memory is taken before cold, and neighbours become one', () => {
    const free = new FreeRanges(100);
    assert.deepEqual(free.take(30, false), { begin: 0, warmBytes: 0 });
    assert.deepEqual(free.take(30, false), { begin: 30, warmBytes: 0 });
    free.give(30, 30, true);
    assert.equal(free.take(40, true), null);
    free.give(0, 30, true);
    assert.deepEqual(free.take(40, true), { begin: 0, warmBytes: 40 });
    assert.deepEqual(free.take(50, false), { begin: 40, warmBytes: 20 });
    assert.equal(free.take(11, false), null);
    assert.equal(free.warmBytes, 0);
  });

  test('whatever is taken and given, in whatever order, no two places overlap and nothing is lost', () => {
    const step = fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 30 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const free = new FreeRanges(100);
        const owners = new Array<number>(100).fill(0);
        const warm = new Array<boolean>(100).fill(false);
        const taken: { begin: number; length: number }[] = [];
        const take = (begin: number, length: number, warmBytes: number): void => {
          for (let at = begin; at < begin + length; at++) {
            assert.equal(owners[at], 0);
            owners[at] = 1;
          }
          assert.equal(warm.slice(begin, begin + length).filter(Boolean).length, warmBytes);
          taken.push({ begin, length });
        };
        for (const [action, size, isWarm] of steps) {
          if (action < 2) {
            const found = free.take(size, isWarm);
            if (found !== null) take(found.begin, size, found.warmBytes);
          } else if (action === 2) {
            const found = free.takeWarm(size);
            if (found !== null) take(found.begin, found.lengthBytes, found.lengthBytes);
          } else if (taken.length > 0) {
            const { begin, length } = taken.splice(size % taken.length, 1)[0]!;
            owners.fill(0, begin, begin + length);
            warm.fill(isWarm, begin, begin + length);
            free.give(begin, length, isWarm);
          }
          assert.equal(free.warmBytes, warm.filter((each, at) => each && owners[at] === 0).length);
        }
        for (const { begin, length } of taken) free.give(begin, length, true);
        assert.deepEqual(free.take(100, false)?.begin, 0);
      }),
    );
  });
});

/** Bytes of this process in memory that is nobody's file. */
function anonymousBytes(): number {
  return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]) * 1024;
}

function makeSlab(limitBytes: number): { slab: Slab; quiet: () => Promise<void> } {
  let running = 0;
  let whenQuiet = (): void => {};
  const submit = (job: WorkJob, done: (result: WorkResult) => void): boolean => {
    running++;
    return pool.submit(job, (result) => {
      done(result);
      if (--running === 0) whenQuiet();
    });
  };
  const quiet = (): Promise<void> => (running === 0 ? Promise.resolve() : new Promise((go) => (whenQuiet = go)));
  return { slab: new Slab({ reserveBytes: 64 * MIB, limitBytes, submit }), quiet };
}

const fill = (place: Place, value: number): Buffer =>
  place.region.buffer.subarray(place.beginBytes, place.beginBytes + place.lengthBytes).fill(value);

test('a place that was given back keeps its pages for the next; what nobody takes goes to the system', async () => {
  const { slab, quiet } = makeSlab(64 * MIB);
  // A thread takes memory of its own when it starts.
  await new Promise<WorkResult>((done) => pool.submit({ kind: 'release', ranges: [] }, done));
  const places = Array.from({ length: 32 }, () => slab.take(MIB));
  assert.ok(places.every(({ isPresent }) => !isPresent));
  places.forEach((place, at) => {
    fill(place, at + 1);
  });
  const fullBytes = anonymousBytes();
  for (const place of places) slab.give(place);
  const again = slab.take(MIB);
  assert.equal(again.isPresent, true);
  slab.give(again);
  const kept = slab.take(MIB);
  fill(kept, 77);
  for (let look = 0; look < 4; look++) slab.tick();
  await quiet();
  assert.equal(slab.heldBytes, 32 * MIB, 'not at once');
  for (let look = 0; look < 6; look++) slab.tick();
  await quiet();
  assert.equal(slab.heldBytes, MIB);
  assert.ok(anonymousBytes() < fullBytes - 24 * MIB, `${fullBytes} before, ${anonymousBytes()} after`);
  const { buffer } = kept.region;
  assert.equal(buffer[kept.beginBytes], 77);
  assert.equal(buffer[kept.beginBytes + MIB - 1], 77);
  slab.give(kept);
  await slab.close();
});

test('the first region is small, the next as large as was asked for', async () => {
  const { slab } = makeSlab(64 * MIB);
  const first = slab.take(MIB);
  assert.equal(first.region.lengthBytes, 16 * MIB);
  assert.equal(slab.take(15 * MIB).region, first.region);
  const next = slab.take(MIB);
  assert.equal(next.region.lengthBytes, 64 * MIB);
  assert.equal(slab.take(63 * MIB).region, next.region);
  await slab.close();
});

test('free pages in places of the wrong length make room, and more is reserved when that is not enough', async () => {
  const { slab, quiet } = makeSlab(8 * MIB);
  const small = Array.from({ length: 8 }, () => slab.take(MIB));
  for (const [at, place] of small.entries()) if (at % 2 === 0) slab.give(place);
  const large = slab.take(4 * MIB);
  await quiet();
  assert.equal(large.isPresent, false);
  assert.equal(slab.heldBytes, 8 * MIB);
  const huge = slab.take(100 * MIB);
  assert.notEqual(huge.region, large.region);
  assert.deepEqual(placeRange(huge, 10, 5), {
    windowAddress: huge.region.address,
    windowBytes: huge.region.lengthBytes,
    beginBytes: huge.beginBytes + 5,
    lengthBytes: 10,
  });
  assert.equal(slab.take(1).lengthBytes, pageSize());
  await slab.close();
});

test('a first place is made ready before anybody takes it, once, and the slab is not closed under it', async () => {
  const jobs: { job: WorkJob; done: (result: WorkResult) => void }[] = [];
  const submit = (job: WorkJob, done: (result: WorkResult) => void): boolean => jobs.push({ job, done }) > 0;
  const slab = new Slab({ reserveBytes: 8 * MIB, limitBytes: 4 * MIB, submit });
  slab.warm(5 * MIB);
  assert.equal(jobs.length, 0, 'no more than it may hold');
  slab.warm(MIB);
  slab.warm(MIB);
  assert.deepEqual(
    jobs.map(({ job }) => job.kind),
    ['populate'],
  );
  const early = slab.take(MIB);
  assert.equal(early.isPresent, false);
  let isClosed = false;
  jobs[0]!.done({ ok: true, good: true, bytes: new Uint8Array(0) });
  assert.equal(slab.heldBytes, 2 * MIB);
  const ready = slab.take(MIB);
  assert.equal(ready.isPresent, true);
  for (const place of [early, ready]) slab.give(place, false);
  slab.warm(MIB);
  const closing = slab.close().then(() => {
    isClosed = true;
  });
  await Promise.resolve();
  assert.equal(isClosed, false);
  jobs[1]!.done({ ok: false, errno: 'ENOMEM', operation: 'prefault' });
  await closing;
  assert.equal(slab.heldBytes, 0);
});

test('memory that cannot be had ahead is left to whoever opens the first piece', () => {
  const slab = new Slab({ reserveBytes: 0, limitBytes: MIB, submit: () => assert.fail('there is nothing to fill') });
  // The system maps no range without a byte.
  assert.throws(() => slab.take(0));
  slab.warm(0);
  assert.equal(slab.heldBytes, 0);
});
