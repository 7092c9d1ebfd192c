/** Pieces from the front to the back in a swarm with a web seed: the window, and the turns of the leeches at it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerSlot, PieceIndex } from '../../src/metainfo/geometry.js';
import { HIGH, LOW, NORMAL, type Priority, SKIP } from '../../src/scheduler/pieces/priority.js';
import { chokes, fetch, getsOn, webSeed } from './forward-scene.js';
import { World, type WorldOptions } from './world.js';

const KIB = 1024;

/** Pieces of one block; ours is the number 20. */
function world(pieces: number, options: Partial<WorldOptions> = {}): World {
  const size = { lengthBytes: pieces * 16 * KIB, pieceLengthBytes: 16 * KIB };
  // What is here from the start keeps the first pieces from being taken at random.
  const have = Array.from({ length: 4 }, (_, piece) => piece);
  return new World({ seed: 1, ...size, have, openPieces: 2, forward: { ownNumber: 20 }, ...options });
}

test('alone at a web seed all comes in order', () => {
  const scene = world(40);
  webSeed(scene, 0);
  assert.deepEqual(
    fetch(scene, 0, 36),
    [...Array(36).keys()].map((step) => step + 4),
  );
});

test('leeches take turns at a web seed: of three the second one is asked for every third piece, in order', () => {
  const scene = world(400);
  scene.join(1, [], { number: 10 });
  scene.join(2, [], { number: 30 });
  webSeed(scene, 0);
  const got = fetch(scene, 0, 10);
  for (const slot of [1, 2]) getsOn(scene, slot, 399);
  got.push(...fetch(scene, 0, 10));
  assert.deepEqual(
    got,
    [...Array(20).keys()].map((step) => 4 + 3 * step),
  );
});

test('who has everything takes no turn, nor does one without a number, nor one that left', () => {
  const scene = world(400);
  scene.join(1, [], { number: 10 });
  scene.join(2, 'all', { number: 11, fast: true });
  scene.join(3, [], { number: null });
  scene.join(4, [], { number: 12 });
  scene.leave(4);
  webSeed(scene, 0);
  assert.deepEqual(
    fetch(scene, 0, 10),
    [...Array(10).keys()].map((step) => 5 + 2 * step),
  );
  // Two more were open already.
  scene.leave(1);
  assert.deepEqual(fetch(scene, 0, 10), [25, 27, 4, 6, 8, 10, 12, 14, 16, 18]);
});

test('our own pieces behind the window come next, and only then what others have left in it', () => {
  const scene = world(100);
  scene.join(1, [], { number: 10 });
  webSeed(scene, 0);
  // 38 pieces from the first missing one, 4, on are the window; those at odd places are ours.
  const got: number[] = [];
  for (let piece = 98; got.length < 48; piece -= 2) {
    got.push(...fetch(scene, 0, 12));
    getsOn(scene, 1, piece);
  }
  assert.deepEqual(
    got,
    [...Array(48).keys()].map((step) => 5 + 2 * step),
  );
  for (const piece of fetch(scene, 0, 10)) assert.ok(piece < 100 && piece % 2 === 0, `${piece}`);
});

test('there are turns at a seed of the wire beside a web seed', () => {
  const scene = world(100);
  scene.join(1, [], { number: 10 });
  webSeed(scene, 0);
  scene.join(2, 'all', { number: 20, fast: true });
  scene.unchoke(2);
  assert.deepEqual(fetch(scene, 2, 3), [5, 7, 9]);
});

test('a piece that a leech has which gives is not asked of the web seed while there are new ones', () => {
  const scene = world(40);
  const has = [4, 5, 6, 9, 20];
  scene.join(1, has, { number: null });
  scene.unchoke(1);
  const [given] = fetch(scene, 1, 1);
  chokes(scene, 1);
  webSeed(scene, 0);
  const rest = fetch(scene, 0, 35).filter((piece) => piece !== given);
  const ofLeech = has.filter((piece) => piece !== given);
  // Two of them were open already.
  const last = rest.slice(-2);
  assert.ok(
    last.every((piece) => ofLeech.includes(piece)),
    `${given}, ${rest}`,
  );
});

