import { test } from 'node:test';
import { fuzzMagnets } from './fuzz.js';

test('no link and no message of metadata that was changed at random does harm', () => {
  for (let seed = 1; seed <= 5; seed++) fuzzMagnets({ seed, untilMs: null, rounds: 400 });
});
