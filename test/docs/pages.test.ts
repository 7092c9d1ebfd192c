/** The pages for readers: short enough, narrow enough, and every link leads somewhere. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { listFiles } from '../support/source.js';

const README_LINES = 150;
const COLUMNS = 120;
const PAGES = [
  'README.md',
  'BENCHMARKS.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...listFiles(PACKAGE_ROOT, 'docs').filter((file) => file.endsWith('.md')),
];

const readPage = (file: string): string => readFileSync(path.join(PACKAGE_ROOT, file), 'utf8');

/** Rows of tables cannot be wrapped, and what is made of results is not. */
function wideLines(text: string): string[] {
  const written = text.replace(/<!-- figures -->.*<!-- \/figures -->/s, '');
  return written.split('\n').filter((line) => [...line].length > COLUMNS && !line.startsWith('|'));
}

/** Where the links of a page lead in this repository, without their anchors. */
function linksOf(file: string): string[] {
  return [...readPage(file).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map((match) =>
    path.posix.join(path.posix.dirname(file), match[1]!),
  );
}

test(`the README has at most ${README_LINES} lines`, () => {
  assert.ok(readPage('README.md').trimEnd().split('\n').length <= README_LINES);
});

test(`no line of a page is longer than ${COLUMNS} columns`, () => {
  for (const file of PAGES) assert.deepEqual(wideLines(readPage(file)), [], file);
  assert.deepEqual(wideLines(`${'é'.repeat(COLUMNS)}\n| ${'a'.repeat(COLUMNS)}`), []);
  assert.equal(wideLines('a'.repeat(COLUMNS + 1)).length, 1);
});

test('every link between pages leads to a file', () => {
  for (const file of PAGES) {
    for (const link of linksOf(file)) assert.ok(existsSync(path.join(PACKAGE_ROOT, link)), `${file} links to ${link}`);
  }
});

test('the README leads to every page', () => {
  const links = linksOf('README.md');
  for (const file of PAGES.slice(1)) assert.ok(links.includes(file), `README.md does not link to ${file}`);
});