test('of a peer the pieces of the window come before rarer ones behind it', () => {
  const scene = world(200, { openPieces: 1 });
  webSeed(scene, 0);
  const all = [...Array(200).keys()];
  scene.join(1, all, { number: 10 });
  scene.join(2, all.slice(0, 100), { number: 30 });
  scene.unchoke(1);
  scene.leave(0);
  // 75 pieces from 4 on are the window; it stays where it was when the web seed left.
  const got = fetch(scene, 1, 60);
  assert.ok(
    got.every((piece) => piece < 79),
    `${got}`,
  );
});

test('what is urgent goes first, and the user’s own priorities stay', () => {
  const priorities = new Uint8Array(40).fill(2);
  priorities[10] = LOW;
  priorities[11] = SKIP;
  priorities[39] = HIGH;
  const scene = world(40, { priorities });
  scene.read([30], false);
  webSeed(scene, 0);
  const got = fetch(scene, 0, 35);
  assert.equal(got[0], 30);
  assert.equal(got.at(-1), 10);
  assert.equal(got.length, 35);
  assert.ok(!got.includes(11));
  assert.ok(scene.scheduler.isComplete);
});

test('a piece of low priority that was read for a while is of low priority again', () => {
  const priorities = new Uint8Array(40).fill(NORMAL);
  priorities[10] = LOW;
  const scene = world(40, { priorities });
  scene.isFull = true;
  scene.read([10], false);
  webSeed(scene, 0);
  scene.read([], false);
  scene.isFull = false;
  assert.equal(fetch(scene, 0, 36).at(-1), 10);
});

test('what the user wants before others comes first of all, and turns begin behind it', () => {
  const priorities = new Uint8Array(100).fill(2).fill(HIGH, 90, 95);
  const scene = world(100, { priorities, openPieces: 1 });
  scene.join(1, [], { number: 10 });
  webSeed(scene, 0);
  assert.deepEqual(
    fetch(scene, 0, 5).sort((a, b) => a - b),
    [90, 91, 92, 93, 94],
  );
  assert.deepEqual(fetch(scene, 0, 4), [5, 7, 9, 11]);
});

test('other priorities of the user’s begin the window anew', () => {
  const scene = world(100, { openPieces: 1 });
  webSeed(scene, 0);
  assert.deepEqual(fetch(scene, 0, 3), [4, 5, 6]);
  const set = (piece: number, priority: Priority): void =>
    scene.scheduler.setPriority(piece as PieceIndex, priority, scene.nowMs);
  for (let piece = 0; piece < 100; piece++) set(piece, piece >= 60 && piece < 63 ? HIGH : NORMAL);
  // One was open already.
  assert.deepEqual(
    fetch(scene, 0, 4).sort((a, b) => a - b),
    [7, 60, 61, 62],
  );
  assert.deepEqual(fetch(scene, 0, 3), [8, 9, 10]);
});

test('a peer that says it has nearly everything, and gives nothing, does not end the turns', () => {
  const scene = world(100, { openPieces: 1 });
  const all = [...Array(100).keys()];
  scene.join(1, all.slice(5), { number: 10 });
  scene.join(2, [], { number: 30 });
  webSeed(scene, 0);
  // Piece 4 is what nobody has.
  assert.deepEqual(fetch(scene, 0, 6), [4, 7, 10, 13, 16, 19]);
});

test('one that has got everything takes no turn any more', () => {
  const scene = world(100, { openPieces: 1 });
  scene.join(1, [...Array(99).keys()], { number: 10 });
  scene.join(2, [], { number: 30 });
  scene.scheduler.peerHave(1 as PeerSlot, 99 as PieceIndex);
  scene.peers.get(1)!.has.add(99);
  webSeed(scene, 0);
  assert.deepEqual(fetch(scene, 0, 4), [4, 6, 8, 10]);
});

test('without a web seed it is rarest first', () => {
  const scene = world(100, { openPieces: 1 });
  const all = [...Array(100).keys()];
  scene.join(1, all, { number: 10 });
  scene.join(2, all.slice(0, 90), { number: 30 });
  scene.unchoke(1);
  assert.ok(fetch(scene, 1, 10).every((piece) => piece >= 90));
});

test('more leeches than pieces: all of it still comes', () => {
  const scene = world(12, { maxSlots: 40, have: [] });
  for (let slot = 1; slot < 40; slot++) scene.join(slot, [], { number: slot });
  webSeed(scene, 0);
  assert.equal(fetch(scene, 0, 12).length, 12);
  assert.ok(scene.scheduler.isComplete);
});
