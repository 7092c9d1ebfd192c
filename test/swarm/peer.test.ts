/** One connected peer, without sockets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { Geometry, type PeerSlot } from '../../src/metainfo/geometry.js';
import { Peer, type PeerOwner } from '../../src/swarm/peer.js';
import type { Remote } from '../../src/swarm/remote.js';

function makePeer(more: object = {}): { peer: Peer; remote: { queuedBytes: number }; requests: unknown[] } {
  const requests: unknown[] = [];
  const remote = { host: '192.0.2.1', queuedBytes: 0, supportsFast: true };
  const outflow = {
    get isHeldUp(): boolean {
      return requests.length > 0 && remote.queuedBytes === 0;
    },
  };
  const owner = {
    ...more,
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

test('each block of a run that is rejected goes back, and a run that was never asked for ends the connection', () => {
  const BLOCK = 16_384;
  const rejected: string[] = [];
  const reasons: string[] = [];
  const requestRejected = (_: number, piece: number, block: number): void => void rejected.push(`${piece}:${block}`);
  const geometry = new Geometry(64 * BLOCK, 16 * BLOCK);
  const { peer, remote } = makePeer({ geometry, scheduler: { requestRejected } });
  Object.assign(remote, { close: (reason: string) => void reasons.push(reason) });
  peer.inflow.runBlocks = 4;
  peer.onReject(1, 4 * BLOCK, 4 * BLOCK);
  assert.deepEqual(rejected, ['1:4', '1:5', '1:6', '1:7']);
  assert.deepEqual(reasons, []);
  peer.onReject(1, 0, 8 * BLOCK);
  assert.equal(rejected.length, 4);
  assert.deepEqual(reasons, ['rejected a request for a block that does not exist']);
});
