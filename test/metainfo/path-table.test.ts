import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PathTable } from '../../src/metainfo/path-table.js';
import { foldName, whyUnsafe } from '../../src/metainfo/paths.js';

const PLATFORMS = ['linux', 'darwin', 'win32'] as const;

type Path = readonly (string | Uint8Array)[];

interface Placed {
  readonly paths: string[];
  readonly isMended: boolean[];
  readonly warnings: string[];
  readonly suffixTries: number;
  readonly target: (path: string) => string;
}

const asBytes = (part: string | Uint8Array) => (typeof part === 'string' ? Buffer.from(part) : part);

function place(files: readonly Path[], platform = 'linux'): Placed {
  const warnings: string[] = [];
  const table = new PathTable({ platform, warn: (line) => warnings.push(line()) });
  const nodes = files.map((path, index) => table.addFile(path.map(asBytes), index));
  const suffixTries = table.settle();
  return {
    paths: nodes.map((node) => table.pathOf(node).join('/')),
    isMended: nodes.map((node) => table.isMended(node)),
    warnings,
    suffixTries,
    target: (path) => table.linkTarget(path.split('/').map(asBytes)).join('/'),
  };
}

/** Paths drawn with slashes; two in a row make an empty component. */
function placeDrawn(paths: readonly string[], platform = 'linux'): Placed {
  return place(
    paths.map((path) => path.split('/')),
    platform,
  );
}

describe('the paths of a torrent', () => {
  it('that are sound stay as they are', () => {
    const paths = ['a/b', 'a/c', 'b', 'c/a/b', '.hidden', '...x/y'];
    const placed = placeDrawn(paths);
    assert.deepEqual([placed.paths, placed.warnings, placed.suffixTries], [paths, [], 0]);
    assert.ok(!placed.isMended.includes(true));
  });

  const mended: [what: string, given: string[], placed: string[], warnings: number][] = [
    ['lose empty components', ['a//b', '/c', 'd/', 'e'], ['a/b', 'c', 'd', 'e'], 3],
    ['lose components that are a dot', ['a/./b', './c', 'd/.'], ['a/b', 'c', 'd'], 3],
    ['are named by their place when nothing is left', ['a', '', './', 'b'], ['a', 'unnamed 2', 'unnamed 3', 'b'], 2],
    ['named by their place give way to a real name', ['', 'unnamed 1'], ['unnamed 1 (2)', 'unnamed 1'], 1],
    [
      'that occur twice are numbered before the extension',
      ['a.t', 'x', 'a.t', 'a.t'],
      ['a.t', 'x', 'a (2).t', 'a (3).t'],
      2,
    ],
    ['that are numbered keep off names of the torrent', ['a', 'a', 'a (2)'], ['a', 'a (3)', 'a (2)'], 1],
    [
      'keep their folder name where a file is in the way',
      ['a', 'a/b', 'c/b', 'c'],
      ['a (2)', 'a/b', 'c/b', 'c (2)'],
      2,
    ],
    ['are told apart after mending', ['a//b', 'a/b', 'a\\b', 'a_b'], ['a/b', 'a/b (2)', 'a_b (2)', 'a_b'], 3],
    ['share a folder that is renamed', ['x\\y/1', 'x\\y/2', 'x_y/1'], ['x_y (2)/1', 'x_y (2)/2', 'x_y/1'], 1],
    ['let a renamed folder give way to a file', ['x\\y/1', 'x_y'], ['x_y (2)/1', 'x_y'], 1],
  ];
  for (const [what, given, expected, warnings] of mended) {
    it(what, () => {
      const placed = placeDrawn(given);
      assert.deepEqual(placed.paths, expected);
      assert.equal(placed.warnings.length, warnings, placed.warnings.join('\n'));
      assert.deepEqual(
        placed.isMended,
        given.map((path, index) => path !== expected[index]),
      );
    });
  }

  it('that differ only in case or Unicode form are told apart where the system does, renamed where it does not', () => {
    const paths = ['Read.me', 'read.me', 'READ.ME', 'Dir/a', 'dir/b', 'e\u0301', '\u00e9'];
    const here = placeDrawn(paths);
    assert.deepEqual(here.paths, paths);
    assert.equal(here.warnings.length, 4);
    for (const platform of ['win32', 'darwin']) {
      const there = placeDrawn(paths, platform);
      assert.deepEqual(there.paths, [
        'Read.me',
        'read (2).me',
        'READ (3).ME',
        'Dir/a',
        'dir (2)/b',
        'e\u0301',
        '\u00e9 (2)',
      ]);
      assert.equal(there.warnings.length, 4);
    }
  });

  it('never become one path by renaming, and a name that is sound is never taken for one that is not', () => {
    const raw = [[Buffer.from([0xff])], [Buffer.from([0xfe])], ['_'], ['_ (2)']];
    assert.deepEqual(place(raw).paths, ['_ (3)', '_ (4)', '_', '_ (2)']);
    const long = 'x'.repeat(300);
    const cut = placeDrawn([`${long}1.tar`, `${long}2.tar`]).paths;
    assert.deepEqual(cut, [`${'x'.repeat(251)}.tar`, `${'x'.repeat(241)} (2).tar`]);
  });

  it('are at most 100 folders deep, what is left out not counted', () => {
    assert.equal(placeDrawn([Array(100).fill('d').join('/')]).paths[0]!.length, 199);
    assert.equal(placeDrawn([Array(100).fill('d').join('//')]).paths[0]!.length, 199);
    assert.throws(() => placeDrawn([Array(101).fill('d').join('/')]), { code: 'BAD_TORRENT' });
    assert.throws(() => place([[]]), { code: 'BAD_TORRENT' });
  });

  it('that leave the folder are refused, wherever that stands', () => {
    for (const path of ['../x', 'a/../b', 'a/..', 'a/..\\x', 'C:/x', 'a\0b', 'a/b\\..\\c']) {
      for (const platform of PLATFORMS) {
        assert.throws(() => placeDrawn(['good', path], platform), { code: 'BAD_TORRENT' }, path);
      }
    }
  });

  it('are followed by symlink targets, renamed or not', () => {
    const there = placeDrawn(['aux/con.txt'], 'win32');
    assert.equal(there.target('aux/con.txt'), '_aux/_con.txt');
    assert.equal(there.target('nowhere'), 'nowhere');
    const here = placeDrawn(['a_b', 'a\\b', 'x', 'x', 'f', 'f/g', '']);
    assert.deepEqual(['a\\b', 'a_b', './x', 'f', 'f//g', 'p\\q', 'unnamed 7'].map(here.target), [
      'a_b (2)',
      'a_b',
      'x',
      'f',
      'f/g',
      'p_q',
      'unnamed 7',
    ]);
    for (const attack of ['../x', 'a/..', '', '.', '..\\x', 'C:']) {
      assert.throws(() => here.target(attack), { code: 'BAD_TORRENT' }, attack);
    }
  });
});

