import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ExtentTable, NO_WINDOW } from '../../src/storage/extents.js';
import { entriesOf, layoutOf } from './scene.js';

const PAGE = 4096;
const WINDOW = 8 * PAGE;

const tree = fc
  .array(fc.record({ lengthBytes: fc.oneof(fc.nat(100), fc.nat(5 * WINDOW)), isPad: fc.boolean() }), {
    minLength: 1,
    maxLength: 90,
  })
  .filter((files) => files.some(({ lengthBytes }) => lengthBytes > 0))
  .map((files) => entriesOf(files.map((file, index) => ({ ...file, path: `${index}` }))));

test('extents cover every byte of the torrent once, each on a page of its window and of its file', () => {
  fc.assert(
    fc.property(tree, (files) => {
      const table = new ExtentTable(layoutOf(files), WINDOW, PAGE);
      let position = 0;
      const used = new Array<number>(table.windowCount).fill(0);
      for (let extent = 0; extent < table.extentCount; extent++) {
        const file = files[table.file[extent]!]!;
        const length = table.lengthBytes[extent]!;
        assert.equal(table.begin[extent], position);
        assert.equal(table.begin[extent], file.beginBytes + table.fileBegin[extent]!);
        assert.ok(length > 0 && table.fileBegin[extent]! + length <= file.lengthBytes);
        position += length;
        const window = table.window[extent]!;
        assert.equal(window === NO_WINDOW, file.isPad);
        if (window === NO_WINDOW) continue;
        assert.equal(table.windowBegin[extent]! % PAGE, 0);
        assert.equal(table.fileBegin[extent]! % PAGE, 0);
        assert.ok(table.windowBegin[extent]! >= used[window]!);
        used[window] = table.windowBegin[extent]! + length;
        assert.ok(used[window]! <= table.windowBytes[window]! && table.windowBytes[window]! <= WINDOW);
      }
      assert.equal(position, files.at(-1)!.beginBytes + files.at(-1)!.lengthBytes);
    }),
  );
});

test('the extent of any offset is found, in any order of asking', () => {
  fc.assert(
    fc.property(
      tree,
      fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 30 }),
      (files, at) => {
        const table = new ExtentTable(layoutOf(files), WINDOW, PAGE);
        const length = files.at(-1)!.beginBytes + files.at(-1)!.lengthBytes;
        for (const share of at) {
          const offset = Math.floor(share * length);
          const extent = table.find(offset);
          assert.ok(table.begin[extent]! <= offset && offset < table.begin[extent]! + table.lengthBytes[extent]!);
        }
      },
    ),
  );
});

test('a window holds a bounded number of files', () => {
  const files = entriesOf(Array.from({ length: 1000 }, (_, index) => ({ path: `${index}`, lengthBytes: 1 })));
  const table = new ExtentTable(layoutOf(files), 1024 * PAGE, PAGE);
  assert.equal(table.windowCount, Math.ceil(1000 / 64));
  assert.deepEqual(table.windowsIn(60, 10), [0, 1]);
});
