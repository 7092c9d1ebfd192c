/** Room in the pool is announced; nobody looks again and again. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { Jobs } from '../../src/storage/jobs.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { WorkJob, WorkPool } from '../../src/work/port.js';
import { submit } from '../../src/work/submit.js';

const NOTHING: WorkJob = { kind: 'populate', forWriting: false, ranges: [] };
/** Some hundred milliseconds of SHA-1. */
const LONG: WorkJob = {
  kind: 'digest-pieces',
  files: [{ path: null, beginBytes: 0, lengthBytes: 256 * 1024 * 1024 }],
  pieceLengthBytes: 256 * 1024 * 1024,
};

/** A pool for one job at a time, which counts how often a job was offered. */
class Narrow {
  offers = 0;
  readonly real = createWorkPool({ threads: 1, maxJobs: 1 });
  readonly pool: WorkPool = new Proxy(this.real, {
    get: (target, key) => {
      if (key === 'submit') this.offers++;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });

  fill(): Promise<unknown> {
    return new Promise((resolve) => assert.ok(this.real.submit(LONG, resolve)));
  }
}

describe('a pool that others have filled', () => {
  test('is asked once, and once more when there is room', async (t) => {
    const scope = openScope(t);
    const narrow = new Narrow();
    scope.defer(() => narrow.real.close());
    const filled = narrow.fill();
    const result = await submit(narrow.pool, NOTHING);
    assert.equal(result.ok, true);
    assert.equal(narrow.offers, 2);
    await filled;
  });

  test('is asked by a storage once, and once more when there is room', async (t) => {
    const scope = openScope(t);
    const narrow = new Narrow();
    scope.defer(() => narrow.real.close());
    const filled = narrow.fill();
    const jobs = new Jobs(narrow.pool);
    assert.equal((await new Promise<{ ok: boolean }>((resolve) => jobs.submit(NOTHING, resolve))).ok, true);
    assert.equal(narrow.offers, 2);
    await filled;
  });

  test('is not waited for any more after an abort', async (t) => {
    const scope = openScope(t);
    const narrow = new Narrow();
    scope.defer(() => narrow.real.close());
    const filled = narrow.fill();
    const abort = new AbortController();
    const result = submit(narrow.pool, NOTHING, abort.signal);
    abort.abort();
    await assert.rejects(result, { code: 'ABORTED' });
    assert.equal(narrow.offers, 1);
    await filled;
  });

  test('tells who waits in the order of asking, one for each place', async (t) => {
    const scope = openScope(t);
    const { real } = new Narrow();
    scope.defer(() => real.close());
    assert.ok(real.submit(NOTHING, () => {}));
    const told: number[] = [];
    const last = new Promise<void>((resolve) => {
      for (const index of [0, 1, 2]) {
        real.onceRoom(() => {
          told.push(index);
          assert.ok(real.submit(NOTHING, index === 2 ? () => resolve() : () => {}));
        });
      }
      real.onceRoom(() => assert.fail('it was withdrawn'))();
    });
    await last;
    assert.deepEqual(told, [0, 1, 2]);
  });
});
