import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { HAVES_PER_CALL, OwedHaves } from '../../src/scheduler/serve/owed-haves.js';
import { MIN_WINDOW, Reveals } from '../../src/scheduler/serve/reveals.js';
import { type ScenePeer, SuperScene } from './super-scene.js';

test('each newcomer is shown a piece of its own, and only that is served', () => {
  const scene = new SuperScene(8, { uploadSlots: 0 });
  for (let slot = 0; slot < 4; slot++) scene.join(slot);
  const shown = [0, 1, 2, 3].map((slot) => scene.open(slot));
  assert.ok(shown.every((pieces) => pieces.length === 1));
  assert.equal(new Set(shown.flat()).size, 4);
  for (const piece of scene.pieces) assert.equal(scene.mayServe(2, piece), shown[2]![0] === piece);
});

test('what a choked peer was shown is not served again when two others have it, unless no reject can be said', () => {
  const scene = new SuperScene(40, { uploadSlots: 3 });
  for (const slot of [0, 1, 2, 3, 4]) scene.join(slot, true, slot !== 4);
  const [shown, alsoShown] = [scene.open(3)[0]!, scene.open(4)[0]!];
  for (const piece of [shown, alsoShown]) scene.have(0, piece);
  assert.ok(scene.mayServe(3, shown), 'one copy is perhaps out of its reach');
  for (const piece of [shown, alsoShown]) scene.have(1, piece);
  for (const slot of [0, 1]) scene.interest(slot, false);
  assert.ok(!scene.isChoked(3) && !scene.isChoked(4));
  assert.ok(!scene.mayServe(3, shown));
  assert.ok(scene.mayServe(4, alsoShown), 'without the fast extension it would wait for an answer');
  const own = scene.open(3).find((piece) => piece !== shown)!;
  for (const slot of [0, 1]) scene.have(slot, own);
  assert.ok(scene.mayServe(3, own), 'it is in the middle of that one');
});

test('without the option, or without all pieces, nothing is hidden', () => {
  const scene = new SuperScene(8);
  assert.ok(scene.isActive);
  scene.join(0);
  scene.bitfield(0, scene.pieces);
  assert.ok(!scene.isActive);
  assert.ok(scene.pieces.every((piece) => scene.mayServe(0, piece)));
});

test('an unchoked peer has two pieces open, and more while they come quickly; slowly, and it is two again', () => {
  const scene = new SuperScene(200);
  scene.join(0);
  scene.join(1);
  assert.equal(scene.open(0).length, MIN_WINDOW);
  for (let round = 0; round < 5; round++) {
    scene.pass(100);
    for (const piece of scene.open(0)) scene.have(0, piece);
  }
  const grown = scene.open(0).length;
  assert.ok(grown >= 32, `${grown} after five quick rounds`);
  assert.equal(scene.open(1).length, MIN_WINDOW, 'the other one got nothing yet');
  scene.pass(2_500);
  for (const piece of scene.open(0)) scene.have(0, piece);
  assert.equal(scene.open(0).length, MIN_WINDOW);
});

test('who passes nothing on is held back until it does, while others are served', () => {
  const scene = new SuperScene(100);
  for (const slot of [0, 1]) scene.join(slot);
  const got = scene.open(0);
  for (const piece of got) scene.have(0, piece);
  for (let second = 0; second < 12; second++) scene.pass(1_000);
  for (const piece of scene.open(0)) scene.have(0, piece);
  assert.deepEqual(scene.open(0), [], 'held back');
  assert.equal(scene.open(1).length, MIN_WINDOW);
  for (const piece of got) scene.have(1, piece);
  assert.ok(scene.open(0).length >= MIN_WINDOW, 'it passed the pieces on');
});

test('where nobody can pass anything on, nobody is held back', () => {
  const scene = new SuperScene(400);
  for (const slot of [0, 1]) scene.join(slot);
  for (let second = 0; second < 40; second++) {
    for (const slot of [0, 1]) for (const piece of scene.open(slot)) scene.have(slot, piece);
    scene.pass(1_000);
    for (const slot of [0, 1]) assert.ok(scene.open(slot).length >= MIN_WINDOW, `slot ${slot} after ${second} s`);
  }
});

