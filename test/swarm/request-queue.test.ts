import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeRandom } from '../../src/random.js';
import { RequestQueue } from '../../src/swarm/request-queue.js';

const BLOCK = 16 * 1024;

function waiting(queue: RequestQueue): string[] {
  const found: string[] = [];
  queue.forEach((...numbers) => {
    found.push(numbers.join(' '));
  });
  return found;
}

test('any run of pushes, shifts, cancels and read-aheads leaves what a plain list would hold', () => {
  const step = fc.record({
    what: fc.constantFrom('push', 'push', 'push', 'shift', 'remove', 'advance', 'clear'),
    piece: fc.nat(6),
    block: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const queue = new RequestQueue(makeRandom(1));
      let list: { text: string; isAhead: boolean }[] = [];
      for (const { what, piece, block } of steps) {
        const text = `${piece} ${block * BLOCK} ${BLOCK}`;
        if (what === 'push') {
          queue.push(piece, block * BLOCK, BLOCK);
          list.push({ text, isAhead: false });
        } else if (what === 'shift' && list.length > 0) {
          assert.equal(`${queue.piece} ${queue.begin} ${queue.lengthBytes}`, list.shift()!.text);
          queue.shift();
        } else if (what === 'remove') {
          const isThere = list.some((entry) => entry.text === text);
          // Of equal requests any one may go; the list follows the queue's choice by what is left.
          assert.equal(queue.remove(piece, block * BLOCK, BLOCK), isThere);
          if (isThere) list = without(list, text, queue.aheadBytes / BLOCK);
        } else if (what === 'advance') {
          const next = list.find((entry) => !entry.isAhead);
          assert.equal(queue.advance(Number.POSITIVE_INFINITY), next !== undefined);
          if (next !== undefined) {
            next.isAhead = true;
            assert.equal(`${queue.aheadPiece} ${queue.aheadBegin} ${queue.aheadLengthBytes}`, next.text);
          }
        } else if (what === 'clear') {
          queue.clear();
          list = [];
        }
        assert.equal(queue.length, list.length);
        assert.equal(queue.aheadBytes, list.filter((entry) => entry.isAhead).length * BLOCK);
      }
      assert.deepEqual(waiting(queue).sort(), list.map((entry) => entry.text).sort());
    }),
  );
});

/** The list without one of its equal entries: the newest, which is the one the queue lets go. */
function without(
  list: { text: string; isAhead: boolean }[],
  text: string,
  aheadCount: number,
): { text: string; isAhead: boolean }[] {
  const at = list.findLastIndex((entry) => entry.text === text);
  const left = list.filter((_, index) => index !== at);
  assert.equal(left.filter((entry) => entry.isAhead).length, aheadCount);
  return left;
}

test('a cancel looks at a few requests only, however full the queue is and however regular what stands in it', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const queue = new RequestQueue(makeRandom(seed));
    for (let index = 0; index < 2000; index++) queue.push(Math.floor(index / 64), (index % 64) * BLOCK, BLOCK);
    assert.ok(queue.longestChain <= 16, `seed ${seed}: ${queue.longestChain}`);
    // Cancelled and asked again, as a peer in its endgame does: nothing piles up.
    for (let index = 0; index < 20_000; index++) {
      const piece = (index * 7919) % 32;
      if (queue.remove(piece, BLOCK, BLOCK)) queue.push(piece, BLOCK, BLOCK);
    }
    assert.ok(queue.longestChain <= 16, `seed ${seed}: ${queue.longestChain}`);
  }
});

test('a read-ahead counts the units it touches: in order as many as the bytes fill, all over one per request', () => {
  const MIB = 1024 * 1024;
  const ordered = new RequestQueue(makeRandom(1), MIB);
  const scattered = new RequestQueue(makeRandom(1), MIB);
  const inTurns = new RequestQueue(makeRandom(1), MIB);
  for (let i = 0; i < 256; i++) {
    ordered.push(Math.floor(i / 64), (i % 64) * BLOCK, BLOCK);
    scattered.push(i, 0, BLOCK);
    inTurns.push(i % 3, Math.floor(i / 3) * BLOCK, BLOCK);
  }
  const ahead = (queue: RequestQueue): number => {
    let count = 0;
    while (queue.advance(Number.POSITIVE_INFINITY, 8)) count++;
    return count;
  };
  assert.deepEqual([ahead(ordered), ahead(scattered), ahead(inTurns)], [256, 8, 256]);
  assert.deepEqual([ordered.aheadUnits, scattered.aheadUnits], [4, 8]);
  scattered.shift();
  assert.ok(scattered.remove(1, 0, BLOCK));
  assert.equal(scattered.aheadUnits, 6);
  assert.equal(ahead(scattered), 2);
  const astride = new RequestQueue(makeRandom(1), MIB);
  for (let i = 0; i < 8; i++) astride.push(i, MIB - 1, 2);
  assert.equal(ahead(astride), 4, 'a range over two units counts twice');
});

