/** Who gets memory, who waits and who gives way; with a clock of our own and made-up torrents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { setUp, Torrent } from './pool-scene.js';

test('one torrent may have all of it, another that comes gets what is given back, a piece each in turn', () => {
  const { pool, later } = setUp(10);
  const [busy, other, third] = [new Torrent(pool, 1), new Torrent(pool, 1), new Torrent(pool, 1)];
  assert.equal(busy.share.roomPieces, 10);
  assert.equal(busy.open(100), 10);
  assert.equal(other.open(1), 0);
  assert.equal(third.open(1), 0);
  [busy.wanted, other.wanted, third.wanted] = [99, 99, 99];
  assert.equal(busy.share.roomPieces, 0);
  for (let turn = 0; turn < 6; turn++) {
    busy.share.givePiece();
    later();
  }
  assert.deepEqual(
    [busy, other, third].map(({ share }) => share.pieces),
    [6, 2, 2],
  );
  assert.equal(pool.liveBytes, 10);
});

test('who is let past without wanting any more keeps nobody waiting', () => {
  const { pool, later } = setUp(4);
  const [a, b, c] = [new Torrent(pool, 2), new Torrent(pool, 2), new Torrent(pool, 2)];
  assert.equal(a.open(9), 2);
  assert.equal(b.open(1) + c.open(1), 0);
  c.wanted = 1;
  a.share.givePiece();
  later();
  assert.deepEqual([b.share.pieces, c.share.pieces], [0, 1]);
});

test('pieces larger than all there is: two of a torrent alone, then one after a while, and another much later', () => {
  const { pool } = setUp(10);
  const [alone, other] = [new Torrent(pool, 64), new Torrent(pool, 64)];
  assert.equal(alone.share.mostPieces, 2);
  assert.equal(alone.share.roomPieces, 2);
  assert.equal(alone.open(9), 2);
  pool.tick(1000);
  assert.equal(other.open(1), 0);
  other.wanted = 9;
  pool.tick(5900);
  assert.equal(other.share.pieces, 0);
  pool.tick(6000);
  assert.equal(other.share.pieces, 1);
  pool.tick(15_900);
  assert.equal(other.share.pieces, 1);
  pool.tick(16_000);
  assert.equal(other.share.pieces, 2);
  pool.tick(100_000);
  assert.equal(other.share.pieces, 2, 'never more than two beyond the bounds');
});

test('pieces beyond the bounds that become units leave their torrent four units beyond them', () => {
  const { pool } = setUp(10);
  const [holder, late] = [new Torrent(pool, 1), new Torrent(pool, 1)];
  assert.equal(holder.open(99), 10);
  pool.tick(1000);
  assert.equal(late.open(1), 0);
  late.wanted = 1;
  pool.tick(6000);
  assert.equal(late.share.pieces, 1);
  for (let turn = 0; turn < 20; turn++) {
    late.share.givePiece();
    late.share.adoptUnit();
    assert.equal(late.open(1), 1, 'owed');
  }
  assert.equal(late.share.units, 4);
  assert.equal(pool.liveBytes, 15);
});

test('who waits for a unit keeps its place in the line when a piece of its own becomes one', () => {
  const { pool, later } = setUp(10);
  const [reader, writer] = [new Torrent(pool, 1), new Torrent(pool, 1)];
  reader.used = 10;
  assert.equal(reader.read(99), 10);
  assert.equal(writer.open(1), 1);
  assert.equal(writer.read(1), 0);
  writer.share.givePiece();
  writer.share.adoptUnit();
  later();
  assert.equal(writer.unitCalls, 0, 'there is no room');
  pool.tick(2000);
  assert.equal(writer.unitCalls, 1);
  writer.used = 4;
  assert.equal(writer.read(99), 3, 'all of its least');
});

test('pieces that are of no use are closed for those who stand in line', () => {
  const { pool, later } = setUp(10);
  const [stalled, other] = [new Torrent(pool, 1), new Torrent(pool, 1)];
  assert.equal(stalled.open(99), 10);
  stalled.spare = 8;
  later();
  assert.equal(stalled.pieceCalls, 0, 'nobody else wants any');
  assert.equal(other.open(1), 0);
  other.wanted = 9;
  later();
  assert.deepEqual([stalled.share.pieces, other.share.pieces], [2, 8]);
  stalled.spare = 1;
  pool.tick(1000);
  later();
  assert.deepEqual([stalled.share.pieces, other.share.pieces], [1, 9]);
  assert.ok(!stalled.share.isShortOfPieces && !other.share.isShortOfPieces);
  other.wanted = 0;
  assert.equal(other.open(1), 0);
  assert.equal(stalled.open(1), 0);
  assert.ok(stalled.share.isShortOfPieces, 'it is told that it waits for memory');
});

test('whoever came too late once keeps up its least beyond the bounds, as fast as its pieces are done', () => {
  const { pool, later } = setUp(10);
  const [stalled, other] = [new Torrent(pool, 1), new Torrent(pool, 1)];
  assert.equal(stalled.open(99), 10);
  assert.equal(other.open(1), 0);
  other.wanted = 1;
  pool.tick(5000);
  assert.equal(other.share.pieces, 1);
  for (let ms = 5010, done = 0; ms < 15_000; ms += 10, done++) {
    assert.equal(other.open(9), 0, 'one and no more');
    other.share.givePiece();
    later();
    assert.equal(other.open(9), 1, `done ${done}`);
    if (ms % 1000 === 0) pool.tick(ms);
  }
  other.wanted = 1;
  pool.tick(16_000);
  assert.equal(other.share.pieces, 2);
  other.share.givePiece();
  other.share.givePiece();
  later();
  assert.equal(other.open(9), 2);
  stalled.share.leave();
  later();
  assert.equal(other.open(99), 8);
  assert.equal(stalled.open(1), 0);
  other.share.leave();
  later();
  assert.equal(pool.liveBytes, 0);
});

test('fifty torrents whose pieces go on share a small budget by turns, and it is kept', () => {
  const { pool, later } = setUp(40);
  const torrents = Array.from({ length: 50 }, () => new Torrent(pool, 1));
  const done = new Map(torrents.map((torrent) => [torrent, 0]));
  for (const torrent of torrents) torrent.wanted = 2 - torrent.open(2);
  for (let ms = 0; ms < 20_000; ms += 100) {
    for (const torrent of torrents) {
      if (torrent.share.pieces === 0) continue;
      torrent.share.givePiece();
      torrent.wanted++;
      done.set(torrent, done.get(torrent)! + 1);
    }
    for (const torrent of torrents) torrent.wanted -= torrent.open(torrent.wanted);
    later();
    if (ms % 1000 === 0) pool.tick(ms);
    assert.ok(pool.liveBytes <= 40);
  }
  const counts = [...done.values()];
  assert.ok(Math.min(...counts) > 100, `a torrent had ${Math.min(...counts)} pieces`);
});

test('fifty torrents whose pieces take three seconds wait in order: nobody goes beyond the bounds for it', () => {
  const { pool, later } = setUp(40);
  const torrents = Array.from({ length: 50 }, () => new Torrent(pool, 1));
  const done = new Map(torrents.map((torrent) => [torrent, 0]));
  for (const torrent of torrents) torrent.wanted = 2 - torrent.open(2);
  for (let ms = 0, next = 0; ms < 60_000; ms += 75) {
    // 40 pieces in three seconds: one each time, of whoever has some, in turn.
    while (torrents[next % 50]!.share.pieces === 0) next++;
    const torrent = torrents[next++ % 50]!;
    torrent.share.givePiece();
    torrent.wanted++;
    torrent.wanted -= torrent.open(torrent.wanted);
    done.set(torrent, done.get(torrent)! + 1);
    later();
    if (ms % 1000 < 75) pool.tick(ms);
    assert.ok(pool.liveBytes <= 40, `${pool.liveBytes} at ${ms} ms`);
  }
  assert.ok(Math.min(...done.values()) >= 5);
});

test('who waits for a unit has one that lies idle before the bounds give way', () => {
  const { pool } = setUp(4);
  const torrents = Array.from({ length: 5 }, () => new Torrent(pool, 1));
  assert.deepEqual(
    torrents.map((torrent) => torrent.read(1)),
    [1, 1, 1, 1, 0],
  );
  torrents[0]!.used = 1;
  pool.tick(1000);
  assert.equal(torrents[4]!.unitCalls, 1);
  assert.equal(torrents[4]!.read(1), 1);
  assert.deepEqual(
    torrents.map(({ share }) => share.units),
    [1, 0, 1, 1, 1],
  );
});

test('who came too late for a unit gets all of its least at once: one of a range alone would be taken back', () => {
  const { pool } = setUp(4);
  const [busy, late] = [new Torrent(pool, 1), new Torrent(pool, 1)];
  assert.equal(busy.read(4), 4);
  busy.used = 4;
  assert.equal(late.read(3), 0);
  pool.tick(1000);
  assert.equal(late.unitCalls, 1);
  assert.equal(late.read(4), 4);
  assert.equal(late.share.isLate, false);
});

test('the units of many torrents are small, so that the least of each is within the bounds', () => {
  const MIB = 2 ** 20;
  const { pool } = setUp(32 * MIB);
  let leastBytes = 0;
  const torrents = Array.from({ length: 50 }, () => {
    const unitBytes = pool.unitBytesFor(MIB);
    leastBytes += 3 * unitBytes;
    return new Torrent(pool, MIB, unitBytes);
  });
  assert.equal(torrents[0]!.share.unitBytes, MIB);
  assert.equal(torrents[49]!.share.unitBytes, MIB / 8);
  assert.ok(leastBytes <= 32 * MIB);
  for (const { share } of torrents) share.leave();
  assert.equal(pool.unitBytesFor(MIB), MIB);
  assert.equal(setUp(Number.POSITIVE_INFINITY).pool.unitBytesFor(MIB), MIB);
});

test('pieces take what units do not use, up to three quarters; units that are wanted get the rest back', () => {
  const { pool, later } = setUp(16);
  const [leech, seed] = [new Torrent(pool, 1), new Torrent(pool, 1)];
  assert.equal(seed.read(99), 99, 'each pushes out one that nobody uses');
  assert.equal(pool.liveBytes, 16);
  assert.equal(leech.open(99), 12);
  assert.equal(seed.share.units, 4);
  pool.tick(20_000);
  later();
  assert.equal(seed.share.units, 0);
  assert.equal(leech.open(99), 4, 'no units, no part of them');
  assert.equal(seed.read(5), 5, 'who serves alone has four in any case, one after the other');
  assert.equal(seed.share.units, 4);
  seed.used = 4;
  assert.equal(seed.read(1), 0);
  for (let piece = 0; piece < 4; piece++) leech.share.givePiece();
  later();
  assert.equal(seed.unitCalls, 0, 'that is what the four were beyond the bounds');
  leech.share.givePiece();
  later();
  assert.equal(seed.unitCalls, 1);
  assert.equal(seed.read(1), 1);
});

test('units nobody uses give way to whoever has fewer, those in use do not', () => {
  const { pool } = setUp(8);
  const [a, b, c] = [new Torrent(pool, 1), new Torrent(pool, 1), new Torrent(pool, 1)];
  assert.equal(a.read(8), 8);
  assert.equal(b.read(4), 4);
  assert.deepEqual([a.share.units, b.share.units], [4, 4]);
  [a.used, b.used] = [4, 4];
  assert.equal(c.read(1), 0);
  pool.tick(500);
  assert.equal(c.unitCalls, 0);
  pool.tick(1000);
  assert.equal(c.unitCalls, 1);
  assert.equal(c.read(4), 4, 'four beyond the bounds');
  c.used = 4;
  pool.tick(2000);
  assert.equal(c.read(5), 0, 'and no more');
  pool.tick(3000);
  assert.equal(c.read(5), 0);
  b.used = 0;
  b.share.unitIsFree();
  assert.equal(c.read(1), 0, 'the four beyond the bounds count');
  assert.equal(pool.liveBytes, 12);
});

test('memory on its way out counts up to the limit, and comes back as room', () => {
  const { pool, later } = setUp(8, 10);
  const [a, b] = [new Torrent(pool, 1, 1, true), new Torrent(pool, 1, 1, true)];
  assert.equal(a.read(10), 10);
  assert.deepEqual([pool.liveBytes, pool.heldBytes], [8, 10]);
  assert.equal(b.read(1), 0);
  assert.ok(pool.heldBytes <= 11);
  a.share.unitLeft();
  later();
  assert.equal(b.unitCalls, 1);
  assert.equal(b.read(1), 1);
});

test('a torrent that serves nothing for ten seconds gives its units up, and one that leaves everything', () => {
  const { pool, later } = setUp(8);
  const [idle, active, waiting] = [new Torrent(pool, 1), new Torrent(pool, 1), new Torrent(pool, 8)];
  idle.read(4);
  active.read(2);
  for (let ms = 1000; ms < 10_000; ms += 1000) {
    active.wasUsed = true;
    pool.tick(ms);
    assert.equal(idle.share.units, 4);
  }
  active.wasUsed = true;
  pool.tick(10_000);
  assert.deepEqual([idle.share.units, active.share.units], [0, 2]);
  idle.open(6);
  assert.equal(waiting.open(1), 0);
  waiting.wanted = 1;
  idle.share.leave();
  active.share.leave();
  later();
  assert.equal(waiting.share.pieces, 1);
  waiting.share.leave();
  assert.equal(pool.heldBytes, 0);
});

test('whatever torrents do, the books balance and the bounds hold but for two pieces and four units each', () => {
  const step = fc.tuple(fc.nat(7), fc.nat(3), fc.nat(3000));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.boolean(), (steps, isSlow) => {
      const { pool, later } = setUp(24, 27);
      const torrents = [1, 4, 3, 16].map(
        (pieceBytes) => new Torrent(pool, pieceBytes, Math.min(2, pieceBytes), isSlow),
      );
      let nowMs = 0;
      for (const [action, which, ms] of steps) {
        const torrent = torrents[which]!;
        const { share } = torrent;
        if (action === 0) torrent.wanted = 3 - torrent.open(3);
        else if (action === 1 && share.pieces > 0) share.givePiece();
        else if (action === 2) share.takeUnit();
        else if (action === 3) torrent.used = Math.min(share.units, torrent.used + 1);
        else if (action === 4 && torrent.used > 0) torrent.used--;
        else if (action === 5 && share.leaving > 0) share.unitLeft();
        else if (action === 6 && share.leaving > 0) share.unitStays();
        else if (action === 7) {
          nowMs += ms;
          pool.tick(nowMs);
        }
        later();
        const held = torrents.map((each) => each.share.pieces * each.share.pieceBytes);
        const units = torrents.map((each) => each.share.units * each.share.unitBytes);
        const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
        assert.equal(pool.liveBytes, sum(held) + sum(units));
        const beyond = sum(torrents.map((each) => 2 * each.share.pieceBytes + 4 * each.share.unitBytes));
        const back = isSlow ? steps.length : 0;
        assert.ok(pool.liveBytes <= 24 + beyond + back);
      }
      for (const { share } of torrents) share.leave();
      assert.equal(pool.heldBytes, 0);
    }),
  );
});
