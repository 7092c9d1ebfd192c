import assert from 'node:assert/strict';
import test from 'node:test';
import type { PeerSlot, PieceIndex } from '../../src/metainfo/geometry.js';
import { Hoarders } from '../../src/scheduler/serve/hoarders.js';
import { crowd } from './choke-scene.js';

const PIECES = 64;
const slotOf = (slot: number): PeerSlot => slot as PeerSlot;

/** A seed and its peers: what goes out, and who says HAVE. */
class Scene {
  readonly hoarders = new Hoarders(PIECES, 1000);
  readonly #copies = new Int32Array(PIECES);

  constructor(peerCount = 4) {
    this.hoarders.grow(peerCount);
  }

  /** We send pieces to a peer, which says that it has them. */
  give(slot: number, ...pieces: number[]): void {
    for (const piece of pieces) {
      this.hoarders.serves(slotOf(slot), piece as PieceIndex);
      this.have(slot, piece);
    }
  }

  have(slot: number, ...pieces: number[]): void {
    for (const piece of pieces) this.hoarders.had(slotOf(slot), piece as PieceIndex, ++this.#copies[piece]!);
  }

  keepers(): number[] {
    return [0, 1, 2, 3].filter((slot) => this.hoarders.keepsToItself(slot));
  }
}

const SIX = [0, 1, 2, 3, 4, 5];

test('five pieces may be on their way; with the sixth the peer keeps them to itself until half are passed on', () => {
  const scene = new Scene();
  scene.give(0, 0, 1, 2, 3, 4);
  assert.deepEqual(scene.keepers(), []);
  scene.give(0, 5);
  assert.deepEqual(scene.keepers(), [0]);
  scene.give(0, 6, 7, 8, 9, 10, 11);
  scene.have(1, 0, 1, 2, 3, 4);
  assert.deepEqual(scene.keepers(), [0]);
  scene.have(2, 5);
  assert.deepEqual(scene.keepers(), []);
});

test('what had to leave here a second time was not passed on, and a third copy proves nothing', () => {
  const scene = new Scene();
  scene.give(0, ...SIX);
  scene.give(1, ...SIX);
  scene.have(2, ...SIX);
  scene.have(3, ...SIX);
  assert.deepEqual(scene.keepers(), [0]);
});

test('pieces that others have, or that came from somebody else, are no debt', () => {
  const scene = new Scene();
  scene.have(0, ...SIX);
  scene.give(1, ...SIX);
  scene.have(2, 10, 11, 12, 13, 14, 15);
  assert.deepEqual(scene.keepers(), []);
});

test('who takes the slot of a peer that left starts without debts, and pays none of the other', () => {
  const scene = new Scene();
  scene.give(0, ...SIX);
  scene.hoarders.left(slotOf(0));
  scene.hoarders.joined(slotOf(0));
  assert.deepEqual(scene.keepers(), []);
  scene.give(0, 10, 11, 12, 13, 14, 15);
  scene.have(1, ...SIX);
  assert.deepEqual(scene.keepers(), [0]);
});

test('a seed serves peers that pass nothing on after the others, and alone with them all the same', () => {
  const servedSec = (keepers: readonly number[]): number[] => {
    const scene = crowd(6, 3);
    scene.isComplete = true;
    for (const slot of keepers) {
      for (let piece = 0; piece < 6; piece++) {
        scene.hoarders.serves(slotOf(slot), piece as PieceIndex);
        scene.hoarders.had(slotOf(slot), piece as PieceIndex, 1);
      }
    }
    scene.pass(600, [], () => 10);
    return scene.servedSec;
  };
  const sum = (seconds: readonly number[]): number => seconds.reduce((a, b) => a + b, 0);
  const seconds = servedSec([0, 1, 2]);
  // Two slots of three are theirs, the third is optimistic and goes round.
  const kept = sum(seconds.slice(0, 3)) / sum(seconds);
  assert.ok(kept < 1 / 4, `keepers had ${kept} of the time: ${seconds}`);
  assert.ok(sum(servedSec([])) === sum(seconds) && sum(servedSec([0, 1, 2, 3, 4, 5])) === sum(seconds));
});