test('a run that loses blocks comes out as the parts left, whatever is cancelled and sent in whatever order', () => {
  const step = fc.record({
    what: fc.constantFrom('push', 'push', 'shift', 'block', 'block', 'block', 'whole', 'piece', 'advance'),
    piece: fc.nat(3),
    block: fc.nat(15),
    blocks: fc.constantFrom(1, 2, 5, 16),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new RequestQueue(makeRandom(1));
      // One request for each piece and length at most, each a list of the blocks that are left.
      let list: { piece: number; blocks: number; left: number[] }[] = [];
      const partsOf = ({ piece, left }: { piece: number; left: number[] }): string[] => {
        const starts = left.filter((block) => !left.includes(block - 1));
        return starts.map((start) => {
          let end = start;
          while (left.includes(end)) end++;
          return `${piece} ${start * BLOCK} ${(end - start) * BLOCK}`;
        });
      };
      for (const { what, piece, block, blocks } of steps) {
        const entry = list.find((one) => one.piece === piece && one.blocks === blocks);
        if (what === 'push' && entry === undefined) {
          queue.push(piece, 0, blocks * BLOCK);
          list.push({ piece, blocks, left: Array.from({ length: blocks }, (_, index) => index) });
        } else if (what === 'shift' && list.length > 0) {
          const [part] = partsOf(list[0]!);
          assert.equal(`${queue.piece} ${queue.begin} ${queue.lengthBytes}`, part);
          const [, begin, length] = part!.split(' ').map(Number) as [number, number, number];
          list[0]!.left = list[0]!.left.filter((one) => one * BLOCK >= begin + length);
          queue.shift();
        } else if (what === 'block' && block < blocks) {
          const isThere = entry?.left.includes(block) ?? false;
          assert.equal(queue.removeBlock(piece, 0, blocks * BLOCK, block), isThere);
          if (isThere) entry!.left = entry!.left.filter((one) => one !== block);
        } else if (what === 'whole') {
          assert.equal(queue.remove(piece, 0, blocks * BLOCK), entry !== undefined);
          if (entry !== undefined) entry.left = [];
        } else if (what === 'piece') {
          const gone = list.filter((one) => one.piece === piece);
          const parts = queue.removePiece(piece).map(({ begin, length }) => `${piece} ${begin} ${length}`);
          assert.deepEqual(parts, gone.flatMap(partsOf));
          for (const one of gone) one.left = [];
        } else if (what === 'advance') queue.advance(Number.POSITIVE_INFINITY);
        list = list.filter((one) => one.left.length > 0);
        assert.equal(queue.length, list.length);
        assert.deepEqual(waiting(queue), list.flatMap(partsOf));
      }
      while (queue.length > 0) queue.shift();
      assert.equal(queue.aheadBytes, 0);
    }),
  );
});

test('a run that is taken back tells which parts of it were left', () => {
  const queue = new RequestQueue(() => 0.5);
  const left: [begin: number, length: number][] = [];
  const takeBack = (blocks: number): boolean =>
    queue.remove(7, 0, blocks * BLOCK, (begin, length) => void left.push([begin, length]));
  queue.push(7, 0, 4 * BLOCK);
  assert.ok(queue.removeBlock(7, 0, 4 * BLOCK, 1));
  assert.ok(takeBack(4));
  assert.deepEqual(left.splice(0), [
    [0, BLOCK],
    [2 * BLOCK, 2 * BLOCK],
  ]);
  queue.push(7, 0, 5000);
  assert.ok(!takeBack(4));
  assert.ok(queue.remove(7, 0, 5000, (begin, length) => void left.push([begin, length])));
  assert.deepEqual(left, [[0, 5000]]);
});

test('a run whose blocks are cancelled one by one is gone with the last of them', () => {
  const queue = new RequestQueue(() => 0.5);
  queue.push(1, 0, 32_768);
  queue.push(2, 0, 16_384);
  for (const block of [1, 0]) assert.equal(queue.removeBlock(1, 0, 32_768, block), true);
  assert.deepEqual([queue.length, queue.piece, queue.lengthBytes], [1, 2, 16_384]);
});

test('what of a run was cancelled stays cancelled when the queue grows', () => {
  const queue = new RequestQueue(() => 0.5);
  queue.push(1, 0, 32_768);
  queue.removeBlock(1, 0, 32_768, 0);
  for (let piece = 2; piece < 100; piece++) queue.push(piece, 0, 16_384);
  assert.deepEqual([queue.piece, queue.begin, queue.lengthBytes], [1, 16_384, 16_384]);
});