test('who passed nothing on is tried again a minute later', () => {
  const scene = new SuperScene(400);
  for (const slot of [0, 1]) scene.join(slot);
  for (const piece of scene.open(0)) scene.have(0, piece);
  const idle: number[] = [];
  for (let second = 1; second < 80; second++) {
    // The other one gets nothing, and so keeps nothing.
    scene.pass(1_000);
    if (scene.open(0).length === 0) idle.push(second);
    else for (const piece of scene.open(0)) scene.have(0, piece);
  }
  assert.deepEqual([idle[0], idle.at(-1), idle.length], [11, 69, 59]);
});

test('what a peer did not finish when it left, or was choked, is shown to others', () => {
  for (const part of ['leave', 'choke'] as const) {
    const scene = new SuperScene(6);
    for (const slot of [0, 1, 2]) scene.join(slot);
    const [mine, others] = [scene.open(0), scene.open(1)];
    assert.deepEqual([...mine, ...others, ...scene.open(2)].sort(), scene.pieces, 'each piece has one taker');
    if (part === 'leave') scene.leave(0);
    else scene.interest(0, false);
    for (const piece of others) scene.have(1, piece);
    assert.deepEqual(scene.open(1).sort(), mine.sort());
  }
});

test('a piece that does not arrive goes to another after half a minute, earlier than from a slow but busy peer', () => {
  const scene = new SuperScene(6);
  for (const slot of [0, 1, 2]) scene.join(slot);
  const [mine] = scene.open(0);
  const isElsewhere = () => [1, 2].some((slot) => scene.open(slot).includes(mine!));
  scene.rate = 0;
  for (let second = 0; second < 29; second++) scene.pass(1_000);
  assert.ok(!isElsewhere());
  for (let second = 0; second < 3; second++) scene.pass(1_000);
  assert.ok(isElsewhere());
  const slow = new Reveals(8);
  slow.reveal(1, 0);
  assert.ok(!slow.isLate(0, false, false, 1_000_000), 'bytes flow, and its first piece is under way');
  assert.ok(slow.isLate(0, true, false, 30_000), 'the others have nothing else');
  slow.took(0, false, 50_000);
  assert.ok(!slow.isLate(50_000, false, false, 279_000));
  assert.ok(slow.isLate(50_000, false, false, 280_001));
});

test('a peer that does not want what it is shown is shown more', () => {
  const scene = new SuperScene(50);
  const peer = scene.join(0, false);
  for (let second = 0; second < 20; second++) scene.pass(1_000);
  assert.equal(peer.revealed.size, 11);
});

test('it ends when everything was seen outside for a fifth of its time; then the rest is said', () => {
  const scene = new SuperScene(20);
  const peers = [scene.join(0), scene.join(1)];
  while (peers[0]!.has.size + peers[1]!.has.size < 20) {
    scene.pass(1_000);
    for (const slot of [0, 1]) for (const piece of scene.open(slot)) scene.have(slot, piece);
  }
  const restMs = scene.nowMs / 5;
  const endMs = scene.nowMs + restMs;
  while (scene.isActive) scene.pass(100);
  assert.ok(scene.nowMs >= endMs && scene.nowMs < endMs + 200, `at ${scene.nowMs} for ${endMs}`);
  for (const peer of peers)
    assert.deepEqual(
      [...peer.revealed].sort((a, b) => a - b),
      scene.pieces,
    );
  const late = scene.join(2);
  assert.equal(late.revealed.size, 0, 'who comes later is greeted with everything');
});

test('it goes on when a piece is lost again, and ends at once when everybody is complete', () => {
  const scene = new SuperScene(40);
  scene.join(0);
  scene.join(1);
  for (let piece = 0; piece < 20; piece++) scene.have(0, piece);
  scene.pass(20_000);
  for (let piece = 20; piece < 40; piece++) scene.have(1, piece);
  scene.leave(0);
  scene.pass(60_000);
  assert.ok(scene.isActive);
  for (let piece = 0; piece < 20; piece++) scene.have(1, piece);
  assert.ok(!scene.isActive);
});

