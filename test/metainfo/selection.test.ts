/** Scenes: one character per piece, 0 skip to 3 high. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HaulError } from '../../src/errors.js';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { type FilePriorities, type FilePriority, Selection } from '../../src/metainfo/selection.js';
import * as scenes from '../storage/scene.js';

/** Pieces 0-2 lie in a, 3 in a and b, 4-6 in b, 7 in b and c. */
const FILES = [
  { path: 't/a', lengthBytes: 3500 },
  { path: 't/b', lengthBytes: 4000 },
  { path: 't/empty', lengthBytes: 0 },
  { path: 't/c', lengthBytes: 400 },
];
const METAINFO = scenes.metainfoOf(FILES, 1000);

function drawn(priorities: FilePriorities, metainfo = METAINFO): string {
  return [...Selection.of(metainfo, priorities).pieces].join('');
}

const drawnBits = (bits: Bitfield): string =>
  Array.from({ length: bits.bitCount }, (_, index) => (bits.has(index) ? '#' : '.')).join('');

describe('a selection of files', () => {
  test('gives each piece the highest priority of its files', () => {
    assert.equal(drawn(['normal', 'normal', 'normal', 'normal']), '22222222');
    assert.equal(drawn(['low', 'high', 'skip', 'normal']), '11133333');
    assert.equal(drawn(['skip', 'low', 'skip', 'skip']), '00011111');
    assert.equal(drawn(['high', 'skip', 'skip', 'low']), '33330001');
    assert.equal(
      drawn(({ path }) => (path.at(-1) === 'c' ? 'low' : 'skip')),
      '00000001',
    );
  });

  test('counts what is wanted, the shorter last piece by its own length', () => {
    const last = Selection.of(METAINFO, ['skip', 'skip', 'skip', 'normal']);
    assert.deepEqual([last.wantedPieces, last.wantedBytes, last.isWhole], [1, 900, false]);
    const all = Selection.of(METAINFO, ['low', 'normal', 'normal', 'high']);
    assert.deepEqual([all.wantedPieces, all.wantedBytes, all.isWhole], [8, 7900, true]);
    const nothing = Selection.of(METAINFO, ['skip', 'skip', 'normal', 'skip']);
    assert.deepEqual([nothing.wantedPieces, nothing.wantedBytes], [0, 0], 'an empty file needs no piece');
  });

  test('knows the wanted pieces that hold bytes of skipped files', () => {
    assert.equal(drawnBits(Selection.of(METAINFO, ['normal', 'skip', 'normal', 'low']).borders()), '...#...#');
    assert.equal(drawnBits(Selection.of(METAINFO, ['normal', 'normal', 'skip', 'normal']).borders()), '........');
  });

  test('wants pieces of nothing but padding with the whole only', () => {
    const padded = scenes.metainfoOf(
      [
        { path: 't/a', lengthBytes: 1000 },
        { path: 't/.pad/1', lengthBytes: 2000, isPad: true },
        { path: 't/b', lengthBytes: 500 },
      ],
      1000,
    );
    assert.equal(drawn(['low', 'high', 'low'], padded), '1221');
    assert.equal(drawn(['low', 'high', 'skip'], padded), '1000');
    assert.equal(Selection.of(padded, () => 'low').isWhole, true);
  });

  test('is refused with one clear line', () => {
    const cases: [priorities: unknown, says: RegExp][] = [
      [['normal'], /one for each of its 4 files, 1 are given/],
      ['normal', /this is no list/],
      [['normal', 'normal', 'NORMAL', 'low'], /t\/empty: "NORMAL" is none of skip, low, normal, high/],
      [() => undefined, /t\/a: "undefined" is none/],
      [['skip', 'skip', 'skip', 'skip'], /every file is skipped/],
    ];
    for (const [priorities, says] of cases) {
      assert.throws(
        () => Selection.of(METAINFO, priorities as FilePriorities),
        (error) => error instanceof HaulError && error.code === 'BAD_ARGUMENT' && says.test(error.message),
      );
    }
  });

  test('can be made from the files it leaves out, as a resume record has them', () => {
    const skipped = new Bitfield(4);
    skipped.set(1);
    assert.equal([...Selection.without(METAINFO, skipped).pieces].join(''), '22220002');
  });

  test('agrees with a look at every byte', () => {
    const names: readonly FilePriority[] = ['skip', 'low', 'normal', 'high'];
    const file = fc.record({ lengthBytes: fc.nat(40), level: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(file, { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 20 }), (files, length) => {
        fc.pre(files.some((each) => each.lengthBytes > 0) && files.some((each) => each.level > 0));
        const metainfo = scenes.metainfoOf(
          files.map(({ lengthBytes }, index) => ({ path: `t/${index}`, lengthBytes })),
          length,
        );
        const selection = Selection.of(
          metainfo,
          files.map(({ level }) => names[level]!),
        );
        const bytes = files.flatMap(({ lengthBytes, level }) => new Array<number>(lengthBytes).fill(level));
        const expected = Array.from({ length: metainfo.geometry.pieceCount }, (_, piece) =>
          Math.max(...bytes.slice(piece * length, (piece + 1) * length)),
        );
        assert.deepEqual([...selection.pieces], expected);
      }),
    );
  });
});
