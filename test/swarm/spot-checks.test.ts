import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import {
  CHECK_AGAIN_MS,
  CHECK_GAP_MS,
  SpotChecks,
  WAITING_MAX,
  WAITING_MAX_PER_HOST,
} from '../../src/swarm/spot-checks.js';

const at = (piece: number): PieceIndex => piece as PieceIndex;

function scene(isGood: (piece: number) => Promise<boolean>) {
  const checked: number[] = [];
  const bad: number[] = [];
  const checks = new SpotChecks({
    check: (piece) => {
      checked.push(piece);
      return isGood(piece);
    },
    onBad: (piece) => bad.push(piece),
  });
  return { checks, checked, bad };
}

test('a piece that is complained of is hashed once a minute, whoever complains how often', async () => {
  const { checks, checked, bad } = scene(async () => true);
  for (let nowMs = 0; nowMs < CHECK_AGAIN_MS; nowMs += 1000) {
    for (let time = 0; time < 10; time++) checks.report(at(3), `host ${time}`);
    await checks.tick(nowMs);
  }
  assert.deepEqual(checked, [3]);
  await checks.tick(CHECK_AGAIN_MS);
  checks.report(at(3), 'host');
  await checks.tick(CHECK_AGAIN_MS + CHECK_GAP_MS);
  assert.deepEqual(checked, [3, 3]);
  assert.deepEqual(bad, []);
});

test('a flood of complaints costs one hash a second and a bounded line', async () => {
  const { checks, checked } = scene(async () => true);
  for (let piece = 0; piece < 10_000; piece++) checks.report(at(piece), `host ${piece}`);
  for (let nowMs = 0; nowMs < 200_000; nowMs += 100) await checks.tick(nowMs);
  assert.equal(checked.length, WAITING_MAX);
});

test('one host that complains of everything leaves places for the others', async () => {
  const { checks, checked } = scene(async () => true);
  for (let piece = 0; piece < 1000; piece++) checks.report(at(piece), 'liar');
  checks.report(at(2000), 'honest');
  for (let nowMs = 0; nowMs < 20_000; nowMs += 1000) await checks.tick(nowMs);
  assert.equal(checked.length, WAITING_MAX_PER_HOST + 1);
  assert.equal(checked.at(-1), 2000);
});

test('a bad piece is told; one that cannot be read is no verdict', async () => {
  const { checks, bad } = scene(async (piece) => {
    if (piece === 1) throw new Error('unreadable');
    return piece !== 2;
  });
  for (const piece of [1, 2, 3]) checks.report(at(piece), 'host');
  for (let nowMs = 0; nowMs < 5000; nowMs += 1000) await checks.tick(nowMs);
  assert.deepEqual(bad, [2]);
});
