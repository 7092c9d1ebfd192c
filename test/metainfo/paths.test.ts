import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { safeName, warnOfName, whyUnsafe } from '../../src/metainfo/paths.js';

const bytes = (name: string) => Buffer.from(name);

function name(raw: string | Uint8Array, platform = 'linux'): { safe: string; warnings: string[] } {
  const warnings: string[] = [];
  const wanted = safeName(typeof raw === 'string' ? bytes(raw) : raw, platform);
  warnOfName(wanted, wanted.name, (line) => warnings.push(line()));
  return { safe: wanted.name, warnings };
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
    '..\\x',
    'a\\..',
    'a\\..\\b',
    '\\x',
    '\\\\host\\x',
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

  it('with a backslash that leads nowhere else is renamed, with a reason, and cannot be shared from here', () => {
    const cases: [name: string, safe: string][] = [
      ['a\\b', 'a_b'],
      ['dir\\sub\\file.txt', 'dir_sub_file.txt'],
      ['a\\', 'a_'],
      ['..a\\b..', '..a_b..'],
    ];
    for (const [given, safe] of cases) {
      const here = name(given);
      assert.equal(here.safe, safe);
      assert.equal(here.warnings.length, 1);
      assert.match(here.warnings[0]!, /^renamed to ".*": ".*" holds a backslash$/);
      assert.equal(whyUnsafe(given), 'holds a backslash');
    }
    assert.equal(name('..a\\b..', 'win32').safe, '..a_b__');
  });

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
        assert.equal(whyUnsafe(safe), null);
        assert.deepEqual(name(safe, platform).safe, safe, 'what is safe stays as it is');
      }),
      { numRuns: 500 },
    );
  });
});
