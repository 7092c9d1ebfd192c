/** Who is asked again for a piece that failed its hash, and when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Geometry, type PieceIndex } from '../../src/metainfo/geometry.js';
import { type BadPieceOwner, BadPieces, OTHERS_MS, SOLE_FIRST_MS, SOLE_LAST_MS } from '../../src/swarm/bad-pieces.js';

const BLOCK = 16_384;
const PIECE = 0 as PieceIndex;
interface FakePeer {
  readonly name: string;
  readonly host: string;
  isHere: boolean;
}

function scene(blocks = 2) {
  const holders = new Set<FakePeer>();
  const said: string[] = [];
  const owner: BadPieceOwner<FakePeer> = {
    hostOf: (peer) => peer.host,
    copies: () => holders.size,
    hasPiece: (peer) => holders.has(peer),
    worth: (peer) => -peer.name.charCodeAt(0),
    withhold: (peer) => void holders.delete(peer),
    restore: (peer) => {
      if (peer.isHere) holders.add(peer);
    },
    tellSharer: (peer, piece) => said.push(`tell ${peer.name} ${piece}`),
    onPoisonedSource: (peer, piece, copies, pauseMs) => said.push(`warn ${peer.name} ${piece} ${copies} ${pauseMs}`),
  };
  const pieces = new BadPieces<FakePeer>(new Geometry(blocks * BLOCK, blocks * BLOCK), owner);
  const join = (name: string, host = name): FakePeer => {
    const peer = { name, host, isHere: true };
    holders.add(peer);
    return peer;
  };
  const names = (): string =>
    [...holders]
      .map(({ name }) => name)
      .sort()
      .join('');
  return { pieces, said, join, names, holders };
}

/** One letter per block. */
function digests(text: string): Uint8Array {
  return Buffer.concat([...text].map((letter) => Buffer.alloc(20, letter)));
}

test('the only source is asked again at once, then after doubling pauses; no good copy, no conviction', () => {
  const { pieces, said, join, names } = scene();
  const a = join('a');
  let nowMs = 0;
  for (const pauseMs of [0, 0, SOLE_FIRST_MS, 2 * SOLE_FIRST_MS, 4 * SOLE_FIRST_MS]) {
    pieces.failed(PIECE, [a, a], digests('xy'), nowMs);
    assert.equal(names(), pauseMs === 0 ? 'a' : '');
    if (pauseMs > 0) pieces.tick(nowMs + pauseMs - 1);
    assert.equal(names(), pauseMs === 0 ? 'a' : '');
    nowMs += pauseMs;
    pieces.tick(nowMs);
    assert.equal(names(), 'a');
  }
  assert.deepEqual(
    said.filter((line) => line.startsWith('warn')),
    ['warn a 0 3 2000', 'warn a 0 4 4000', 'warn a 0 5 8000'],
  );
  assert.equal(said.filter((line) => line === 'tell a 0').length, 5);
});

test('the pause of the only source is never above five minutes, also when it comes back under another name', () => {
  const { pieces, join, names, holders } = scene();
  for (let time = 0; time < 20; time++) {
    const peer = join(String.fromCharCode(97 + time), '192.0.2.1');
    pieces.failed(PIECE, [peer, peer], digests('xy'), 0);
    if (time >= 2) assert.equal(names(), '');
    pieces.forget(peer, null);
    holders.clear();
  }
  const last = join('z', '192.0.2.1');
  pieces.failed(PIECE, [last, last], digests('xy'), 0);
  pieces.tick(SOLE_LAST_MS - 1);
  assert.equal(names(), '');
  pieces.tick(SOLE_LAST_MS);
  assert.equal(names(), 'z');
});

test('a source of a bad copy is left alone while others have the piece, and convicted by their good copy', () => {
  const { pieces, said, join, names } = scene();
  const [a, b] = [join('a'), join('b')];
  pieces.failed(PIECE, [a, a], digests('xy'), 0);
  assert.equal(names(), 'b');
  pieces.tick(OTHERS_MS - 1);
  assert.equal(names(), 'b');
  assert.equal(pieces.isWithheld(a, PIECE), true);
  assert.deepEqual([...pieces.good(PIECE, [b, b], digests('xz'))], [a]);
  assert.equal(names(), 'ab');
  assert.ok(!said.some((line) => line.startsWith('warn')));
});

