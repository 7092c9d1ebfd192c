import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import type { PeerSlot, PieceIndex } from '../../src/metainfo/geometry.js';
import { HIGH, LOW, NORMAL, type Priority, SKIP } from '../../src/scheduler/pieces/priority.js';
import { World, type WorldOptions } from './world.js';

const KIB = 1024;

/** One digit per piece of four blocks. */
function world(priorities: string, options: Partial<WorldOptions> = {}): World {
  const lengthBytes = priorities.length * 64 * KIB;
  return new World({ seed: 1, lengthBytes, pieceLengthBytes: 64 * KIB, priorities: parse(priorities), ...options });
}

function parse(priorities: string): Uint8Array {
  return Uint8Array.from(priorities, Number);
}

function seed(scene: World, slot: number): void {
  scene.join(slot, 'all');
  scene.unchoke(slot);
  scene.settle();
}

/** Slot 0 delivers until it has nothing left to give; returns the pieces in the order in which they were verified. */
function finish(scene: World): number[] {
  for (let idle = 0; idle < 3; idle++) {
    while (scene.deliver(0) !== null) idle = 0;
    scene.fill(0);
    scene.settle();
    scene.check();
  }
  return [...scene.verified];
}

function asked(scene: World, slot: number): number[] {
  return [...new Set(scene.peers.get(slot)!.queue.map(({ piece }) => piece))];
}

describe('order', () => {
  test('pieces of higher priority are fetched first, skipped ones not at all, and then all is complete', () => {
    const scene = world('1302132', { openPieces: 1 });
    seed(scene, 0);
    const order = finish(scene);
    assert.deepEqual(
      order.map((piece) => scene.priorities[piece]),
      [3, 3, 2, 2, 1, 1],
    );
    assert.ok(scene.scheduler.isComplete);
    assert.deepEqual(scene.log, ['0 interested', '0 bored']);
  });

  test('sequential goes by index inside a priority', () => {
    const plain = world('22222222', { openPieces: 1, isSequential: true });
    seed(plain, 0);
    assert.deepEqual(finish(plain), [0, 1, 2, 3, 4, 5, 6, 7]);
    const scene = world('13021322', { openPieces: 1, isSequential: true });
    seed(scene, 0);
    assert.deepEqual(finish(scene), [1, 5, 3, 6, 7, 0, 4]);
  });

  test('the first pieces are random ones of the highest priority', () => {
    const firsts = new Set<number>();
    for (let dice = 1; dice <= 100; dice++) {
      const scene = world('2232332', { openPieces: 1, seed: dice });
      seed(scene, 0);
      firsts.add([...scene.ready.keys()][0]!);
    }
    assert.deepEqual([...firsts].sort(), [2, 4, 5]);
  });

  test('a piece raised at run time is the next to be opened', () => {
    const scene = world('22222222', { openPieces: 1 });
    seed(scene, 0);
    const last = [7, 6].find((piece) => !scene.ready.has(piece))!;
    scene.prioritize(last, HIGH);
    assert.equal(finish(scene)[1], last);
  });
});

