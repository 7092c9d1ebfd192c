/** When a service gives memory back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RestWatch } from '../../src/cli/rest.js';
import { trimHeaps } from '../../src/native/malloc.js';

test('memory is given back once after work, when there is none any more', () => {
  const watch = new RestWatch(0, 500);
  // At a start: it rests, and has done next to nothing.
  assert.equal(watch.look(30_000, 600), false);
  // Busy.
  assert.equal(watch.look(60_000, 20_600), false);
  assert.equal(watch.look(90_000, 21_300), false);
  assert.equal(watch.look(120_000, 21_500), true);
  assert.equal(watch.look(150_000, 21_600), false);
  // What is little is added up.
  for (let at = 0; at < 8; at++) assert.equal(watch.look(180_000 + at * 30_000, 21_700 + at * 100), false);
  assert.equal(watch.look(420_000, 22_500), true);
});

test('giving back goes well', async () => {
  await trimHeaps();
});
