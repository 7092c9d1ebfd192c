/** A short form of the fuzzing of local service discovery, the same every time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzNeighbours } from './fuzz.js';

test('no datagram of the local network does harm, however it was changed', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { parsed, refused, found, told } = fuzzNeighbours({ seed, untilMs: null, rounds: 1_000 });
    // Else nothing was shown.
    assert.ok(parsed >= 500 && refused >= 100 && found >= 50 && told >= 100, `${parsed} ${refused} ${found} ${told}`);
  }
});
