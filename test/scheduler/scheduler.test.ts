import assert from 'node:assert/strict';
import test from 'node:test';
import type { BlockIndex, PeerSlot, PieceIndex } from '../../src/metainfo/geometry.js';
import { World, type WorldOptions } from './world.js';

const KIB = 1024;

function world(options: Partial<WorldOptions> = {}): World {
  return new World({ seed: 1, lengthBytes: 256 * KIB, pieceLengthBytes: 64 * KIB, ...options });
}

/** Slot numbers that join with everything and unchoke us. */
function seeds(scene: World, ...slots: number[]): void {
  for (const slot of slots) {
    scene.join(slot, 'all');
    scene.unchoke(slot);
    scene.settle();
  }
}

function queued(scene: World, slot: number): string[] {
  return scene.peers.get(slot)!.queue.map(({ piece, block }) => `${piece}:${block}`);
}

const at = (slot: number): PeerSlot => slot as PeerSlot;

test('nothing is asked for before the piece is ready, then its blocks in order', () => {
  const scene = world({ lengthBytes: 64 * KIB });
  scene.join(0, 'all');
  assert.equal(scene.unchoke(0), 0);
  assert.deepEqual([...scene.opening], [0]);
  scene.settle();
  assert.deepEqual(queued(scene, 0), ['0:0', '0:1', '0:2', '0:3']);
});

test('a peer is asked for four blocks first, and for more as they arrive', () => {
  const scene = world({ lengthBytes: 4096 * KIB, openPieces: 64 });
  seeds(scene, 0);
  assert.equal(queued(scene, 0).length, 4);
  scene.deliver(0);
  assert.equal(scene.fill(0), 2);
  scene.settle();
  for (let round = 0; round < 30; round++) {
    scene.deliver(0);
    scene.fill(0);
    scene.settle();
  }
  assert.equal(scene.scheduler.requestTarget(at(0)), 35);
  assert.ok(scene.openCount <= 24, 'look-ahead stays near the depth');
});

test('when the owner says there is no room, the peer is filled after room came back', () => {
  const scene = world();
  scene.isFull = true;
  seeds(scene, 0);
  assert.deepEqual(queued(scene, 0), []);
  scene.isFull = false;
  scene.settle();
  scene.settle();
  assert.equal(queued(scene, 0).length, 4);
});

test('interest follows what a peer has and we need, and only changes are told', () => {
  const scene = world({ lengthBytes: 32 * KIB, pieceLengthBytes: 16 * KIB, have: [0] });
  scene.join(0, [0]);
  scene.join(1, 'all');
  assert.deepEqual(scene.log, ['1 interested']);
  scene.have(0, 1);
  scene.unchoke(1);
  scene.settle();
  scene.deliver(1);
  scene.settle();
  assert.deepEqual(
    scene.log,
    ['1 interested', '0 interested', '0 bored', '1 bored'].sort(() => 0),
  );
  assert.ok(scene.scheduler.isComplete);
});

test('a choke sends the requests back, and another peer is asked', () => {
  const scene = world({ lengthBytes: 64 * KIB });
  seeds(scene, 0);
  scene.choke_(0);
  assert.equal(scene.scheduler.view.requestsInFlight(at(0)), 0);
  seeds(scene, 1);
  assert.deepEqual(queued(scene, 1), ['0:0', '0:1', '0:2', '0:3']);
});

test('with the fast extension a choke leaves requests standing until they are rejected', () => {
  const scene = world({ lengthBytes: 64 * KIB });
  scene.join(0, 'all', { fast: true });
  scene.unchoke(0);
  scene.settle();
  scene.scheduler.peerChoked(at(0), 0);
  assert.equal(scene.scheduler.view.requestsInFlight(at(0)), 4);
  scene.reject(0);
  assert.equal(scene.scheduler.view.requestsInFlight(at(0)), 3);
  assert.equal(scene.deliver(0), 'wanted');
});

test('in the endgame idle peers are asked too; the first to begin owns the block, the others get a cancel', () => {
  const scene = world({ lengthBytes: 64 * KIB });
  seeds(scene, 0, 1, 2);
  assert.deepEqual(
    [0, 1, 2].map((slot) => queued(scene, slot).length),
    [4, 2, 2],
  );
  const [first] = scene.peers.get(1)!.queue;
  scene.begin(1);
  const before = scene.cancels.length;
  scene.end(1);
  const cancelled = scene.cancels.slice(before);
  assert.ok(cancelled.some(({ slot }) => slot === 0));
  for (const { piece, block } of cancelled) assert.deepEqual({ piece, block }, first);
});

