/** What is made of the program says what the program says. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { knobsOf, readConfig, unexplained, valueText } from './limits-page.js';
import { MADE_PAGES } from './made-pages.js';

for (const [file, make] of Object.entries(MADE_PAGES)) {
  test(`${file} is as \`npm run docs:pages\` makes it`, async () => {
    assert.equal(await readFile(path.join(PACKAGE_ROOT, file), 'utf8'), await make());
  });
}

test('every limit and default has a reason in its comment', () => {
  assert.deepEqual(unexplained(readConfig()), []);
});

test('a knob has its own comment, on one line', () => {
  const members = ['/** One. */\n  a: 1', 'b: 2', '/**\n   * Three\n   * lines.\n   */\n  c: 3'];
  const text = `export const A = {\n  ${members.join(',\n  ')},\n} as const;\n`;
  assert.deepEqual(knobsOf(text, 'A'), [
    { name: 'a', reason: 'One.' },
    { name: 'b', reason: '' },
    { name: 'c', reason: 'Three lines.' },
  ]);
  assert.deepEqual(knobsOf(text, 'B'), []);
});

test('a value is told with the unit of its name', () => {
  const cases: [string, unknown, string][] = [
    ['sendBytesPerPeer', 2 * 2 ** 20, '2 MiB'],
    ['windowBytes', 2 ** 32 - 65_536, '4,294,901,760 bytes'],
    ['memoryBytesMin', 16 * 2 ** 20, '16 MiB'],
    ['leastHolderBytesPerSec', 65_536, '64 KiB/s'],
    ['idleTimeoutMs', 150_000, '150 s'],
    ['announceIntervalMaxMs', 7_200_000, '2 h'],
    ['tickMs', 100, '100 ms'],
    ['idleHolderSeconds', 3, '3 s'],
    ['dialsPerSecond', 30, '30/s'],
    ['sampleShare', 0.01, '1 %'],
    ['swarms', 100_000, '100,000'],
    ['portRange', { first: 6881, last: 6889 }, '6881–6889'],
  ];
  for (const [name, value, text] of cases) assert.equal(valueText(name, value), text, name);
});
