import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { allowedFastSet } from '../../src/wire/allowed-fast.js';

const sha1 = (bytes: Uint8Array): Uint8Array => createHash('sha1').update(bytes).digest();
const IP = Uint8Array.of(80, 4, 4, 200);
const INFO_HASH = Buffer.alloc(20, 0xaa);

test('the sets published in BEP 6 come out', () => {
  assert.deepEqual(allowedFastSet(IP, INFO_HASH, 1313, 7, sha1), [1059, 431, 808, 1217, 287, 376, 1188]);
  assert.deepEqual(allowedFastSet(IP, INFO_HASH, 1313, 9, sha1), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
});

test('addresses of one /24 network share a set', () => {
  const neighbour = Uint8Array.of(80, 4, 4, 1);
  assert.deepEqual(allowedFastSet(neighbour, INFO_HASH, 1313, 7, sha1), allowedFastSet(IP, INFO_HASH, 1313, 7, sha1));
});

test('a torrent with no more pieces than asked for allows all of them', () => {
  assert.deepEqual(allowedFastSet(IP, INFO_HASH, 3, 10, sha1), [0, 1, 2]);
  assert.deepEqual(allowedFastSet(IP, INFO_HASH, 0, 10, sha1), []);
  assert.equal(new Set(allowedFastSet(IP, INFO_HASH, 11, 10, sha1)).size, 10);
});

test('a digest that repeats itself does not loop for ever', () => {
  assert.deepEqual(
    allowedFastSet(IP, INFO_HASH, 100, 10, () => new Uint8Array(20)),
    [0],
  );
});
