import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { Geometry } from '../../src/metainfo/geometry.js';
import type { StorageReads } from '../../src/storage/port.js';
import { PinBook, type PinnedShare } from '../../src/swarm/pinned-share.js';
import { Uptake } from '../../src/swarm/uptake.js';

const MIB = 1024 * 1024;
const BLOCK = 16 * 1024;

function scene(count: number) {
  const storage = { units: { lengthBytes: MIB, count }, pinnedUnits: 0 };
  const book = new PinBook(new Geometry(1000 * MIB, MIB), storage as unknown as StorageReads);
  /** Pins a block of each piece from `first` on until it is refused; returns how many it got, and why no more. */
  const fill = (share: PinnedShare, first: number): string => {
    for (let piece = first; ; piece++) {
      const verdict = share.verdict(piece, 0, BLOCK);
      if (verdict !== 'free') return `${piece - first} ${verdict}`;
      share.add(piece, 0, BLOCK);
      storage.pinnedUnits++;
    }
  };
  const join = (host: string): PinnedShare => {
    const share = book.join(host);
    share.uptake.took(MIB);
    return share;
  };
  return { storage, book, fill, join };
}

test('a peer that reads briskly pins eight units, a new one two', () => {
  const { book, fill, join } = scene(96);
  assert.equal(fill(join('192.0.2.1'), 0), '8 own');
  assert.equal(fill(book.join('192.0.2.2'), 100), '2 own');
});

test('a range over two units counts as two', () => {
  const { join } = scene(96);
  const book = new PinBook(new Geometry(8 * 4 * MIB, 4 * MIB), {
    units: { lengthBytes: MIB, count: 96 },
    pinnedUnits: 0,
  } as unknown as StorageReads);
  const share = book.join('192.0.2.1');
  share.add(0, MIB - BLOCK, 2 * BLOCK);
  assert.equal(share.units, 2);
  assert.equal(share.verdict(0, MIB - 1, 2), 'free', 'what is pinned costs nothing');
  assert.equal(share.verdict(1, 0, BLOCK), 'own');
  share.remove(0, MIB - BLOCK, 2 * BLOCK);
  assert.equal(share.units, 0);
  assert.equal(join('192.0.2.1').verdict(0, 0, BLOCK), 'free');
});

test('blocks on their way are bounded by number too: bytes that lie in one unit cost heap and no unit', () => {
  const { book, join } = scene(96);
  /** Asks for one byte after the other. */
  const ask = (share: PinnedShare, most = Number.POSITIVE_INFINITY): number => {
    let count = 0;
    for (; count < most && share.verdict(0, count, 1) === 'free'; count++) share.add(0, count, 1);
    return count;
  };
  const slow = book.join('192.0.2.1');
  assert.equal(ask(slow), LIMITS.slowSendBytesPerPeer / (8 * 1024));
  slow.remove(0, 0, 1);
  assert.equal(ask(slow), 1);
  assert.equal(ask(join('192.0.2.2')), LIMITS.sendBytesPerPeer / (8 * 1024));
  const most = (2 * 96 * MIB) / BLOCK;
  for (let host = 0; book.blocks < most; host++) ask(join(`192.0.3.${host}`), most - book.blocks);
  assert.equal(ask(join('192.0.2.3')), 4, 'nobody is shut out');
  assert.equal(slow.verdict(0, 0, 1), 'own');
  book.blocks -= most;
  assert.equal(ask(join('192.0.2.4')), 256);
});

test('all peers together leave a quarter of the units free, the slow ones half', () => {
  const { storage, book, fill, join } = scene(96);
  for (let i = 0; i < 9; i++) assert.equal(fill(join(`192.0.2.${i}`), i * 10), '8 own');
  assert.equal(storage.pinnedUnits, 72);
  assert.equal(fill(join('192.0.2.100'), 500), '0 turn');
  assert.ok(book.hasWaiting && book.isShort);
  storage.pinnedUnits = 48;
  const slow = book.join('192.0.2.101');
  slow.uptake.secondPassed(0, true);
  assert.equal(fill(slow, 600), '0 turn');
  assert.equal(fill(book.join('192.0.2.102'), 700), '2 own', 'who is new is not slow yet');
});

test('one address holds a quarter of the units while others are there, and more when it is alone', () => {
  const { book, fill, join } = scene(96);
  for (let i = 0; i < 4; i++) assert.equal(fill(join('192.0.2.1'), i * 10), '8 own');
  book.join('192.0.2.2');
  assert.equal(fill(join('192.0.2.1'), 100), '0 turn');
  assert.equal(fill(join('192.0.2.3'), 200), '8 own');
  book.leave('192.0.2.2');
  book.leave('192.0.2.3');
  assert.equal(fill(join('192.0.2.1'), 300), '8 own');
});

