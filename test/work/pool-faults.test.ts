/** Workers that cannot load, hang, die at a job or die at every one: each job is answered once, and the pool closes. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { withDeadline } from '../../lab/wait.js';
import type { HaulError } from '../../src/errors.js';
import { createWorkPool, type WorkPoolOptions } from '../../src/work/pool.js';
import type { WorkJob, WorkPool, WorkResult } from '../../src/work/port.js';

const DEADLINE_MS = 30_000;
const REAL_WORKER = new URL('../../src/work/worker.js', import.meta.url).href;
const JOB: WorkJob = { kind: 'look', paths: ['/'], follows: true };

/**
 * CommonJS that waits for the real worker: piscina requires first, and a thread that ends meanwhile would take the
 * process with it.
 */
async function worker(scope: Scope, source: string): Promise<URL> {
  const file = path.join(await tempFolder(scope), 'worker.cjs');
  const text = `
    const fs = require('node:fs');
    const counter = ${JSON.stringify(`${file}.count`)};
    /** How often this was called before, over all threads: one ticket for each call. */
    const count = () => {
      for (let ticket = 0; ; ticket++) {
        try { fs.closeSync(fs.openSync(counter + ticket, 'wx')); return ticket; } catch {}
      }
    };
    const real = import(${JSON.stringify(REAL_WORKER)}).then((found) => found.default);
    const isProof = (numbers) => numbers[0] < 0;
    ${source}`;
  await writeFile(file, text);
  return pathToFileURL(file);
}

interface Bench {
  readonly pool: WorkPool;
  readonly deaths: string[];
  readonly downs: HaulError[];
}

async function start(t: TestContext, source: string, options: Partial<WorkPoolOptions> = {}): Promise<Bench> {
  const scope = openScope(t);
  const deaths: string[] = [];
  const downs: HaulError[] = [];
  const pool = createWorkPool({
    threads: 1,
    workerUrl: await worker(scope, source),
    onDeath: (cause) => deaths.push(cause),
    onDown: (error) => downs.push(error),
    ...options,
  });
  scope.defer(() => withDeadline(pool.close(), 'the pool closes', DEADLINE_MS));
  return { pool, deaths, downs };
}

/** Rejects at a second answer. */
function run(pool: WorkPool, job: WorkJob = JOB): Promise<WorkResult> {
  let answers = 0;
  const answer = new Promise<WorkResult>((resolve) => {
    const done = (result: WorkResult): void => {
      assert.equal(++answers, 1);
      resolve(result);
    };
    assert.ok(pool.submit(job, done));
  });
  return withDeadline(answer, 'the job is answered', DEADLINE_MS);
}

function assertFailed(result: WorkResult, message: RegExp): void {
  assert.ok(!result.ok && result.error !== undefined, JSON.stringify(result));
  assert.equal(result.error.code, 'POOL');
  assert.match(result.error.message, message);
}

for (const [title, source, message] of [
  ['throws', "throw new Error('no such thing');", /no worker thread can be started: no such thing/],
  ['is damaged', 'const = 1;', /no worker thread can be started: Unexpected token/],
  ['needs a module that is not there', "require('not-installed');", /Cannot find module .*install it again/],
  ['ends as if it had nothing to do', 'process.exit(0);', /: the file of a worker is cut off; .*install it again/],
  ['exits', 'process.exit(7);', /no worker thread can be started: it exited with code 7/],
  ['exports nothing', '', /no worker thread can be started/],
  ['has a wrong digest', 'module.exports = () => new Float64Array(3);', /a wrong digest of known bytes/],
] as const) {
  test(`a worker that ${title} at load fails every job with the reason, later ones too; the pool closes`, async (t) => {
    const { pool, downs } = await start(t, source, { threads: 2 });
    const results = await Promise.all([run(pool), run(pool, { kind: 'release', ranges: [] }), run(pool)]);
    for (const result of results) assertFailed(result, message);
    assertFailed(await run(pool), message);
    assert.match(downs[0]!.message, message);
  });
}

test('a worker that hangs at load is given up, and a job that waits is failed', async (t) => {
  const { pool } = await start(t, 'for (;;);', { proofTimeoutMs: 200 });
  assertFailed(await run(pool), /it did not start within 0.2 s/);
});

