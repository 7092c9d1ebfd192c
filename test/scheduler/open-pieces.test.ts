import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Geometry, type PeerSlot } from '../../src/metainfo/geometry.js';
import { CELLS_PER_BLOCK, Ledger } from '../../src/scheduler/ask/ledger.js';
import { OpenPieces } from '../../src/scheduler/pieces/open-pieces.js';

const BLOCKS = 4;
const PIECE_BYTES = BLOCKS * 16 * 1024;

test('tables of blocks are as long as the most pieces that were ever open, and keep what is in them', () => {
  const ledger = new Ledger(1);
  const open = new OpenPieces(new Geometry(30 * PIECE_BYTES, PIECE_BYTES), 10, 30, ledger);
  const lengths = (): number[] => [open.state.length, open.sender.length, ledger.slot.length / CELLS_PER_BLOCK];
  assert.deepEqual(lengths(), [0, 0, 0]);
  const first = open.open(20);
  open.ready(first);
  assert.deepEqual(lengths(), [4 * BLOCKS, 4 * BLOCKS, 4 * BLOCKS]);
  ledger.take(ledger.findFree(open.indexOf(first, 3)), 0 as PeerSlot, false, 7);
  open.move(first, 3, 1);
  for (let piece = 0; piece < 4; piece++) open.open(piece);
  assert.deepEqual(lengths(), [8 * BLOCKS, 8 * BLOCKS, 8 * BLOCKS]);
  assert.equal(ledger.askedMs[ledger.find(open.indexOf(first, 3), 0)], 7);
  assert.equal(ledger.first(0), ledger.find(open.indexOf(first, 3), 0));
  assert.equal(ledger.findFree(open.indexOf(open.recordOf(3), 0)) % CELLS_PER_BLOCK, 0);
  open.checkInvariants();
  for (let piece = 0; piece < 4; piece++) open.close(open.recordOf(piece));
  for (let piece = 5; piece < 9; piece++) open.open(piece);
  assert.deepEqual(lengths(), [8 * BLOCKS, 8 * BLOCKS, 8 * BLOCKS], 'records that were used before come first');
  for (let piece = 9; piece < 14; piece++) open.open(piece);
  assert.deepEqual(lengths(), [10 * BLOCKS, 10 * BLOCKS, 10 * BLOCKS], 'no longer than pieces may be open');
  assert.throws(() => open.open(15), /cannot open piece 15/);
});
