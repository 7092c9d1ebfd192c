import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { SHARED_TORRENT_TIMES, SharedTorrents } from '../../src/depot/shared-torrents.js';
import { HaulError } from '../../src/errors.js';
import { rowOf } from './catalogue-conformance.js';

const A = 'aa'.repeat(20);
const B = 'bb'.repeat(20);
const keyOf = (infoHash: string): string => Buffer.from(infoHash, 'hex').toString('latin1');
const { thereMs, absentMs } = SHARED_TORRENT_TIMES;

class Scene {
  readonly rows = new Map<string, ArtifactRow>();
  readonly asked: string[] = [];
  readonly gone: string[] = [];
  nowMs = 1_000_000;
  isAway = false;
  /** Answers wait for this. */
  hold: Promise<void> = Promise.resolve();
  readonly torrents = new SharedTorrents({
    catalogue: {
      byInfoHash: async (infoHash) => {
        this.asked.push(infoHash);
        await this.hold;
        if (this.isAway) throw new HaulError('NETWORK', 'away');
        return this.rows.get(infoHash) ?? null;
      },
    },
    now: () => this.nowMs,
    onGone: (infoHash) => this.gone.push(infoHash),
  });

  publish(infoHash: string): void {
    this.rows.set(infoHash, rowOf('artifacts/x', 'x', { infoHash }));
  }

  has(infoHash: string): boolean {
    return this.torrents.has(keyOf(infoHash));
  }
}

test('what another depot published is served at once; what nobody did only while it is looked for', async () => {
  const scene = new Scene();
  scene.publish(A);
  assert.deepEqual([scene.has(A), scene.has(A), scene.has(B)], [true, true, true]);
  await nextTurn();
  assert.deepEqual(scene.asked, [A, B]);
  assert.deepEqual([scene.has(A), scene.has(B), scene.torrents.count], [true, false, 1]);
  scene.publish(B);
  scene.nowMs += absentMs;
  assert.equal(scene.has(B), true);
  await nextTurn();
  assert.equal(scene.has(B), true);
  assert.deepEqual(scene.asked, [A, B, B]);
});

test('what another depot removed is gone within the time; while the catalogue is away, all is as it was', async () => {
  const scene = new Scene();
  scene.publish(A);
  scene.torrents.added(A);
  scene.nowMs += thereMs;
  scene.isAway = true;
  scene.torrents.use(A);
  await nextTurn();
  assert.equal(scene.has(A), true);
  assert.equal(scene.asked.length, 1);
  scene.has(B);
  await nextTurn();
  scene.isAway = false;
  scene.publish(B);
  assert.equal(scene.has(B), true);
  scene.rows.delete(A);
  scene.nowMs += thereMs;
  scene.torrents.use(A);
  await nextTurn();
  assert.deepEqual([scene.has(A), scene.gone], [false, [A]]);
});

test('one that is published here while it is looked for is there', async () => {
  const scene = new Scene();
  let answer!: () => void;
  scene.hold = new Promise((resolve) => (answer = resolve));
  scene.has(A);
  scene.torrents.added(A);
  answer();
  await nextTurn();
  assert.deepEqual([scene.has(A), scene.gone], [true, []]);
});

test('strangers that ask for anything cost a bounded number of looks', async () => {
  const scene = new Scene();
  let answer!: () => void;
  scene.hold = new Promise((resolve) => (answer = resolve));
  let served = 0;
  for (let k = 0; k < 5_000; k++) if (scene.has(k.toString(16).padStart(40, '0'))) served++;
  assert.equal(scene.asked.length, 16);
  assert.equal(served, 16 + 1024);
  answer();
  while (scene.asked.length < served) await nextTurn();
  await nextTurn();
  assert.equal(scene.has('0'.repeat(40)), false);
  assert.equal(scene.asked.length, served);
});
