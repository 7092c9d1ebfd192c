/** A short form of the fuzzing of what a depot says, the same every time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzSaid } from './said-fuzz.js';

test('nothing that a depot says does harm, however it was changed', () => {
  for (let seed = 1; seed <= 3; seed++) {
    const outcome = fuzzSaid({ seed, untilMs: null, rounds: 1_000 });
    // Else nothing was shown.
    for (const [kind, count] of Object.entries(outcome)) assert.ok(count >= 15, `${kind}: ${count}, seed ${seed}`);
  }
});
