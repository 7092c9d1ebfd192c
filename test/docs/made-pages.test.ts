/** What is made of the program says what the program says. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../support/root.js';
import { MADE_PAGES } from './made-pages.js';

for (const [file, make] of Object.entries(MADE_PAGES)) {
  test(`${file} is as \`npm run docs:pages\` makes it`, async () => {
    assert.equal(await readFile(path.join(PACKAGE_ROOT, file), 'utf8'), await make());
  });
}
