/** A finished piece is hashed and written by one job: what is not good never reaches the file. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import * as mmap from '../../src/native/mmap-io.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { FileRange, WorkJob, WorkResult } from '../../src/work/port.js';

const WINDOW_BYTES = 64 * 1024;
const TIMES_BYTES = 5 * 8;

test('verify-write writes what has the digest, and leaves the file alone for anything else', async (t) => {
  const scope = openScope(t);
  const pool = createWorkPool({ threads: 1 });
  scope.defer(() => pool.close());
  const flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS;
  const address = mmap.map(WINDOW_BYTES, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1);
  scope.defer(() => mmap.unmap(address, WINDOW_BYTES));
  const source = Buffer.from(Uint8Array.from({ length: 300 }, (_, index) => (index * 31) & 0xff));
  Buffer.from(mmap.view(address, WINDOW_BYTES)).set(source, 50);
  const file = join(await tempFolder(scope), 'verified');
  const handle = await open(file, 'w+');
  scope.defer(() => handle.close());

  const memory = { windowAddress: address, windowBytes: WINDOW_BYTES, beginBytes: 50, lengthBytes: 300 };
  const run = (files: readonly FileRange[], digest: Uint8Array): Promise<WorkResult> => {
    const job: WorkJob = { kind: 'verify-write', files, memory, digest, wantsTimes: true };
    return new Promise((resolve) => assert.ok(pool.submit(job, resolve)));
  };
  const files = [
    { fd: handle.fd, beginBytes: 10, lengthBytes: 100 },
    { fd: -1, beginBytes: 0, lengthBytes: 50 },
    { fd: handle.fd, beginBytes: 200, lengthBytes: 150 },
  ];
  const sha1 = createHash('sha1').update(source).digest();

  assert.deepEqual(await run(files, Buffer.alloc(20)), { ok: true, good: false, bytes: new Uint8Array(0) });
  assert.equal((await handle.stat()).size, 0);

  const good = await run(files, sha1);
  assert.ok(good.ok && good.good);
  assert.equal(good.bytes.length, files.length * TIMES_BYTES);
  const written = await readFile(file);
  assert.deepEqual(written.subarray(10, 110), source.subarray(0, 100));
  assert.deepEqual(written.subarray(200), source.subarray(150));

  const readOnly = await open(file, 'r');
  scope.defer(() => readOnly.close());
  const refused = await run([{ fd: readOnly.fd, beginBytes: 0, lengthBytes: 300 }], sha1);
  assert.deepEqual(refused, { ok: false, errno: 'EBADF', operation: 'write' });
});
