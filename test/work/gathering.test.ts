/** Which pieces wait for company, and for how long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gathering } from '../../src/work/gathering.js';

/** Pieces come at these times; gives the patience after each, counted from the first that waits. */
function patience(company: number, times: readonly number[]): number[] {
  const gathering = new Gathering(company);
  let waiting = 0;
  return times.map((nowMs) => {
    gathering.arrived(nowMs, ++waiting);
    const patienceMs = gathering.patienceMs(nowMs, waiting);
    if (patienceMs === 0) waiting = 0;
    return patienceMs;
  });
}

test('a piece that comes alone goes at once, and so does one that comes 5 ms or more after another', () => {
  assert.deepEqual(patience(4, [1000]), [0]);
  assert.deepEqual(patience(4, [1000, 1005, 1010, 1500]), [0, 0, 0, 0]);
});

test('pieces that come one after the other wait until they are enough', () => {
  assert.deepEqual(patience(4, [1000, 1001, 1002, 1003, 1004, 1005]), [0, 5, 4, 3, 0, 5]);
});

test('none waits longer than 5 ms, however many are still missing', () => {
  assert.deepEqual(patience(16, [1000, 1004, 1008, 1009, 1010]), [0, 5, 1, 0, 5]);
});

test('when no more come those that wait go after 5 ms', () => {
  const gathering = new Gathering(4);
  gathering.arrived(1000, 1);
  gathering.arrived(1001, 2);
  assert.equal(gathering.patienceMs(1001, 2), 4);
  assert.equal(gathering.patienceMs(1004.5, 2), 0.5);
  assert.equal(gathering.patienceMs(1005, 2), 0);
  assert.equal(gathering.patienceMs(2000, 2), 0);
});

test('where one alone is hashed as fast as many none waits', () => {
  assert.deepEqual(patience(1, [1000, 1000, 1000.1]), [0, 0, 0]);
});
