/** `haul get` of some files: which files globs mean, and what the command makes, says and returns. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { chooseFiles, type SelectOptions } from '../../src/cli/select.js';
import { HaulError } from '../../src/errors.js';
import * as scenes from '../storage/scene.js';
import { haul, makeFolder, start } from './harness.js';

const TREE = scenes.metainfoOf(
  ['top.txt', 'docs/a.html', 'docs/deep/b.html', 'docs/.hidden', 'img [1].png', 'bin/tool (2)', 'root/x'].map(
    (path) => ({
      path: `root/${path}`,
      lengthBytes: 10,
    }),
  ),
  16,
);

/** The chosen files with a mark for their priority, in order. */
function chosen(options: SelectOptions, metainfo = TREE): string {
  const { priorities } = chooseFiles(metainfo, options);
  const marks = { high: '+', normal: '', low: '-' };
  return metainfo.files
    .flatMap(({ path }, file) => {
      const priority = priorities?.[file] ?? 'normal';
      return priority === 'skip' ? [] : [`${path.slice(1).join('/') || path[0]}${marks[priority]}`];
    })
    .join(' ');
}

const only = (...globs: string[]): string => chosen({ only: globs });

describe('a glob', () => {
  it('matches paths below the folder of the torrent: * and ? inside a name, ** across folders', () => {
    assert.equal(only('*'), 'top.txt img [1].png');
    assert.equal(only('*.txt'), 'top.txt');
    assert.equal(only('docs/*'), 'docs/a.html docs/.hidden');
    assert.equal(only('docs/**'), 'docs/a.html docs/deep/b.html docs/.hidden');
    assert.equal(only('**/*.html'), 'docs/a.html docs/deep/b.html');
    assert.equal(only('docs/?.html'), 'docs/a.html');
    assert.equal(only('bin/[s-u]ool (?)'), 'bin/tool (2)');
    assert.equal(only('{bin,docs/deep}/*'), 'docs/deep/b.html bin/tool (2)');
    assert.equal(only('top.txt', 'bin/**'), 'top.txt bin/tool (2)');
    assert.equal(chooseFiles(TREE, { only: ['**'] }).wantedFiles, 7);
    assert.equal(only('**/*(2)', 'bin/tool \\(2\\)'), 'bin/tool (2)');
  });

  it('may be a path as inspect shows it, or a name with brackets as it is', () => {
    assert.equal(only('root/docs/a.html'), 'docs/a.html');
    assert.equal(only('root/x'), 'root/x', 'a folder of that name is inside too');
    assert.equal(only('img [1].png'), 'img [1].png');
  });

  it('is no negation and no regular expression', () => {
    for (const glob of ['!top.txt', '(top).txt', '+(top).txt', 'top.tx(t|u)']) {
      assert.throws(() => only(glob), { code: 'BAD_ARGUMENT' }, glob);
    }
  });

  it('is the name of a single file', () => {
    const file = scenes.metainfoOf([{ path: 'image.iso', lengthBytes: 10 }], 16);
    assert.equal(chosen({ only: ['*.iso'] }, file), 'image.iso');
    assert.throws(() => chosen({ skip: ['image.iso'] }, file), /leave none of the 1 file of image\.iso/);
  });
});

describe('the options', () => {
  it('leave everything as it is when none is given', () => {
    assert.deepEqual(chooseFiles(TREE, {}), { priorities: undefined, wantedFiles: 7, fileCount: 7 });
  });

  it('rank: --skip above --only, --high above --low', () => {
    assert.equal(chosen({ only: ['docs/**'], skip: ['**/*.html'] }), 'docs/.hidden');
    assert.equal(chosen({ skip: ['docs/**', '*'] }), 'bin/tool (2) root/x');
    assert.equal(
      chosen({ only: ['docs/*', 'bin/*'], high: ['bin/*'], low: ['**'] }),
      'docs/a.html- docs/.hidden- bin/tool (2)+',
    );
    assert.equal(chosen({ high: ['top.txt'] }).split(' ')[0], 'top.txt+');
  });

  it('name some files that exist where a glob matches none, in one line, and how to name a folder', () => {
    const message = (options: SelectOptions): string => {
      try {
        chooseFiles(TREE, options);
      } catch (error) {
        assert.ok(error instanceof HaulError && error.code === 'BAD_ARGUMENT');
        return error.message;
      }
      return assert.fail('it must not match');
    };
    assert.equal(
      message({ only: ['*.iso'] }),
      "--only '*.iso' matches no file of root, which has top.txt, docs/a.html, docs/deep/b.html and 4 more",
    );
    assert.match(message({ skip: ['docs/'] }), /^--skip 'docs\/' .*; for what is in a folder: 'docs\/\*\*'$/);
    assert.match(message({ low: ['\u001b[2J'] }), /^--low '\\u\{1b\}\[2J'/);
  });
});

