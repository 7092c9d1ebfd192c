/** Files that are read in turns: how often they are opened, and how many are open. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { RangeReader } from '../../src/work/range-reader.js';

const STEP_BYTES = 1000;
const STEPS = 6;
const folder = fs.mkdtempSync(join(tmpdir(), 'haul-ranges-'));
const node = createRequire(import.meta.url)('node:fs') as {
  openSync: (...words: Parameters<typeof fs.openSync>) => number;
  closeSync: (fd: number) => void;
};
const { openSync, closeSync } = node;

/** Opens and closes are counted. More than `limit` open files are one too many for the process. */
const counts = { opens: 0, open: 0, most: 0, limit: Number.POSITIVE_INFINITY };
node.openSync = (...words) => {
  if (counts.open >= counts.limit) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE', errno: -24 });
  const fd = openSync(...words);
  counts.opens++;
  counts.most = Math.max(counts.most, ++counts.open);
  return fd;
};
node.closeSync = (fd) => {
  closeSync(fd);
  counts.open--;
};
syncBuiltinESMExports();
after(() => {
  Object.assign(node, { openSync, closeSync });
  syncBuiltinESMExports();
  fs.rmSync(folder, { recursive: true });
});
beforeEach(() => Object.assign(counts, { opens: 0, open: 0, most: 0, limit: Number.POSITIVE_INFINITY }));

/** Reads so many files in turns, a step of each, to their ends. */
function readInTurns(fileCount: number): void {
  const contents = Array.from({ length: fileCount }, (_, index) => Buffer.alloc(STEP_BYTES * STEPS, index + 1));
  const ranges = contents.map((content, index) => {
    const path = join(folder, `${index}`);
    fs.writeFileSync(path, content);
    return { path: Buffer.from(path), identity: null, beginBytes: 0, lengthBytes: content.length };
  });
  Object.assign(counts, { opens: 0, open: 0, most: 0 });
  const reader = new RangeReader(ranges);
  const target = Buffer.alloc(STEP_BYTES);
  for (let at = 0; at < STEP_BYTES * STEPS; at += STEP_BYTES) {
    for (const [index, content] of contents.entries()) {
      assert.equal(reader.read(target, index * STEP_BYTES * STEPS + at), null);
      assert.deepEqual(target, content.subarray(at, at + STEP_BYTES));
    }
  }
  reader.close();
  assert.equal(counts.open, 0);
}

test('files that are read in turns are opened once each', () => {
  readInTurns(16);
  assert.equal(counts.opens, 16);
});

test('not more than 16 are open, however many are read in turns', () => {
  readInTurns(40);
  assert.equal(counts.most, 16);
});

test('where the process has no descriptor left one file at a time is enough', () => {
  counts.limit = 1;
  readInTurns(3);
  assert.equal(counts.most, 1);
});

test('one after the other, not more than one is open', () => {
  const ranges = [0, 1, 2].map((index) => {
    const path = join(folder, `row-${index}`);
    fs.writeFileSync(path, Buffer.alloc(STEP_BYTES));
    return { path: Buffer.from(path), identity: null, beginBytes: 0, lengthBytes: STEP_BYTES };
  });
  const reader = new RangeReader(ranges);
  Object.assign(counts, { opens: 0, open: 0, most: 0 });
  assert.equal(reader.read(Buffer.alloc(3 * STEP_BYTES), 0), null);
  assert.deepEqual([counts.opens, counts.most, counts.open], [3, 1, 0]);
  reader.close();
});
