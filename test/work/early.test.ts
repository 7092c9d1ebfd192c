/** Prefaults while no worker is there yet. */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { withDeadline } from '../../lab/wait.js';
import * as mmap from '../../src/native/mmap-io.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { MemoryRange, WorkPool, WorkResult } from '../../src/work/port.js';

const MIB = 1024 * 1024;
const LENGTH = 3 * MIB;
const DEADLINE_MS = 30_000;
/** A worker that never answers is given up after that, and so a test ends soon. */
const PATIENCE_MS = 300;

interface Bench {
  readonly pool: WorkPool;
  readonly range: MemoryRange;
  readonly fd: number;
}

/** A pool whose worker never comes, and a mapped file. */
async function start(t: TestContext): Promise<Bench> {
  const scope = openScope(t);
  const folder = await tempFolder(scope);
  const workerFile = path.join(folder, 'worker.cjs');
  writeFileSync(workerFile, 'module.exports = () => new Promise(() => setInterval(() => {}, 1000));');
  const pool = createWorkPool({ threads: 1, workerUrl: pathToFileURL(workerFile), proofTimeoutMs: PATIENCE_MS });
  const fd = openSync(path.join(folder, 'file'), 'w+');
  scope.defer(() => closeSync(fd));
  ftruncateSync(fd, LENGTH);
  const address = mmap.map(LENGTH, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd);
  scope.defer(() => mmap.unmap(address, LENGTH));
  scope.defer(() => withDeadline(pool.close(), 'the pool closes', DEADLINE_MS));
  return { pool, fd, range: { windowAddress: address, windowBytes: LENGTH, beginBytes: 0, lengthBytes: LENGTH } };
}

function populate({ pool, range }: Bench, part: Partial<MemoryRange> = {}): Promise<WorkResult> {
  return new Promise((resolve) => {
    const job = { kind: 'populate', forWriting: true, ranges: [{ ...range, ...part }] } as const;
    assert.ok(pool.submit(job, resolve));
  });
}

test('memory is made present before there is a worker', async (t) => {
  const bench = await start(t);
  const { windowAddress } = bench.range;
  assert.equal(mmap.incore(windowAddress, LENGTH).present, 0);
  const parts = [0, MIB, 2 * MIB].map((beginBytes) => populate(bench, { beginBytes, lengthBytes: MIB }));
  for (const result of await Promise.all(parts)) assert.ok(result.ok);
  assert.equal(mmap.incore(windowAddress, LENGTH).absent, 0);
});

test('what cannot be made present before there is a worker fails with its errno, and that alone', async (t) => {
  const bench = await start(t);
  ftruncateSync(bench.fd, MIB);
  const [whole, cut] = [populate(bench, { lengthBytes: MIB }), populate(bench, { beginBytes: MIB, lengthBytes: MIB })];
  assert.ok((await whole).ok);
  const failed = await cut;
  assert.ok(!failed.ok && failed.errno === 'EFAULT' && failed.error === undefined, JSON.stringify(failed));
});

test('a pool is closed while memory is made present without a worker: every job is answered', async (t) => {
  const bench = await start(t);
  const jobs = Array.from({ length: 8 }, () => populate(bench));
  await bench.pool.close();
  for (const result of await Promise.all(jobs)) assert.ok(result.ok || result.errno === 'ECANCELED');
});
