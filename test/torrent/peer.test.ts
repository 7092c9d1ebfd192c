/** One connected peer, without sockets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerSlot } from '../../src/metainfo/geometry.js';
import type { PeerLink } from '../../src/peer/link.js';
import type { Exchange } from '../../src/torrent/exchange.js';
import { Peer } from '../../src/torrent/peer.js';
import type { Handshake } from '../../src/wire/handshake.js';

function makePeer(): Peer {
  const exchange = {
    random: () => 0.5,
    now: () => 0,
    pins: { unitBytes: 65_536, join: () => ({}), leave: () => {} },
    removePeer: () => {},
  } as unknown as Exchange;
  const link = { host: '192.0.2.1', port: 6881, isIncoming: true, hasLostMemory: false } as PeerLink;
  const handshake = { peerId: Buffer.alloc(20, 1), supportsFast: true, supportsExtended: false } as Handshake;
  return new Peer(exchange, link, handshake, 0 as PeerSlot);
}

test('of connections that replaced each other and never spoke a closed one keeps none in memory', () => {
  const [first, second] = [makePeer(), makePeer()];
  second.replaces = first;
  second.onClosed(second.link, 'gone');
  assert.equal(second.replaces, null);
});