describe('skipped', () => {
  test('a peer with skipped pieces only is not interesting until one is wanted again, and then it is asked', () => {
    const scene = world('0022', { have: [2, 3] });
    assert.ok(scene.scheduler.isComplete);
    seed(scene, 0);
    scene.join(1, [1]);
    scene.unchoke(1);
    assert.deepEqual(scene.log, []);
    scene.prioritize(1, LOW);
    assert.ok(!scene.scheduler.isComplete);
    assert.deepEqual(scene.log, ['0 interested', '1 interested']);
    scene.check();
    scene.settle();
    scene.settle();
    assert.deepEqual([...asked(scene, 0), ...asked(scene, 1)], [1, 1]);
    assert.deepEqual(finish(scene), [2, 3, 1]);
  });

  test('the last wanted piece is skipped: that completes the torrent, and nobody is interesting', () => {
    const scene = world('22', { have: [0] });
    scene.join(0, 'all');
    scene.prioritize(1, SKIP);
    assert.ok(scene.scheduler.isComplete);
    assert.deepEqual(scene.log, ['0 interested', '0 bored']);
  });

  test('an open piece of which nothing is stored is closed at once, its requests cancelled, its room used', () => {
    const scene = world('22', { openPieces: 1 });
    seed(scene, 0);
    const [first] = asked(scene, 0);
    scene.prioritize(first!, SKIP);
    assert.deepEqual([scene.closedPieces, scene.cancels.length], [1, 4]);
    scene.settle();
    assert.deepEqual([...scene.opening], [1 - first!]);
    scene.check();
  });

  test('a piece that is being opened is closed when it is ready', () => {
    const scene = world('2');
    scene.join(0, 'all');
    scene.unchoke(0);
    scene.prioritize(0, SKIP);
    assert.equal(scene.closedPieces, 0);
    scene.makeReady(0);
    assert.equal(scene.closedPieces, 1);
    scene.check();
  });

  test('a piece that cannot be opened is not picked again', () => {
    const scene = world('2');
    scene.join(0, 'all');
    scene.unchoke(0);
    scene.prioritize(0, SKIP);
    scene.abandon(0);
    scene.settle();
    assert.equal(scene.openCount, 0);
    scene.check();
  });

  test('a piece of which something is stored is finished, if a peer that we need anyway serves it', () => {
    const scene = world('22222222', { openPieces: 1 });
    seed(scene, 0);
    scene.deliver(0);
    const [piece] = asked(scene, 0);
    scene.prioritize(piece!, SKIP);
    scene.pass(1000);
    assert.equal(scene.closedPieces, 0);
    assert.ok(finish(scene).includes(piece!));
    assert.equal(scene.verified.size, 8);
  });

  test('it is closed when nobody serves it, so that it holds no room', () => {
    const scene = world('22222222', { openPieces: 1 });
    seed(scene, 0);
    scene.deliver(0);
    scene.prioritize(asked(scene, 0)[0]!, SKIP);
    scene.choke_(0);
    scene.pass(1000);
    assert.equal(scene.closedPieces, 1);
    scene.check();
  });

  test('what arrives of it is waited for', () => {
    const scene = world('2');
    seed(scene, 0);
    scene.begin(0);
    scene.prioritize(0, SKIP);
    scene.pass(1000);
    assert.equal(scene.closedPieces, 0);
    scene.end(0);
    assert.ok(scene.scheduler.isComplete);
    finish(scene);
    scene.check();
  });

  test('it is closed when its hash is bad', () => {
    const scene = world('2');
    seed(scene, 0);
    while (scene.deliver(0) !== null);
    scene.prioritize(0, SKIP);
    assert.deepEqual(scene.verify(0, false), [0]);
    assert.equal(scene.closedPieces, 1);
    scene.check();
  });

  test('its missing blocks do not hold the endgame of the others back', () => {
    const scene = world('32', { pieceLengthBytes: 128 * KIB, lengthBytes: 256 * KIB });
    scene.join(0, [0, 1]);
    scene.unchoke(0);
    scene.settle();
    scene.deliver(0);
    for (const slot of [1, 2, 3]) {
      scene.join(slot, [1]);
      scene.unchoke(slot);
      scene.settle();
    }
    const askedOf = [0, 1, 2, 3].map((slot) => asked(scene, slot));
    assert.deepEqual(askedOf, [[0], [1], [1], []], 'piece 0 has missing blocks: no endgame yet');
    scene.prioritize(0, SKIP);
    scene.pass(100);
    assert.deepEqual(asked(scene, 3), [1]);
    assert.equal(scene.closedPieces, 0);
    scene.check();
  });
});

describe('what does not change', () => {
  test('a verified piece stays verified, whatever its priority', () => {
    const scene = world('22', { have: [0] });
    seed(scene, 0);
    for (const priority of [SKIP, HIGH, LOW, NORMAL] as const) {
      scene.prioritize(0, priority);
      scene.settle();
      scene.check();
    }
    assert.deepEqual(finish(scene), [0, 1]);
  });

  test('what is no priority is refused', () => {
    assert.throws(() => world('22', { priorities: parse('2') }), RangeError);
    assert.throws(() => world('22', { priorities: parse('24') }), RangeError);
    const scene = world('22');
    for (const wrong of [4, -1, 1.5, Number.NaN]) {
      assert.throws(() => scene.scheduler.setPriority(0 as PieceIndex, wrong as Priority, 0), RangeError);
    }
    seed(scene, 0);
    assert.ok(scene.scheduler.view.isInterestedIn(0 as PeerSlot));
  });
});
