import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import type { PeerLink } from '../../src/peer/link.js';
import { judgeTwin } from '../../src/torrent/twins.js';
import type { WirePeer } from '../../src/torrent/wire-remote.js';

const SMALL = Buffer.alloc(20, 1);
const LARGE = Buffer.alloc(20, 2);
const NOW_MS = 1e6;

interface TwinFacts {
  readonly host?: string;
  readonly isIncoming?: boolean;
  readonly silentMs?: number;
  readonly idleSeconds?: number;
  readonly ageMs?: number;
}

/** The verdict on a new incoming connection from 192.0.2.1, beside an older one with these facts. */
function verdict(facts: TwinFacts, ours = SMALL, theirs = LARGE): string {
  const { host = '192.0.2.1', isIncoming = true, silentMs = 0, idleSeconds = 0, ageMs = 1e5 } = facts;
  const link = { host: '192.0.2.1', isIncoming: true } as PeerLink;
  const other = {
    remote: { host, link: { isIncoming }, silentMs: () => silentMs, peerId: theirs },
    joinedMs: NOW_MS - ageMs,
    outflow: { pinned: { uptake: { idleSeconds } } },
  } as unknown as WirePeer;
  return judgeTwin(link, other, ours, NOW_MS);
}

test('of two connections dialled at once the one of the smaller id stays', () => {
  assert.equal(verdict({ isIncoming: false }, LARGE, SMALL), 'replaces');
  assert.equal(verdict({ isIncoming: false }, SMALL, LARGE), 'refused');
});

test('from another host that holds only while both handshakes are young: later it is a borrowed name', () => {
  const facts = { host: '192.0.2.2', isIncoming: false };
  assert.equal(verdict({ ...facts, ageMs: LIMITS.handshakeTimeoutMs - 1 }, LARGE, SMALL), 'replaces');
  assert.equal(verdict({ ...facts, ageMs: LIMITS.handshakeTimeoutMs }, LARGE, SMALL), 'refused');
});

test('a connection that has been silent for some seconds gives way to a newer one from its host', () => {
  assert.equal(verdict({ silentMs: LIMITS.silentTwinMs }), 'refused');
  assert.equal(verdict({ silentMs: LIMITS.silentTwinMs + 1 }), 'replaces-when-it-speaks');
});

test('from another host a name counts only where the older connection is dead in both directions', () => {
  const host = '192.0.2.2';
  const silentMs = LIMITS.deadTwinMs + 1;
  assert.equal(verdict({ host, silentMs: 1e6 }), 'refused', 'who has nothing to say is silent');
  assert.equal(verdict({ host, idleSeconds: 60 }), 'refused', 'who speaks is alive');
  assert.equal(verdict({ host, silentMs, idleSeconds: LIMITS.deadTwinMs / 1000 + 1 }), 'replaces-when-it-speaks');
});
