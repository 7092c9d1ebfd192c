/** The figures that `bench -- limits` makes of samples. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TrafficSample, windowFigures } from '../../bench/support/traffic-samples.js';

function samples(...points: [atMs: number, downloadedBytes: number, cpuSec: number][]): TrafficSample[] {
  return points.map(([atMs, downloadedBytes, cpuSec]) => ({ atMs, downloadedBytes, uploadedBytes: 0, cpuSec }));
}

test('the window begins after the first second and counts by the clock of the samples', () => {
  const late = samples([0, 5e6, 9], [1000, 90e6, 10], [2000, 100e6, 10.5], [3250, 110e6, 11]);
  const figures = windowFigures(late, 'downloadedBytes');
  assert.deepEqual(figures, {
    seconds: 2.25,
    bytes: 20e6,
    endBytes: 110e6,
    mbPerSec: 20 / 2.25,
    cpuSecPerGb: 1 / 0.02,
    slowestMbPerSec: 8,
    fastestMbPerSec: 10,
  });
});

test('without a second after the first there is no window', () => {
  assert.throws(() => windowFigures(samples([0, 0, 0], [1000, 1, 1]), 'downloadedBytes'), /too few samples/);
});
