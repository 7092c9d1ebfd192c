import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { CANDIDATES, PROBES } from '../../src/scheduler/pieces/picker.js';
import { HIGH, NORMAL, SKIP } from '../../src/scheduler/pieces/priority.js';
import { picksAre, scene } from './picker-scene.js';

const SEQUENTIAL = { isSequential: true };

describe('rarest first', () => {
  test('the rarest piece that the peer has is picked', () => {
    picksAre(`
      me    ######
      b     #.####
      c     #.##.#
      pick  .^....`);
    picksAre(`
      me    #.####
      b     ######
      c     #.##.#
      pick  ....^.`);
  });

  test('equally rare pieces are all picked by some seed', () => {
    picksAre(`
      me    ######
      b     #..##.
      pick  .^^..^`);
  });

  test('a seed adds a copy to every piece and changes no order', () => {
    const drawing = `
      me    all
      b     ##..
      c     all
      pick  ..^^`;
    picksAre(drawing);
    const { availability, pieceCount } = scene(drawing);
    const copies = Array.from({ length: pieceCount }, (_, piece) => availability.copies(piece));
    assert.deepEqual(copies, [3, 3, 2, 2]);
  });

  test('a piece that only seeds have is not offered to another peer', () => {
    picksAre(`
      me    ##..
      b     all
      c     all
      pick  ^^..`);
  });

  test('pieces of which blocks are here go first, of those that the peer has and the highest priority', () => {
    const begun = [1, 4, 5];
    picksAre('me ###### \n b .#####\n pick .^....', { begun });
    picksAre('me #.###. \n b .#####\n pick ....^.', { begun, randomPieces: 4 });
    picksAre('me #.##.. \n b .#####\n pick ^.....', { begun });
    picksAre('ours .#..#.\n me all\n pick .....^', { begun });
    picksAre('ours .#..##\n me all\n b .#####\n pick ^.....', { begun });
    picksAre('want 222332 \n me all\n pick ....^.', { begun });
    picksAre('want 202222 \n me all\n pick ....^.', { begun: [1, 4] });
    picksAre('me all\n pick ^.....\n b ######', { begun, isSequential: true });
  });

  test('begun pieces that nobody has hide no others, however many there are', () => {
    const drawing = `me ${'.'.repeat(200)}##\n b ${'#'.repeat(202)}`;
    const { picker } = scene(drawing, { begun: Array.from({ length: 201 }, (_, piece) => piece) });
    const found = Array.from({ length: 4 }, () => picker.pick(0));
    assert.ok(found.includes(200), found.join());
    assert.ok(found.every((piece) => piece >= 200));
  });

  test('what is open or verified is not picked', () => {
    picksAre(`
      ours  #.#.
      me    all
      pick  .^.^`);
    picksAre(`
      ours  #.#.
      me    #.#.
      pick  ....`);
  });

  test('a peer without pieces is offered nothing', () => {
    picksAre(`
      me    ....
      b     all
      pick  ....`);
  });

  test('the first pieces are taken at random, not by rarity', () => {
    picksAre(
      `
      me    ####
      b     ###.
      pick  ^^^^`,
      { randomPieces: 4 },
    );
  });
});

describe('priorities', () => {
  test('a common piece of high priority goes before a rare one of normal, and that before one of low', () => {
    picksAre(`
      want  123123
      me    ######
      b     ..#..#
      c     ..#...
      pick  .....^`);
    picksAre(`
      want  123123
      me    ##.##.
      b     ....##
      pick  .^....`);
    picksAre(`
      want  123123
      me    #..#..
      b     .##.##
      pick  ^..^..`);
  });

  test('skipped pieces are never picked', () => {
    picksAre(`
      want  0200
      me    all
      pick  .^..`);
    picksAre(`
      want  0200
      me    #.##
      pick  ....`);
  });

  test('pieces at random are of the highest priority there is; a peer with none gets its rarest of the next', () => {
    const random = { randomPieces: 4 };
    picksAre('want 33322\n me ##.##\n b #....\n pick ^^...', random);
    picksAre('want 33322\n me ...##\n b  ####.\n pick ....^', random);
    picksAre('want 33322\n ours ###..\n me ...##\n b  ####.\n pick ...^^', random);
  });

  test('a piece that gets another priority is picked by it', () => {
    const { availability, picker } = scene('me #####');
    for (const [piece, priority] of [
      [3, HIGH],
      [1, SKIP],
    ] as const) {
      availability.setPriority(piece, priority);
      availability.reopen(piece);
      picker.offered(piece);
    }
    availability.checkInvariants();
    assert.equal(picker.pick(0), 3);
    availability.close(3);
    assert.notEqual(picker.pick(0), 1);
    assert.equal(availability.pickableCount, 3);
  });
});

