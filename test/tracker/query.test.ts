import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAnnounce } from '../../src/tracker/query.js';

const GOOD = `info_hash=${'a'.repeat(20)}&peer_id=${'p'.repeat(20)}&port=1&left=1`;
const zoneOf = (value: string): unknown => {
  const parsed = parseAnnounce(`${GOOD}&zone=${value}`);
  return typeof parsed === 'string' ? parsed : [parsed.zone];
};

test('a zone is read as it stands, with its slashes escaped or not', () => {
  assert.deepEqual(zoneOf('eu-1/rack7'), ['eu-1/rack7']);
  assert.deepEqual(zoneOf('eu-1%2Frow%2frack7'), ['eu-1/row/rack7']);
  assert.deepEqual(zoneOf('x'.repeat(64)), ['x'.repeat(64)]);
});

test('an announce without a zone has none', () => {
  for (const query of [GOOD, `${GOOD}&zones=a`, `${GOOD}&Zone=a`, `${GOOD}&zone`]) {
    const parsed = parseAnnounce(query);
    assert.ok(typeof parsed !== 'string' && !('zone' in parsed), query);
  }
});

test('a zone that is none is refused with the rule, and so are two', () => {
  const bad = ['', '/', 'a/', '/a', 'a//b', 'a%2f', 'a/b/c/d/e', 'x'.repeat(65), 'x'.repeat(100_000), 'a+b', 'a%20b'];
  for (const value of [...bad, '%', '%00', 'a%', 'a%252fb', '\u00e9', '\u{1f600}', '<b>', '../../etc/\0']) {
    assert.match(String(zoneOf(value)), /^zone must be 1 to 64 letters, [ -~]+$/, value.slice(0, 80));
  }
  assert.equal(zoneOf('a&zone=a'), 'zone is given twice');
});

test('any value gives a zone of plain characters or a reason in ASCII', () => {
  const part = fc.constantFrom(
    'a',
    '/',
    '%2f',
    '%2F',
    '%',
    '-',
    '.',
    '_',
    '9',
    '~',
    '+',
    '\n',
    '\u00ff',
    'x'.repeat(30),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const found = zoneOf(parts.join(''));
      if (typeof found === 'string') assert.match(found, /^zone [ -~]+$/);
      else assert.match(String(found), /^(?=.{1,64}$)[\w.-]+(?:\/[\w.-]+){0,3}$/);
    }),
  );
});