test('a single leech is shown the last two pieces at once, and that ends it: who knows a seed tells it no more', () => {
  const scene = new SuperScene(12);
  const peer = scene.join(0);
  while (scene.isActive) {
    assert.ok(peer.revealed.size < 11 && scene.open(0).length >= MIN_WINDOW);
    scene.have(0, scene.open(0)[0]!);
  }
  assert.equal(peer.revealed.size, 12);
  assert.ok(!peer.has.has(Number(scene.log.at(-2)!.split(':')[1])), 'it wants the last but one');
});

test('when a leaving peer makes room for one shown all but one piece, it ends; who left is told nothing', () => {
  const scene = new SuperScene(4, { uploadSlots: 1 });
  for (const slot of [0, 1]) scene.join(slot);
  // The other half is under way to the one that is served.
  for (let count = 0; count < 2; count++) scene.have(1, scene.open(1)[0]!);
  assert.ok(scene.isActive);
  scene.leave(0);
  assert.ok(!scene.isActive);
  assert.equal(scene.peers.get(1)!.revealed.size, 4);
});

test('a seed that was there before ends it', () => {
  const scene = new SuperScene(10);
  const peer = scene.join(0);
  scene.join(1);
  scene.bitfield(1, scene.pieces);
  assert.ok(!scene.isActive);
  assert.equal(peer.revealed.size, 10);
});

test('the regular slots stay with those who pass on, and leave those who do not', () => {
  const scene = new SuperScene(1_000, { uploadSlots: 4, maxSlots: 12 });
  for (let slot = 0; slot < 10; slot++) scene.join(slot);
  const served = () => [...scene.peers.keys()].filter((slot) => !scene.isChoked(slot));
  const before = served();
  for (let second = 0; second < 60; second++) {
    scene.pass(1_000);
    for (const slot of served()) {
      for (const piece of scene.open(slot)) {
        scene.have(slot, piece);
        // Slot 0 keeps all to itself.
        if (slot !== 0) for (const other of scene.peers.keys()) scene.have(other, piece);
      }
    }
  }
  assert.ok(scene.isActive);
  const stayed = before.filter((slot) => slot !== 0 && !scene.isChoked(slot));
  assert.ok(before.includes(0) && scene.isChoked(0));
  assert.ok(stayed.length >= 2, `${stayed} of ${before} stayed`);
});

test('who fell behind gets a slot, and half of the slots stay with those who are ahead', () => {
  const scene = new SuperScene(1_000, { uploadSlots: 5, maxSlots: 12 });
  for (let slot = 0; slot < 10; slot++) scene.join(slot);
  const served = () => [...scene.peers.keys()].filter((slot) => !scene.isChoked(slot));
  const ahead = served();
  const behind = [...scene.peers.keys()].filter((slot) => !ahead.includes(slot));
  scene.pass(1_000);
  // Everything that is out is at all who are ahead, half of it at the others, and at the last least.
  for (let piece = 0; piece < 100; piece++) {
    for (const slot of ahead) scene.have(slot, piece);
    for (const slot of behind) if (piece < (slot === behind.at(-1) ? 40 : 50)) scene.have(slot, piece);
  }
  for (let second = 0; second < 10; second++) scene.pass(1_000);
  assert.ok(!scene.isChoked(behind.at(-1)!), 'the last one first');
  for (let second = 0; second < 60; second++) scene.pass(1_000);
  // Four regular slots: two at most for those behind; the optimistic one moves as ever.
  const helped = served().filter((slot) => behind.includes(slot));
  assert.ok(helped.length >= 2 && helped.length <= 3, `${helped} of ${behind}`);
});

test('when all may be asked, no more HAVEs go out in one call than its limit, and none twice', () => {
  const said: string[] = [];
  const owed = new OwedHaves(200_000, {
    reveal: (slot: number, piece: number) => said.push(`${slot}:${piece}`),
  } as never);
  const some = new Reveals(200_000);
  some.reveal(7, 0);
  for (const slot of [3, 4, 5]) owed.add(slot, some.revealed);
  owed.say();
  assert.equal(said.length, HAVES_PER_CALL);
  owed.forget(5);
  owed.say();
  owed.say();
  assert.equal(said.length, 2 * 199_999);
  assert.equal(new Set(said).size, said.length);
});

