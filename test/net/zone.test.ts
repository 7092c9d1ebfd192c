import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isZone } from '../../src/net/zone.js';

test('a zone is up to four parts of plain characters, 64 in all', () => {
  for (const zone of ['a', '7', 'rack7', 'eu-1/rack7', 'A.b_c-9', '..', 'a/b/c/d', 'x'.repeat(64)]) {
    assert.ok(isZone(zone), zone);
    assert.equal(new URL(`http://h/?zone=${zone}`).search, `?zone=${zone}`, 'it stands in a URL as it is');
  }
  const bad = [
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    'a/b/c/d/e',
    'x'.repeat(65),
    'a b',
    'a\n',
    'ä',
    'a&b',
    'a=b',
    'a%2fb',
    'a\0',
  ];
  for (const zone of bad) assert.ok(!isZone(zone), JSON.stringify(zone));
});
