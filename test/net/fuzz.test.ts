/** A short form of the fuzzing of our own reading of HTTP, the same every time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzHttp } from './fuzz.js';

test('no answer to a request for a part, and no request for one, does harm, however it was changed', () => {
  for (let seed = 1; seed <= 3; seed++) {
    const outcome = fuzzHttp({ seed, untilMs: null, rounds: 5_000 });
    // Else nothing was shown.
    for (const [kind, count] of Object.entries(outcome)) assert.ok(count >= 15, `${kind}: ${count}, seed ${seed}`);
  }
});
