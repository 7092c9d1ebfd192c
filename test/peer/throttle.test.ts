import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Limits } from '../../src/peer/limits.js';
import { RateLimit, Throttle } from '../../src/peer/throttle.js';

const MIB = 2 ** 20;

/**
 * A greedy reader in virtual time: takes `readBytes` whenever the throttle lets it. Returns bytes per second over
 * `seconds`.
 */
function averageOf(bytesPerSec: number, readBytes: number, refillMs: number, seconds: number): number {
  const limit = new RateLimit(bytesPerSec, 0);
  const throttle = new Throttle([limit]);
  let bytes = 0;
  for (let nowMs = 0; nowMs <= seconds * 1000; nowMs += refillMs) {
    limit.refill(nowMs);
    while (!throttle.isDry) {
      throttle.take(readBytes);
      bytes += readBytes;
    }
  }
  return bytes / seconds;
}

test('a limit holds within 3 % over 10 s, from 10 MB/s to 2 GB/s, whatever the size of one read', () => {
  for (const bytesPerSec of [10e6, 100e6, 800e6, 2e9]) {
    for (const readBytes of [16_384, 65_536, MIB]) {
      const ratio = averageOf(bytesPerSec, readBytes, 10, 10) / bytesPerSec;
      assert.ok(ratio > 0.97 && ratio < 1.03, `${bytesPerSec} in reads of ${readBytes}: ${ratio}`);
    }
  }
});

test('in reads of the size that a throttle names a limit holds within 3 % in every second, from 1 MB/s on', () => {
  for (const bytesPerSec of [1e6, 3e6, 10e6, 100e6, 800e6]) {
    const limit = new RateLimit(bytesPerSec, 0);
    const throttle = new Throttle([limit]);
    for (let second = 0; second < 10; second++) {
      let bytes = 0;
      for (let ms = 10; ms <= 1000; ms += 10) {
        limit.refill(second * 1000 + ms);
        while (!throttle.isDry) {
          const readBytes = Math.min(MIB, throttle.readBytes);
          throttle.take(readBytes);
          bytes += readBytes;
        }
      }
      assert.ok(Math.abs(bytes / bytesPerSec - 1) < 0.03, `${bytesPerSec}, second ${second}: ${bytes}`);
    }
  }
});

test('a read should take what one refill brings: of the slowest limit, and a block at least', () => {
  const readBytes = (...rates: number[]): number => new Throttle(rates.map((rate) => new RateLimit(rate, 0))).readBytes;
  assert.equal(readBytes(), Number.POSITIVE_INFINITY);
  assert.equal(readBytes(1), 16_384);
  assert.equal(readBytes(10e6), 100_000);
  assert.equal(readBytes(800e6, 10e6), 100_000);
});

test('a timer that comes late by up to a tenth of a second loses nothing', () => {
  const ratio = averageOf(800e6, MIB, 90, 10) / 800e6;
  assert.ok(ratio > 0.97 && ratio < 1.03, `${ratio}`);
});

test('a timer that was away for an hour gives no hour of tokens', () => {
  const limit = new RateLimit(1e6, 0);
  limit.refill(3_600_000);
  assert.equal(limit.tokens, 1e5);
});

test('what a read took too much is waited out before the next', () => {
  const limit = new RateLimit(1e6, 0);
  const throttle = new Throttle([limit]);
  limit.refill(10);
  throttle.take(MIB);
  for (let nowMs = 20; nowMs <= 1_000; nowMs += 10) limit.refill(nowMs);
  assert.equal(throttle.isDry, true, 'one megabyte at one megabyte a second takes more than a second');
  limit.refill(1_100);
  assert.equal(throttle.isDry, false);
});

test('those who wait are woken in turn, and who finds the bucket dry goes behind the others', () => {
  let nowMs = 0;
  const limits = new Limits({ uploadBytesPerSec: 1e6 }, () => nowMs);
  const throttles = limits.forTorrent({});
  const { uploads } = throttles;
  const served = [0, 0, 0];
  const serve = (peer: number): void => {
    if (!uploads.isDry) {
      uploads.take(16_384);
      served[peer]!++;
    }
    uploads.wait(() => serve(peer));
  };
  for (const peer of [0, 1, 2]) uploads.wait(() => serve(peer));
  for (; nowMs <= 10_000; nowMs += 10) limits.refill();
  limits.forget(throttles);
  const total = served.reduce((sum, count) => sum + count, 0);
  assert.ok(Math.abs((total * 16_384) / 10e6 - 1) < 0.03, `${total} blocks`);
  for (const count of served) assert.ok(Math.abs(count - total / 3) <= 2, served.join(' '));
});

