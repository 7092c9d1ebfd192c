import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../src/config.js';
import { HaulError } from '../../src/errors.js';
import { encodeBencode } from '../../src/metainfo/bencode.js';
import { encodeTorrent, parseTorrent, withTrackers } from '../../src/metainfo/torrent.js';
import { file, HASH, multi, refused, single } from './scene.js';

describe('reading a torrent', () => {
  it('with one file gives its geometry and a path of one name', () => {
    const metainfo = parseTorrent(single({ attr: 'x' }));
    assert.equal(metainfo.name, 'image.iso');
    assert.equal(metainfo.isMultiFile, false);
    assert.equal(metainfo.geometry.pieceCount, 2);
    assert.equal(metainfo.geometry.lengthBytes, 50_000);
    assert.deepEqual(metainfo.files, [
      {
        path: ['image.iso'],
        lengthBytes: 50_000,
        beginBytes: 0,
        isPad: false,
        isExecutable: true,
        isHidden: false,
        symlinkPath: null,
      },
    ]);
    assert.deepEqual(metainfo.pieceHashes, Buffer.concat([HASH, HASH]));
    assert.deepEqual(metainfo.warnings, []);
  });

  it('takes attributes that it does not know, or that are no string, for none', () => {
    const odd = [7, ['x'], { x: 1 }, 'q', ''].map((attr, index) => file(`f${index}`, 1, { attr }));
    for (const entry of parseTorrent(multi(odd)).files) {
      const { isPad, isExecutable, isHidden, symlinkPath } = entry;
      assert.deepEqual([isPad, isExecutable, isHidden, symlinkPath], [false, false, false, null]);
    }
  });

  it('with many files gives offsets, empty files, padding that repeats, attributes and links', () => {
    const metainfo = parseTorrent(
      multi([
        file('a/empty', 0),
        file('a/data', 100, { attr: 'xh' }),
        file('.pad/28', 28, { attr: 'p' }),
        file('b', 5),
        file('.pad/28', 28, { attr: 'p' }),
        file('link', 999, { attr: 'l', 'symlink path': ['a', 'data'] }),
        file('last', 1),
      ]),
    );
    const rows = metainfo.files.map((entry) => [
      entry.path.join('/'),
      entry.beginBytes,
      entry.lengthBytes,
      `${entry.isPad ? 'p' : ''}${entry.isExecutable ? 'x' : ''}${entry.isHidden ? 'h' : ''}`,
      entry.symlinkPath?.join('/') ?? null,
    ]);
    assert.deepEqual(rows, [
      ['tree/a/empty', 0, 0, '', null],
      ['tree/a/data', 0, 100, 'xh', null],
      ['tree/.pad/28', 100, 28, 'p', null],
      ['tree/b', 128, 5, '', null],
      ['tree/.pad/28', 133, 28, 'p', null],
      ['tree/link', 161, 0, '', 'a/data'],
      ['tree/last', 161, 1, '', null],
    ]);
    assert.equal(metainfo.geometry.lengthBytes, 162);
  });

  it('hashes the original bytes of the info dictionary, unknown and unsorted keys included', () => {
    const info = `d6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:${'7'.repeat(20)}5:extrad1:zi1e1:yi2eee`;
    const bytes = Buffer.from(`d4:info${info}7:commentle8:announce0:e`);
    const metainfo = parseTorrent(bytes);
    assert.equal(metainfo.infoHashHex, createHash('sha1').update(info).digest('hex'));
    assert.equal(metainfo.infoBytes.toString(), info);
    assert.match(metainfo.warnings.join(), /out of order, first at byte 81/);
    bytes.fill(0);
    assert.equal(metainfo.infoBytes.toString(), info, 'the result must not share memory with its input');
  });

  it('reads trackers, web seeds and the rest, and skips junk with a warning', () => {
    const metainfo = parseTorrent(
      single(
        { private: 1 },
        {
          announce: 'http://ignored.example/announce',
          'announce-list': [
            ['http://a.example/x', 'udp://b.example:80'],
            [],
            ['gopher://c', '', 'https://d.example'],
            'junk',
            [5],
          ],
          'url-list': ['http://seed.example/', 'ftp://old.example/', ''],
          comment: 'two\nlines\x1b[2J',
          'created by': 'someone',
          'creation date': 1_700_000_000,
        },
      ),
    );
    assert.deepEqual(metainfo.trackers, [['http://a.example/x', 'udp://b.example:80'], ['https://d.example']]);
    assert.deepEqual(metainfo.webSeeds, ['http://seed.example/']);
    assert.equal(metainfo.comment, 'two\nlines\uFFFD[2J');
    assert.equal(metainfo.createdBy, 'someone');
    assert.equal(metainfo.creationDate, 1_700_000_000);
    assert.equal(metainfo.isPrivate, true);
    assert.equal(metainfo.warnings.length, 4);
  });

  it('falls back to announce, takes url-list as a string, and minds no junk of the wrong type', () => {
    const plain = parseTorrent(single({}, { announce: 'udp://t.example:1', 'url-list': 'https://seed.example/f' }));
    assert.deepEqual(plain.trackers, [['udp://t.example:1']]);
    assert.deepEqual(plain.webSeeds, ['https://seed.example/f']);
    assert.equal(plain.creationDate, null);
    const junk = parseTorrent(
      single(
        { private: 'yes' },
        { announce: 3, 'announce-list': 'x', 'url-list': { a: 1 }, comment: [], 'creation date': -5 },
      ),
    );
    assert.deepEqual([junk.trackers, junk.webSeeds, junk.comment, junk.isPrivate], [[], [], null, false]);
  });

  it('keeps URLs with spaces and control characters out', () => {
    const urls = [
      'http://a.example/\r\nX: y',
      'http://a b/',
      'http:///',
      'javascript:1',
      `http://a/${'x'.repeat(3000)}`,
    ];
    const metainfo = parseTorrent(single({}, { 'announce-list': [urls], 'url-list': urls }));
    assert.deepEqual([metainfo.trackers, metainfo.webSeeds], [[], []]);
  });

  it('honours name.utf-8 and path.utf-8 when they are valid', () => {
    const latin = Buffer.from('gr\xfcn', 'latin1');
    const good = parseTorrent(
      multi([{ path: [latin], 'path.utf-8': ['grün'], length: 1 }], { name: latin, 'name.utf-8': 'Bäume' }),
    );
    assert.deepEqual(good.files[0]?.path, ['Bäume', 'grün']);
    const bad = parseTorrent(
      multi([{ path: ['plain'], 'path.utf-8': [latin], length: 1 }], { name: 'name', 'name.utf-8': latin }),
    );
    assert.deepEqual(bad.files[0]?.path, ['name', 'plain']);
  });

  it('says no to version 2 alone', () => {
    refused(
      single({ pieces: undefined, 'meta version': 2, 'file tree': {} }),
      'BAD_TORRENT',
      /v2-only .* not supported yet/,
    );
    refused(single({ pieces: undefined }), 'BAD_TORRENT', /'pieces' is missing/);
  });

  it('keeps a bounded number of warnings', () => {
    const files = Array.from({ length: 300 }, (_, i) => file(`dir${i}/con`, 1));
    const { warnings } = parseTorrent(multi(files));
    assert.equal(warnings.length, 101);
    assert.match(warnings[100]!, /200 more/);
  });
});

