/** A short form of the fuzzing of what a depot reads of requests, the same every time. */
import { test } from 'node:test';
import { fuzzDepot } from './fuzz.js';

test('nothing that clients send to a depot does harm when it is changed at random', () => {
  for (let seed = 1; seed <= 5; seed++) fuzzDepot({ seed, untilMs: null, rounds: 300 });
});
