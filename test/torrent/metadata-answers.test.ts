import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { MetadataAnswers } from '../../src/torrent/metadata-answers.js';

const METADATA = Buffer.alloc(2 * 16_384 + 100, 'metadata');

test('pieces are slices of the metadata, and there are no others', () => {
  const answers = new MetadataAnswers(METADATA, 0);
  assert.deepEqual(answers.take(0, 0), METADATA.subarray(0, 16_384));
  assert.equal(answers.take(0, 0)!.buffer, METADATA.buffer);
  assert.deepEqual(answers.take(2, 0), METADATA.subarray(32_768));
  for (const piece of [3, -1, 2 ** 31, Number.MAX_SAFE_INTEGER, Number.NaN, 0.5]) {
    assert.equal(answers.take(piece, 0), null, String(piece));
  }
});

test('a peer is given all twice and some more, then a piece every few seconds; who floods is told apart', () => {
  const answers = new MetadataAnswers(METADATA, 0);
  const takeAll = (nowMs: number): number => {
    let given = 0;
    while (answers.take(given % 3, nowMs) !== null) given++;
    return given;
  };
  const most = 2 * 3 + LIMITS.metadataSparePieces;
  assert.equal(takeAll(0), most);
  assert.equal(takeAll(LIMITS.metadataPieceEveryMs - 1), 0);
  assert.equal(takeAll(3 * LIMITS.metadataPieceEveryMs), 3);
  assert.equal(takeAll(1_000_000_000), most);
  assert.equal(answers.isFlood, false);
  for (let i = 0; i < LIMITS.metadataRejectsPerPeer; i++) answers.take(0, 1_000_000_000);
  assert.equal(answers.isFlood, true);
});