test('in the endgame three peers asked for a block and silent for two seconds are given up for an idle one', () => {
  const scene = world({ lengthBytes: 16 * KIB });
  seeds(scene, 0, 1, 2, 3);
  assert.deepEqual(
    [0, 1, 2, 3].map((slot) => queued(scene, slot).length),
    [1, 1, 1, 0],
  );
  scene.nowMs += 1_999;
  assert.equal(scene.fill(3), 0);
  scene.nowMs += 200;
  assert.equal(scene.fill(3), 1);
  const isSnubbed = [0, 1, 2].map((slot) => scene.scheduler.view.isSnubbed(at(slot)));
  assert.equal(isSnubbed.filter(Boolean).length, 1);
  // Late as it is, its block is still welcome.
  assert.equal(scene.deliver(isSnubbed.indexOf(true)), 'wanted');
  assert.equal(scene.verifying.size, 1);
});

test('seeds hear our HAVE messages while they are one peer of eight at most', () => {
  const scene = world();
  for (let slot = 0; slot < 7; slot++) scene.join(slot, []);
  scene.join(7, 'all', { fast: true });
  assert.ok(scene.scheduler.view.isTold(at(7)) && scene.scheduler.view.isTold(at(0)));
  scene.join(8, 'all');
  assert.ok(
    !scene.scheduler.view.isTold(at(7)) && !scene.scheduler.view.isTold(at(8)) && scene.scheduler.view.isTold(at(0)),
  );
});

test('a second peer that begins a block under way sends a duplicate; if the owner goes the block is missing', () => {
  const scene = world({ lengthBytes: 16 * KIB });
  seeds(scene, 0, 1);
  assert.equal(scene.begin(0)!.verdict, 'wanted');
  assert.equal(scene.begin(1)!.verdict, 'duplicate');
  scene.leave(0);
  assert.equal(scene.fill(1), 1);
  assert.equal(scene.deliver(1), 'wanted');
  assert.equal(scene.scheduler.view.totals.wastedBytes, 16 * KIB);
});

test('an aborted block is asked for again', () => {
  const scene = world({ lengthBytes: 16 * KIB });
  seeds(scene, 0);
  const { piece, block } = scene.begin(0)!;
  scene.arriving.clear();
  scene.scheduler.blockAborted(at(0), piece as PieceIndex, block as BlockIndex);
  assert.equal(scene.fill(0), 1);
  assert.equal(scene.deliver(0), 'wanted');
});

test('a block nobody asked for is unrequested, also for a piece that is not open', () => {
  const scene = world({ openPieces: 1 });
  seeds(scene, 0);
  scene.join(1, 'all');
  const closed = [0, 1, 2, 3].find((piece) => !scene.ready.has(piece))!;
  assert.equal(scene.scheduler.blockArriving(at(0), closed as PieceIndex, 0 as BlockIndex), 'unrequested');
  const open = [...scene.ready.keys()][0]!;
  assert.equal(scene.scheduler.blockArriving(at(1), open as PieceIndex, 3 as BlockIndex), 'unrequested');
});

test('a late peer is snubbed: its blocks go to others, one request remains, late blocks are still accepted', () => {
  const scene = world({ lengthBytes: 64 * KIB });
  seeds(scene, 0);
  scene.pass(10_001);
  assert.ok(scene.scheduler.view.isSnubbed(at(0)));
  assert.equal(scene.scheduler.requestTarget(at(0)), 1);
  seeds(scene, 1);
  assert.deepEqual(queued(scene, 1).sort(), ['0:0', '0:1', '0:2', '0:3']);
  assert.equal(scene.deliver(0), 'wanted');
  assert.ok(!scene.scheduler.view.isSnubbed(at(0)));
  assert.ok(scene.cancels.some(({ slot, block }) => slot === 1 && block === 0));
  scene.check();
});

test('what a late peer still owes is its own again when it wakes and nobody else took it', () => {
  const scene = world({ lengthBytes: 64 * KIB });
  seeds(scene, 0);
  scene.pass(10_001);
  scene.deliver(0);
  assert.equal(scene.fill(0), 0, 'nothing is asked for twice');
  for (let count = 0; count < 3; count++) assert.equal(scene.deliver(0), 'wanted');
  scene.settle();
  assert.ok(scene.scheduler.isComplete);
});

test('a peer that stalls inside a block is dropped after 20 s when nobody else could fetch it', () => {
  const scene = world({ lengthBytes: 16 * KIB });
  seeds(scene, 0);
  scene.begin(0);
  scene.pass(19_000);
  assert.equal(scene.dropped.size, 0);
  scene.pass(2_000);
  assert.deepEqual([...scene.dropped], [0]);
});

test('a peer that stalls inside its first block is dropped after 5 s when an idle one can deliver it', () => {
  const scene = world({ lengthBytes: 16 * KIB });
  seeds(scene, 0, 1);
  scene.begin(0);
  scene.pass(5_000);
  assert.equal(scene.dropped.size, 0);
  scene.pass(1_000);
  assert.deepEqual([...scene.dropped], [0]);
  scene.leave(0);
  scene.pass(1000);
  while (scene.deliver(1) === 'duplicate');
  scene.settle();
  assert.ok(scene.scheduler.isComplete);
});

