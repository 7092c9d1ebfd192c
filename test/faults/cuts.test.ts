/** Mapped files that are cut off at random moments; `npm run faults -- --cuts` runs more of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sigbusGuard } from '../../src/native/guard.js';
import { skipWithout } from '../support/requirements.js';
import { runCuts } from './cuts.js';

const SEED = 4;
const COUNT = 6;

test('a mapped file is cut off: its torrent fails and names it, the process and other torrents go on', async (t) => {
  if (skipWithout(t, sigbusGuard() === null ? 'there is no native library' : null)) return;
  const lines: string[] = [];
  const { lost } = await runCuts({ seed: SEED, count: COUNT, isGuarded: true, say: (line) => lines.push(line) });
  assert.deepEqual(lost, [], lines.join('\n'));
});