test('an address that holds nothing may begin a range, however few units there are', () => {
  for (const count of [4, 5, 6, 7]) {
    const storage = { units: { lengthBytes: 128 * 1024, count }, pinnedUnits: 0 } as unknown as StorageReads;
    const book = new PinBook(new Geometry(100 * MIB, MIB), storage);
    const [run] = [book.join('192.0.2.1'), book.join('192.0.2.2')];
    assert.equal(run!.verdict(0, 0, 256 * 1024), 'free', `${count} units`);
    run!.add(0, 0, 256 * 1024);
    const other = book.join('192.0.2.1');
    assert.equal(other.verdict(1, 0, BLOCK), 'turn', 'no more than its share once it holds some');
  }
});

test('who waits for the share of its own address has only its neighbours in its way', () => {
  const { book, fill, join } = scene(96);
  const stranger = join('192.0.2.2');
  fill(stranger, 0);
  const neighbours = [100, 200, 300].map((first) => {
    const share = join('192.0.2.1');
    fill(share, first);
    return share;
  });
  assert.equal(book.hasWaiting, false);
  assert.equal(fill(join('192.0.2.1'), 400), '0 turn');
  assert.deepEqual([book.hasWaiting, book.isShort], [true, false]);
  assert.ok(neighbours.every((share) => share.isInTheWay));
  assert.equal(stranger.isInTheWay, false);
  book.lookAgain();
  assert.ok(!book.hasWaiting && !neighbours[0]!.isInTheWay);
});

test('all addresses of one IPv6 network count as one', () => {
  const { book, fill, join } = scene(96);
  join('192.0.2.1');
  for (let i = 0; i < 3; i++) assert.equal(fill(join(`2001:db8::${i}`), i * 10), '8 own');
  assert.equal(fill(join('2001:db8::ffff'), 100), '0 turn');
  assert.equal(fill(join('2001:db8:0:1::1'), 200), '8 own');
  book.leave('2001:db8:0:1::9');
  book.leave('192.0.2.1');
  assert.equal(fill(join('2001:db8::4'), 300), '8 own', 'one address alone has no share');
});

test('a peer is brisk while it takes a MiB a second or all there is, slow and idle when the rest lies', () => {
  const uptake = new Uptake();
  uptake.took(MIB - 1);
  assert.equal(uptake.isBrisk, false);
  uptake.took(MIB);
  assert.equal(uptake.isBrisk, true);
  uptake.secondPassed(MIB, true);
  assert.deepEqual([uptake.isBrisk, uptake.slowSeconds], [true, 0]);
  uptake.secondPassed(MIB + 100 * 1024, true);
  assert.deepEqual([uptake.isBrisk, uptake.slowSeconds, uptake.idleSeconds], [false, 1, 0]);
  uptake.secondPassed(MIB + 100 * 1024, true);
  assert.deepEqual([uptake.slowSeconds, uptake.idleSeconds], [2, 1]);
  uptake.secondPassed(MIB + 200 * 1024, false);
  assert.deepEqual([uptake.isBrisk, uptake.slowSeconds, uptake.idleSeconds], [true, 0, 0]);
  uptake.secondPassed(MIB + 200 * 1024, false);
  assert.equal(uptake.isBrisk, true, 'asking for nothing is not slow');
});

test('what may be on its way to a peer grows with what it takes, and its read-ahead with that', () => {
  const share = scene(1000).book.join('192.0.2.9');
  const { uptake } = share;
  assert.deepEqual([uptake.sendBytes, share.aheadBytes], [LIMITS.slowSendBytesPerPeer, LIMITS.readAheadBytesPerPeer]);
  uptake.took(MIB);
  assert.equal(uptake.sendBytes, LIMITS.sendBytesPerPeer);
  uptake.took(160 * MIB);
  assert.equal(uptake.sendBytes, 5 * MIB, 'within the first second too');
  uptake.took(1000 * MIB);
  assert.deepEqual([uptake.sendBytes, share.aheadBytes], [LIMITS.swiftSendBytesPerPeer, 16 * MIB]);
  uptake.secondPassed(1000 * MIB, true);
  assert.equal(uptake.sendBytes, LIMITS.swiftSendBytesPerPeer);
  uptake.secondPassed(1096 * MIB, true);
  assert.deepEqual([uptake.sendBytes, share.aheadBytes], [3 * MIB, LIMITS.readAheadBytesPerPeer]);
  uptake.secondPassed(1096 * MIB, true);
  assert.deepEqual([uptake.isBrisk, uptake.sendBytes], [false, LIMITS.slowSendBytesPerPeer]);
});
