/** A part of the matrix of disturbed downloads; `npm run faults` runs more of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runFaults } from './run.js';

const SEED = 11;
const COUNT = 20;

test('whatever is done to the output of a download, the next one ends with equal bytes or a clear error', async () => {
  const lines: string[] = [];
  const lost = await runFaults({ seed: SEED, count: COUNT, say: (line) => lines.push(line) });
  assert.deepEqual(lost, [], lines.join('\n'));
});
