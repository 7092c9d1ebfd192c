/** Torrents as they occur, which others accept: they are read by one rule, and no byte moves for it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../src/config.js';
import { HaulError } from '../../src/errors.js';
import type { BencodeInput } from '../../src/metainfo/bencode.js';
import { parseTorrent, withTrackers } from '../../src/metainfo/torrent.js';
import { file, HASH, multi, refused, single } from './scene.js';

/** `begin length path`, of padding with its mark. */
function rows(bytes: Uint8Array): string[] {
  return parseTorrent(bytes).files.map(
    ({ beginBytes, lengthBytes, path, isPad }) =>
      `${beginBytes} ${lengthBytes} ${path.join('/')}${isPad ? ' pad' : ''}`,
  );
}

describe('an odd torrent', () => {
  const cases: [what: string, files: BencodeInput, expected: string[], warnings: RegExp[]][] = [
    [
      'with empty path components loses them',
      [file('a//b', 10), file('/c', 20), file('d/', 30)],
      ['0 10 tree/a/b', '10 20 tree/c', '30 30 tree/d'],
      [/left out of the path "a\/\/b"/, /"\/c"/, /"d\/"/],
    ],
    [
      'with a backslash in a name has it replaced',
      [file('a\\b', 10), file('c\\d/e', 20), file('c\\d/f', 30)],
      ['0 10 tree/a_b', '10 20 tree/c_d/e', '30 30 tree/c_d/f'],
      [/renamed to "a_b": "a\\\\b" holds a backslash/, /renamed to "c_d"/],
    ],
    [
      'with the same file twice stores it twice',
      [file('a.txt', 10), file('b', 20), file('a.txt', 30)],
      ['0 10 tree/a.txt', '10 20 tree/b', '30 30 tree/a (2).txt'],
      [/renamed to "a \(2\)\.txt": "a\.txt" is taken/],
    ],
    [
      'with padding without a path reads it all the same',
      [
        file('a', 10),
        { attr: 'p', length: 6 },
        file('b', 20),
        { attr: 'p', length: 12, path: [] },
        file('c', 1),
        { attr: 'p', length: 3, path: [''] },
        { attr: 'p', length: 4, path: 5 },
      ],
      [
        '0 10 tree/a',
        '10 6 tree/.pad/6 pad',
        '16 20 tree/b',
        '36 12 tree/.pad/12 pad',
        '48 1 tree/c',
        '49 3 tree/.pad/3 pad',
        '52 4 tree/.pad/4 pad',
      ],
      [],
    ],
    [
      'with a name for a file and a folder moves the file',
      [file('a', 10), file('a/b', 20)],
      ['0 10 tree/a (2)', '10 20 tree/a/b'],
      [/renamed to "a \(2\)"/],
    ],
    [
      'with a path that names nothing gets a name',
      [file('a', 10), file('', 20)],
      ['0 10 tree/a', '10 20 tree/unnamed 2'],
      [/renamed to "unnamed 2": a path without a name/],
    ],
  ];
  for (const [what, files, expected, warnings] of cases) {
    it(what, () => {
      const bytes = multi(files);
      assert.deepEqual(rows(bytes), expected);
      const found = parseTorrent(bytes).warnings;
      assert.equal(found.length, warnings.length, found.join('\n'));
      for (const [index, pattern] of warnings.entries()) assert.match(found[index]!, pattern);
    });
  }

  it('says for each file what the torrent calls it, where that is something else', () => {
    const latin = Buffer.from('gr\xfcn', 'latin1');
    const { files } = parseTorrent(
      multi([file('plain', 1), file('a//b', 1), file('x\\y/z', 1), { path: [latin], length: 1 }], { name: 'na\\me' }),
    );
    assert.deepEqual(
      files.map((entry) => entry.pathInTorrent),
      [undefined, ['a', '', 'b'], ['x\\y', 'z'], ['gr\uFFFDn']],
    );
    assert.ok(files.every(({ path }) => path[0] === 'na_me'));
  });

  it('of one file may have a backslash in its name too', () => {
    const metainfo = parseTorrent(single({ name: 'disk\\image.iso' }));
    assert.deepEqual([metainfo.name, metainfo.files[0]!.path], ['disk_image.iso', ['disk_image.iso']]);
    assert.match(metainfo.warnings.join(), /renamed to "disk_image\.iso": "disk\\\\image\.iso" holds a backslash/);
    for (const name of ['..\\..\\x', '\\x', 'C:\\x']) refused(single({ name }), 'BAD_TORRENT', /unsafe path/);
  });

  it('has its symbolic links follow its files', () => {
    const link = (name: string, ...target: string[]) => file(name, 0, { attr: 'l', 'symlink path': target });
    const { files } = parseTorrent(
      multi([link('l', 'a\\b'), file('a_b', 1), file('a\\b', 1), link('m', '', 'd', '.', 'x\\y'), link('l', 'd')]),
    );
    assert.deepEqual(
      files.map(({ path, symlinkPath }) => [path[1], symlinkPath?.join('/')]),
      [
        ['l', 'a_b (2)'],
        ['a_b', undefined],
        ['a_b (2)', undefined],
        ['m', 'd/x_y'],
        ['l (2)', 'd'],
      ],
    );
    refused(multi([file('a', 1), link('l', '')]), 'BAD_TORRENT', /link to the folder itself/);
    refused(multi([file('a', 1), link('l', '..\\a')]), 'BAD_TORRENT', /unsafe path/);
  });

  it('with bytes after its end is read to its end, with the info-hash of the original bytes', () => {
    const whole = multi([file('a', 1), file('a', 2)], { extra: 'x' });
    const { infoBytes, infoHashHex } = parseTorrent(whole);
    assert.equal(infoHashHex, createHash('sha1').update(infoBytes).digest('hex'));
    for (const after of [Buffer.from('\n'), Buffer.from('<!-- page -->'), whole, Buffer.alloc(5000, 0xff)]) {
      const longer = Buffer.concat([whole, after]);
      const metainfo = parseTorrent(longer);
      assert.equal(metainfo.infoHashHex, infoHashHex);
      assert.equal(metainfo.warnings[0], `it has bytes after its end, which are ignored: ${after.length}`);
      assert.deepEqual(withTrackers(longer, []), whole);
    }
    refused(Buffer.concat([whole, Buffer.alloc(LIMITS.torrentFileBytes)]), 'LIMIT', /bytes, more than/);
  });

  it('is told of in few and short words, however odd it is', () => {
    const many = parseTorrent(multi(Array.from({ length: 20_000 }, () => file('a\\b//x', 1))));
    assert.equal(many.warnings.length, 101);
    assert.match(many.warnings[100]!, /^and 39900 more warnings$/);
    const long = 'é"'.repeat(5000);
    const { warnings } = parseTorrent(
      multi([file(`${long}\\x`, 1), file(`${long}\\x`, 1), file(`${long}//${long}`, 1)], { name: `${long}\\` }),
    );
    assert.equal(warnings.length, 6);
    for (const line of warnings) assert.ok(line.length < 600, `${line.length} characters`);
  });
});