/** Few letters, so that names meet; all that is mended, some of what is refused. */
const component = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom('a', 'A', 'b', 'a_b', 'a\\b', 'a (2)', '_', 'a.x', 'a.x.', 'con', 'é', 'e\u0301'),
  },
  { weight: 3, arbitrary: fc.constantFrom('', '.', 'unnamed 1', 'unnamed 2', 'a (3)', 'Σ', 'σ', 'ς', 'a\\') },
  { weight: 2, arbitrary: fc.constantFrom(`${'y'.repeat(300)}.x`, 'y'.repeat(251), 'y'.repeat(255)) },
  { weight: 2, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 4 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
);
const torrent = fc.array(fc.array(component, { minLength: 1, maxLength: 4 }), { maxLength: 40 });

function placeOrRefuse(files: readonly Path[], platform: string): Placed | null {
  try {
    return place(files, platform);
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'BAD_TORRENT');
    return null;
  }
}

function checkUnique(paths: readonly string[], ignoresCase: boolean): void {
  const key = (path: string) => (ignoresCase ? foldName(path) : path);
  const files = new Set(paths.map(key));
  assert.equal(files.size, paths.length, 'two files have one path');
  for (const path of paths) {
    const parts = path.split('/');
    for (let end = 1; end < parts.length; end++) {
      assert.ok(!files.has(key(parts.slice(0, end).join('/'))), 'a file has the path of a folder');
    }
  }
}

describe('whatever its names, a torrent that is not refused', () => {
  it('gets paths that are safe, unique, the same every time, and stay when they are read again', () => {
    let taken = 0;
    fc.assert(
      fc.property(torrent, fc.constantFrom(...PLATFORMS), (files, platform) => {
        const placed = placeOrRefuse(files, platform);
        if (placed === null) return;
        taken++;
        for (const path of placed.paths) {
          for (const part of path.split('/')) {
            assert.equal(whyUnsafe(part), null);
            assert.ok(Buffer.byteLength(part) <= 255);
            if (platform === 'win32') assert.doesNotMatch(part, /[. ]$|[<>:"|?*]/);
          }
        }
        checkUnique(placed.paths, platform !== 'linux');
        assert.deepEqual(place(files, platform).paths, placed.paths);
        const again = placeDrawn(placed.paths, platform);
        assert.deepEqual(again.paths, placed.paths);
        assert.ok(!again.isMended.includes(true));
      }),
      { numRuns: 1500 },
    );
    assert.ok(taken > 300, `only ${taken} torrents were not refused`);
  });

  it('keeps every sound path that occurs once, whatever else is in it', () => {
    fc.assert(
      fc.property(torrent, (files) => {
        const sound = 'a/keep me';
        const placed = placeOrRefuse([...files, sound.split('/')], 'linux');
        if (placed !== null) assert.equal(placed.paths.at(-1), sound);
      }),
    );
  });
});

describe('names that collide by the ten thousand cost one step each', () => {
  const COUNT = 30_000;
  const numbers = Array.from({ length: COUNT }, (_, index) => index);
  const hostile: [what: string, files: Path[], platform: string, maxTries: number][] = [
    ['when all are the same', numbers.map(() => ['a.txt']), 'linux', COUNT],
    [
      'when half of them stand in the way of the others',
      numbers.map((index) => [index < COUNT / 2 ? 'a' : `a (${index})`]),
      'linux',
      1.5 * COUNT,
    ],
    [
      'when they are equal once they are cut',
      numbers.flatMap((index) => [[`${'x'.repeat(249)}${String(index % (COUNT / 2)).padStart(6, '0')}`]]),
      'linux',
      COUNT,
    ],
    [
      'when they are equal but for case',
      numbers.map((index) => [
        [...'abcdefghijklmnop'].map((c, bit) => ((index >> bit) & 1 ? c.toUpperCase() : c)).join(''),
      ]),
      'win32',
      COUNT,
    ],
    [
      'when they are not UTF-8',
      numbers.map((i) => [Buffer.from([0x80 + (i & 0x3f), 0x80 + ((i >> 6) & 0x3f), 0x80 + ((i >> 12) & 0x3f)])]),
      'linux',
      COUNT,
    ],
  ];
  for (const [what, files, platform, maxTries] of hostile) {
    it(what, () => {
      const { paths, suffixTries } = place(files, platform);
      assert.equal(new Set(platform === 'linux' ? paths : paths.map(foldName)).size, COUNT);
      assert.ok(suffixTries > 0 && suffixTries <= maxTries, `${suffixTries} suffixes tried`);
    });
  }
});
