import assert from 'node:assert/strict';
import test from 'node:test';
import { crowd, PIECE_BYTES } from './choke-scene.js';

test('a newly interested peer is unchoked at once while a slot is free, and no further', () => {
  const scene = crowd(6, 4);
  assert.deepEqual(scene.log, ['+0', '+1', '+2', '+3']);
});

test('a slot that becomes free goes to whoever waits longest', () => {
  const scene = crowd(6, 4);
  scene.interest(2, false);
  assert.deepEqual(scene.log.slice(4), ['-2', '+4']);
  scene.choker.left(0, scene.nowMs);
  scene.peers.leave(0);
  assert.deepEqual(scene.unchoked, [1, 3, 4, 5]);
});

test('after a round the three who gave most are unchoked, and one more', () => {
  const scene = crowd(8, 4);
  scene.pass(21, [0, 50, 10, 0, 90, 20, 0, 70]);
  assert.equal(scene.unchoked.length, 4);
  for (const slot of [1, 4, 7]) assert.ok(scene.unchoked.includes(slot), `slot ${slot}`);
  assert.ok(![1, 4, 7].includes(scene.choker.optimistic));
});

test('peers that are not interested take no slot, whatever they give', () => {
  const scene = crowd(8, 4);
  scene.interest(4, false);
  scene.pass(21, [0, 50, 10, 0, 90, 20, 0, 70]);
  assert.ok(!scene.unchoked.includes(4));
  for (const slot of [1, 5, 7]) assert.ok(scene.unchoked.includes(slot));
});

test('messages go out only when something changes', () => {
  const scene = crowd(3, 4);
  scene.pass(100, [5, 6, 7]);
  assert.deepEqual(scene.log, ['+0', '+1', '+2']);
});

test('without a limit everyone interested is unchoked and stays so', () => {
  const scene = crowd(40, Number.POSITIVE_INFINITY);
  scene.pass(120);
  assert.equal(scene.unchoked.length, 40);
  assert.equal(scene.log.length, 40);
});

test('no slots: nobody; one slot: one peer at a time, and everyone in turn', () => {
  assert.deepEqual(crowd(3, 0).log, []);
  const scene = crowd(4, 1);
  scene.pass(600);
  assert.equal(scene.unchoked.length, 1);
  for (const turns of scene.turns) assert.ok(turns >= 3, `${scene.turns}`);
});

test('who gave nothing for a minute although we want from it is not paid back', () => {
  const scene = crowd(8, 4);
  const gives = [0, 50, 10, 30, 90, 20, 40, 70];
  for (const slot of gives.keys()) scene.peers.isInterested[slot] = 1;
  scene.pass(50, gives);
  const quiet = [...gives];
  quiet[4] = 0;
  // Its 20 s average is gone, but so is everyone else's: only the anti-snub rule tells them apart.
  scene.pass(
    61,
    quiet.map((bytes) => (bytes > 0 ? 1 : 0)),
  );
  scene.given.add(4, 1_000_000, scene.nowMs);
  scene.pass(
    10,
    quiet.map((bytes) => (bytes > 0 ? 1 : 0)),
  );
  assert.ok(!scene.unchoked.includes(4) || scene.choker.optimistic === 4);
});

test('on fast links a round is over when each slot gave eight pieces, after a second at least', () => {
  const scene = crowd(8, 4);
  const gives = [0, 50, 10, 0, 90, 20, 0, 70];
  const isRanked = (): boolean => [1, 4, 7].every((slot) => scene.unchoked.includes(slot));
  scene.pass(1);
  scene.pass(3, gives);
  assert.ok(!isRanked(), 'ten seconds are not over');
  scene.rates.uploadedBytes += 4 * 8 * PIECE_BYTES - 1;
  scene.pass(1, gives);
  assert.ok(!isRanked(), 'a byte is missing');
  scene.rates.uploadedBytes++;
  scene.pass(1, gives);
  assert.ok(isRanked());
});

