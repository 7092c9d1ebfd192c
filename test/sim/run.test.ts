/** The command: words, ends, files. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startChild } from '../../lab/child.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { withDeadline } from '../../lab/wait.js';
import { Progress } from '../../sim/progress.js';
import { simPage } from '../../sim/report/page.js';
import { isGood, type ScenarioRun, type SimReport } from '../../sim/report/record.js';
import { checksTable, runText } from '../../sim/report/table.js';
import { atLeast, atMost } from '../../sim/scenario.js';

const RUN = fileURLToPath(new URL('../../sim/run.js', import.meta.url));
const DEADLINE_MS = 60_000;

interface End {
  readonly code: number | null;
  readonly text: string;
}

async function sim(scope: Scope, ...words: readonly string[]): Promise<End> {
  const child = startChild(scope, process.execPath, [RUN, ...words]);
  const { code } = await withDeadline(child.exited, `sim ${words.join(' ')}`, DEADLINE_MS);
  return { code, text: child.tail() };
}

function madeUpRun(over: Partial<ScenarioRun> = {}): ScenarioRun {
  return {
    scenario: 'made-up',
    title: 'made up <&>',
    seed: 5,
    isSmall: false,
    command: 'npm run sim -- made-up --seed 5',
    realSeconds: 1.5,
    failure: null,
    outcome: {
      scenario: 'made-up',
      seed: 5,
      title: 'made up <&>',
      parameters: { hosts: '3' },
      checks: [atMost('last done', 1.2, 1.25, '× ideal'), atLeast('of the link', 80, 90, '%')],
      figures: { idealSec: 10 },
      curves: [
        { label: 'a <b>', seconds: [1, 2, 12.5], idealSeconds: 10 },
        { label: 'c', seconds: [3] },
      ],
      events: 1234,
      eventHash: '00ff00ff00ff00ff',
      virtualSeconds: 12.5,
    },
    ...over,
  };
}

const FAILED = madeUpRun({ scenario: 'broken', outcome: null, failure: 'seed 5, 1.000 s, event 7: host 1: <lost>' });

/** Every element that is opened is closed, in order. */
function assertWellFormed(page: string): void {
  const open: string[] = [];
  const VOID = new Set(['meta', '!doctype']);
  for (const [, slash, name, selfClosing] of page.matchAll(/<(\/?)([!a-z][a-z0-9]*)(?:\s[^<>]*?)?(\/?)>/gi)) {
    const tag = name!.toLowerCase();
    if (VOID.has(tag) || selfClosing === '/') continue;
    if (slash === '') open.push(tag);
    else assert.equal(open.pop(), tag);
  }
  assert.deepEqual(open, []);
}

describe('the command', () => {
  test('runs a scenario, prints its checks and the line that repeats it, and writes both files', async (context) => {
    const scope = openScope(context);
    const folder = await tempFolder(scope);
    const json = path.join(folder, 'deep', 'out.json');
    const html = path.join(folder, 'out.html');
    const words = ['flash', '--small', '--seed', '3', '--json', json, '--html', html];
    const { code, text } = await sim(scope, ...words);
    assert.equal(code, 0, text);
    assert.match(
      text,
      /^flash +last done +[\d.]+ × ideal +≤ 1.25 × ideal +small +3 +npm run sim -- flash --seed 3 --small$/m,
    );
    const report = JSON.parse(await readFile(json, 'utf8')) as SimReport;
    assert.equal(report.node, process.version);
    assert.equal(report.runs.length, 1);
    const { outcome } = report.runs[0]!;
    assert.equal(outcome?.seed, 3);
    assert.ok(text.includes(outcome.eventHash));
    assertWellFormed(await readFile(html, 'utf8'));
  });

  test('lists every scenario, and helps', async (context) => {
    const scope = openScope(context);
    const list = await sim(scope, '--list');
    assert.equal(list.code, 0);
    assert.match(list.text, /^ {2}flash +\S/m);
    const help = await sim(scope, '--help');
    assert.equal(help.code, 0);
    assert.match(help.text, /search --minutes 5/);
  });

  test('searches some seeds and says how many', async (context) => {
    const { code, text } = await sim(openScope(context), 'search', '--seed', '7', '--count', '3');
    assert.equal(code, 0);
    assert.match(text, /^search: 3 seeds from 7, [\d,]+ events, nothing found/m);
  });

  const wrong: readonly [words: readonly string[], message: RegExp][] = [
    [[], /no scenario is named/],
    [['nowhere'], /no such scenario: nowhere/],
    [['constructor'], /no such scenario: constructor/],
    [['flash', '--sead', '1'], /Unknown option '--sead'/],
    [['flash', '--seed', '-1'], /--seed/],
    [['flash', '--seed', '4294967296'], /--seed 4294967296 is not/],
    [['--all', 'flash'], /do not go together/],
    [['search', '--count', '0'], /--count 0 is not/],
    [['search', '--minutes', 'x'], /--minutes x is not/],
    [['flash', '--small', '--json', '.'], /--json \. is a folder/],
  ];
  for (const [words, message] of wrong) {
    test(`refuses "${words.join(' ')}" in one line, and ends with 2`, async (context) => {
      const { code, text } = await sim(openScope(context), ...words);
      assert.equal(code, 2, text);
      assert.match(text, message);
      assert.match(text, /^sim: [^\n]+ See: npm run sim -- --help$/);
    });
  }
});

