/** Pieces that a leech alone has: which they are, and what follows from many of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Peers } from '../../src/scheduler/peers/peers.js';
import { Backlog, OURS } from '../../src/scheduler/pieces/backlog.js';
import { chokes, fetch, getsOn, webSeed } from './forward-scene.js';
import { seeded, World } from './world.js';

const KIB = 1024;
const PIECES = 400;

test('what each leech alone has is counted right, whoever gets, loses and forgets what', () => {
  const random = seeded(3);
  const pieces = 20;
  const slots = [0, 1, 2, 3];
  const peers = new Peers(slots.length, pieces);
  const backlog = new Backlog(peers);
  const ours = new Set<number>();
  for (const slot of slots) peers.join(slot, 0);
  const holdersOf = (piece: number): number[] => [
    ...(ours.has(piece) ? [OURS] : []),
    ...slots.filter((slot) => peers.has(slot, piece)),
  ];
  for (let step = 0; step < 2000; step++) {
    const slot = Math.floor(random() * slots.length);
    const piece = Math.floor(random() * pieces);
    const dice = random();
    if (dice < 0.1 && !ours.has(piece)) {
      ours.add(piece);
      backlog.gained(OURS, piece);
    } else if (dice < 0.6) {
      if (peers.give(slot, piece)) backlog.gained(slot, piece);
    } else if (dice < 0.95) {
      if (peers.has(slot, piece)) backlog.lost(slot, piece);
      peers.take(slot, piece);
    } else {
      backlog.forget(slot);
      peers.giveNone(slot);
    }
    for (const one of [OURS, ...slots]) {
      let alone = 0;
      for (let at = 0; at < pieces; at++) alone += Number(holdersOf(at).join() === `${one}`);
      assert.equal(backlog.of(one), alone, `step ${step}, slot ${one}`);
    }
  }
});

/** Pieces of one block; ours is the number 20. */
function world(openPieces = 1): World {
  const size = { lengthBytes: PIECES * 16 * KIB, pieceLengthBytes: 16 * KIB };
  return new World({ seed: 1, ...size, have: [0, 1, 2, 3], openPieces, forward: { ownNumber: 20 } });
}

/** What lies between one piece and the next. */
function steps(pieces: readonly number[]): number[] {
  return pieces.slice(1).map((piece, index) => piece - pieces[index]!);
}

test('who has many pieces that nobody gets from it loses its turns, and has them again when others have most', () => {
  const scene = world();
  for (const [slot, number] of [10, 30, 40].entries()) scene.join(slot + 1, [0, 1, 2, 3], { number });
  webSeed(scene, 0);
  for (const slot of [2, 3]) getsOn(scene, slot, 390);
  assert.deepEqual(steps(fetch(scene, 0, 5)), [4, 4, 4, 4]);
  // What we get others have at once.
  const share = (pieces: readonly number[]): void => {
    for (const piece of pieces) for (const slot of [2, 3]) getsOn(scene, slot, piece);
  };
  const kept = Array.from({ length: 30 }, (_, index) => 350 + index);
  for (const piece of kept) getsOn(scene, 1, piece);
  share([...scene.verified]);
  share(fetch(scene, 0, 2));
  const without = fetch(scene, 0, 6);
  share(without);
  assert.ok(
    steps(without).every((step) => step % 3 === 0),
    `${without}`,
  );
  share(kept);
  share(fetch(scene, 0, 2));
  const again = fetch(scene, 0, 6).slice(1);
  assert.ok(
    steps(again).every((step) => step % 4 === 0),
    `${again}`,
  );
});

test('with many pieces that nobody gets from us we ask a seed for none that no leech has', () => {
  const scene = world();
  const all = Array.from({ length: 100 }, (_, index) => 300 + index);
  scene.join(1, all, { number: 10 });
  scene.join(2, all, { number: 30 });
  scene.unchoke(1);
  fetch(scene, 1, 1);
  chokes(scene, 1);
  for (const slot of [1, 2]) getsOn(scene, slot, 299);
  webSeed(scene, 0);
  // One was open already.
  const got = fetch(scene, 0, 40).slice(1);
  // The first ones are new; then nobody takes them, and what others have too is asked for.
  assert.ok(got[0]! < 300, `${got}`);
  assert.ok(
    got.slice(-10).every((piece) => piece >= 299),
    `${got}`,
  );
});

/** When all that is to be opened for it is open. */
function isAsked(scene: World, slot: number): boolean {
  for (let look = 0; look < 3; look++) {
    scene.settle();
    scene.fill(slot);
  }
  return scene.peers.get(slot)!.asked.size > 0;
}

test('a seed is left to others while our own backlog is large and leeches have enough for us', () => {
  const scene = world(8);
  const theirs = Array.from({ length: 14 }, (_, index) => 360 + index);
  for (const [slot, number] of [10, 30].entries()) scene.join(slot + 1, theirs, { number });
  webSeed(scene, 0);
  for (const slot of [1, 2]) getsOn(scene, slot, 399);
  fetch(scene, 0, 12);
  chokes(scene, 0);
  for (const slot of [1, 2]) scene.unchoke(slot);
  scene.unchoke(0);
  assert.ok(!isAsked(scene, 0));
  // One of them alone is not enough.
  chokes(scene, 1);
  assert.ok(isAsked(scene, 0));
});

test('who is ahead of others leaves no seed to them: they are slow, not its own uplink', () => {
  const scene = world(8);
  for (const [slot, number] of [10, 30].entries()) scene.join(slot + 1, [360, 361], { number });
  webSeed(scene, 0);
  for (const slot of [1, 2]) getsOn(scene, slot, 399);
  fetch(scene, 0, 15);
  chokes(scene, 0);
  for (const slot of [1, 2]) scene.unchoke(slot);
  scene.unchoke(0);
  assert.ok(isAsked(scene, 0));
});