test('a bad piece names the senders of its blocks and is fetched again', () => {
  const scene = world({ lengthBytes: 64 * KIB });
  seeds(scene, 0);
  for (let count = 0; count < 3; count++) scene.deliver(0);
  seeds(scene, 2);
  assert.equal(scene.deliver(2), 'wanted');
  assert.deepEqual([...scene.verify(0, false)].sort(), [0, 2]);
  assert.equal(scene.scheduler.view.senderOf(0 as PieceIndex, 0 as BlockIndex), -1);
  scene.fill(0);
  assert.deepEqual(queued(scene, 0).slice(-4), ['0:0', '0:1', '0:2', '0:3']);
  while (scene.deliver(0) !== null);
  scene.settle();
  assert.ok(scene.scheduler.isComplete);
});

test('a slot taken by another peer is not blamed for what its last owner sent', () => {
  const scene = world({ lengthBytes: 32 * KIB, pieceLengthBytes: 32 * KIB });
  seeds(scene, 0);
  scene.deliver(0);
  scene.leave(0);
  seeds(scene, 0);
  scene.deliver(0);
  scene.leave(0);
  scene.join(0, 'all');
  assert.deepEqual(scene.verify(0, false), []);
});

test('a peer that rejects everything is left alone for a while instead of asked without end', () => {
  const scene = world({ lengthBytes: 64 * KIB });
  scene.join(0, 'all', { fast: true });
  scene.unchoke(0);
  scene.settle();
  let asked = 4;
  for (let count = 0; count < 1000; count++) {
    scene.reject(0);
    asked += scene.fill(0);
  }
  assert.ok(asked < 20, `${asked} requests`);
  scene.pass(6_000);
  assert.ok(queued(scene, 0).length > 0);
});

test('a piece that nobody can finish gives its room to one that somebody can', () => {
  const scene = world({ openPieces: 1 });
  scene.join(0, [0]);
  scene.unchoke(0);
  scene.settle();
  scene.deliver(0);
  scene.choke_(0);
  scene.join(1, [1, 2, 3]);
  scene.unchoke(1);
  for (let second = 0; second < 60 && scene.verified.size < 3; second++) {
    scene.pass(1000);
    scene.settle();
    while (scene.deliver(1) !== null);
    scene.fill(1);
  }
  assert.deepEqual([...scene.verified].sort(), [1, 2, 3]);
  assert.equal(scene.closedPieces, 1);
});

test('many peers share a small room instead of the first taking it all', () => {
  const scene = world({ lengthBytes: 32_768 * KIB, openPieces: 16, maxSlots: 8, requestsPerPeer: 2000 });
  seeds(scene, 0, 1, 2, 3, 4, 5, 6, 7);
  const delivered = new Array<number>(8).fill(0);
  for (let round = 0; round < 100; round++) {
    for (let slot = 0; slot < 8; slot++) {
      if (scene.deliver(slot) === 'wanted') delivered[slot]!++;
      scene.fill(slot);
    }
    scene.settle();
  }
  for (const blocks of delivered) assert.ok(blocks >= 80, `${delivered}`);
});

test('a complete torrent asks for nothing and is interested in nobody', () => {
  const scene = world({ lengthBytes: 16 * KIB, pieceLengthBytes: 16 * KIB, have: [0] });
  assert.ok(scene.scheduler.isComplete);
  seeds(scene, 0);
  scene.pass(1000);
  assert.deepEqual(scene.log, []);
  assert.equal(scene.opening.size, 0);
});

test('a bitfield of the wrong length is refused', () => {
  const scene = world();
  scene.join(0, []);
  assert.throws(() => scene.scheduler.peerBitfield(at(0), new Uint8Array(2)), RangeError);
});

test('blocks left by an earlier run are not asked for, nobody sent them, and a bad piece is asked for whole', () => {
  const scene = world({ lengthBytes: 64 * KIB });
  scene.join(0, 'all');
  scene.unchoke(0);
  scene.makeReady(0, [0, 2]);
  scene.fill(0);
  assert.deepEqual(queued(scene, 0).sort(), ['0:1', '0:3']);
  const piece = 0 as PieceIndex;
  assert.deepEqual(
    scene.scheduler.view.unfinished().map(({ blocks }) => [...blocks.bytes]),
    [[0b10100000]],
  );
  scene.deliver(0);
  scene.deliver(0);
  assert.deepEqual(
    [0, 1, 2, 3].map((block) => scene.scheduler.view.senderOf(piece, block as BlockIndex)),
    [-1, 0, -1, 0],
  );
  assert.deepEqual(scene.scheduler.view.unfinished(), [], 'what is being verified may be known to be bad');
  assert.deepEqual(scene.verify(0, false), [0]);
  scene.fill(0);
  assert.deepEqual(queued(scene, 0).sort(), ['0:0', '0:1', '0:2', '0:3']);
  scene.check();
});