describe('a torrent is refused', () => {
  const cases: [what: string, bytes: Buffer, code: string, message: RegExp][] = [
    ['that is HTML', Buffer.from('<html>'), 'BAD_BENCODE', /byte 0$/],
    ['that is cut off', single().subarray(0, 40), 'BAD_BENCODE', /byte \d+$/],
    ['that is a list', Buffer.from('le'), 'BAD_TORRENT', /not a dictionary/],
    ['without info', encodeBencode({ a: 1 }), 'BAD_TORRENT', /no 'info'/],
    ['whose info is a list', encodeBencode({ info: [] }), 'BAD_TORRENT', /no 'info'/],
    ['with a piece hash too few', single({ pieces: HASH }), 'BAD_TORRENT', /1 piece hashes where 2 are needed/],
    ['with a piece hash too many', single({ pieces: Buffer.alloc(60) }), 'BAD_TORRENT', /3 piece hashes where 2/],
    ['with half a piece hash', single({ pieces: Buffer.alloc(30) }), 'BAD_TORRENT', /30 bytes, not a multiple/],
    ['with no piece hashes', single({ pieces: '' }), 'BAD_TORRENT', /0 piece hashes/],
    ['whose pieces are a number', single({ pieces: 5 }), 'BAD_TORRENT', /'pieces'/],
    ['with piece length 0', single({ 'piece length': 0 }), 'BAD_TORRENT', /piece length/],
    ['with a negative piece length', single({ 'piece length': -1 }), 'BAD_TORRENT', /piece length/],
    ['without a piece length', single({ 'piece length': undefined }), 'BAD_TORRENT', /piece length/],
    ['with a huge piece length', single({ 'piece length': LIMITS.pieceLengthBytes + 1 }), 'LIMIT', /piece length/],
    ['with too many pieces', single({ 'piece length': 1, length: LIMITS.pieceCount + 1 }), 'LIMIT', /pieces, more/],
    ['with a negative length', single({ length: -1 }), 'BAD_TORRENT', /'length'/],
    ['without a length', single({ length: undefined }), 'BAD_TORRENT', /'length'/],
    ['whose length is text', single({ length: '5' }), 'BAD_TORRENT', /'length'/],
    ['with an absurd length', single({ length: LIMITS.torrentLengthBytes + 1 }), 'LIMIT', /bytes of data/],
    ['with length and files', single({ files: [] }), 'BAD_TORRENT', /both/],
    ['of one empty file', single({ length: 0, pieces: '' }), 'BAD_TORRENT', /empty/],
    ['of empty files', multi([file('a', 0)], { pieces: '' }), 'BAD_TORRENT', /empty/],
    ['with no files', multi([], { pieces: '' }), 'BAD_TORRENT', /empty/],
    ['whose files are text', multi('x'), 'BAD_TORRENT', /'files' is not a list/],
    ['with a file that is no dictionary', multi([file('a', 1), 5]), 'BAD_TORRENT', /file 2: it is not a dictionary/],
    ['with a file without path', multi([{ length: 1 }]), 'BAD_TORRENT', /file 1: 'path'/],
    ['with a path of numbers', multi([{ length: 1, path: [1] }]), 'BAD_TORRENT', /file 1: 'path'/],
    ['with an empty path', multi([{ length: 1, path: [] }]), 'BAD_TORRENT', /unsafe path/],
    ['that climbs out', multi([file('../x', 1)]), 'BAD_TORRENT', /unsafe path: the name "\.\."/],
    [
      'with padding that climbs out',
      multi([file('a', 1), file('../x', 1, { attr: 'p' })]),
      'BAD_TORRENT',
      /unsafe path/,
    ],
    ['with an absolute path', multi([{ path: ['/etc/passwd'], length: 1 }]), 'BAD_TORRENT', /unsafe path/],
    ['with a path that climbs by backslashes', multi([file('..\\x', 1)]), 'BAD_TORRENT', /unsafe path/],
    ['named ..', single({ name: '..' }), 'BAD_TORRENT', /unsafe path/],
    ['named by nothing', single({ name: '' }), 'BAD_TORRENT', /unsafe path/],
    ['without a name', single({ name: undefined }), 'BAD_TORRENT', /'name'/],
    ...['resume', 'parts', 'lock', 'resume.tmp', 'PARTS'].map((kind): [string, Buffer, string, RegExp] => {
      const name = `.0123456789abcdef.haul-${kind}`;
      return [`named like our own ${kind} file`, single({ name }), 'BAD_TORRENT', /keeps beside its data/];
    }),
    [
      'whose folder is named like our own record',
      multi([file('a', 1)], { name: '.0123456789abcdef.haul-resume' }),
      'BAD_TORRENT',
      /keeps beside its data/,
    ],
    ['whose name.utf-8 climbs out', single({ 'name.utf-8': '../x' }), 'BAD_TORRENT', /unsafe path/],
    ['with a link without target', multi([file('a', 1), file('l', 0, { attr: 'l' })]), 'BAD_TORRENT', /'symlink path'/],
    [
      'with a link that climbs out',
      multi([file('a', 1), file('l', 0, { attr: 'l', 'symlink path': ['..', '..', 'etc'] })]),
      'BAD_TORRENT',
      /unsafe path/,
    ],
    ['that is one link', single({ attr: 'l', 'symlink path': ['a'] }), 'BAD_TORRENT', /symbolic link/],
    [
      'whose lengths add up beyond the limit',
      multi([file('a', LIMITS.torrentLengthBytes), file('b', 1)], { 'piece length': LIMITS.pieceLengthBytes }),
      'LIMIT',
      /bytes of data/,
    ],
    ['larger than 10 MiB', single({}, { junk: Buffer.alloc(LIMITS.torrentFileBytes) }), 'LIMIT', /bytes, more than/],
    ['nested too deep', Buffer.from(`d1:a${'l'.repeat(200)}`), 'BAD_BENCODE', /nested deeper/],
  ];
  for (const [what, bytes, code, message] of cases) it(what, () => refused(bytes, code, message));

  it('with a HaulError and nothing else, whatever bytes are changed', () => {
    const base = multi([file('a/b', 10), file('c', 5, { attr: 'l', 'symlink path': ['a', 'b'] })]);
    const change = fc.tuple(fc.nat(base.length - 1), fc.nat(255));
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
      { numRuns: 3000 },
    );
  });
});

