import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PathTable, safeName } from '../../src/metainfo/paths.js';

const bytes = (name: string) => Buffer.from(name);

function table(platform: string): { add: (path: string) => string; paths: PathTable; warnings: string[] } {
  const warnings: string[] = [];
  const paths = new PathTable({ platform, warn: (line) => warnings.push(line) });
  return { add: (path) => paths.addFile(path.split('/').map(bytes)).join('/'), paths, warnings };
}

function name(raw: string | Uint8Array, platform = 'linux'): { safe: string; warnings: string[] } {
  const warnings: string[] = [];
  const safe = safeName(typeof raw === 'string' ? bytes(raw) : raw, { platform, warn: (line) => warnings.push(line) });
  return { safe, warnings };
}

describe('a path component', () => {
  const attacks = [
    '',
    '.',
    '..',
    '/',
    'a/b',
    '/etc',
    '../x',
    'a\\b',
    '..\\x',
    'C:',
    'c:\\x',
    'C:evil',
    'a\0b',
    'a\nb',
    '\x1b[2J',
    'a\x7f',
    'a\u009bb',
  ];
  for (const attack of attacks) {
    it(`is refused on every system when it is ${JSON.stringify(attack)}`, () => {
      for (const platform of ['linux', 'darwin', 'win32']) {
        assert.throws(
          () => name(attack, platform),
          (error: Error & { code?: string }) => {
            assert.equal(error.code, 'BAD_TORRENT');
            // biome-ignore lint/suspicious/noControlCharactersInRegex: the message must hold none
            assert.doesNotMatch(error.message, /[\x00-\x1f\x7f-\x9f]/);
            return true;
          },
        );
      }
    });
  }

  it('keeps ordinary names without a warning', () => {
    for (const plain of [
      'a',
      '.hidden',
      '...x',
      'ünïcödé',
      '日本',
      'a b',
      'console',
      'com10',
      'nullable.txt',
      "it's",
      '\u{1F600}',
    ]) {
      assert.deepEqual(name(plain), { safe: plain, warnings: [] }, plain);
      assert.deepEqual(name(plain, 'win32'), { safe: plain, warnings: [] }, plain);
    }
  });

  const elsewhere: [name: string, onWindows: string][] = [
    ['CON', '_CON'],
    ['nul', '_nul'],
    ['aux.c', '_aux.c'],
    ['Com1.tar.gz', '_Com1.tar.gz'],
    ['LPT9', '_LPT9'],
    ['dot.', 'dot_'],
    ['space ', 'space_'],
    ['...', '___'],
    ['10:30', '10_30'],
    ['a<b>|?*"', 'a_b_____'],
  ];
  for (const [given, onWindows] of elsewhere) {
    it(`${JSON.stringify(given)} is kept here and renamed on Windows, with a warning on both`, () => {
      const here = name(given);
      assert.equal(here.safe, given);
      assert.equal(here.warnings.length, 1);
      const there = name(given, 'win32');
      assert.equal(there.safe, onWindows);
      assert.equal(there.warnings.length, 1);
    });
  }

  it('is cut to 255 bytes between code points, its extension kept', () => {
    const long = name(`${'é'.repeat(200)}.tar`);
    assert.equal(long.safe, `${'é'.repeat(125)}.tar`);
    assert.equal(Buffer.byteLength(long.safe), 254);
    assert.equal(long.warnings.length, 1);
    assert.equal(name('x'.repeat(255)).safe, 'x'.repeat(255));
    assert.equal(name('\u{1F600}'.repeat(64)).safe, '\u{1F600}'.repeat(63));
    assert.equal(name(`a.${'x'.repeat(300)}`).safe, `a.${'x'.repeat(253)}`);
  });

  it('that is not UTF-8 gets a readable name', () => {
    const { safe, warnings } = name(Buffer.from([0x61, 0xff, 0xfe, 0x62]));
    assert.equal(safe, 'a_b');
    assert.equal(warnings.length, 1);
    assert.throws(() => name(Buffer.from([0x2e, 0x2e, 0x2f, 0xff])), { code: 'BAD_TORRENT' });
  });

  it('is always storable, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.constantFrom('linux', 'darwin', 'win32'), (raw, platform) => {
        let safe: string;
        try {
          safe = name(raw, platform).safe;
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'BAD_TORRENT');
          return;
        }
        assert.ok(Buffer.byteLength(safe) <= 255 && safe !== '' && safe !== '.' && safe !== '..');
        assert.doesNotMatch(safe, /[/\\\0]/);
        if (platform === 'win32') assert.doesNotMatch(safe, /[. ]$|[<>:"|?*]/);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the paths of a torrent', () => {
  it('may not repeat, nor be file and folder at once, in any order', () => {
    const conflicts = [
      ['a/b', 'a/b'],
      ['a', 'a/b'],
      ['a/b', 'a'],
      ['a/b/c', 'a/b'],
      ['x', 'y', 'x'],
    ];
    for (const paths of conflicts) {
      const { add } = table('linux');
      assert.throws(() => paths.forEach(add), { code: 'BAD_TORRENT' }, paths.join());
    }
    const { add, warnings } = table('linux');
    assert.deepEqual(['a/b', 'a/c', 'b', 'c/a/b'].map(add), ['a/b', 'a/c', 'b', 'c/a/b']);
    assert.deepEqual(warnings, []);
  });

  it('that differ only in case or Unicode form are told apart where the system does, renamed where it does not', () => {
    const paths = ['Read.me', 'read.me', 'READ.ME', 'Dir/a', 'dir/b', 'e\u0301', '\u00e9'];
    const here = table('linux');
    assert.deepEqual(paths.map(here.add), paths);
    assert.equal(here.warnings.length, 4);
    for (const platform of ['win32', 'darwin']) {
      const there = table(platform);
      assert.deepEqual(paths.map(there.add), [
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

  it('never become one path by renaming', () => {
    const { paths, add } = table('linux');
    const raw = [Buffer.from([0xff]), Buffer.from([0xfe]), bytes('_'), bytes('_ (2)')];
    const names = raw.map((component) => paths.addFile([component]).join('/'));
    assert.deepEqual(names, ['_', '_ (2)', '_ (3)', '_ (2) (2)']);
    const long = 'x'.repeat(300);
    const cut = [add(`${long}1`), add(`${long}2`)];
    assert.equal(new Set(cut).size, 2);
    assert.ok(cut.every((path) => path.length === 255));
  });

  it('are at most 100 folders deep', () => {
    const { add } = table('linux');
    assert.equal(add(Array(100).fill('d').join('/')).length, 199);
    assert.throws(() => add(Array(101).fill('d').join('/')), { code: 'BAD_TORRENT' });
    assert.throws(() => table('linux').paths.addFile([]), { code: 'BAD_TORRENT' });
  });

  it('follow renames in symlink targets', () => {
    const { add, paths } = table('win32');
    add('aux/con.txt');
    assert.deepEqual(paths.linkTarget([bytes('aux'), bytes('con.txt')]), ['_aux', '_con.txt']);
    assert.deepEqual(paths.linkTarget([bytes('nowhere')]), ['nowhere']);
    for (const attack of [['..', 'x'], ['a', '..'], [''], ['/etc']]) {
      assert.throws(() => paths.linkTarget(attack.map(bytes)), { code: 'BAD_TORRENT' });
    }
  });

  it('cost one step per collision, however many there are', () => {
    const { paths } = table('linux');
    const names = new Set<string>();
    for (let i = 0; i < 20_000; i++) {
      const raw = Buffer.from([0x80 + (i & 0x3f), 0x80 + ((i >> 6) & 0x3f), 0x80 + ((i >> 12) & 0x3f)]);
      names.add(paths.addFile([raw]).join());
    }
    assert.equal(names.size, 20_000);
    assert.ok(names.has('_ (20000)'));
  });
});
