/** One connected peer, without sockets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import type { PeerSlot } from '../../src/metainfo/geometry.js';
import { Peer, type PeerOwner } from '../../src/swarm/peer.js';
import type { Remote } from '../../src/swarm/remote.js';

function makePeer(): { peer: Peer; remote: { queuedBytes: number }; requests: unknown[] } {
  const requests: unknown[] = [];
  const remote = { host: '192.0.2.1', queuedBytes: 0, supportsFast: true };
  const outflow = {
    get isHeldUp(): boolean {
      return requests.length > 0 && remote.queuedBytes === 0;
    },
  };
  const owner = {
    now: () => 0,
    receiver: {},
    server: { join: () => outflow, leave: () => {} },
    removePeer: () => {},
  };
  return { peer: new Peer(owner as unknown as PeerOwner<Remote>, remote as Remote, 0 as PeerSlot), remote, requests };
}

test('of connections that replaced each other and never spoke a closed one keeps none in memory', () => {
  const { peer: first } = makePeer();
  const { peer: second } = makePeer();
  second.replaces = first.remote;
  second.gone('gone');
  assert.equal(second.replaces, null);
});

test('who asked and got nothing from us, for a rate limit or a slow disk, did not have its chance', () => {
  const { peer, remote, requests } = makePeer();
  const laterMs = 1000 + LIMITS.settleMs;
  peer.turnChanged(false, 1000);
  assert.equal(peer.hadChance(laterMs), true, 'it asked for nothing');
  requests.push({});
  assert.equal(peer.hadChance(laterMs), false);
  remote.queuedBytes = 16_384;
  assert.equal(peer.hadChance(laterMs), true, 'it does not read');
});