test('who takes sixteen blocks at a time gets as much as those who take one, and all of it when it waits alone', () => {
  let nowMs = 0;
  const limits = new Limits({ uploadBytesPerSec: 1e6 }, () => nowMs);
  const throttles = limits.forTorrent({});
  const throttle = throttles.uploads;
  const got = [0, 0, 0, 0];
  const turn = (peer: number, bytes: number): void => {
    throttle.take(bytes);
    got[peer]! += bytes;
    if (peer === 0 || nowMs < 30_000) throttle.wait(() => turn(peer, bytes), bytes);
  };
  for (const [peer, blocks] of [16, 1, 1, 1].entries()) throttle.wait(() => turn(peer, blocks * 16_384));
  for (; nowMs < 30_000; nowMs += 10) limits.refill();
  assert.ok(Math.max(...got) / Math.min(...got) < 1.1, got.join(' '));
  for (; nowMs < 31_000; nowMs += 10) limits.refill();
  got.fill(0);
  for (; nowMs < 41_000; nowMs += 10) limits.refill();
  limits.forget(throttles);
  assert.ok(Math.abs(got[0]! / 10e6 - 1) < 0.05, `alone it gets ${got[0]} in 10 s`);
});

test('torrents that share a limit get the same of it', () => {
  for (const torrents of [2, 3, 4]) {
    let nowMs = 0;
    const limits = new Limits({ uploadBytesPerSec: 1e6 }, () => nowMs);
    const throttles = Array.from({ length: torrents }, () => limits.forTorrent({}));
    const served = throttles.map(() => 0);
    const serve = (torrent: number): void => {
      const { uploads } = throttles[torrent]!;
      while (!uploads.isDry) {
        uploads.take(16_384);
        served[torrent]!++;
      }
      uploads.wait(() => serve(torrent));
    };
    for (let torrent = 0; torrent < torrents; torrent++) serve(torrent);
    for (; nowMs <= 10_000; nowMs += 10) limits.refill();
    for (const each of throttles) limits.forget(each);
    const total = served.reduce((sum, count) => sum + count, 0);
    assert.ok(Math.abs((total * 16_384) / 10e6 - 1) < 0.03, `${total} blocks`);
    for (const count of served) assert.ok(Math.abs((count * torrents) / total - 1) < 0.05, served.join(' '));
  }
});

test('the slowest limit there can be lets a block pass now and then', () => {
  let nowMs = 0;
  const limits = new Limits({ uploadBytesPerSec: 1000 }, () => nowMs);
  const throttles = limits.forTorrent({});
  let blocks = 0;
  const serve = (): void => {
    throttles.uploads.take(16_384);
    blocks++;
    throttles.uploads.wait(serve);
  };
  throttles.uploads.wait(serve);
  for (; nowMs <= 100_000; nowMs += 10) limits.refill();
  limits.forget(throttles);
  assert.ok(blocks === 6 || blocks === 7, `${blocks} blocks of 16 KiB in 100 s of 1,000 bytes a second`);
});

test('the smaller of two limits counts, and both are charged', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 1000 }), (first, second) => {
      const limits = [new RateLimit(first * 1e6, 0), new RateLimit(second * 1e6, 0)];
      const throttle = new Throttle(limits);
      let bytes = 0;
      for (let nowMs = 10; nowMs <= 5_000; nowMs += 10) {
        for (const limit of limits) limit.refill(nowMs);
        while (!throttle.isDry) {
          throttle.take(16_384);
          bytes += 16_384;
        }
      }
      assert.ok(Math.abs(bytes / 5 / (Math.min(first, second) * 1e6) - 1) < 0.03);
    }),
    { numRuns: 30 },
  );
});

test('limits of a torrent end with it, those of the engine stay', () => {
  const nowMs = 0;
  const limits = new Limits({ downloadBytesPerSec: 5e6 }, () => nowMs);
  const throttles = limits.forTorrent({ downloadBytesPerSec: 1e6, uploadBytesPerSec: 1e6 });
  assert.equal(throttles.downloads.limits.length, 2);
  assert.equal(throttles.uploads.limits.length, 1);
  limits.forget(throttles);
  const later = limits.forTorrent({});
  assert.equal(later.downloads.limits.length, 1);
  assert.equal(later.uploads.isLimited, false);
  limits.forget(later);
});

test('what passes beside torrents is within the limits, also others, and goes on when all is closed', async () => {
  let nowMs = 0;
  const limits = new Limits({ uploadBytesPerSec: 1e6 }, () => nowMs);
  const { uploads, downloads } = limits.gates();
  const torrent = limits.forTorrent({});
  assert.equal(downloads.pass(1e9), null);
  let passed = 0;
  let isOver = false;
  const send = async (): Promise<void> => {
    while (!isOver) {
      await uploads.pass(50_000);
      passed += 50_000;
    }
  };
  void send();
  let took = 0;
  const run = async (ms: number): Promise<void> => {
    for (const endMs = nowMs + ms; nowMs < endMs; ) {
      nowMs += 10;
      limits.refill();
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (!torrent.uploads.isDry) took += 16_384;
      if (!torrent.uploads.isDry) torrent.uploads.take(16_384);
    }
  };
  await run(10_000);
  assert.ok(Math.abs(passed + took - 1e7) < 200_000, `${passed} + ${took}`);
  limits.setShared({ uploadBytesPerSec: 2e6 });
  [passed, took] = [0, 0];
  await run(10_000);
  assert.ok(Math.abs(passed + took - 2e7) < 400_000, `${passed} + ${took}`);
  isOver = true;
  const held = uploads.pass(1e9);
  limits.closeGates();
  await held;
  assert.equal(uploads.pass(1), null);
});
