/** One connected peer, without sockets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import type { PeerSlot } from '../../src/metainfo/geometry.js';
import type { PeerLink } from '../../src/peer/link.js';
import type { Exchange } from '../../src/swarm/exchange.js';
import { Peer } from '../../src/swarm/peer.js';
import type { Handshake } from '../../src/wire/handshake.js';

function makePeer(): Peer {
  const exchange = {
    random: () => 0.5,
    now: () => 0,
    pins: { unitBytes: 65_536, join: () => ({}), leave: () => {} },
    removePeer: () => {},
  } as unknown as Exchange;
  const link = {
    host: '192.0.2.1',
    port: 6881,
    isIncoming: true,
    hasLostMemory: false,
    queuedBytes: 0,
  } as unknown as PeerLink;
  const handshake = { peerId: Buffer.alloc(20, 1), supportsFast: true, supportsExtended: false } as Handshake;
  return new Peer(exchange, link, handshake, 0 as PeerSlot);
}

test('of connections that replaced each other and never spoke a closed one keeps none in memory', () => {
  const [first, second] = [makePeer(), makePeer()];
  second.replaces = first;
  second.onClosed(second.link, 'gone');
  assert.equal(second.replaces, null);
});

test('who asked and got nothing from us, for a rate limit or a slow disk, did not have its chance', () => {
  const peer = makePeer();
  const laterMs = 1000 + LIMITS.settleMs;
  peer.turnChanged(false, 1000);
  assert.equal(peer.hadChance(laterMs), true, 'it asked for nothing');
  peer.requests.push(0, 0, 16_384);
  assert.equal(peer.hadChance(laterMs), false);
  (peer.link as { queuedBytes: number }).queuedBytes = 16_384;
  assert.equal(peer.hadChance(laterMs), true, 'it does not read');
});
