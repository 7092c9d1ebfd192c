import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as mmap from '../../src/native/mmap-io.js';
import { makeFolder } from '../storage/scene.js';

const folder = makeFolder();
after(() => fs.rmSync(folder, { recursive: true }));

test('a mapping at an offset above 4 GiB sees the bytes that are there', () => {
  const path = join(folder, 'sparse');
  const fd = fs.openSync(path, 'w+');
  const offset = 5 * 1024 ** 3;
  fs.writeSync(fd, 'at the beginning', 0);
  fs.writeSync(fd, 'above four GiB', offset + 10);
  fs.ftruncateSync(fd, offset + mmap.pageSize());
  const address = mmap.map(mmap.pageSize(), mmap.PROT_READ, mmap.MAP_SHARED, fd, offset);
  fs.closeSync(fd);
  assert.equal(Buffer.from(mmap.view(address, mmap.pageSize())).toString('latin1', 10, 24), 'above four GiB');
  mmap.unmap(address, mmap.pageSize());
});

test('a failed call names its errno and itself', async () => {
  const failure = { name: 'Error', code: 'EBADF', errno: 9 };
  assert.throws(() => mmap.map(4096, mmap.PROT_READ, mmap.MAP_SHARED, 1_000_000), { ...failure, syscall: 'mmap' });
  await assert.rejects(mmap.fallocate(1_000_000, 0, 1), { ...failure, syscall: 'fallocate' });
  await assert.rejects(mmap.syncFileSystem(1_000_000), { ...failure, syscall: 'syncfs' });
  assert.throws(() => mmap.advise(1, 4096, mmap.MADV_NORMAL), { code: 'EINVAL', syscall: 'madvise' });
  assert.equal(mmap.tryAdvise(mmap.pageSize(), 4096, mmap.MADV_POPULATE_READ), 12);
});

test('fallocate reserves without clearing what is there', async () => {
  const fd = fs.openSync(join(folder, 'reserved'), 'w+');
  try {
    fs.writeSync(fd, 'kept');
    await mmap.fallocate(fd, 0, 1_000_000);
    const { size, blocks } = fs.fstatSync(fd);
    assert.equal(size, 1_000_000);
    assert.ok(blocks * 512 >= 1_000_000);
    const start = Buffer.alloc(4);
    fs.readSync(fd, start, 0, 4, 0);
    assert.equal(start.toString(), 'kept');
    await mmap.syncFileSystem(fd);
  } finally {
    fs.closeSync(fd);
  }
});
