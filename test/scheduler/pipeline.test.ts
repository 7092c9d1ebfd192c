import assert from 'node:assert/strict';
import test from 'node:test';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import { MIN_DEPTH, Pipeline } from '../../src/scheduler/ask/pipeline.js';

function joined(limit = 2000): Pipeline {
  const pipeline = new Pipeline(1, limit);
  pipeline.join(0);
  return pipeline;
}

/** A second in which the peer sends this many blocks. */
function second(pipeline: Pipeline, blocks: number): void {
  for (let block = 0; block < blocks; block++) pipeline.received(0, 1);
  pipeline.secondEnded(0, blocks * BLOCK_LENGTH_BYTES);
}

test('a pipeline starts at 4 requests and grows by one with each block', () => {
  const pipeline = joined();
  assert.equal(pipeline.depth(0), 4);
  for (let block = 1; block <= 10; block++) {
    pipeline.received(0, 1);
    assert.equal(pipeline.depth(0), 4 + block);
  }
});

test('when the rate stops growing the depth is what comes in half a second and the time of the quickest answer', () => {
  const pipeline = joined();
  pipeline.responded(0, 700);
  pipeline.responded(0, 300);
  second(pipeline, 10);
  second(pipeline, 100);
  assert.ok(pipeline.isSlowStart(0));
  for (let count = 0; count < 10; count++) second(pipeline, 100);
  assert.ok(!pipeline.isSlowStart(0));
  assert.equal(pipeline.depth(0), 80);
});

test('the depth does not grow while blocks wait at the peer for more than half a second', () => {
  const pipeline = joined();
  pipeline.responded(0, 100);
  for (let count = 0; count < 6; count++) pipeline.received(0, 1);
  assert.equal(pipeline.depth(0), 10);
  for (let count = 0; count < 50; count++) pipeline.responded(0, 1_000);
  pipeline.received(0, 1);
  assert.equal(pipeline.depth(0), 10);
  for (let count = 0; count < 50; count++) pipeline.responded(0, 500);
  pipeline.received(0, 1);
  assert.equal(pipeline.depth(0), 11);
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
  pipeline.responded(0, 300);
  for (let count = 0; count < 12; count++) second(pipeline, 100);
  pipeline.starved(0);
  second(pipeline, 3);
  assert.equal(pipeline.depth(0), 80);
  second(pipeline, 3);
  assert.ok(pipeline.depth(0) < 80);
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

interface Link {
  readonly bitsPerSec: number;
  readonly roundTripMs: number;
  /** When in a second of the clock the peer unchokes us. */
  readonly beginMs: number;
}

interface Course {
  /** Bytes that came in the nth second after the unchoke, as a share of what the link carries. */
  readonly share: number[];
  /** Depth at the end of the nth second. */
  readonly depth: number[];
}

/**
 * A peer behind a link with one queue: a request takes half a round trip, waits its turn, its block takes the other
 * half.
 */
function transfer({ bitsPerSec, roundTripMs, beginMs }: Link, seconds: number): Course {
  const pipeline = joined();
  const blockMs = (BLOCK_LENGTH_BYTES * 8000) / bitsPerSec;
  /** When the blocks were asked for, and when they arrive, in order. */
  const asks: number[] = [];
  const arrivals: number[] = [];
  const course: Course = { share: [], depth: [] };
  let next = 0;
  let linkFreeMs = 0;
  let endOfSecondMs = 1000;
  let bytes = 0;
  let bytesOfClockSecond = 0;
  const fill = (nowMs: number): void => {
    while (arrivals.length - next < pipeline.depth(0)) {
      linkFreeMs = Math.max(linkFreeMs, nowMs + roundTripMs / 2) + blockMs;
      asks.push(nowMs);
      arrivals.push(linkFreeMs + roundTripMs / 2);
    }
  };
  fill(beginMs);
  for (let second = 1; second <= seconds; second++) {
    const endMs = beginMs + second * 1000;
    while (arrivals[next]! <= endMs || endOfSecondMs <= endMs) {
      if (endOfSecondMs < arrivals[next]!) {
        pipeline.secondEnded(0, bytesOfClockSecond);
        bytesOfClockSecond = 0;
        fill(endOfSecondMs);
        endOfSecondMs += 1000;
        continue;
      }
      const nowMs = arrivals[next]!;
      pipeline.responded(0, nowMs - asks[next++]!);
      bytes += BLOCK_LENGTH_BYTES;
      bytesOfClockSecond += BLOCK_LENGTH_BYTES;
      pipeline.received(0, 1);
      fill(nowMs);
    }
    course.share.push((bytes * 8) / bitsPerSec);
    course.depth.push(pipeline.depth(0));
    bytes = 0;
  }
  return course;
}

const BEGINS_MS = [0, 1, 50, 250, 500, 750, 899, 950, 999];

test('one peer fills 90 % of a long fat link in 5 s and keeps it full: 1 Gbit/s x 100 ms, 10 Gbit/s x 20 ms', () => {
  for (const [bitsPerSec, roundTripMs] of [
    [1e9, 100],
    [10e9, 20],
  ] as const) {
    for (const beginMs of BEGINS_MS) {
      const { share } = transfer({ bitsPerSec, roundTripMs, beginMs }, 10);
      const what = `${bitsPerSec / 1e9} Gbit/s from ${beginMs} ms: ${share}`;
      for (const each of share.slice(4)) assert.ok(each >= 0.9 && each <= 1.001, what);
      const inFive = share.slice(0, 5).reduce((sum, each) => sum + each, 0);
      assert.ok(inFive >= 0.8 * 5, what);
    }
  }
});

test('a slow peer is asked for half a second of its rate and a round trip, and no more: 1 Mbit/s', () => {
  const blocksPerSec = 1e6 / 8 / BLOCK_LENGTH_BYTES;
  for (const roundTripMs of [1, 100, 800]) {
    // The quickest answer is a round trip and the time of one block.
    const wanted = (0.5 + roundTripMs / 1000) * blocksPerSec + 1;
    for (const beginMs of BEGINS_MS) {
      const { share, depth } = transfer({ bitsPerSec: 1e6, roundTripMs, beginMs }, 60);
      const what = `${roundTripMs} ms, from ${beginMs} ms: ${depth}`;
      // The slow start overshoots, for the mean of the answers lags behind: never beyond three seconds of the rate and
      // a round trip.
      for (const each of depth) assert.ok(each <= (3 + roundTripMs / 1000) * blocksPerSec, what);
      for (const each of depth.slice(10)) assert.ok(each >= wanted - 2 && each <= wanted + MIN_DEPTH, what);
      for (const each of share.slice(5)) assert.ok(each > 0.8, `${share}`);
    }
  }
});
