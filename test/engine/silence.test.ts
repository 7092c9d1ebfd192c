/** Connections on which nothing is said: ours are kept alive, theirs are given up. The clock is the test's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until, withDeadline } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import { fileSet, liveOf, startSeed } from '../support/engines.js';
import { connectRawPeer } from '../support/raw-peer.js';

const DEADLINE_MS = 20_000;

test('a keep-alive goes out after 90 s of our silence; a peer silent for over two and a half is dropped', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000);
  const seed = await startSeed(scope, set);
  const torrent = liveOf(seed.torrents[0]);
  const said: string[] = [];
  seed.torrents[0]!.on('peer', (_, change, reason) => said.push(`${change} ${reason}`));
  const raw = await connectRawPeer(scope, { port: seed.port!, metainfo: set.metainfo, peerId: '-XX0001-silentsilent' });
  await raw.event('bitfield');
  const peer = torrent.exchange!.peers.find((other) => other !== null)!;

  peer.tick(peer.remote.link!.lastWriteMs + LIMITS.keepAliveMs - 1);
  assert.ok(!raw.recorder.events.includes('keep-alive'));
  peer.tick(peer.remote.link!.lastWriteMs + LIMITS.keepAliveMs + 1);
  await raw.event('keep-alive');
  assert.equal(peer.remote.link!.isClosing, false);

  peer.tick(peer.remote.link!.lastReadMs + LIMITS.idleTimeoutMs - 1);
  assert.equal(peer.remote.link!.isClosing, false);
  peer.tick(peer.remote.link!.lastReadMs + LIMITS.idleTimeoutMs + 1);
  await withDeadline(raw.closed, 'it is dropped', DEADLINE_MS);
  await until('the reason is told', DEADLINE_MS, () => said.includes('disconnected silent for more than two minutes'));
});
