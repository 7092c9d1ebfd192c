/** What is changed while a torrent runs: limits, trackers, peers, order. Against a real seed and a real tracker. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, Torrent } from '../../src/index.js';
import { startTracker } from '../../src/tracker/server.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';

const LIMIT_MS = 30_000;
const LENGTH = 2_000_000;

async function pair(scope: Scope, options: Partial<AddOptions> = {}) {
  const set = await fileSet(scope, LENGTH, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set);
  const leech = await startEngine(scope);
  const output = await tempFolder(scope);
  const torrent = leech.add(set.torrent, { output, trackers: [], ...options });
  return { set, seed, leech, torrent, seedPort: seed.port! };
}

const whole = (torrent: Torrent): Promise<void> => withDeadline(torrent.done, 'the download', LIMIT_MS);

test('limits of a torrent and of its engine are set and lifted under way', async (t) => {
  const scope = openScope(t);
  const { leech, torrent, seedPort } = await pair(scope, { downloadBytesPerSec: 16_384 });
  torrent.addPeer('127.0.0.1', seedPort);
  await until('it is served', LIMIT_MS, () => torrent.stats().downloadedBytes > 0);
  leech.setLimits({ downloadBytesPerSec: 20_000 });
  torrent.setLimits({ downloadBytesPerSec: null });
  assert.notEqual(torrent.state, 'seeding');
  const [peer] = torrent.peers();
  assert.ok(peer!.downloadedBytes > 0 && peer!.downloadedBytes < LENGTH, `${peer?.downloadedBytes}`);
  assert.equal(peer!.uploadedBytes, 0);
  leech.setLimits({ downloadBytesPerSec: null, uploadBytesPerSec: null });
  await whole(torrent);
  for (const wrong of [0, -1, 'x', Number.NaN]) {
    assert.throws(() => torrent.setLimits({ downloadBytesPerSec: wrong as number }), { code: 'BAD_ARGUMENT' });
    assert.throws(() => leech.setLimits({ uploadBytesPerSec: wrong as number }), { code: 'BAD_ARGUMENT' });
  }
});

test('a torrent that had no limit keeps to one that is set while it runs', async (t) => {
  const scope = openScope(t);
  const { seed, torrent, seedPort } = await pair(scope);
  const [seeding] = seed.torrents;
  seeding!.setLimits({ uploadBytesPerSec: 100_000 });
  const startedMs = performance.now();
  torrent.addPeer('127.0.0.1', seedPort);
  await until('a part is here', LIMIT_MS, () => torrent.stats().downloadedBytes >= 300_000);
  const seconds = (performance.now() - startedMs) / 1000;
  assert.ok(seconds >= 1.5, `${seconds} s`);
  seeding!.setLimits({ uploadBytesPerSec: null });
  await whole(torrent);
  assert.equal(seeding!.peers()[0]?.downloadedBytes ?? 0, 0);
});

test('trackers are changed: those of before hear of it, the new ones bring peers; announce asks again', async (t) => {
  const scope = openScope(t);
  const [before, after] = await Promise.all([0, 0].map((port) => startTracker({ host: '127.0.0.1', port })));
  scope.defer(() => Promise.all([before!.close(), after!.close()]).then(() => {}));
  const tiers = (tracker = before!): string[][] => [[`${tracker.url('127.0.0.1')}/announce`]];
  const { set, torrent, seedPort } = await pair(scope, { trackers: tiers() });
  await until('the first tracker knows it', LIMIT_MS, () => before!.stats().peers === 1);
  after!.register(set.metainfo.infoHash, { seedPort });
  torrent.setTrackers(tiers(after));
  assert.deepEqual(torrent.trackers, tiers(after));
  await whole(torrent);
  await until('the first tracker has forgotten it', LIMIT_MS, () => before!.stats().peers === 0);
  assert.deepEqual(
    torrent.sources().trackers.map(({ url }) => url),
    tiers(after)[0],
  );
  const { announces } = after!.stats();
  torrent.announce();
  await until('it announced again', LIMIT_MS, () => after!.stats().announces > announces);
  torrent.setTrackers([]);
  await until('the second tracker has forgotten it', LIMIT_MS, () => after!.stats().peers === 0);
  assert.throws(() => torrent.setTrackers([5] as never), { code: 'BAD_ARGUMENT' });
});

test('a peer that is removed is let go and not dialled until it is named again', async (t) => {
  const scope = openScope(t);
  const { torrent, seedPort } = await pair(scope, { downloadBytesPerSec: 65_536 });
  torrent.addPeer('127.0.0.1', seedPort);
  await once(torrent, 'peer');
  const gone = once(torrent, 'peer');
  torrent.removePeer('127.0.0.1', seedPort);
  assert.equal((await gone)[1], 'disconnected');
  torrent.setLimits({ downloadBytesPerSec: null });
  await torrent.pause();
  torrent.resume();
  await until('it goes on', LIMIT_MS, () => torrent.state === 'downloading');
  assert.deepEqual(torrent.peers(), []);
  torrent.addPeer('127.0.0.1', seedPort);
  await whole(torrent);
  assert.throws(() => torrent.addPeer('', 1), { code: 'BAD_ARGUMENT' });
  assert.throws(() => torrent.removePeer('127.0.0.1', 0), { code: 'BAD_ARGUMENT' });
});

test('pieces come in order from when that is asked for', async (t) => {
  const scope = openScope(t);
  const { torrent, seedPort } = await pair(scope, { downloadBytesPerSec: 4_000_000 });
  torrent.setSequential(true);
  await until('it runs', LIMIT_MS, () => torrent.state === 'downloading');
  torrent.setSequential(true);
  const order: number[] = [];
  torrent.on('verified', (piece) => order.push(piece));
  torrent.addPeer('127.0.0.1', seedPort);
  await whole(torrent);
  // Pieces are hashed side by side, so some change places; in any order they would be a third of all places off.
  const off = order.reduce((sum, piece, at) => sum + Math.abs(piece - at), 0) / order.length;
  assert.ok(off <= 3, order.join());
  assert.throws(() => torrent.setSequential(1 as never), { code: 'BAD_ARGUMENT' });
});