describe('the halves of a hybrid', () => {
  const PIECE = 16_384;
  const leaf = (length: number, more: Record<string, BencodeInput> = {}) => ({
    '': { length, ...(length > 0 ? { 'pieces root': Buffer.alloc(32, 1) } : {}), ...more },
  });
  const pad = (length: number) => ({ attr: 'p', length, path: ['.pad', String(length)] });
  const link = { attr: 'l', 'symlink path': ['b'] };
  /** Keys that a JavaScript object would put in another order than bencode does. */
  const FILES = [
    file('10', 10),
    pad(PIECE - 10),
    file('2', PIECE),
    file('b/c', 20_000),
    file('e', 0),
    file('l', 0, link),
  ];
  const TREE = {
    '10': leaf(10),
    '2': leaf(PIECE),
    b: { c: leaf(20_000) },
    e: leaf(0),
    l: { '': link },
  };

  function hybrid(
    files: BencodeInput[],
    tree: BencodeInput,
    more: Record<string, BencodeInput | undefined> = {},
  ): Buffer {
    let total = 0;
    for (const entry of files) total += (entry as { length: number }).length;
    const pieces = Buffer.alloc(Math.ceil(total / PIECE) * HASH.length, HASH);
    return multi(files, { 'file tree': tree, 'meta version': 2, 'piece length': PIECE, pieces, ...more });
  }

  it('that agree make a torrent of version 1', () => {
    const metainfo = parseTorrent(hybrid(FILES, TREE));
    assert.deepEqual(metainfo.warnings, []);
    assert.equal(metainfo.files.length, 6);
    const padded = parseTorrent(hybrid([...FILES, pad(2 * PIECE - 20_000)], TREE));
    assert.equal(padded.geometry.lengthBytes, 4 * PIECE);
    const one = parseTorrent(single({ 'file tree': { 'image.iso': leaf(50_000) }, 'meta version': 2 }));
    assert.deepEqual(one.files[0]!.path, ['image.iso']);
    const odd = parseTorrent(hybrid([file('a\\b', 5)], { 'a\\b': leaf(5) }));
    assert.deepEqual(odd.files[0]!.path, ['tree', 'a_b']);
  });

  const swapped = FILES.toSpliced(0, 3, file('2', PIECE), file('10', 10), pad(PIECE - 10));
  const disagreements: [what: string, bytes: Buffer, message: RegExp][] = [
    ['in a length', hybrid(FILES, { ...TREE, '2': leaf(PIECE - 1) }), /"2" has 16384 bytes, and 16383 in version 2/],
    ['in a name', hybrid(FILES, { ...TREE, '10': undefined as never, '11': leaf(10) }), /"10" is "11" in version 2/],
    ['in a folder', hybrid([file('b/c', 5)], { 'b/c': leaf(5) }), /"b\/c" is "b\/c" in version 2/],
    ['in order', hybrid(swapped, TREE), /"2" is "10" in version 2/],
    ['in padding that is missing', hybrid(FILES.toSpliced(1, 1), TREE), /"2" begins at byte 10, and at 16384/],
    [
      'in padding that is too short',
      hybrid(FILES.toSpliced(1, 1, pad(6)), TREE),
      /"2" begins at byte 16, and at 16384/,
    ],
    ['in padding that is too long', hybrid(FILES.toSpliced(1, 1, pad(2 * PIECE)), TREE), /"2" begins at byte 32778/],
    ['in padding at the end', hybrid([...FILES, pad(PIECE)], TREE), /there are \d+ bytes, and at most 65536/],
    ['in a file of version 1 alone', hybrid([...FILES, file('z', 0)], TREE), /"z" is in version 1 alone/],
    ['in a file of version 2 alone', hybrid(FILES, { ...TREE, z: leaf(0) }), /"z" is in version 2 alone/],
    [
      'in padding that version 2 stores',
      hybrid(FILES, { '.pad': { x: leaf(PIECE - 10) }, ...TREE }),
      /is "\.pad\/x" in/,
    ],
    [
      'in what a link leads to',
      hybrid(FILES, { ...TREE, l: { '': { ...link, 'symlink path': ['2'] } } }),
      /same symbolic/,
    ],
    ['in what is a link', hybrid(FILES, { ...TREE, l: leaf(0) }), /"l" is not the same symbolic link/],
    ['where a file is there twice', hybrid([file('a', 5), pad(PIECE - 5), file('a', 5)], { a: leaf(5) }), /alone/],
    ['where there is no tree', hybrid(FILES, undefined as never), /no 'file tree'/],
    ['in the name of the only file', single({ 'file tree': { x: leaf(50_000) } }), /"image\.iso" is "x" in version 2/],
    ['in the length of the only file', single({ 'file tree': { 'image.iso': leaf(5) } }), /50000 bytes, and 5 in/],
    ['without a version', single({ 'file tree': { a: {} } }), /"image\.iso" is in version 1 alone/],
    ['in a tree that is a list', hybrid(FILES, [1]), /'file tree' cannot be read/],
    ['in a tree of a number', hybrid(FILES, { '10': 5 }), /'file tree' cannot be read/],
    ['in a tree of a file alone', hybrid(FILES, leaf(10)), /a file without a name/],
    ['in a file that is a folder', hybrid(FILES, { '10': { ...leaf(10), x: leaf(1) } }), /a file and a folder/],
    ['in a file without a length', hybrid(FILES, { '10': { '': { length: 'ten' } } }), /has no 'length'/],
  ];
  for (const [what, bytes, message] of disagreements) {
    it(`may not disagree ${what}`, () => refused(bytes, 'BAD_TORRENT', message));
  }

  it('are read or refused with a HaulError, whatever bytes are changed', () => {
    const base = hybrid(FILES, TREE);
    const [begin, end] = [base.indexOf('file tree'), base.indexOf('5:files')];
    const change = fc.tuple(fc.integer({ min: begin, max: end }), fc.constantFrom(...Buffer.from('deli0123456789:')));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(base);
        for (const [at, value] of changes) bytes[at] = value;
        try {
          parseTorrent(bytes);
        } catch (error) {
          assert.ok(error instanceof HaulError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