describe('writing a torrent', () => {
  const infoBytes = parseTorrent(single()).infoBytes;

  it('can be read back', () => {
    const fields = {
      infoBytes,
      trackers: [['http://a.example/x', 'http://b.example/'], ['udp://c.example:1']],
      webSeeds: ['http://s.example/', 'http://t.example/'],
      comment: 'hällo',
      createdBy: 'me',
      creationDate: 5,
    };
    const metainfo = parseTorrent(encodeTorrent(fields));
    assert.deepEqual(metainfo.warnings, []);
    const { trackers, webSeeds, comment, createdBy, creationDate } = metainfo;
    assert.deepEqual({ infoBytes: metainfo.infoBytes, trackers, webSeeds, comment, createdBy, creationDate }, fields);
    assert.equal(
      encodeTorrent({ infoBytes, trackers: [[]] }).toString('latin1'),
      `d4:info${infoBytes.toString('latin1')}e`,
    );
  });

  it('with other trackers keeps every other byte', () => {
    const bytes = single(
      { extra: { deep: [1] } },
      { announce: 'http://old.example/', 'announce-list': [['http://old.example/']], zebra: [1, { b: 2 }] },
    );
    const before = parseTorrent(bytes);
    const changed = withTrackers(bytes, [['http://new.example/a'], ['http://new.example/b']]);
    const after = parseTorrent(changed);
    assert.deepEqual(after.trackers, [['http://new.example/a'], ['http://new.example/b']]);
    assert.deepEqual(after.infoBytes, before.infoBytes);
    assert.equal(after.infoHashHex, before.infoHashHex);
    assert.match(changed.toString('latin1'), /5:zebrali1ed1:bi2eeee$/);
    assert.deepEqual(parseTorrent(withTrackers(bytes, [])).trackers, []);
    assert.deepEqual(withTrackers(changed, after.trackers), changed);
  });

  it('with other trackers sorts the outer keys and leaves an unsorted info dictionary as it is', () => {
    const info = `d4:name1:a6:lengthi1e12:piece lengthi16384e6:pieces20:${'7'.repeat(20)}e`;
    const changed = withTrackers(Buffer.from(`d4:info${info}1:ai1ee`), [['http://n.example/']]);
    assert.equal(changed.toString(), `d1:ai1e8:announce17:http://n.example/4:info${info}e`);
    assert.throws(() => withTrackers(Buffer.from('de'), []), { code: 'BAD_TORRENT' });
    assert.throws(() => withTrackers(Buffer.from('d'), []), { code: 'BAD_BENCODE' });
  });
});
