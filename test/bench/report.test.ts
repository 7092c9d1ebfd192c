/** Results, the page made of them, and the tables of BENCHMARKS.md. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { sweepsOf } from '../../bench/report/curves.js';
import { figuresMarkdown, withFigures } from '../../bench/report/figures.js';
import { reportPage } from '../../bench/report/page.js';
import { madeUpResults, main } from '../../bench/report.js';
import { median, Results, type ResultsFile, summarise } from '../../bench/support/results.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';

test('a summary has median, least and greatest of each series and its parameters', () => {
  const run = (series: string, turn: number, n: number, mbPerSec: number) => ({
    series,
    turn,
    parameters: { n },
    figures: { mbPerSec },
    checksum: 'same',
  });
  const rows = summarise([
    run('a', 0, 1, 5),
    run('b', 0, 1, 9),
    run('a', 1, 1, 1),
    run('a', 2, 1, 3),
    run('a', 0, 2, 7),
  ]);
  assert.deepEqual(
    rows.map(({ series, parameters, turns, figures }) => [series, parameters.n, turns, figures.mbPerSec]),
    [
      ['a', 1, 3, { median: 3, min: 1, max: 5 }],
      ['b', 1, 1, { median: 9, min: 9, max: 9 }],
      ['a', 2, 1, { median: 7, min: 7, max: 7 }],
    ],
  );
  assert.equal(rows[0]!.checksum, 'same');
  assert.equal(median([4, 1, 3, 2]), 2.5);
});

test('runs with different checksums have none in the summary', () => {
  const runs = ['x', 'y'].map((checksum, turn) => ({ series: 'a', turn, figures: {}, checksum }));
  assert.equal(summarise(runs)[0]!.checksum, undefined);
});

test('results go to the file named by --out, which is not part of the recorded command', async (context) => {
  const folder = await tempFolder(openScope(context));
  const out = path.join(folder, 'deep', 'x.json');
  const results = new Results('x', { argv: ['--small', '--out', out], parameters: { turns: 1 } });
  results.add({ series: 'a', turn: 0, figures: { mbPerSec: 1 } });
  results.skip('b', 'not installed');
  await results.finish();
  const text = await readFile(out, 'utf8');
  const file = JSON.parse(text) as ResultsFile;
  assert.deepEqual([file.bench, file.argv, file.parameters], ['x', ['--small'], { turns: 1 }]);
  assert.deepEqual(file.skipped, [{ series: 'b', reason: 'not installed' }]);
  assert.ok(file.machine.cores > 0 && file.versions.node !== undefined);
  assert.ok(!text.includes(folder));
});

test('three values of a parameter make a curve with its exponent', () => {
  const [sweep, ...others] = sweepsOf(madeUpResults().summary, 'mbPerSec');
  assert.equal(others.length, 0);
  assert.equal(sweep?.parameter, 'n');
  assert.deepEqual(
    sweep.curves.map(({ series, exponent }) => [series, exponent?.toFixed(2)]),
    [
      ['swarmhaul', '0.50'],
      ['rival <A&B>', '0.50'],
    ],
  );
});

test('the page needs no script and nothing from elsewhere, and shows every figure', () => {
  const page = reportPage([madeUpResults()]);
  assert.doesNotMatch(page, /<script|<link|@import|url\(|src=|https?:/);
  assert.match(page, /prefers-color-scheme: dark/);
  for (const text of ['rival &lt;A&amp;B&gt;', '820', '800–840', 'grows as n<sup>0.50</sup>', '<svg viewBox']) {
    assert.ok(page.includes(text), text);
  }
  assert.doesNotMatch(page, /NaN|undefined|Infinity|<A&B>/);
});

test('figures stand between the marks of a page, and are replaced by the next', () => {
  const markdown = figuresMarkdown([madeUpResults()]);
  assert.match(markdown, /\| swarmhaul \| {2}\| 820 \(800–840\) \|/);
  const once = withFigures('# A\n<!-- figures -->\nB\n', markdown);
  assert.ok(once.startsWith('# A\n<!-- figures -->\n') && once.endsWith('<!-- /figures -->\nB\n'));
  assert.equal(withFigures(once, markdown), once);
  assert.throws(() => withFigures('# A\n', markdown), /has no <!-- figures -->/);
});

test('a page is written of the files that are named; what is no result is refused', async (context) => {
  const folder = await tempFolder(openScope(context));
  const out = path.join(folder, 'x.json');
  const results = new Results('x', { argv: ['--out', out] });
  results.add({ series: 'a', turn: 0, figures: { mbPerSec: 12 } });
  await results.finish();
  const page = path.join(folder, 'report.html');
  await main([out, '--out', page]);
  assert.match(await readFile(page, 'utf8'), /<h2>x<\/h2>/);
  await assert.rejects(main([path.resolve('package.json'), '--out', page]), /these are no results/);
});
