/** When a torrent is announced on the local network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnnounceFigures } from '../../src/discovery/announce.js';
import { LSD_LIMITS } from '../../src/lsd/limits.js';
import { LsdSource } from '../../src/lsd/lsd-source.js';
import type { Heard } from '../../src/lsd/neighbours.js';
import type { Address } from '../../src/net/address.js';

const PEER: Address = { host: '10.0.0.2', port: 7000 };

function scene(figures: Partial<AnnounceFigures> = {}) {
  let nowMs = 0;
  let hear: Heard | null = null;
  let announces = 0;
  const found: Address[] = [];
  const source = new LsdSource({
    infoHash: Buffer.alloc(20, 1),
    owner: { onPeers: (peers) => found.push(...peers) },
    now: () => nowMs,
    random: () => 0.5,
    network: {
      join: (_infoHash, heard) => {
        hear = heard;
        return () => {
          hear = null;
        };
      },
      announce: () => announces++,
    },
  });
  source.start(0, () => ({ uploadedBytes: 0, downloadedBytes: 0, leftBytes: 0, port: 1, numwant: 50, ...figures }));
  return {
    source,
    found,
    hears: () => hear?.(PEER),
    isJoined: () => hear !== null,
    /** Announces after so long. */
    after: (ms: number): number => {
      nowMs += ms;
      source.tick(nowMs);
      return announces;
    },
  };
}

test('a torrent is announced at its start and every five minutes, every minute while it has too few peers', () => {
  const seed = scene();
  assert.deepEqual([seed.after(0), seed.after(LSD_LIMITS.announceMs - 1), seed.after(1)], [1, 1, 2]);
  assert.equal(seed.source.dueAtMs, 2 * LSD_LIMITS.announceMs);
  const leech = scene({ isHungry: true });
  assert.deepEqual([leech.after(LSD_LIMITS.pauseMs - 1), leech.after(1)], [1, 2]);
});

test('who is heard is a peer, and hears of us within seconds, unless we have just announced', () => {
  const { source, found, hears, after } = scene();
  after(2_000);
  hears();
  assert.deepEqual([found, source.dueAtMs], [[PEER], LSD_LIMITS.announceMs], 'it has heard us, or will');
  after(LSD_LIMITS.pauseMs);
  hears();
  hears();
  const dueMs = LSD_LIMITS.pauseMs + 2_000 + LSD_LIMITS.answerSpreadMs / 2;
  assert.equal(source.dueAtMs, dueMs);
  assert.deepEqual([after(LSD_LIMITS.answerSpreadMs / 2 - 1), after(1)], [1, 2]);
  assert.equal(source.dueAtMs, dueMs + LSD_LIMITS.announceMs, 'an answer is an announce');
});

test('two that answer each other do so once, not for ever', () => {
  const [one, two] = [scene(), scene()];
  let announces = 0;
  // Each second of an hour; what one says the other hears.
  let [before, after] = [1, 1];
  two.hears();
  for (let second = 0; second < 3600; second++) {
    const [now, then] = [one.after(1_000), two.after(1_000)];
    if (now > before) two.hears();
    if (then > after) one.hears();
    [before, after] = [now, then];
    announces = now + then;
  }
  assert.ok(announces <= 2 * 13, `${announces} in an hour`);
});

test('after the end nobody is heard, and nothing is due', () => {
  const { source, isJoined } = scene();
  void source.stop();
  assert.deepEqual([isJoined(), source.dueAtMs], [false, Number.POSITIVE_INFINITY]);
});