test('a pool whose worker hangs at load can be closed', async (t) => {
  const { pool } = await start(t, 'for (;;);');
  const result = run(pool);
  await withDeadline(pool.close(), 'it closes', DEADLINE_MS);
  assert.deepEqual(await result, { ok: false, errno: 'ECANCELED', operation: 'look at' });
});

test('where some workers cannot be started the others do the work', async (t) => {
  const source = 'if (count() === 0) process.exit(9); module.exports = real;';
  const { pool, downs } = await start(t, source, { threads: 2 });
  const results = await Promise.all(Array.from({ length: 50 }, () => run(pool)));
  assert.ok(results.every((result) => result.ok));
  assert.deepEqual(downs, []);
});

test('a worker that fails to load twice and then loads is waited for', async (t) => {
  const source = 'if (count() < 2) process.exit(9); module.exports = real;';
  const { pool, downs } = await start(t, source);
  assert.equal((await run(pool)).ok, true);
  assert.deepEqual(downs, []);
});

const DYING = (when: string, how: string): string =>
  `module.exports = real.then((run) => (numbers) => {
     if (!isProof(numbers) && ${when}) { ${how} }
     return run(numbers);
   });`;

for (const [title, how] of [
  ['exits', 'process.exit(3)'],
  ['runs out of memory', 'const hoard = []; for (;;) hoard.push(new Array(10_000).fill(hoard.length));'],
  ['throws outside any job', "setImmediate(() => { throw new Error('late'); }); return new Promise(() => {});"],
] as const) {
  test(`jobs of a worker that ${title} are done again by the next one, each answered once`, async (t) => {
    const { pool, deaths } = await start(t, DYING('[1, 3].includes(count())', how), { heapMib: 24 });
    const results = await Promise.all(Array.from({ length: 200 }, () => run(pool)));
    assert.ok(results.every((result) => result.ok));
    assert.ok(deaths.length > 0);
  });
}

test('a job that ends each worker fails alone after three, and the jobs beside it are done', async (t) => {
  const source = DYING('Array.from(numbers).includes(12345)', 'count(); process.exit(1)');
  const { pool } = await start(t, source, { threads: 2 });
  const killer: WorkJob = { kind: 'digest-pieces', pieceLengthBytes: 12345, files: [] };
  const [killed, ...others] = await Promise.all([run(pool, killer), ...Array.from({ length: 40 }, () => run(pool))]);
  assertFailed(killed!, /3 worker threads ended over one job: it exited with code 1/);
  assert.ok(others.every((result) => result.ok));
  assert.equal((await run(pool)).ok, true);
});

test('a batch answered with an exception is tried again, then failed, and the worker lives on', async (t) => {
  const source = DYING('Array.from(numbers).includes(12345)', "throw new RangeError('cannot')");
  const { pool, deaths } = await start(t, source);
  const bad = await run(pool, { kind: 'digest-pieces', pieceLengthBytes: 12345, files: [] });
  assertFailed(bad, /cannot/);
  assert.equal((await run(pool)).ok, true);
  assert.deepEqual(deaths, []);
});

test('close answers the jobs of a worker that dies meanwhile', async (t) => {
  const { pool } = await start(t, DYING('true', 'process.exit(1)'));
  const results = Array.from({ length: 20 }, () => run(pool));
  await new Promise((resolve) => setImmediate(resolve));
  await withDeadline(pool.close(), 'it closes', DEADLINE_MS);
  for (const result of await Promise.all(results)) assert.equal(!result.ok && result.errno, 'ECANCELED');
});

test('a worker without mapped memory is refused where jobs will name memory', async (t) => {
  const source = `
    const Module = require('node:module');
    const load = Module._load;
    Module._load = (name, ...rest) => {
      if (name === 'koffi') throw new Error('koffi is not here');
      return load(name, ...rest);
    };
    module.exports = real;`;
  const without = await start(t, source);
  assert.equal((await run(without.pool)).ok, true);
  const needy = await start(t, source, { needsMemory: true });
  assertFailed(await run(needy.pool), /koffi is not here/);
});
