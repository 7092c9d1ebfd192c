import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { Limits } from '../../src/peer/limits.js';
import { MetadataAnswers, MetadataShelf } from '../../src/torrent/metadata-answers.js';

const METADATA = Buffer.alloc(2 * 16_384 + 100, 'metadata');

function shelfOf(uploadBytesPerSec?: number): { shelf: MetadataShelf; limits: Limits; clock: { nowMs: number } } {
  const clock = { nowMs: 0 };
  const limits = new Limits({}, () => clock.nowMs);
  const rates = uploadBytesPerSec === undefined ? {} : { uploadBytesPerSec };
  const shelf = new MetadataShelf(METADATA, limits.forTorrent(rates).uploads);
  limits.close();
  return { shelf, limits, clock };
}

/** A peer that asks. */
class Asker {
  readonly given: (number | Buffer)[] = [];
  isClosing = false;
  readonly host: string;
  readonly answers: MetadataAnswers;

  constructor(shelf: MetadataShelf, host = '192.0.2.1') {
    this.host = host;
    this.answers = new MetadataAnswers(shelf, this, 0);
  }

  give(_piece: number, bytes: Buffer): void {
    this.given.push(bytes);
  }

  reject(piece: number): void {
    this.given.push(piece);
  }

  /** What it is given at once: bytes, or the number of the piece that is refused. */
  take(piece: number, nowMs = 0): Buffer | number | undefined {
    this.answers.asked(piece, nowMs);
    return this.given.pop();
  }

  /** How many pieces it gets until one is refused. */
  takeAll(nowMs: number): number {
    let count = 0;
    while (typeof this.take(count % 3, nowMs) !== 'number') count++;
    return count;
  }
}

test('pieces are slices of the metadata, and there are no others', () => {
  const asker = new Asker(shelfOf().shelf);
  assert.deepEqual(asker.take(0), METADATA.subarray(0, 16_384));
  assert.equal((asker.take(0) as Buffer).buffer, METADATA.buffer);
  assert.deepEqual(asker.take(2), METADATA.subarray(32_768));
  for (const piece of [3, -1, 2 ** 31, Number.MAX_SAFE_INTEGER, Number.NaN, 0.5]) {
    assert.equal(asker.take(piece), piece, String(piece));
  }
});

const MOST = 2 * 3 + LIMITS.metadataSparePieces;

test('a peer is given all twice and some more, then a piece every few seconds; who floods is told apart', () => {
  const asker = new Asker(shelfOf().shelf);
  assert.equal(asker.takeAll(0), MOST);
  assert.equal(asker.takeAll(LIMITS.metadataPieceEveryMs - 1), 0);
  assert.equal(asker.takeAll(3 * LIMITS.metadataPieceEveryMs), 3);
  assert.equal(asker.takeAll(1_000_000_000), MOST);
  assert.equal(asker.answers.isFlood, false);
  for (let i = 0; i < LIMITS.metadataRejectsPerPeer; i++) asker.take(0, 1_000_000_000);
  assert.equal(asker.answers.isFlood, true);
});

test('a host that comes again and again is given as much as some peers, and others are not short for it', () => {
  const { shelf } = shelfOf();
  let given = 0;
  for (let i = 0; i < 100; i++) given += new Asker(shelf, '192.0.2.1').takeAll(0);
  assert.equal(given, LIMITS.metadataPeersPerHost * MOST);
  assert.equal(new Asker(shelf, '192.0.2.2').takeAll(0), MOST);
  assert.equal(new Asker(shelf, '192.0.2.1').takeAll(LIMITS.metadataPieceEveryMs), LIMITS.metadataPeersPerHost);
});

test('where an upload limit is reached the pieces wait, in order, and some only', () => {
  const { shelf, limits, clock } = shelfOf(16_384);
  const asker = new Asker(shelf);
  for (let i = 0; i < LIMITS.metadataWaiting + 3; i++) asker.answers.asked(i % 2, 0);
  assert.deepEqual(asker.given, [0, 1, 0], 'three are refused');
  asker.given.length = 0;
  for (let second = 1; second <= 6; second++) {
    clock.nowMs = second * 1000 + 1;
    limits.refill();
  }
  // The bucket begins empty, and may go into debt by a piece.
  assert.ok(asker.given.length >= 3 && asker.given.length <= 6, `${asker.given.length} pieces in 6 s`);
  assert.deepEqual(asker.given[0], METADATA.subarray(0, 16_384));
  assert.deepEqual(asker.given[1], METADATA.subarray(16_384, 32_768));
  const before = asker.given.length;
  asker.isClosing = true;
  clock.nowMs += 60_000;
  limits.refill();
  assert.equal(asker.given.length, before, 'nothing is given to who has gone');
});