/** Slots 0 to 9 give, 10 and 11 have nothing for us; everybody is interested. */
function withPoor(): ReturnType<typeof crowd> {
  const scene = crowd(12, 8);
  for (let slot = 0; slot < 10; slot++) scene.peers.isInterested[slot] = 1;
  scene.peers.pieces.fill(50);
  scene.peers.pieces[10] = 20;
  scene.peers.pieces[11] = 10;
  return scene;
}

const GIVERS = (slot: number): number => (slot < 10 ? 100 - slot : 0);

test('with eight slots one lifts the peer that has least of those with nothing for us, as long as it gets on', () => {
  const scene = withPoor();
  scene.pass(1, GIVERS);
  assert.ok(scene.unchoked.includes(11));
  for (let round = 1; round <= 5; round++) {
    scene.peers.pieces[11]!++;
    scene.pass(10, GIVERS);
    assert.ok(scene.unchoked.includes(11), `round ${round}`);
    for (const slot of [0, 1, 2, 3, 4, 5]) assert.ok(scene.unchoked.includes(slot), `giver ${slot} in round ${round}`);
  }
  // It says nothing of what it got: the next one has its turn, and then nobody.
  scene.pass(10, GIVERS);
  assert.ok(scene.choker.optimistic === 11 || !scene.unchoked.includes(11));
  assert.ok(scene.unchoked.includes(10));
  scene.pass(10, GIVERS);
  assert.ok(scene.unchoked.includes(6));
});

test('who has something for us and gives nothing is not lifted', () => {
  const scene = withPoor();
  for (const slot of [10, 11]) scene.peers.isInterested[slot] = 1;
  scene.pass(200, GIVERS);
  for (const slot of [0, 1, 2, 3, 4, 5, 6]) assert.ok(scene.unchoked.includes(slot), `giver ${slot}`);
});

test('who gives little and has fallen behind is lifted where that is wanted, who has nearly as much is not', () => {
  const served = (pieces: number, liftsGivers: boolean): boolean => {
    const scene = crowd(12, 8, 1, liftsGivers);
    for (let slot = 0; slot < 12; slot++) scene.peers.isInterested[slot] = 1;
    scene.peers.pieces.fill(100);
    scene.peers.pieces[11] = pieces;
    const gives = (slot: number): number => (slot < 11 ? 100 - slot : 1);
    scene.pass(40, gives);
    const before = scene.servedSec[11]! - scene.optimisticSec[11]!;
    for (let round = 0; round < 10; round++) {
      scene.peers.pieces[11]!++;
      scene.pass(10, gives);
    }
    return scene.servedSec[11]! - scene.optimisticSec[11]! - before >= 60;
  };
  assert.deepEqual([served(40, true), served(95, true), served(40, false)], [true, false, false]);
});

test('a peer that was asked and did not answer gets no regular slot and is not lifted', () => {
  const scene = withPoor();
  for (const slot of [0, 11]) scene.peers.isSnubbed[slot] = 1;
  for (let round = 0; round < 30; round++) {
    scene.peers.pieces[11]!++;
    scene.pass(10, GIVERS);
  }
  for (const slot of [1, 2, 3, 4, 5, 6]) assert.ok(scene.unchoked.includes(slot), `giver ${slot}`);
  // The optimistic slot goes round all the same.
  for (const slot of [0, 11]) {
    const regularSec = scene.servedSec[slot]! - scene.optimisticSec[slot]!;
    // Before the first round whoever came first was served.
    assert.ok(scene.turns[slot]! >= 1 && regularSec <= 10, `slot ${slot}: ${scene.turns[slot]} turns, ${regularSec} s`);
  }
});

test('a seed serves the fastest taker first, but after the others when it took half as much again as the mean', () => {
  const servedSec = (tookPieces: number): number => {
    const scene = crowd(6, 2);
    scene.isComplete = true;
    scene.tookBytes.fill(100 * PIECE_BYTES);
    scene.tookBytes[0] = tookPieces * PIECE_BYTES;
    scene.pass(600, [], (slot) => (slot === 0 ? 50 : 10));
    return scene.servedSec[0]!;
  };
  const [equal, tooMuch] = [servedSec(100), servedSec(250)];
  assert.ok(equal > 120 && tooMuch < 0.75 * equal, `${[equal, tooMuch]}`);
});
