/** A short form of the fuzzing of local service discovery, the same every time. */
import { test } from 'node:test';
import { fuzzNeighbours } from './fuzz.js';

test('no datagram of the local network does harm, however it was changed', () => {
  for (let seed = 1; seed <= 5; seed++) fuzzNeighbours({ seed, untilMs: null, rounds: 1_000 });
});