/** One event of a random scene; an event for a peer that is not there brings it. */
function happen(scene: SuperScene, kind: number, slot: number, pick: number): void {
  const peer = scene.peers.get(slot);
  if (kind === 0) scene.pass(1_000 + pick * 20);
  else if (peer === undefined) scene.join(slot, pick % 4 !== 0);
  else if (kind === 1 && pick % 4 === 0) scene.leave(slot);
  else if (kind === 2) scene.interest(slot, pick % 3 !== 0);
  else if (kind === 3 && pick % 8 === 0)
    scene.bitfield(
      slot,
      scene.pieces.filter((piece) => (piece * pick) % 7 === 3),
    );
  else if (kind === 4) scene.have(slot, pick % scene.pieceCount);
  else for (const piece of scene.open(slot).slice(0, 1 + (pick % 3))) scene.have(slot, piece);
}

/** It may be held back: a piece came from us long ago and is nowhere else. */
function isKeeping(scene: SuperScene, peer: ScenePeer): boolean {
  return [...peer.gotMs].some(([piece, ms]) => scene.copies(piece) === 1 && scene.nowMs - ms >= 10_000);
}

/** After a tick: who is served and has nothing open finds nothing that is unrevealed. */
function checkNobodyStarves(scene: SuperScene): void {
  const taken = new Set(
    [...scene.peers.keys()].filter((slot) => !scene.isChoked(slot)).flatMap((slot) => scene.open(slot)),
  );
  for (const [slot, peer] of scene.peers) {
    if (scene.open(slot).length > 0 || isKeeping(scene, peer)) continue;
    const left = scene.pieces.filter((piece) => scene.copies(piece) === 0 && !taken.has(piece));
    assert.deepEqual(left, [], `slot ${slot} starves at ${scene.nowMs} ms`);
  }
}

test('whatever peers do: pieces leave once before any leaves twice, nobody starves, it ends when all are out', () => {
  const event = fc.tuple(fc.nat(6), fc.nat(5), fc.nat(255));
  const shape = fc.record({
    seed: fc.nat(),
    pieces: fc.integer({ min: 2, max: 40 }),
    uploadSlots: fc.constantFrom(1, 2, 4, Number.POSITIVE_INFINITY),
    events: fc.array(event, { minLength: 1, maxLength: 300, size: 'max' }),
  });
  fc.assert(
    fc.property(shape, ({ seed, pieces, uploadSlots, events }) => {
      const scene = new SuperScene(pieces, { seed, uploadSlots, maxSlots: 6 });
      let sawSeed = false;
      let beganMs = 0;
      let allOutMs: number | null = null;
      for (const [kind, slot, pick] of events) {
        const before = scene.peers.size;
        happen(scene, kind, slot, pick);
        if (before === 0 && scene.peers.size === 1) beganMs = scene.nowMs;
        scene.scheduler.checkInvariants();
        const isOut = scene.pieces.every((piece) => scene.copies(piece) > 0);
        if (!isOut) allOutMs = null;
        else allOutMs ??= scene.nowMs;
        sawSeed ||= kind === 3 && scene.peers.get(slot)?.has.size === pieces;
        if (!scene.isActive) {
          const isFound = [...scene.peers.values()].some((peer) => peer.revealed.size - peer.shownAtEnd >= pieces - 1);
          assert.ok(
            isOut || sawSeed || isFound || scene.nowMs - scene.usedMs >= 60_000,
            'ended with a piece that nobody has',
          );
          for (const peer of scene.peers.values()) assert.equal(peer.revealed.size, pieces);
          return;
        }
        if (kind !== 0) continue;
        checkNobodyStarves(scene);
        if (allOutMs === null) continue;
        assert.ok(scene.nowMs - allOutMs < (allOutMs - beganMs) / 5, 'all is out for long, and it goes on');
        assert.ok(
          [...scene.peers.values()].some((peer) => peer.has.size < pieces),
          'everybody is complete, and it goes on',
        );
      }
    }),
    { numRuns: 300, includeErrorInReport: true },
  );
});
