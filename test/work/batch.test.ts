/** Jobs that hash memory are hashed together where a batch has several: each is answered for itself. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as mmap from '../../src/native/mmap-io.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { MemoryRange, WorkJob, WorkPool, WorkResult } from '../../src/work/port.js';

const KIB = 1024;
const folder = fs.mkdtempSync(join(tmpdir(), 'haul-batch-'));
const mappings: [number, number][] = [];
after(() => {
  for (const [address, length] of mappings) mmap.unmap(address, length);
  fs.rmSync(folder, { recursive: true });
});

const windowBytes = 512 * KIB;
const address = mmap.map(windowBytes, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1);
mappings.push([address, windowBytes]);
const bytes = Buffer.from(mmap.view(address, windowBytes));
bytes.set(Uint8Array.from({ length: windowBytes }, (_, index) => (index * 31 + (index >> 8)) & 0xff));

const sha1 = (content: Uint8Array): Buffer => createHash('sha1').update(content).digest();
const pad: MemoryRange = { windowAddress: 0, windowBytes: 0, beginBytes: 0, lengthBytes: 70_000 };

function range(beginBytes: number, lengthBytes: number): MemoryRange {
  return { windowAddress: address, windowBytes, beginBytes, lengthBytes };
}

function contentOf(ranges: readonly MemoryRange[]): Buffer {
  const parts = ranges.map(({ windowAddress, beginBytes, lengthBytes }) =>
    windowAddress === 0 ? Buffer.alloc(lengthBytes) : bytes.subarray(beginBytes, beginBytes + lengthBytes),
  );
  return Buffer.concat(parts);
}

function verifyJob(ranges: readonly MemoryRange[], digest = sha1(contentOf(ranges))): WorkJob {
  return { kind: 'verify', ranges, digest };
}

/** Mapped, and then cut off. */
function cutOff(): MemoryRange {
  const path = join(folder, 'cut');
  const lengthBytes = 64 * KIB;
  fs.writeFileSync(path, bytes.subarray(0, lengthBytes));
  const fd = fs.openSync(path, 'r');
  const windowAddress = mmap.map(lengthBytes, mmap.PROT_READ, mmap.MAP_SHARED, fd);
  mappings.push([windowAddress, lengthBytes]);
  fs.closeSync(fd);
  fs.truncateSync(path, 4 * KIB);
  return { windowAddress, windowBytes: lengthBytes, beginBytes: 0, lengthBytes };
}

function runAll(pool: WorkPool, jobs: readonly WorkJob[]): Promise<WorkResult[]> {
  const one = (job: WorkJob): Promise<WorkResult> => new Promise((resolve) => assert.ok(pool.submit(job, resolve)));
  return Promise.all(jobs.map(one));
}

/** 'good', 'bad' or the errno. */
const words = (results: readonly WorkResult[]): string[] =>
  results.map((result) => (result.ok ? (result.good ? 'good' : 'bad') : result.errno));

async function withPool(body: (pool: WorkPool) => Promise<void>): Promise<void> {
  const pool = createWorkPool({ threads: 1 });
  try {
    await body(pool);
  } finally {
    await pool.close();
  }
}

test('good and bad pieces, pads, blocks, memory that was cut off: each job of a batch gets its own answer', () =>
  withPool(async (pool) => {
    const pieces = Array.from({ length: 9 }, (_, index) => verifyJob([range(index * 50_001, 50_000 - index)]));
    const blocks = [range(3, 40_000), pad];
    const jobs: readonly [WorkJob, string][] = [
      ...pieces.map((job): [WorkJob, string] => [job, 'good']),
      [verifyJob([range(0, 0)]), 'good'],
      [verifyJob([range(1, 63), pad, range(400, 1), range(9, 20_000)]), 'good'],
      [verifyJob([range(0, 50_000)], sha1(Buffer.alloc(1))), 'bad'],
      [verifyJob([cutOff()], sha1(Buffer.alloc(1))), 'EFAULT'],
      [{ kind: 'release', ranges: [] }, 'good'],
      [{ kind: 'digest-blocks', ranges: blocks }, 'good'],
    ];
    const job = jobs.map(([each]) => each);
    const results = await runAll(pool, job);
    const expected = jobs.map(([, word]) => word);
    assert.deepEqual(words(results), expected);
    const content = contentOf(blocks);
    const digests = Array.from({ length: 7 }, (_, i) => sha1(content.subarray(i * 16_384, (i + 1) * 16_384)));
    const last = results.at(-1)!;
    assert.deepEqual(Buffer.from(last.ok ? last.bytes : []), Buffer.concat(digests));
  }));

test('a job that is not as it must be spoils none of those it is hashed with', () =>
  withPool(async (pool) => {
    const outside: WorkJob = { kind: 'verify', ranges: [range(windowBytes - 4096, 4097)], digest: Buffer.alloc(20) };
    const good = [verifyJob([range(5, 5)]), verifyJob([range(7, 30_000)]), verifyJob([range(9, 60_000)])];
    const results = await runAll(pool, [good[0]!, outside, good[1]!, good[2]!]);
    assert.deepEqual(words(results), ['good', 'EIO', 'good', 'good']);
  }));
