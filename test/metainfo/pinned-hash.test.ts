import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseInfoHash, parseSha256 } from '../../src/metainfo/pinned-hash.js';

test('an info-hash is 40 or 64 hexadecimal digits, or 32 of base32', () => {
  const hex = '00443214c74254b635cf84653a56d7c675be77df';
  assert.equal(parseInfoHash(hex.toUpperCase()), hex);
  // RFC 4648: the same twenty bytes.
  assert.equal(parseInfoHash('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'), hex);
  assert.equal(parseInfoHash('abcdefghijklmnopqrstuvwxyz234567'), hex);
  assert.equal(parseInfoHash('ab'.repeat(32)), 'ab'.repeat(32));
  for (const text of ['', hex.slice(1), `${hex}0`, 'g'.repeat(40), '1'.repeat(32), `${hex}\n`, 'ab'.repeat(33)])
    assert.equal(parseInfoHash(text), null, text);
});

test('a SHA-256 is 64 hexadecimal digits', () => {
  assert.equal(parseSha256('AB'.repeat(32)), 'ab'.repeat(32));
  for (const text of ['', 'ab'.repeat(20), 'xy'.repeat(32), `${'ab'.repeat(32)} image.iso`])
    assert.equal(parseSha256(text), null, text);
});
