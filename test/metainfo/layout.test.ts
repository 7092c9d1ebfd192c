/**
 * Scenes: one character per byte of the torrent. A letter is a file, a digit or `p` the part file, `.` is not stored.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FileLayout, PART_ALIGN_BYTES, partFileName } from '../../src/metainfo/layout.js';
import { type FilePriority, Selection } from '../../src/metainfo/selection.js';
import { ExtentTable, NO_WINDOW } from '../../src/storage/extents.js';
import * as scenes from '../storage/scene.js';

/** `aaabb`: file a of 3 bytes, then b of 2; `-` is padding, upper case is skipped. */
function layoutOf(scene: string, pieceLengthBytes: number) {
  const runs = scene.match(/(.)\1*/g)!;
  const metainfo = scenes.metainfoOf(
    runs.map((run, index) => ({ path: `t/${index}`, lengthBytes: run.length, isPad: run[0] === '-' })),
    pieceLengthBytes,
  );
  const priorities = runs.map((run): FilePriority => (/[A-Z]/.test(run) ? 'skip' : 'normal'));
  const selection = Selection.of(metainfo, priorities);
  return { metainfo, selection, runs, layout: new FileLayout(metainfo, selection) };
}

/** Each byte as its place: the letter of its file, `p` for the part file, `.` for nowhere. */
function places(scene: string, pieceLengthBytes: number): string {
  const { layout, runs } = layoutOf(scene, pieceLengthBytes);
  const segments = layout.segments(0, scene.length);
  return segments
    .map(({ file, lengthBytes, isStored }) =>
      (isStored ? (file === layout.partFile ? 'p' : runs[file]![0]!) : '.').repeat(lengthBytes),
    )
    .join('');
}

test('what wanted pieces hold of skipped files lies in the part file, the rest of those files nowhere', () => {
  const scenery: [pieceLengthBytes: number, scene: string, expected: string][] = [
    [4, 'aaaaaabbbbbbcc', 'aaaaaabbbbbbcc'],
    [4, 'aaaaaaBBBBBBBBBBBcccc', 'aaaaaapp........pcccc'],
    [4, 'AAAAAAAAAAbbb', '........ppbbb'],
    [4, 'aaaaaBBBBBBBBB', 'aaaaappp......'],
    [4, 'aaaaBBBBcccc', 'aaaa....cccc'],
    [8, 'aBBcDDDDe', 'appcppppe'],
    [8, 'aBBCCCdddd', 'apppppdddd'],
    [4, 'aa--bbBBBB--', 'aa..bbpp....'],
    [4, 'AAA-bbbb', '....bbbb'],
  ];
  for (const [pieceLengthBytes, scene, expected] of scenery) {
    assert.equal(places(scene, pieceLengthBytes), expected, scene);
  }
});

test('the part file is compact: runs in order, each on a page, and as long as the last of them needs', () => {
  const { layout } = layoutOf('aaaaaaBBBBBBBBBBBcccc', 4);
  const runs = layout.stretches.filter(({ file }) => file === layout.partFile);
  assert.deepEqual(
    runs.map(({ torrentBegin, beginBytes, lengthBytes }) => [torrentBegin, beginBytes, lengthBytes]),
    [
      [6, 0, 2],
      [16, PART_ALIGN_BYTES, 1],
    ],
  );
  assert.equal(layout.partFileBytes, PART_ALIGN_BYTES + 1);
  assert.equal(layout.fileLength(layout.partFile), layout.partFileBytes);
  assert.equal(layoutOf('aaaaBBBBcccc', 4).layout.partFileBytes, 0);
  assert.match(partFileName({ infoHashHex: '0123456789abcdef0123' }), /^\.0123456789abcdef\.haul-parts$/);
});

const scene = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom('wanted', 'skipped', 'pad')), {
    minLength: 1,
    maxLength: 20,
  })
  .filter((files) => files.some(([, kind]) => kind === 'wanted'))
  .map((files) =>
    files
      .map(([length, kind], index) => {
        const letter = String.fromCharCode(97 + index);
        return (kind === 'pad' ? '-' : kind === 'skipped' ? letter.toUpperCase() : letter).repeat(length);
      })
      .join(''),
  );

test('every byte of a wanted piece but padding has a place of its own, in files and in mapped windows alike', () => {
  fc.assert(
    fc.property(scene, fc.integer({ min: 1, max: 12 }), (drawing, pieceLengthBytes) => {
      const { layout, selection } = layoutOf(drawing, pieceLengthBytes);
      const table = new ExtentTable(layout, 8 * PART_ALIGN_BYTES, PART_ALIGN_BYTES);
      const taken = new Set<string>();
      for (let offset = 0; offset < drawing.length; offset++) {
        const [{ file, beginBytes, isStored }] = layout.segments(offset, 1) as [ReturnType<typeof layout.segments>[0]];
        const isOwn = /[a-z]/.test(drawing[offset]!);
        const isWanted = selection.isWanted(Math.floor(offset / pieceLengthBytes));
        assert.equal(isStored, drawing[offset] !== '-' && isWanted);
        assert.equal(isStored && file === layout.partFile, isStored && !isOwn);
        const extent = table.find(offset);
        const inside = offset - table.begin[extent]!;
        assert.equal(table.window[extent] === NO_WINDOW, !isStored);
        assert.equal(table.file[extent], file);
        assert.equal(table.fileBegin[extent]! + inside, beginBytes);
        if (!isStored) continue;
        assert.equal(table.fileBegin[extent]! % PART_ALIGN_BYTES, 0);
        assert.ok(beginBytes < layout.fileLength(file));
        const place = `${file} ${beginBytes}`;
        assert.ok(!taken.has(place), `${place} is taken twice`);
        taken.add(place);
      }
    }),
  );
});