describe('the table', () => {
  test('marks what is missed and what failed', () => {
    const text = checksTable([madeUpRun(), FAILED]);
    assert.match(text, /^made-up +last done +1.2 × ideal +≤ 1.25 × ideal +met +5 +npm run sim -- made-up --seed 5$/m);
    assert.match(text, /^made-up +of the link +80 % +≥ 90 % +MISSED +5 /m);
    assert.match(text, /^broken +seed 5, .*<lost> +FAILED +5 /m);
    assert.match(runText(FAILED), /FAILED: seed 5, .*\n {2}replay: npm run sim -- made-up --seed 5\n$/);
  });

  test('a missed bar or a failure is not good; small runs are held to no bar', () => {
    assert.equal(isGood(madeUpRun()), false);
    assert.equal(isGood(madeUpRun({ isSmall: true })), true);
    assert.equal(isGood(FAILED), false);
    assert.match(checksTable([madeUpRun({ isSmall: true })]), /90 % +small /);
  });
});

test('the page is well-formed, needs no script and nothing from elsewhere, shows misses, failures and curves', () => {
  const page = simPage({ commit: null, node: 'v20', startedAt: '2020-01-01', runs: [madeUpRun(), FAILED] });
  assertWellFormed(page);
  assert.doesNotMatch(page, /<script|<link|@import|url\(|src=|https?:/);
  assert.match(page, /prefers-color-scheme: dark/);
  assert.match(page, /<td class="met">met<\/td>/);
  assert.match(page, /<td class="missed">MISSED<\/td>/);
  assert.match(page, /&lt;lost&gt;/);
  assert.match(page, /a &lt;b&gt;<i class="d1"><\/i>ideal 10 s/);
  // Three hosts, three steps: to the third, two thirds and all of them.
  assert.match(page, /<path class="line" d="M50\.0 260\.0H[\d.]+V177\.3H[\d.]+V94\.7H[\d.]+V12\.0"\/>/);
  assert.doesNotMatch(page, /NaN|undefined|Infinity|<&>|<b>/);
});

describe('progress', () => {
  function scene(isTTY: boolean) {
    let nowMs = 0;
    const written: string[] = [];
    const output = { isTTY, columns: 12, write: (text: string) => written.push(text) };
    const progress = new Progress(output, () => nowMs);
    const sayAt = (atMs: number): void => {
      nowMs = atMs;
      progress.say(`at ${atMs} and so on`);
    };
    return { progress, written, sayAt };
  }

  test('is a line every ten seconds where nobody looks', () => {
    const { progress, written, sayAt } = scene(false);
    for (let atMs = 0; atMs <= 25_000; atMs += 500) sayAt(atMs);
    progress.clear();
    assert.deepEqual(written, ['at 10000 and so on\n', 'at 20000 and so on\n']);
  });

  test('is one changing line on a terminal, no wider than it, and gone in the end', () => {
    const { progress, written, sayAt } = scene(true);
    for (const atMs of [100, 200, 300, 450]) sayAt(atMs);
    progress.clear();
    progress.clear();
    assert.deepEqual(written, ['\r\x1b[2Kat 200 and ', '\r\x1b[2Kat 450 and ', '\r\x1b[2K']);
  });
});
