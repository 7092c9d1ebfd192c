/**
 * A download limit far below what the peers give: nobody is given up for what we leave unread, and no block is fetched
 * twice.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import { fileSet, liveOf, startEngine, startSeed } from '../support/engines.js';
import { connectRawPeer } from '../support/raw-peer.js';

const KIB = 1024;
const DEADLINE_MS = 60_000;

test('eight seeds and 20 kB/s: few are asked, no block comes twice, nobody is dropped', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 96 * KIB, { pieceLengthBytes: 32 * KIB });
  const peers: { host: string; port: number }[] = [];
  for (let count = 0; count < 8; count++) peers.push({ host: '127.0.0.1', port: (await startSeed(scope, set)).port! });
  const leech = await startEngine(scope, { downloadBytesPerSec: 20_000 });
  const added = leech.add(set.metainfo, { output: await tempFolder(scope), peers, trackers: [] });
  const torrent = liveOf(added);
  const dropped: string[] = [];
  added.on('peer', (_, change, reason) => {
    if (change === 'disconnected' && torrent.state === 'downloading') dropped.push(reason ?? '');
  });
  await until('it is ready', DEADLINE_MS, () => torrent.exchange !== null);
  const { scheduler } = torrent.exchange!;
  await withDeadline(added.done, 'the download ends', DEADLINE_MS);
  assert.equal(scheduler.view.totals.wastedBytes, 0);
  assert.equal(scheduler.view.totals.downloadedBytes, 96 * KIB);
  assert.deepEqual(
    dropped.filter((reason) => !reason.startsWith('neither side')),
    [],
  );
});

test('a peer is not silent while our limit keeps us from reading', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 96 * KIB);
  const leech = await startEngine(scope, { downloadBytesPerSec: 1000 });
  const output = await tempFolder(scope);
  const torrent = liveOf(leech.add(set.metainfo, { output, peers: [], trackers: [] }));
  await until('it is ready', DEADLINE_MS, () => torrent.exchange !== null);
  const raw = await connectRawPeer(scope, {
    port: leech.port!,
    metainfo: set.metainfo,
    peerId: '-XX0001-heldbackheld',
  });
  await until('it has joined', DEADLINE_MS, () => torrent.exchange!.peers.some((other) => other !== null));
  const peer = torrent.exchange!.peers.find((other) => other !== null)!;
  // Keep-alives: more than a minute's worth of the limit.
  raw.sendBytes(Buffer.alloc(96 * KIB));
  await until('we read no more', DEADLINE_MS, () => peer.remote.link!.isResting);
  peer.tick(peer.remote.link!.lastReadMs + LIMITS.idleTimeoutMs + 1);
  assert.equal(peer.remote.link!.isClosing, false);
  assert.equal(peer.remote.link!.silentMs(peer.remote.link!.lastReadMs + LIMITS.idleTimeoutMs), 0);
  // The engine's own tick may have asked meanwhile: from now on.
  const nowMs = performance.now();
  peer.remote.link!.takeHeldMs(nowMs);
  assert.ok(peer.remote.link!.takeHeldMs(nowMs + 5000) >= 5000 - 1);
});
