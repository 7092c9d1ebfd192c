/**
 * Style is a test (HABITS 18). The rules are in support/tidy.ts; here they meet the code, and bad examples of their
 * own.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { PACKAGE_ROOT } from '../lab/root.js';
import { circlesOf } from './support/circles.js';
import { listFiles, parseSource, readSource } from './support/source.js';
import {
  type Finding,
  longLines,
  MAX_COLUMNS,
  MAX_FILE_LINES,
  MAX_FUNCTION_LINES,
  plainText,
  SOURCE_RULES,
} from './support/tidy.js';

const SOURCE_FOLDERS = ['src', 'test', 'bench', 'sim', 'lab', 'native', 'bundle'];
const TEXT_FILE = /(?:\.(?:ts|js|mjs|cjs|c|h|py|md|json|sh|yml|yaml)|^\.ci\/.*|^\.npmrc|^LICENSE)$/;
const NOT_OURS = new Set(['package-lock.json']);

function lines(findings: readonly Finding[]): string {
  return findings.map(({ file, line, rule, message }) => `${file}:${line}: ${rule}: ${message}`).join('\n');
}

function findingsFor(file: string, text: string): string[] {
  const source = parseSource(file, text);
  return SOURCE_RULES.flatMap((rule) => rule(source)).map(({ rule, line }) => `${rule}:${line}`);
}

test('every source file follows the rules', () => {
  const files = SOURCE_FOLDERS.flatMap((folder) => listFiles(PACKAGE_ROOT, folder)).filter((file) =>
    file.endsWith('.ts'),
  );
  assert.ok(files.length > 10, `found only ${files.length} source files below ${PACKAGE_ROOT}`);
  const sources = files.map((file) => readSource(PACKAGE_ROOT, file));
  const findings = sources.flatMap((source) => SOURCE_RULES.flatMap((rule) => rule(source)));
  assert.equal(findings.length, 0, `\n${lines(findings)}`);
});

test('no files import each other in a circle, types included', () => {
  const sources = ['src', 'sim'].flatMap((folder) =>
    listFiles(PACKAGE_ROOT, folder)
      .filter((file) => /\.c?ts$/.test(file))
      .map((file) => readSource(PACKAGE_ROOT, file)),
  );
  assert.deepEqual(circlesOf(sources), []);
});

test('a circle is found, also one of types alone', () => {
  const sources = [
    parseSource('src/a.ts', "import type { B } from './b.js';\n"),
    parseSource('src/b.ts', "import { C } from './c.js';\n"),
    parseSource('src/c.ts', "export { A } from './a.js';\nimport './d.js';\n"),
    parseSource('src/d.ts', ''),
  ];
  assert.deepEqual(circlesOf(sources), [['src/a.ts', 'src/b.ts', 'src/c.ts']]);
});

test('lines of C have at most as many columns', () => {
  const files = SOURCE_FOLDERS.flatMap((folder) => listFiles(PACKAGE_ROOT, folder)).filter((file) =>
    /\.[ch]$/.test(file),
  );
  assert.ok(files.includes('native/guard.c'));
  const findings = files.flatMap((file) => longLines(file, readFileSync(path.join(PACKAGE_ROOT, file), 'utf8')));
  assert.equal(findings.length, 0, `\n${lines(findings)}`);
});

test('no text file holds notes to self or paths of a machine', () => {
  const files = listFiles(PACKAGE_ROOT, '').filter((file) => TEXT_FILE.test(file) && !NOT_OURS.has(file));
  assert.ok(files.includes('package.json'));
  const findings = files.flatMap((file) => plainText(file, readFileSync(path.join(PACKAGE_ROOT, file), 'utf8')));
  assert.equal(findings.length, 0, `\n${lines(findings)}`);
});

test('src/door.ts gives what src/index.ts gives', async () => {
  const [door, library] = await Promise.all([import('../src/door.js'), import('../src/index.js')]);
  assert.deepEqual(Object.keys(door).sort(), Object.keys(library).sort());
});

describe('the rules find', () => {
  const long = (count: number) => 'let a = 1;\n'.repeat(count);
  const wide = (columns: number) => `f(1, '${'x'.repeat(columns - 9)}');\n`;

  const examples: [title: string, file: string, text: string, expected: string[]][] = [
    ['a file that is too long', 'test/a.ts', long(MAX_FILE_LINES + 1), [`file length:${MAX_FILE_LINES + 1}`]],
    ['no fault in a file of just the length', 'test/a.ts', long(MAX_FILE_LINES), []],
    ['a line that is too wide', 'test/a.ts', `f();\n${wide(MAX_COLUMNS + 1)}`, ['line width:2']],
    ['a comment that is too wide', 'test/a.ts', `/*\n * an ${'x'.repeat(MAX_COLUMNS)}\n */\n`, ['line width:2']],
    ['no fault in a line of just the width', 'test/a.ts', wide(MAX_COLUMNS), []],
    ['no fault in characters of several bytes', 'test/a.ts', `// é ${'é'.repeat(MAX_COLUMNS - 5)}\n`, []],
    ['no fault in a word that fits nowhere', 'test/a.ts', `f(\n  '${'x'.repeat(MAX_COLUMNS)}',\n);\n`, []],
    ['no fault in an address of that kind', 'test/a.ts', `// https://${'x'.repeat(MAX_COLUMNS)}\n`, []],
    ['a long file without a comment', 'src/cli/a.ts', long(101), ['opening comment:1']],
    ['no fault in a long file with one', 'src/cli/a.ts', `/** x */\n${long(101)}`, []],
    [
      'a function that is too long',
      'src/cli/a.ts',
      `\nfunction f() {\n${'  g();\n'.repeat(MAX_FUNCTION_LINES - 1)}}\n`,
      ['function length:2'],
    ],
    [
      'a method that is too long',
      'test/a.ts',
      `class A {\n  m() {\n${'    g();\n'.repeat(MAX_FUNCTION_LINES)}  }\n}\n`,
      ['function length:2'],
    ],
    ['no fault in a long suite', 'test/a.ts', `describe('x', () => {\n${'g();\n'.repeat(90)}});\n`, []],
    ['no fault in a long list of tests', 'test/a.ts', `function f() {\n${"test('x', g);\n".repeat(90)}}\n`, []],
    ['a pure file that does I/O', 'src/wire/a.ts', "import fs from 'node:fs';\n", ['pure imports:1']],
    ['no fault in a type', 'src/wire/a.ts', "import type { Socket } from 'node:net';\n", []],
    [
      'a pure file that loads another',
      'src/discovery/heap.ts',
      "import '../random.js';\nimport './udp.js';\n",
      ['pure imports:2'],
    ],
    ['a clock in a pure file', 'src/tracker/swarms.ts', '\nconst a = Date.now();\n', ['pure clock:2']],
    ['a date of now in a pure file', 'src/metainfo/a.ts', 'const a = [new Date(), new Date(5)];\n', ['pure clock:1']],
    ['dice in a pure file', 'src/scheduler/a.ts', 'const a = globalThis.Math.random();\n', ['pure clock:1']],
    ['a timer in a pure file', 'src/metainfo/layout.ts', 'setTimeout(f, 1);\n', ['pure clock:1']],
    ['no fault in a clock elsewhere', 'src/peer/link.ts', 'const a = performance.now();\n', []],
    [
      'a scheduler that knows peers, even as types',
      'src/scheduler/a.ts',
      "import type { A } from '../peer/link.js';\nimport type { B } from '../wire/sink.js';\n" +
        "import type { C } from '../storage/port.js';\nimport type { D } from 'node:net';\n",
      ['import arrows:1', 'import arrows:2', 'import arrows:3', 'import arrows:4'],
    ],
    [
      'a torrent that names a storage',
      'src/torrent/a.ts',
      "import { M } from '../storage/mapped.js';\n",
      ['import arrows:1'],
    ],
    [
      'a torrent that hides it in a dynamic import or a re-export',
      'src/torrent/a.ts',
      "const a = import('../work/pool.js');\nexport { b } from '../peer/link.js';\n",
      ['import arrows:1', 'import arrows:2'],
    ],
    [
      'no fault in ports, types and helpers',
      'src/torrent/a.ts',
      "import { P } from '../storage/port.js';\nimport type { L } from '../peer/link.js';\n" +
        "import { F } from '../metainfo/layout.js';\nimport { d } from '../content/digest-files.js';\n",
      [],
    ],
    [
      'a swarm that names a storage, or the torrent above it',
      'src/swarm/a.ts',
      "import { M } from '../storage/mapped.js';\nimport { R } from '../torrent/roster.js';\n",
      ['import arrows:1', 'import arrows:2'],
    ],
    ['no fault in a torrent made of a swarm', 'src/torrent/a.ts', "import { E } from '../swarm/exchange.js';\n", []],
    ['no fault in the engine', 'src/engine/engine.ts', "import { M } from '../storage/mapped.js';\n", []],
    [
      'a part that loads the engine',
      'src/torrent/a.ts',
      "import { E } from '../engine/engine.js';\n",
      ['import arrows:1'],
    ],
    [
      'a part that imports the commands',
      'src/torrent/a.ts',
      "import type { F } from '../cli/format.js';\n",
      ['import arrows:1'],
    ],
    ['wire that knows the peer', 'src/wire/a.ts', "import type { F } from '../peer/link.js';\n", ['import arrows:1']],
    [
      'native code that is loaded elsewhere, by any means',
      'src/storage/a.ts',
      "const k = createRequire(import.meta.url)('koffi');\nimport type { K } from 'koffi';\n",
      ['native code:1', 'native code:2'],
    ],
    ['no fault in its own folder', 'src/native/a.ts', "const k = createRequire(import.meta.url)('koffi');\n", []],
    [
      'a ground floor that knows what stands on it, even as a type',
      'src/net/a.ts',
      "import type { A } from '../peer/link.js';\nimport { M } from '../native/mmap-io.js';\n",
      ['import arrows:1'],
    ],
    [
      'arithmetic of pieces outside Geometry',
      'src/storage/a.ts',
      'const a = hashes.subarray(piece * 20);\nconst b = Math.floor(at / this.#geometry.pieceLengthBytes);\n' +
        'const c = 2 ** 20;\nconst d = size * 120;\n',
      ['piece arithmetic:1', 'piece arithmetic:2'],
    ],
    ['a test that hides the others', 'test/a.ts', '\ntest.on' + "ly('a', () => {});\n", ['no only:2']],
  ];

  for (const [title, file, text, expected] of examples) {
    test(title, () => assert.deepEqual(findingsFor(file, text), expected));
  }

  test('notes to self and machine paths in any text', () => {
    const found = plainText('a.md', `fine\nTO${'DO'} later\nsee /${'home'}/me/x\nhttp://host/home/a and ./work/a\n`);
    assert.deepEqual(
      found.map(({ rule, line }) => `${rule}:${line}`),
      ['no notes:2', 'machine path:3'],
    );
  });
});
