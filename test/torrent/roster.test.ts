/** The door of a torrent, with a table of peers made up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerLink } from '../../src/peer/link.js';
import { Roster } from '../../src/torrent/roster.js';
import type { LiveTorrent } from '../../src/torrent/torrent.js';
import type { Handshake } from '../../src/wire/handshake.js';

const id = (n: number): Buffer => Buffer.alloc(20, n);

/** A full table of one peer that is of no use. @returns who was closed when another one knocked */
function knock(hasSlot: boolean): string[] {
  const closed: string[] = [];
  const makeLink = (host: string): PeerLink =>
    ({
      host,
      port: 6881,
      localHost: '192.0.2.99',
      isIncoming: true,
      flush: () => {},
      isClosing: false,
      lastReadMs: 0,
      close: () => closed.push(host),
    }) as unknown as PeerLink;
  const link = makeLink('192.0.2.1');
  const remote = { host: link.host, link, peerId: id(1), idEnd: 0, listenPort: null, close: link.close };
  const idle = { remote, slot: 0, joinedMs: 0, activeMs: 0 };
  const exchange = {
    hasRoom: false,
    hasSlot: () => hasSlot,
    peerCount: 1,
    peers: [idle],
    scheduler: { view: { isInterestedIn: () => false, isPeerInterested: () => false } },
    addPeer: () => (hasSlot ? {} : null),
  };
  const environment = {
    makeAddresses: () => ({}),
    stir: () => {},
    resolveHost: async () => [],
    now: () => 1e6,
    log: () => {},
    peerId: id(9),
    maxPeersPerAddress: 1,
    own: { heard: () => {}, priorityOf: () => 0 },
    listenPort: null,
    throttles: {},
  };
  const dialler = { hasRoom: true, dropUselessElsewhere: () => false };
  const condition = { contacts: { becamePeer: () => {}, dialFailed: () => {} } };
  const torrent = {
    metainfo: { infoHash: id(0), infoBytes: Buffer.alloc(0) },
    environment,
    dialler,
    exchange,
    condition,
  } as unknown as LiveTorrent;
  new Roster(torrent).admit(makeLink('192.0.2.2'), { peerId: id(2) } as Handshake);
  return closed;
}

test('in a full table who is of no use gives way to a newcomer', () => {
  assert.deepEqual(knock(true), ['192.0.2.1']);
});

test('where there is no slot for the newcomer nobody goes for it', () => {
  assert.deepEqual(knock(false), ['192.0.2.2']);
});
