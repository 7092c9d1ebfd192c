import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

test('threads start with the first job, or when work is said to come; a pool that had neither has none', async () => {
  const url = new URL('../../src/hash/pool.js', import.meta.url).href;
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
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  const cases = JSON.parse(stdout) as unknown;
  assert.deepEqual(cases, [
    [0, 0],
    [0, 2],
    [2, 4],
  ]);
});
