/** What seeds hear of a download: all of it, late and in one go, within bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import { pieceMapOf } from '../../src/engine/piece-map.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { HAVES_PER_TICK, SeedNews } from '../../src/swarm/seed-news.js';
import { fileSet, startEngine } from '../support/engines.js';

const DEADLINE_MS = 60_000;

function listener(slot: number, isWebSeed = false) {
  const heard: number[] = [];
  return { slot, heard, remote: { isWebSeed, have: (piece: PieceIndex) => void heard.push(piece) } };
}

const piece = (index: number): PieceIndex => index as PieceIndex;

test('a seed hears once of each piece that it was not told of, from its joining on', () => {
  const news = new SeedNews();
  const [early, late, web] = [listener(0), listener(1), listener(2, true)];
  news.joined(0);
  news.joined(2);
  news.verified(piece(5));
  news.verified(piece(3));
  news.joined(1);
  news.verified(piece(9));
  news.heard(1);
  news.tick([early, late, web, null]);
  assert.deepEqual([early.heard, late.heard, web.heard], [[5, 3, 9], [], []]);
  news.tick([early, late, web]);
  news.verified(piece(1));
  news.tick([early, late, web]);
  assert.deepEqual([early.heard, late.heard, web.heard], [[5, 3, 9, 1], [1], []]);
});

test('a call says so many and no more, and each has its turn', () => {
  const news = new SeedNews();
  const peers = Array.from({ length: 5 }, (_, slot) => listener(slot));
  for (const { slot } of peers) news.joined(slot);
  const count = HAVES_PER_TICK - 100;
  for (let k = 0; k < count; k++) news.verified(piece(k));
  for (let ticks = 1; ticks <= 5; ticks++) {
    news.tick(peers);
    const said = peers.reduce((sum, { heard }) => sum + heard.length, 0);
    assert.equal(said, Math.min(ticks * HAVES_PER_TICK, 5 * count));
  }
  for (const { heard } of peers) assert.deepEqual(new Set(heard).size, count);
});

test('whatever joins, hears and leaves: a peer lacks nothing after enough calls', () => {
  const step = fc.record({ kind: fc.constantFrom('join', 'leave', 'verify', 'told', 'tick'), slot: fc.nat(4) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const news = new SeedNews();
      const peers: (ReturnType<typeof listener> | null)[] = [null, null, null, null, null];
      const known = peers.map(() => new Set<number>());
      let verified = 0;
      for (const { kind, slot } of steps) {
        if (kind === 'join' && peers[slot] === null) {
          peers[slot] = listener(slot);
          news.joined(slot);
          known[slot] = new Set(Array.from({ length: verified }, (_, index) => index));
        } else if (kind === 'leave') peers[slot] = null;
        else if (kind === 'tick') news.tick(peers);
        else if (kind === 'verify' || kind === 'told') {
          news.verified(piece(verified++));
          if (kind === 'told' && peers[slot] !== null) {
            known[slot]!.add(verified - 1);
            news.heard(slot);
          }
        }
      }
      news.tick(peers);
      for (const [slot, peer] of peers.entries())
        if (peer !== null) assert.equal(new Set([...known[slot]!, ...peer.heard]).size, verified);
    }),
  );
});

test('a seed alone with its leech sees how far that is', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 64 * 32_768, { pieceLengthBytes: 32_768 });
  const seed = await startEngine(scope);
  const seeding = seed.add(set.metainfo, { output: set.folder, mode: 'seed', trustData: true, trackers: [] });
  await seeding.done;
  const leech = await startEngine(scope, { downloadBytesPerSec: 400_000 });
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), peers, trackers: [] });
  await until('the seed sees a part of it', DEADLINE_MS, () =>
    pieceMapOf(seeding).peers.some(({ isSeed, shares }) => !isSeed && shares.some((share) => share > 0)),
  );
  torrent.setLimits({ downloadBytesPerSec: null });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
});
