/** Writes of several workers into one file, on a clock of our own: when they begin, and what that shows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataFiles } from '../../src/storage/files.js';
import { Jobs } from '../../src/storage/jobs.js';
import { OtherWriters } from '../../src/storage/other-writers.js';
import { Transfer } from '../../src/storage/transfer.js';
import { TIMES, type WorkJob, type WorkPool, type WorkResult } from '../../src/work/port.js';
import * as scenes from './scene.js';

const PIECE = 16 * 1024;
const MS = 1_000_000n;
/** Long enough for no other write to begin when one of these does, and not in step with each other. */
const DURATIONS_NS = [97n * MS, 131n * MS];

interface Running {
  readonly index: number;
  readonly beforeNs: bigint;
  readonly beginNs: bigint;
  readonly endNs: bigint;
  readonly done: (result: WorkResult) => void;
}

/** Workers that write into one file: each write changes its time when it begins. */
class Workers implements WorkPool {
  readonly threadCount = DURATIONS_NS.length;
  readonly room = 1000;
  readonly running: (Running | undefined)[] = DURATIONS_NS.map(() => undefined);
  readonly #waiting: ((result: WorkResult) => void)[] = [];
  nowNs = 0n;
  mtimeNs = 1n;
  /** Another program writes right after each write of ours. */
  hasCompany = false;
  /** Whose write has no end. */
  stuck = -1;

  submit(_job: WorkJob, done: (result: WorkResult) => void): boolean {
    this.#waiting.push(done);
    this.#begin();
    return true;
  }

  onceRoom(): () => void {
    return () => {};
  }

  async close(): Promise<void> {}

  /** Lets the next write end, and all that follows at that moment. False: nothing goes on. */
  async step(): Promise<boolean> {
    const going = this.running.filter((each): each is Running => each !== undefined && each.index !== this.stuck);
    const [first] = going.sort((one, other) => (one.endNs < other.endNs ? -1 : 1));
    if (first === undefined) return false;
    const { index, beforeNs, beginNs, endNs, done } = first;
    this.nowNs = endNs;
    this.running[index] = undefined;
    const times = new BigInt64Array(TIMES);
    times.set([beginNs, beforeNs, beginNs, this.mtimeNs, endNs]);
    if (this.hasCompany) this.mtimeNs = ++this.nowNs;
    done({ ok: true, good: true, bytes: new Uint8Array(times.buffer) });
    this.#begin();
    await new Promise((resolve) => setImmediate(resolve));
    return true;
  }

  #begin(): void {
    for (const [index, duration] of DURATIONS_NS.entries()) {
      if (this.running[index] !== undefined) continue;
      const done = this.#waiting.shift();
      if (done === undefined) return;
      const beginNs = ++this.nowNs;
      this.running[index] = { index, beforeNs: this.mtimeNs, beginNs, endNs: beginNs + duration, done };
      this.mtimeNs = beginNs;
    }
  }
}

/** Eight writes wait or are under way at all times. */
function busy(): { workers: Workers; writers: OtherWriters; ended: () => number } {
  const metainfo = scenes.metainfoOf([{ path: 'f', lengthBytes: PIECE }], PIECE);
  const layout = { segments: () => [{ file: 0, beginBytes: 0, lengthBytes: PIECE, isStored: true }] };
  const writers = new OtherWriters();
  writers.track(0, 1n);
  const descriptors = { acquire: async () => [1], release: () => {} };
  const files = { metainfo, descriptors, identities: { writers }, path: () => 'f' } as unknown as DataFiles;
  const workers = new Workers();
  const transfer = new Transfer(files, layout as never, new Jobs(workers));
  const memory = { windowAddress: 0, windowBytes: PIECE, beginBytes: 0, lengthBytes: PIECE };
  let count = 0;
  const next = (): void => {
    const write =
      count % 2 === 0 ? transfer.run('write', 0, memory) : transfer.verifyAndWrite(0, memory, Buffer.alloc(20));
    void write.then(() => {
      count++;
      next();
    });
  };
  for (let writes = 0; writes < 8; writes++) next();
  return { workers, writers, ended: () => count };
}

const SECOND_NS = 1000n * MS;

async function runUntil(workers: Workers, untilNs: bigint): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  while (workers.nowNs < untilNs) assert.ok(await workers.step(), 'nothing goes on');
}

test('another program is noticed where our own writes never pause, and they lose next to no time', async () => {
  const { workers, writers, ended } = busy();
  await runUntil(workers, 60n * SECOND_NS);
  assert.deepEqual(writers.suspects, [], 'nobody else wrote');
  const most = DURATIONS_NS.reduce((sum, duration) => sum + Number((60n * SECOND_NS) / duration), 0);
  assert.ok(ended() > 0.98 * most, `${ended()} writes of ${most} that two workers can do`);
  workers.hasCompany = true;
  await runUntil(workers, 66n * SECOND_NS);
  assert.deepEqual(
    writers.suspects.map(({ file }) => file),
    [0],
  );
});

test('a write that has no end holds the others up for a moment only', async () => {
  const { workers, writers, ended } = busy();
  await runUntil(workers, SECOND_NS);
  workers.stuck = 0;
  for (let steps = 0; steps < 1000 && (await workers.step()); steps++);
  const before = ended();
  writers.look();
  assert.equal(await workers.step(), false, 'it may end yet');
  writers.look();
  await runUntil(workers, workers.nowNs + SECOND_NS);
  assert.ok(ended() > before);
  assert.deepEqual(writers.suspects, []);
});