describe('sequential', () => {
  test('the first piece that the peer has is picked, however common', () => {
    picksAre('ours #..... \n me ###### \n b .#####\n pick .^....', SEQUENTIAL);
    picksAre('ours #..... \n me ...#.# \n b ######\n pick ...^..', SEQUENTIAL);
    picksAre('me all\n b .#####\n pick ^.....', SEQUENTIAL);
    picksAre('me ......\n b ######\n pick ......', SEQUENTIAL);
  });

  test('higher priorities go first', () => {
    picksAre('want 012323 \n me ###### \n pick ...^..', SEQUENTIAL);
    picksAre('want 012323 \n me ###.#. \n pick ..^...', SEQUENTIAL);
  });

  test('no piece is taken at random', () => {
    const { picker } = scene('me ####', SEQUENTIAL);
    assert.equal(picker.randomPieces, 0);
  });

  test('pieces come in order over many words, and one that comes back is the next', () => {
    const { availability, picker, pieceCount } = scene(`me ${'##.'.repeat(70)}`, SEQUENTIAL);
    const take = (): number => {
      const piece = picker.pick(0);
      if (piece >= 0) availability.close(piece);
      return piece;
    };
    const all = Array.from({ length: pieceCount }, (_, piece) => piece).filter((piece) => piece % 3 < 2);
    assert.deepEqual(Array.from(all, take), all);
    assert.equal(take(), -1);
    for (const piece of [130, 4]) {
      availability.reopen(piece);
      picker.offered(piece);
    }
    assert.deepEqual([take(), take(), take()], [4, 130, -1]);
  });
});

test('a peer found useless is asked about again once a piece comes back or it gains one', () => {
  const { availability, picker } = scene(`
    ours  .#.
    me    .#.`);
  assert.equal(picker.pick(0), -1);
  availability.reopen(1);
  picker.offered(1);
  assert.equal(picker.pick(0), 1);
});

describe('what the bounded probes may miss', () => {
  /** Pieces that the peer lacks, as rare as its rarest; its rarest; and its other pieces, more common. */
  const drawing = (lacked: number, common: number): string => `
    me    ${'.'.repeat(lacked)}#${'#'.repeat(common)}
    b     ${'#'.repeat(lacked)}.${'#'.repeat(common)}
    c     ${'.'.repeat(lacked)}.${'#'.repeat(common)}`;
  const picksOf = (lacked: number, common: number): Set<number> =>
    new Set(Array.from({ length: 100 }, (_, seed) => scene(drawing(lacked, common), {}, seed).picker.pick(0)));

  test('nothing, while fewer pieces that the peer lacks are as rare as its rarest than are probed', () => {
    assert.deepEqual([...picksOf(PROBES - 1, 300)], [PROBES - 1]);
  });

  test('nothing, when the peer has no more pieces than are compared', () => {
    assert.deepEqual([...picksOf(300, CANDIDATES - 1)], [300]);
  });

  test('else the rarest, for a more common piece: but the peer is never offered a piece it lacks, or none', () => {
    const found = picksOf(300, 300);
    assert.ok(found.has(300), 'found by some seed');
    assert.ok(found.size > 1, 'missed by some seed');
    for (const piece of found) assert.ok(piece >= 300);
  });
});

test('normal is the priority of a piece of which nothing was said', () => {
  const { availability } = scene('me ##');
  assert.equal(availability.priority(1), NORMAL);
  assert.equal(availability.hasPriorities, false);
});
