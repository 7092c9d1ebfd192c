import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Sharer, Turns } from '../../src/peer/turns.js';

const KIB = 1024;
const QUANTUM_BYTES = 50 * KIB;

/** What all share. */
class Bucket {
  tokens = 0;
  readonly isDry = (): boolean => this.tokens <= 0;
}

/** An artifact with takers that come again at once, each with takes of its own sizes in turn; or not again. */
class Artifact implements Sharer {
  creditBytes = 0;
  tookBytes = 0;
  isSpent = false;
  readonly sizes: readonly number[];
  readonly #bucket: Bucket;
  readonly #turns: Turns;
  readonly #comesAgain: boolean;
  #takers: number;
  #takes = 0;

  constructor(bucket: Bucket, turns: Turns, sizes: readonly number[], takers = 1, comesAgain = true) {
    this.#bucket = bucket;
    this.#turns = turns;
    this.sizes = sizes;
    this.#takers = takers;
    this.#comesAgain = comesAgain;
    turns.enter(this);
  }

  get hasWaiting(): boolean {
    return this.#takers > 0;
  }

  get largestBytes(): number {
    return Math.max(...this.sizes);
  }

  wakeNext(): boolean {
    const bytes = this.sizes[this.#takes++ % this.sizes.length]!;
    this.tookBytes += bytes;
    this.creditBytes -= bytes;
    this.#bucket.tokens -= bytes;
    if (!this.#comesAgain) this.#takers--;
    else this.#turns.enter(this);
    return bytes > 0;
  }
}

function refill(bucket: Bucket, turns: Turns, bytes = QUANTUM_BYTES): void {
  bucket.tokens += bytes;
  turns.serve(QUANTUM_BYTES, bucket.isDry);
}

const anySizes = fc.array(fc.integer({ min: 1, max: 256 * KIB }), { minLength: 1, maxLength: 5 });

test('who waits gets as much as any other, whatever is taken at once, and nothing is left over', () => {
  fc.assert(
    fc.property(fc.array(anySizes, { minLength: 1, maxLength: 8 }), (all) => {
      const [bucket, turns] = [new Bucket(), new Turns(false)];
      const artifacts = all.map((sizes) => new Artifact(bucket, turns, sizes));
      for (let step = 0; step < 2_000; step++) {
        refill(bucket, turns);
        assert.ok(bucket.tokens <= 0, `${bucket.tokens} bytes are idle`);
      }
      const took = artifacts.map(({ tookBytes }) => tookBytes);
      const largest = Math.max(...artifacts.map(({ largestBytes }) => largestBytes));
      assert.ok(Math.max(...took) - Math.min(...took) <= 2 * (largest + QUANTUM_BYTES), took.join(' '));
    }),
    { numRuns: 50 },
  );
});

test('who comes anew is served before any other has had more than two turns', () => {
  fc.assert(
    fc.property(fc.array(anySizes, { minLength: 1, maxLength: 8 }), fc.nat(200), (all, steps) => {
      const [bucket, turns] = [new Bucket(), new Turns(false)];
      const artifacts = all.map((sizes) => new Artifact(bucket, turns, sizes));
      for (let step = 0; step < steps; step++) refill(bucket, turns);
      const before = artifacts.map(({ tookBytes }) => tookBytes);
      const late = new Artifact(bucket, turns, [1]);
      while (late.tookBytes === 0) refill(bucket, turns);
      for (const [index, { tookBytes, largestBytes }] of artifacts.entries())
        assert.ok(tookBytes - before[index]! <= 2 * (largestBytes + QUANTUM_BYTES), `${index}: ${tookBytes}`);
    }),
    { numRuns: 50 },
  );
});

test('new ones without end, each wanting little, starve nobody', () => {
  const [bucket, turns] = [new Bucket(), new Turns(false)];
  const image = new Artifact(bucket, turns, [256 * KIB], 6);
  let waiting: Artifact[] = [];
  for (let step = 0; step < 10_000; step++) {
    while (waiting.length < 100) waiting.push(new Artifact(bucket, turns, [5 * KIB], 1, false));
    refill(bucket, turns);
    waiting = waiting.filter(({ hasWaiting }) => hasWaiting);
  }
  // A round is a quantum for the image, and 5 KiB for each of a hundred others.
  assert.ok(image.tookBytes > (0.95 * 10_000 * QUANTUM_BYTES) / 11, `${image.tookBytes}`);
});

test('who is alone has all of it, and owes nothing to who comes later', () => {
  const [bucket, turns] = [new Bucket(), new Turns(false)];
  const first = new Artifact(bucket, turns, [256 * KIB]);
  for (let step = 0; step < 10_000; step++) refill(bucket, turns);
  assert.ok(first.tookBytes >= 10_000 * QUANTUM_BYTES);
  const before = first.tookBytes;
  const second = new Artifact(bucket, turns, [16 * KIB]);
  for (let step = 0; step < 1_000; step++) refill(bucket, turns);
  const share = (first.tookBytes - before) / second.tookBytes;
  assert.ok(Math.abs(share - 1) < 0.03, `${share}`);
});

test('who may take nothing by its own limits holds up nobody, nor does who takes nothing when woken', () => {
  const [bucket, turns] = [new Bucket(), new Turns(false)];
  const slow = new Artifact(bucket, turns, [16 * KIB]);
  const idle = new Artifact(bucket, turns, [0]);
  const swift = new Artifact(bucket, turns, [16 * KIB]);
  slow.isSpent = true;
  for (let step = 0; step < 1_000; step++) refill(bucket, turns);
  assert.equal(slow.tookBytes + idle.tookBytes, 0);
  assert.ok(swift.tookBytes >= 1_000 * QUANTUM_BYTES);
  swift.isSpent = true;
  bucket.tokens = 0;
  refill(bucket, turns);
  assert.equal(bucket.tokens, QUANTUM_BYTES, 'nobody may take, and all return');
});

test('where who is woken takes later, each is woken in its turn', () => {
  const [bucket, turns] = [new Bucket(), new Turns(true)];
  const artifacts = [1, 2, 3].map(() => new Artifact(bucket, turns, [KIB]));
  refill(bucket, turns, 2 * KIB);
  assert.deepEqual(
    artifacts.map(({ tookBytes }) => tookBytes),
    [KIB, KIB, 0],
  );
});