const MIB = 2 ** 20;

interface Stage {
  readonly root: string;
  readonly torrent: string;
  readonly output: string;
  readonly get: readonly string[];
}

async function stage(context: TestContext): Promise<Stage> {
  const folder = await makeFolder(context);
  const root = join(folder, 'tree');
  await mkdir(join(root, 'docs'), { recursive: true });
  for (const [name, length] of [
    ['a.bin', MIB],
    ['docs/b.txt', 99_999],
    ['docs/c.txt', 300_000],
    ['z.bin', MIB],
  ] as const)
    await writeFile(join(root, name), randomBytes(length + 11));
  const torrent = join(folder, 'tree.torrent');
  const created = await haul('create', root, '-o', torrent, '--piece-length', '64KiB');
  assert.equal(created.exitCode, 0, created.stderr);
  const seed = start(context, 'seed', torrent, '--data', folder, '--port', '0', '--json');
  const { port } = await seed.line((line) => line.type === 'listening');
  const output = join(folder, 'copy');
  return {
    root,
    torrent,
    output,
    get: ['get', torrent, '--output', output, '--port', '0', '--peer', `127.0.0.1:${port}`],
  };
}

describe('haul get of some files', () => {
  it('counts what is selected as 100 %, exits with 0, and fetches the rest another time', async (context) => {
    const { root, output, get } = await stage(context);
    const first = await haul(...get, '--only', 'docs/**', '--sequential', '--json');
    assert.equal(first.exitCode, 0, first.stderr);
    const result = first.lines.find((line) => line.type === 'result')!;
    assert.deepEqual([result.outcome, result.wantedFiles, result.fileCount], ['done', 2, 4]);
    assert.equal(result.verifiedBytes, result.wantedBytes);
    assert.ok(Number(result.wantedBytes) < Number(result.lengthBytes));
    const progress = first.lines.findLast((line) => line.type === 'progress')!;
    assert.deepEqual([progress.percent, progress.totalBytes], [100, result.wantedBytes]);
    assert.deepEqual((await readdir(join(output, 'tree'), { recursive: true })).sort(), [
      'docs',
      'docs/b.txt',
      'docs/c.txt',
    ]);

    const again = await haul(...get, '--only', 'docs/**');
    assert.equal(again.exitCode, 0, again.stderr);
    assert.match(again.stdout, /tree: 2 of 4 files, [\d.]+ kB, already complete\n$/);

    const rest = await haul(...get, '--json');
    assert.equal(rest.exitCode, 0, rest.stderr);
    const done = rest.lines.find((line) => line.type === 'result')!;
    assert.deepEqual([done.wantedFiles, done.verifiedBytes], [4, done.lengthBytes]);
    assert.ok(Number(done.downloadedBytes) <= Number(done.lengthBytes) - Number(result.wantedBytes) + 2 * 65_536);
    for (const name of ['a.bin', 'docs/b.txt', 'docs/c.txt', 'z.bin']) {
      assert.ok((await readFile(join(output, 'tree', name))).equals(await readFile(join(root, name))), name);
    }
    assert.ok(!(await readdir(output)).some((name) => name.endsWith('.haul-parts')));
  });

  it('says in one line what it cannot do, before anything is made', async (context) => {
    const { output, get } = await stage(context);
    const none = await haul(...get, '--only', '*.iso', '--json');
    assert.equal(none.exitCode, 1);
    assert.equal(none.lines.at(-1)!.code, 'BAD_ARGUMENT');
    const text = await haul(...get, '--only', 'docs/*', '--skip', 'docs');
    assert.equal(text.exitCode, 1);
    assert.match(text.stderr, /^haul: --skip 'docs' matches no file of tree, which has a\.bin, [^\n]*'docs\/\*\*'\n$/);
    const nothing = await haul(...get, '--skip', '**');
    assert.equal(nothing.exitCode, 1);
    assert.match(nothing.stderr, /^haul: --only and --skip leave none of the 4 files of tree\n$/);
    const empty = await haul(...get, '--only', '');
    assert.equal(empty.exitCode, 2);
    assert.match(empty.stderr, /^haul: [^\n]*A glob names files[^\n]*\n$/);
    assert.ok(!existsSync(output));
  });
});
