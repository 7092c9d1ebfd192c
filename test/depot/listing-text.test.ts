/** Listings are put together by hand: the text is that of JSON.stringify, whatever the names and times are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { artifactJson } from '../../src/depot/http/artifact-json.js';
import { isoText, rowTexts } from '../../src/depot/http/listing-text.js';

const NAMES = [
  'a',
  'ci/42/image.raw',
  'a b',
  'ä/ö',
  '"',
  '\\',
  'x\u2028y',
  "it's(1)!*",
  '100%',
  '\u{1f600}',
  'a\u007fb',
  '~.-_',
];
const TIMES = [0, 1, 999, 86_399_999, 86_400_000, 951_782_400_000, 1_795_870_747_481, 253_402_300_799_999, 8.64e15];

test('a time is as Date tells it', () => {
  for (const ms of [...TIMES, ...TIMES].reverse()) assert.equal(isoText(ms), new Date(ms).toISOString());
});

test('a row of a listing is the JSON of its artifact', () => {
  const texts = rowTexts('https://depot.example:7070/x', 'key');
  for (const [index, name] of NAMES.entries())
    for (const infoHash of [null, 'ab'.repeat(20)])
      for (const expiresMs of [null, ...TIMES]) {
        const row: ArtifactRow = {
          name: `artifacts/${name}`,
          sha256: 'cd'.repeat(32),
          lengthBytes: 2 ** 53 - 1 - index,
          infoHash,
          contentType: index % 2 === 0 ? null : `text/plain; x="${name}"`,
          createdMs: TIMES[index % TIMES.length]!,
          expiresMs,
          usedMs: 0,
          isPinned: index % 3 === 0,
          replicas: null,
        };
        assert.equal(texts(row), JSON.stringify(artifactJson(row, 'https://depot.example:7070/x', 'key')));
      }
});
