/** What an engine's limit is shared by: torrents, and what passes beside them, in virtual time. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Limits } from '../../src/peer/limits.js';
import type { Throttle } from '../../src/peer/throttle.js';
import type { RateGate } from '../../src/rates-api.js';

const RATE = 5_000_000;
const RUN_BYTES = 256 * 1024;

class World {
  nowMs = 0;
  readonly limits: Limits;
  readonly uploads: RateGate;
  /** Sent, by who it was for. */
  readonly sent = new Map<string, number>();
  #isOver = false;

  constructor(context: TestContext, uploadBytesPerSec?: number) {
    this.limits = new Limits(uploadBytesPerSec === undefined ? {} : { uploadBytesPerSec }, () => this.nowMs);
    this.uploads = this.limits.gates().uploads;
    context.after(() => {
      this.#isOver = true;
      this.limits.closeGates();
    });
  }

  add(who: string, bytes: number): void {
    this.sent.set(who, (this.sent.get(who) ?? 0) + bytes);
  }

  of(who: string): number {
    return this.sent.get(who) ?? 0;
  }

  /** A peer that always wants runs of blocks. */
  peer(uploads: Throttle, who: string): void {
    let tookBytes = 0;
    while (!this.#isOver && uploads.isLimited && !uploads.isDry) {
      uploads.take(RUN_BYTES);
      tookBytes += RUN_BYTES;
    }
    this.add(who, tookBytes);
    if (!this.#isOver && uploads.isLimited) uploads.wait(() => this.peer(uploads, who), tookBytes);
  }

  /** An answer by HTTP without end. @returns what ends it */
  answer(name: string, who: string): () => void {
    const gate = this.uploads.of(name);
    let isOver = false;
    const send = async (): Promise<void> => {
      while (!isOver && !this.#isOver) {
        const bytes = Math.min(RUN_BYTES, gate.readBytes);
        await new Promise<void>((resolve) => {
          if (gate.ask(bytes, resolve)) resolve();
        });
        if (!isOver) this.add(who, bytes);
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    };
    void send();
    return () => {
      isOver = true;
      gate.end();
    };
  }

  async run(ms: number): Promise<void> {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += 10;
      this.limits.refill();
      // What was allowed is sent, and asked for again.
      for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}

function assertNear(actual: number, expected: number, part: number, what: string): void {
  assert.ok(Math.abs(actual / expected - 1) < part, `${what}: ${actual} for ${expected}`);
}

const fail = (): void => assert.fail('nobody waits');

test('an artifact has one share of the limit, however many take it, by peers and by HTTP', async (context) => {
  const world = new World(context, RATE);
  const image = world.limits.forTorrent({}, 'image');
  for (let count = 0; count < 6; count++) world.peer(image.uploads, 'image by peers');
  for (let count = 0; count < 6; count++) world.answer('image', 'image by HTTP');
  await world.run(1_000);
  world.sent.clear();
  world.answer('short', 'short');
  await world.run(5_000);
  assertNear(world.of('short'), (5 * RATE) / 2, 0.05, 'short');
  const [peers, answers] = [world.of('image by peers'), world.of('image by HTTP')];
  assertNear(peers + answers, (5 * RATE) / 2, 0.05, 'image');
  assertNear(peers, answers, 0.1, 'its takers');
});

test('what nobody else wants is for who wants it', async (context) => {
  const world = new World(context, RATE);
  const end = world.answer('short', 'short');
  world.answer('image', 'image');
  await world.run(1_000);
  end();
  world.sent.clear();
  await world.run(2_000);
  assertNear(world.of('image'), 2 * RATE, 0.03, 'image');
  assert.equal(world.of('short'), 0);
});

test('an answer goes on in turn when the torrent of its artifact comes and goes', async (context) => {
  const world = new World(context, RATE);
  world.answer('image', 'image');
  world.answer('other', 'other');
  await world.run(500);
  const torrent = world.limits.forTorrent({}, 'image');
  world.peer(torrent.uploads, 'peer');
  await world.run(1_000);
  world.limits.end(torrent);
  world.sent.clear();
  await world.run(2_000);
  assertNear(world.of('image'), RATE, 0.05, 'image');
  assertNear(world.of('other'), RATE, 0.05, 'other');
});

test('another limit holds for what is under way, and so does none', async (context) => {
  const world = new World(context, RATE);
  const torrent = world.limits.forTorrent({}, 'image');
  world.peer(torrent.uploads, 'image');
  world.answer('short', 'short');
  await world.run(500);
  world.limits.setShared({ uploadBytesPerSec: 4 * RATE });
  world.sent.clear();
  await world.run(1_000);
  assertNear(world.of('image') + world.of('short'), 4 * RATE, 0.05, 'four times the limit');
  assertNear(world.of('short'), 2 * RATE, 0.1, 'short');
  world.limits.setShared({ uploadBytesPerSec: 1 });
  await world.run(1_000);
  world.sent.clear();
  await world.run(5_000);
  assert.equal(world.of('image') + world.of('short'), 0, 'a byte a second');
  const gate = world.uploads.of('more');
  let isAllowed = gate.ask(16_385, () => {
    isAllowed = true;
  });
  assert.equal(isAllowed, false);
  world.limits.end(torrent);
  world.limits.setShared({ uploadBytesPerSec: null });
  assert.equal(isAllowed, true);
  assert.ok(gate.ask(1e9, fail));
});

test('who leaves the queue is counted for nothing, and gives back what it did not use', (context) => {
  const world = new World(context, RATE);
  world.nowMs = 10;
  world.limits.refill();
  const paid = world.uploads.of('a');
  assert.ok(paid.ask(50_000, fail));
  const gates = Array.from({ length: 512 }, () => world.uploads.of('b'));
  for (const gate of gates) assert.ok(!gate.ask(50_000, fail));
  for (const gate of gates) gate.end();
  paid.end(50_000);
  assert.ok(world.uploads.of('c').ask(50_000, fail), 'all of it is there again');
  world.nowMs += 10;
  world.limits.refill();
  assert.ok(world.uploads.of('d').ask(50_000, fail), 'and nobody waits');
});

test('a block waits for nobody while such are few, and starves nobody when they are many', async (context) => {
  const world = new World(context, RATE);
  world.peer(world.limits.forTorrent({}, 'image').uploads, 'image');
  await world.run(1_000);
  /** How many of so many are allowed at once; the others leave. */
  const ask = (count: number, bytes: number): number => {
    let atOnce = 0;
    for (let index = 0; index < count; index++) {
      const gate = world.uploads.of(`short ${index}`);
      if (gate.ask(bytes, () => {})) atOnce++;
      gate.end();
    }
    return atOnce;
  };
  for (let index = 0; index < 100; index++) {
    assert.equal(ask(2, 5_000), 2);
    await world.run(10);
  }
  assert.equal(ask(1, 16_385), 0, 'longer ones wait');
  world.sent.clear();
  let atOnce = 0;
  for (let index = 0; index < 100; index++) {
    atOnce += ask(100, 5_000);
    await world.run(10);
  }
  assertNear(atOnce * 5_000, RATE / 4, 0.15, 'ahead');
  assertNear(world.of('image'), (RATE * 3) / 4, 0.15, 'image');
});

test('a thousand artifacts that are wanted at once are served alike', async (context) => {
  const world = new World(context, RATE);
  for (let index = 0; index < 1_000; index++) world.answer(`${index}`, `${index}`);
  await world.run(30_000);
  const all = [...world.sent.values()];
  assert.equal(all.length, 1_000);
  assert.ok(Math.max(...all) - Math.min(...all) <= 50_000, `${Math.min(...all)} to ${Math.max(...all)}`);
  assertNear(
    all.reduce((sum, bytes) => sum + bytes, 0),
    30 * RATE,
    0.01,
    'all',
  );
});

test('without a limit nothing is kept of what passes', (context) => {
  const world = new World(context);
  const torrent = world.limits.forTorrent({}, 'image');
  const gate = world.uploads.of('image');
  assert.equal(gate.readBytes, Number.POSITIVE_INFINITY);
  for (let count = 0; count < 1_000; count++) assert.ok(gate.ask(1e9, fail));
  torrent.uploads.take(1e9);
  assert.equal(torrent.uploads.creditBytes, 0);
  world.limits.setShared({ uploadBytesPerSec: RATE });
  world.nowMs += 10;
  world.limits.refill();
  assert.ok(gate.ask(50_000, fail), 'and nothing is owed when there is one');
});
