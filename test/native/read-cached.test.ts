import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readCached } from '../../src/native/read-cached.js';
import { makeFolder } from '../storage/scene.js';

const folder = makeFolder();
after(() => fs.rmSync(folder, { recursive: true }));
const EXT4 = 0xef53;

test('what was just written is read at once; behind the end, and of what is no file, there is nothing', () => {
  const path = join(folder, 'file');
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 251));
  fs.writeFileSync(path, bytes);
  const fd = fs.openSync(path, 'r');
  try {
    const target = Buffer.alloc(50_000).subarray(1_000);
    const read = readCached(fd, target, 30_000);
    assert.deepEqual(target.subarray(0, read), bytes.subarray(30_000, 30_000 + read));
    // Others may not say what they have in memory.
    if (fs.statfsSync(folder).type === EXT4) assert.equal(read, target.length);
    assert.ok(readCached(fd, target, 99_990) <= 10);
    assert.equal(readCached(fd, target, 100_000), 0);
    assert.equal(readCached(fd, Buffer.alloc(0), 0), 0);
  } finally {
    fs.closeSync(fd);
  }
  assert.equal(readCached(1_000_000, Buffer.alloc(10), 0), 0);
});
