/** Bytes that never fall silent: what comes in leaves, in order, some of it slowly while nothing comes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { TRICKLE, trickle } from '../../src/depot/agent/trickle.js';

/** A clock that has come to the next tick whenever somebody waits and the source does not. */
const atOnce = async (): Promise<void> => {
  await new Promise((resolve) => setImmediate(resolve));
};
const never = (): Promise<void> => new Promise(() => {});

async function* sliced(bytes: Buffer, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(Math.max(...lengths));
  let at = 0;
  for (const length of lengths) {
    bytes.copy(memory, 0, at, at + length);
    yield memory.subarray(0, length);
    // A slice is nobody's any more when the next is asked for.
    memory.fill(0);
    at += length;
  }
}

test('what comes in comes out, however it is sliced', async () => {
  for (const lengths of [
    [0],
    [1],
    [TRICKLE.reserveBytes],
    [TRICKLE.reserveBytes + 1, 1],
    [10, 200_000, 3, 65_536, 65_535, 70_000, 1],
    Array(300).fill(1_000) as number[],
  ]) {
    const bytes = randomBytes(lengths.reduce((sum, length) => sum + length, 0));
    const out: Buffer[] = [];
    for await (const slice of trickle(sliced(bytes, lengths), never)) out.push(Buffer.from(slice));
    assert.deepEqual(Buffer.concat(out), bytes);
  }
});

test('while nothing comes a little of what waits leaves, until all of it has', async () => {
  const bytes = randomBytes(1_000);
  let go = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    go = resolve;
  });
  async function* source(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 900);
    await stopped;
    yield bytes.subarray(900);
  }
  const out: Buffer[] = [];
  for await (const slice of trickle(source(), atOnce)) {
    out.push(Buffer.from(slice));
    if (Buffer.concat(out).length === 900) go();
  }
  assert.deepEqual(
    out.slice(0, 4).map(({ length }) => length),
    [256, 256, 256, 132],
  );
  assert.deepEqual(Buffer.concat(out), bytes);
});

test('a source that fails fails, and one that nobody reads any more is ended', async () => {
  let isEnded = false;
  async function* bad(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(100_000);
    throw new Error('broken');
  }
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.alloc(100_000);
    } finally {
      isEnded = true;
    }
  }
  await assert.rejects(async () => {
    for await (const slice of trickle(bad(), never)) assert.ok(slice.length > 0);
  }, /broken/);
  for await (const slice of trickle(endless(), never)) {
    assert.ok(slice.length > 0);
    break;
  }
  assert.equal(isEnded, true);
});
