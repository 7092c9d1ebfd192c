/** Without the native library nothing guards memory whose file is cut off: what is hashed was asked for just before. */
import assert from 'node:assert/strict';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { after, test } from 'node:test';
import * as mmap from '../../src/native/mmap-io.js';
import type { MemoryRange, WorkJob } from '../../src/work/port.js';

const WINDOW_BYTES = 64 * 1024;
const JOBS = 3;

process.env.SWARMHAUL_NATIVE = 'off';
const crypto = createRequire(import.meta.url)('node:crypto') as { hash: (...words: unknown[]) => Buffer };
const { hash } = crypto;
/** Called when something is hashed. */
let onHash = (): void => {};
crypto.hash = (...words) => {
  onHash();
  return hash(...words);
};
syncBuiltinESMExports();
const { default: run } = await import('../../src/work/worker.js');
const { decodeOutcomes, encodeBatch } = await import('../../src/work/job.js');

const mappings = Array.from({ length: JOBS }, () =>
  mmap.map(WINDOW_BYTES, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1),
);
after(() => {
  for (const address of mappings) mmap.unmap(address, WINDOW_BYTES);
});

test('the memory of a piece is made present when its turn has come, not that of the whole batch before', () => {
  const digest = hash('sha1', Buffer.alloc(WINDOW_BYTES), 'buffer');
  const ranges = mappings.map(
    (windowAddress): MemoryRange => ({
      windowAddress,
      windowBytes: WINDOW_BYTES,
      beginBytes: 0,
      lengthBytes: WINDOW_BYTES,
    }),
  );
  const isPresent = (address: number): boolean => mmap.incore(address, WINDOW_BYTES).absent === 0;
  const present: number[] = [];
  onHash = () => present.push(mappings.filter(isPresent).length);
  const jobs = ranges.map((range): WorkJob => ({ kind: 'verify', ranges: [range], digest }));
  const good: boolean[] = [];
  decodeOutcomes(jobs, run(encodeBatch(jobs)), (_, result) => good.push(result.ok && result.good));
  assert.deepEqual(good, [true, true, true]);
  assert.deepEqual(present, [1, 2, 3]);
});
