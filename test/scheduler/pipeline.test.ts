import assert from 'node:assert/strict';
import test from 'node:test';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import { Pipeline } from '../../src/scheduler/pipeline.js';

function joined(limit = 2000): Pipeline {
  const pipeline = new Pipeline(1, limit);
  pipeline.join(0);
  return pipeline;
}

/** A second in which the peer sends this many blocks. */
function second(pipeline: Pipeline, blocks: number): void {
  for (let block = 0; block < blocks; block++) pipeline.received(0);
  pipeline.secondEnded(0, blocks * BLOCK_LENGTH_BYTES);
}

test('a pipeline starts at 4 requests and grows by one with each block', () => {
  const pipeline = joined();
  assert.equal(pipeline.depth(0), 4);
  for (let block = 1; block <= 10; block++) {
    pipeline.received(0);
    assert.equal(pipeline.depth(0), 4 + block);
  }
});

test('when the rate stops growing the depth becomes three seconds of it', () => {
  const pipeline = joined();
  second(pipeline, 10);
  second(pipeline, 100);
  assert.ok(pipeline.isSlowStart(0));
  for (let count = 0; count < 10; count++) second(pipeline, 100);
  assert.ok(!pipeline.isSlowStart(0));
  assert.equal(pipeline.depth(0), 300);
});

test('depth obeys the limit of the engine and the reqq of the peer, whatever it says', () => {
  const pipeline = joined(50);
  second(pipeline, 500);
  assert.equal(pipeline.depth(0), 50);
  for (const [reqq, depth] of [
    [20, 20],
    [1000, 50],
    [0, 1],
    [-5, 1],
    [Number.NaN, 1],
  ] as const) {
    pipeline.setReqq(0, reqq);
    assert.equal(pipeline.depth(0), depth);
  }
});

test('a slow peer keeps at least four requests', () => {
  const pipeline = joined();
  for (let count = 0; count < 5; count++) second(pipeline, 1);
  assert.equal(pipeline.depth(0), 4);
});

test('a second in which there was nothing to ask for does not shrink the pipeline', () => {
  const pipeline = joined();
  for (let count = 0; count < 12; count++) second(pipeline, 100);
  pipeline.starved(0);
  second(pipeline, 3);
  assert.equal(pipeline.depth(0), 300);
  second(pipeline, 3);
  assert.ok(pipeline.depth(0) < 300);
});

test('patience is the mean plus four deviations of the response time, between 2 and 60 s', () => {
  const pipeline = joined();
  for (let count = 0; count < 100; count++) pipeline.responded(0, 50);
  assert.equal(pipeline.timeoutMs(0), 2_000);
  pipeline.join(0);
  pipeline.responded(0, 4_000);
  assert.equal(pipeline.timeoutMs(0), 12_000);
  for (let count = 0; count < 100; count++) pipeline.responded(0, 5_000);
  assert.ok(Math.abs(pipeline.timeoutMs(0) - 5_000) < 50);
  pipeline.responded(0, 500_000);
  assert.equal(pipeline.timeoutMs(0), 60_000);
});

test('a time-out leaves one request, ends the slow start and doubles the patience', () => {
  const pipeline = joined();
  second(pipeline, 30);
  pipeline.responded(0, 10);
  pipeline.timedOut(0);
  assert.equal(pipeline.depth(0), 1);
  assert.ok(!pipeline.isSlowStart(0));
  assert.equal(pipeline.timeoutMs(0), 4_000);
  for (let count = 0; count < 9; count++) pipeline.timedOut(0);
  assert.equal(pipeline.timeoutMs(0), 60_000);
});
