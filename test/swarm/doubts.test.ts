/**
 * What follows when a peer says that a piece of ours is bad: who is believed, and what a disk that does not answer
 * means.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HaulError } from '../../src/errors.js';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { Geometry, type PeerSlot, type PieceIndex } from '../../src/metainfo/geometry.js';
import { Doubts } from '../../src/swarm/doubts.js';
import { Peer, type PeerOwner } from '../../src/swarm/peer.js';
import type { Remote } from '../../src/swarm/remote.js';
import type { Content } from '../../src/torrent/content.js';
import { EXTENSIONS, type ExtendedPeer, PeerExtensions } from '../../src/torrent/peer-extensions.js';
import type { LiveTorrent } from '../../src/torrent/torrent.js';
import { pieceMessage } from '../../src/wire/extensions.js';

const PIECE = 2 as PieceIndex;
const geometry = new Geometry(4 * 16_384, 16_384);

function doubtsOver(recheck: Content['recheck']) {
  const withdrawn: number[] = [];
  const torrent = {
    metainfo: { geometry, name: 'image' },
    output: '/srv',
    isStopping: false,
    content: { recheck },
    withdraw: (piece: number) => withdrawn.push(piece),
    tell: () => {},
  };
  return { doubts: new Doubts(torrent as unknown as LiveTorrent), withdrawn };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

test('a piece that the disk cannot read now is not lost; a bad one is', async () => {
  let isReadable = false;
  const { doubts, withdrawn } = doubtsOver(async ({ isStrict }) => {
    if (!isReadable && isStrict === true) throw new HaulError('IO', 'read image: input/output error');
    return new Bitfield(geometry.pieceCount);
  });
  doubts.pieceDoubted(PIECE, '192.0.2.1');
  doubts.tick(0);
  await settle();
  assert.deepEqual(withdrawn, []);
  isReadable = true;
  doubts.pieceDoubted(3 as PieceIndex, '192.0.2.1');
  doubts.tick(5000);
  await settle();
  assert.deepEqual(withdrawn, [3]);
  assert.equal(doubts.badPieces, 1);
});

test('a complaint counts only from a peer that took data of ours', () => {
  const doubted: number[] = [];
  let tookBytes = 0;
  const have = new Bitfield(geometry.pieceCount);
  have.setAll();
  const owner = {
    geometry,
    have,
    now: () => 0,
    scheduler: { view: { tookBytes: () => tookBytes } },
    server: { join: () => ({}) },
    onPieceDoubted: (_: unknown, piece: number) => doubted.push(piece),
  };
  const peer = new Peer(owner as unknown as PeerOwner<Remote>, {} as Remote, 0 as PeerSlot);
  const extensions = new PeerExtensions({ peer } as unknown as ExtendedPeer, null as never);
  extensions.onMessage(EXTENSIONS.haul_bad_piece, pieceMessage(PIECE));
  assert.deepEqual(doubted, []);
  tookBytes = 16_384;
  extensions.onMessage(EXTENSIONS.haul_bad_piece, pieceMessage(PIECE));
  assert.deepEqual(doubted, [PIECE]);
});
