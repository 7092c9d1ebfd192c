/** Which jobs share a batch: what peers wait for goes first, and the rest goes too. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as mmap from '../../src/native/mmap-io.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { WorkJob, WorkPool, WorkResult } from '../../src/work/port.js';

const KIB = 1024;

function run(pool: WorkPool, job: WorkJob): Promise<WorkResult> {
  return new Promise((resolve, reject) => {
    if (!pool.submit(job, resolve)) reject(new Error('no room'));
  });
}

test('reads that never end do not hold up a hash', async () => {
  const pool = createWorkPool({ threads: 1 });
  const windowBytes = 1024 * KIB;
  const flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS;
  const address = mmap.map(windowBytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1);
  try {
    const range = { windowAddress: address, windowBytes, beginBytes: 0, lengthBytes: windowBytes };
    const digest = createHash('sha1').update(Buffer.alloc(windowBytes)).digest();
    const populate: WorkJob = { kind: 'populate', forWriting: true, ranges: [range] };
    // Loaded, and it knows how fast pieces come.
    assert.equal((await run(pool, populate)).ok, true);
    let isOver = false;
    let reads = 0;
    const readOn = (): void => {
      if (!isOver && reads++ < 20_000) pool.submit(populate, readOn);
    };
    for (let i = 0; i < 200; i++) readOn();
    for (let i = 0; i < 4; i++) {
      const digests = await run(pool, { kind: 'digest-blocks', ranges: [range] });
      assert.ok(digests.ok && digests.bytes.length === 64 * 20);
    }
    // 1,100 on an idle machine; 4,300 beside a compiler, which makes digests longer, and reads as good as not.
    assert.ok(reads < 10_000, `${reads} reads went before four digests`);
    assert.deepEqual(await run(pool, { kind: 'verify', ranges: [range], digest }), {
      ok: true,
      good: true,
      bytes: new Uint8Array(0),
    });
    assert.ok(reads < 20_000, 'the hash came after all reads');
    isOver = true;
  } finally {
    await pool.close();
    mmap.unmap(address, windowBytes);
  }
});
