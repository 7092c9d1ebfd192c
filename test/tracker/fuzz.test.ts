/** A short form of the fuzzing of trackers, the same every time. */
import { test } from 'node:test';
import { fuzzTrackers } from './fuzz.js';

test('nothing that trackers and their clients say to each other does harm when it is changed at random', () => {
  for (let seed = 1; seed <= 5; seed++) fuzzTrackers({ seed, untilMs: null, rounds: 400 });
});
