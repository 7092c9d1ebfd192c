import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileSystemOf, isWrittenFaster } from '../../src/native/file-systems.js';
import { chooseStorage, filesInOnePiece } from '../../src/storage/choose.js';
import { makeFolder, metainfoOf } from './scene.js';

const folder = makeFolder(fs.existsSync('/dev/shm') ? '/dev/shm' : undefined);
after(() => fs.rmSync(folder, { recursive: true }));

test('network, copy-on-write and unknown file systems are never mapped', () => {
  const names = [0x6969, 0xff534d42, 0x65735546, 0x9123683e, 0x2fc12fc1, 0x794c7630, 0x01021997].map(fileSystemOf);
  assert.deepEqual(
    names.map(({ name, kind }) => `${name} ${kind}`),
    ['NFS', 'CIFS', 'FUSE', 'Btrfs', 'ZFS', 'overlayfs', '9p'].map((name) => `${name} positional`),
  );
  assert.equal(fileSystemOf(0x12345678).kind, 'positional');
  assert.equal(fileSystemOf(0xef53).kind, 'mapped');
  // f_type as a signed number.
  assert.equal(fileSystemOf(0xff534d42 | 0).name, 'CIFS');
});

test('a folder that does not exist yet is judged by the one above, and nothing is left behind', {
  skip: !fs.existsSync('/dev/shm'),
}, async () => {
  const metainfo = metainfoOf([{ path: 'file', lengthBytes: 100 }], 16384);
  const later = join(folder, 'not', 'there');
  assert.deepEqual(await chooseStorage(metainfo, later, false), { kind: 'mapped', reason: 'file system tmpfs' });
  const reason = 'file system tmpfs takes written pieces faster';
  assert.deepEqual(await chooseStorage(metainfo, later, true), { kind: 'positional', reason });
  assert.deepEqual(fs.readdirSync(folder), []);
  assert.deepEqual(await chooseStorage(metainfo, '/proc/self', true), {
    kind: 'positional',
    reason: 'file system unknown',
  });
});

test('pieces that span very many files are not mapped', async () => {
  const files = Array.from({ length: 3000 }, (_, index) => ({ path: `t/${index}`, lengthBytes: 10 }));
  assert.equal(filesInOnePiece(metainfoOf(files, 100)), 10);
  assert.equal(filesInOnePiece(metainfoOf(files, 105)), 11);
  assert.equal(filesInOnePiece(metainfoOf(files, 16384)), 1639);
  assert.equal((await chooseStorage(metainfoOf(files, 16384), folder, true)).kind, 'positional');
});

test('written pieces are faster: ext4 from Linux 6.16 on, XFS from 6.6 on, tmpfs always, others not at all', () => {
  const ext4 = fileSystemOf(0xef53);
  const xfs = fileSystemOf(0x58465342);
  const kernels = ['5.15.0-91-generic', '6.1.0', '6.15.11', '6.16.0-rc1', '6.18.44-fc-v657', '7.0', 'unknown'];
  assert.deepEqual(
    kernels.map((kernel) => isWrittenFaster(ext4, kernel)),
    [false, false, false, true, true, true, false],
  );
  assert.deepEqual(
    ['6.5.13', '6.6.0', '6.18.44-fc-v657'].map((kernel) => isWrittenFaster(xfs, kernel)),
    [false, true, true],
  );
  const [tmpfs, f2fs] = [0x01021994, 0xf2f52010].map((type) =>
    isWrittenFaster(fileSystemOf(type), '5.15.0-91-generic'),
  );
  assert.deepEqual([tmpfs, f2fs], [true, false]);
});

test('a seed on ext4 is mapped whatever the kernel', async (t) => {
  const onDisk = makeFolder();
  t.after(() => fs.rmSync(onDisk, { recursive: true }));
  const metainfo = metainfoOf([{ path: 'file', lengthBytes: 100 }], 16384);
  const { type } = fs.statfsSync(onDisk);
  if (fileSystemOf(type).writesFasterFrom === undefined) return t.skip('the temporary folder is not on ext4');
  assert.equal((await chooseStorage(metainfo, onDisk, false)).kind, 'mapped');
  const kind = isWrittenFaster(fileSystemOf(type), release()) ? 'positional' : 'mapped';
  assert.equal((await chooseStorage(metainfo, onDisk, true)).kind, kind);
});