test('a block that was spoilt on the way and came well from the same peer the next time convicts nobody', () => {
  const { pieces, join } = scene();
  const a = join('a');
  pieces.failed(PIECE, [a, a], digests('xy'), 0);
  assert.deepEqual([...pieces.good(PIECE, [a, a], digests('xz'))], []);
});

test('when the others leave, the source of a bad copy is the only one again', () => {
  const { pieces, join, names, holders } = scene();
  const [a, b] = [join('a'), join('b')];
  pieces.failed(PIECE, [a, a], digests('xy'), 0);
  holders.delete(b);
  pieces.tick(1000);
  assert.equal(names(), 'a');
});

test('of several senders one is tried alone: its good copy convicts the other', () => {
  const { pieces, join, names } = scene();
  const [a, b] = [join('a'), join('b')];
  pieces.failed(PIECE, [a, b], digests('xy'), 0);
  assert.equal(names(), 'ab');
  pieces.failed(PIECE, [b, a], digests('pq'), 0);
  assert.equal(names(), 'a');
  assert.deepEqual([...pieces.good(PIECE, [a, a], digests('xq'))], [b]);
});

test('of several senders another one is tried when the fastest, tried alone, sends nothing', () => {
  const { pieces, join, names } = scene();
  const [liar, honest] = [join('a'), join('b')];
  for (let time = 0; time < 2; time++) pieces.failed(PIECE, [liar, honest], digests('xy'), 0);
  assert.equal(names(), 'a');
  pieces.tick(OTHERS_MS);
  assert.equal(names(), 'ab');
  pieces.failed(PIECE, [liar, honest], digests('zy'), OTHERS_MS);
  assert.equal(names(), 'b');
  assert.deepEqual([...pieces.good(PIECE, [honest, honest], digests('qy'))], [liar]);
});

test('also when both have one address, or the liar comes back under another name', () => {
  const { pieces, join, names, holders } = scene();
  const [liar, honest] = [join('a', 'nat'), join('b', 'nat')];
  for (let time = 0; time < 2; time++) pieces.failed(PIECE, [liar, honest], digests('xy'), 0);
  pieces.tick(OTHERS_MS);
  pieces.failed(PIECE, [liar, honest], digests('zy'), OTHERS_MS);
  assert.equal(names(), 'b');

  const other = scene();
  const [first, good] = [other.join('a', 'liar'), other.join('b', 'honest')];
  for (let time = 0; time < 2; time++) other.pieces.failed(PIECE, [first, good], digests('xy'), 0);
  other.pieces.forget(first, null);
  other.holders.delete(first);
  other.pieces.tick(OTHERS_MS);
  const again = other.join('a', 'liar');
  other.pieces.failed(PIECE, [again, good], digests('zy'), OTHERS_MS);
  assert.equal(other.names(), 'b');
  assert.equal(holders.size, 1);
});

test('of several senders one is tried alone: when its copy is bad the others are asked', () => {
  const { pieces, join, names } = scene();
  const [a, b] = [join('a'), join('b')];
  for (let time = 0; time < 2; time++) pieces.failed(PIECE, [a, b], digests('xy'), 0);
  assert.equal(names(), 'a');
  pieces.failed(PIECE, [a, a], digests('xx'), 5);
  assert.equal(names(), 'b');
  assert.deepEqual([...pieces.good(PIECE, [b, b], digests('zy'))], [a]);
});

test('of a peer that left or says that it lacks the piece nothing is kept', () => {
  const { pieces, join, names } = scene();
  const [a] = [join('a'), join('b')];
  pieces.failed(PIECE, [a, a], digests('xy'), 0);
  a.isHere = false;
  pieces.forget(a, null);
  pieces.tick(OTHERS_MS);
  assert.equal(names(), 'b');
});
