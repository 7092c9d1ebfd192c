import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const url = new URL('../../src/work/pool.js', import.meta.url).href;

/** What a process of its own says. */
async function answerOf(program: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  return JSON.parse(stdout);
}

test('threads start with the first job, or when work is said to come; a pool that had neither has none', async () => {
  const program = `
    const { createWorkPool } = await import(${JSON.stringify(url)});
    let started = 0;
    process.on('worker', () => started++);
    const counts = [];
    const submit = (pool) => pool.submit({ kind: 'release', ranges: [] }, () => {});
    for (const use of [() => {}, (pool) => pool.warmUp(), submit]) {
      const pool = createWorkPool({ threads: 2 });
      const made = started;
      await new Promise(setImmediate);
      use(pool);
      await new Promise(setImmediate);
      use(pool);
      counts.push([made, started]);
      await pool.close();
    }
    console.log(JSON.stringify(counts));`;
  assert.deepEqual(await answerOf(program), [
    [0, 0],
    [0, 2],
    [2, 4],
  ]);
});

test('where threads start one by one, the next is there when two jobs for each are not enough', async () => {
  const program = `
    const { createWorkPool } = await import(${JSON.stringify(url)});
    let started = 0;
    process.on('worker', () => started++);
    const counts = [];
    for (const jobs of [1, 2, 3, 4, 5, 7]) {
      const pool = createWorkPool({ threads: 3, startsOneByOne: true });
      for (let job = 0; job < jobs; job++) pool.submit({ kind: 'release', ranges: [] }, () => {});
      await new Promise(setImmediate);
      counts.push(started);
      started = 0;
      await pool.close();
    }
    console.log(JSON.stringify(counts));`;
  assert.deepEqual(await answerOf(program), [1, 1, 2, 2, 3, 3]);
});
