/** Space that is reserved beside a download, where that takes as long as writing does. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until, withDeadline } from '../../lab/wait.js';
import { HaulError } from '../../src/errors.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { FileLayout, type FileSegment } from '../../src/metainfo/layout.js';
import { Coverage } from '../../src/storage/coverage.js';
import type { Unreserved } from '../../src/storage/make-files.js';
import { engineMemory, type StorageMemory } from '../../src/storage/memory.js';
import { openStorage } from '../../src/storage/open.js';
import type { Storage } from '../../src/storage/port.js';
import { Reserver } from '../../src/storage/reserver.js';
import { isUsable } from '../../src/work/file-stamp.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { WorkPool } from '../../src/work/port.js';
import { smallDisk } from '../support/small-disk.js';
import * as scenes from './scene.js';

const MIB = 1024 * 1024;
const DEADLINE_MS = 30_000;
const P0 = 0 as PieceIndex;

const pool = createWorkPool({ threads: 1 });
after(() => pool.close());

interface Bench {
  readonly reserver: Reserver;
  readonly coverage: Coverage;
  /** As "file:begin+length" in MiB, in order; the parts of one chunk together. */
  readonly asked: string[];
  readonly errors: HaulError[];
  isIdle: boolean;
  write(piece: number): void;
  /** Ends the chunk under way, and lets what follows from it happen. */
  end(error?: Error): Promise<void>;
}

/** Two files, of 44 and 21 MiB, in pieces of 1 MiB. */
function bench(unreserved: readonly Unreserved[]): Bench {
  const asked: string[] = [];
  const errors: HaulError[] = [];
  const jobs = { isIdle: true };
  let settle: (error?: Error) => void = () => {};
  const reserve = (parts: readonly FileSegment[]): Promise<void> => {
    asked.push(parts.map((each) => `${each.file}:${each.beginBytes / MIB}+${each.lengthBytes / MIB}`).join(' '));
    return new Promise((resolve, reject) => {
      settle = (error) => (error === undefined ? resolve() : reject(error));
    });
  };
  const lengths = [44 * MIB, 21 * MIB];
  const metainfo = scenes.metainfoOf(
    lengths.map((lengthBytes, file) => ({ path: `t/${file}`, lengthBytes })),
    MIB,
  );
  const { geometry, files: entries } = metainfo;
  const layout = new FileLayout(metainfo);
  const coverage = new Coverage(layout, geometry, (file) => entries[file]!.beginBytes, unreserved);
  const files = { coverage, path: (file: number) => `/out/${file}`, lengthBytes: (file: number) => lengths[file]! };
  const reserver = new Reserver(files, { reserve }, jobs, (error) => errors.push(error));
  return {
    reserver,
    coverage,
    asked,
    errors,
    set isIdle(isIdle: boolean) {
      jobs.isIdle = isIdle;
    },
    write(piece) {
      reserver.writeBegins();
      reserver.writeEnded(piece as PieceIndex);
    },
    async end(error) {
      settle(error);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** In MiB. */
const part = (file: number, reserved: number, length: number): Unreserved => {
  return { file, reservedBytes: reserved * MIB, lengthBytes: length * MIB };
};

test('new files are reserved chunk by chunk, one after the other', async () => {
  const { reserver, asked, end, write } = bench([part(1, 20, 21), part(0, 38, 44)]);
  reserver.step();
  reserver.step();
  assert.deepEqual(asked, ['0:38+4']);
  for (let chunks = 0; chunks < 4; chunks++) await end();
  assert.deepEqual(asked, ['0:38+4', '0:42+2', '1:20+1']);
  write(0);
  assert.equal(asked.length, 3);
});

test('what is written is never reserved, and both count once', async () => {
  const { reserver, coverage, asked, end, write } = bench([part(0, 32, 44), part(1, 0, 21)]);
  const least = (): number[] => [0, 1, 2].map((file) => coverage.leastBytes(file) / MIB);
  assert.deepEqual(least(), [32, 0, 0]);
  reserver.writeBegins();
  reserver.step();
  assert.deepEqual(asked, [], 'whether that piece was written is not known yet');
  for (const piece of [5, 33, 35, 35, 36, 37, 38, 39, 40, 44 + 20]) coverage.written(piece as PieceIndex);
  assert.deepEqual(least(), [39, 1, 0]);
  reserver.writeEnded(null);
  assert.deepEqual(asked, ['0:32+1 0:34+1']);
  assert.equal(coverage.leftBytes, 25 * MIB);
  write(34);
  assert.deepEqual(least(), [40, 1, 0]);
  await end();
  assert.deepEqual(least(), [41, 1, 0]);
  assert.deepEqual(asked.slice(1), ['0:41+3']);
  for (let chunks = 0; chunks < 9; chunks++) await end();
  assert.deepEqual(least(), [44, 21, 0]);
  assert.deepEqual(asked.slice(2), ['1:0+4', '1:4+4', '1:8+4', '1:12+4', '1:16+4']);
});

test('nothing is reserved while something else is to be done', async () => {
  const scene = bench([part(0, 32, 44)]);
  scene.isIdle = false;
  scene.reserver.step();
  assert.deepEqual(scene.asked, []);
  scene.isIdle = true;
  scene.reserver.step();
  scene.isIdle = false;
  await scene.end();
  assert.deepEqual(scene.asked, ['0:32+4']);
  scene.isIdle = true;
  scene.reserver.step();
  assert.deepEqual(scene.asked, ['0:32+4', '0:36+4']);
});

test('a record of what lies in the files does not become old without a piece', async () => {
  const { reserver, asked, end, write } = bench([part(0, 32, 44)]);
  reserver.step();
  await reserver.rest();
  await end();
  assert.deepEqual(asked, ['0:32+4', '0:36+4'], 'nothing is recorded yet');
  write(0);
  const resting = reserver.rest();
  await end();
  await withDeadline(resting, 'the rest', DEADLINE_MS);
  reserver.step();
  assert.equal(asked.length, 2);
  write(1);
  assert.deepEqual(asked, ['0:32+4', '0:36+4', '0:40+4']);
});

test('missing space is told with what the file needs, other trouble is left to the writes', async () => {
  const full = bench([part(0, 32, 44)]);
  full.reserver.step();
  await full.end(new HaulError('NO_SPACE', 'full', {}));
  assert.deepEqual(
    full.errors.map(({ code, message }) => `${code} ${message}`),
    [`NO_SPACE no space for /out/0: ${44 * MIB} bytes are needed; free some or choose another folder`],
  );
  full.write(0);
  assert.equal(full.asked.length, 1);
  const odd = bench([part(0, 32, 44)]);
  odd.reserver.step();
  await odd.end(new HaulError('IO', 'not supported', {}));
  odd.reserver.step();
  assert.deepEqual([odd.errors, odd.asked.length], [[], 1]);
});

test('closing waits for what is under way, and whatever comes of it is not told', async () => {
  const { reserver, asked, errors, end } = bench([part(0, 32, 44)]);
  reserver.step();
  const closed = reserver.close();
  await end(new HaulError('NO_SPACE', 'full', {}));
  await withDeadline(closed, 'the close', DEADLINE_MS);
  reserver.step();
  assert.deepEqual([asked.length, errors], [1, []]);
});

/** Reservations wait until they are let go. */
class Gate {
  readonly pool: WorkPool;
  #waiting: (() => void)[] | null = [];

  constructor(real: WorkPool) {
    const submit: WorkPool['submit'] = (job, done) => {
      if (job.kind !== 'reserve' || this.#waiting === null) return real.submit(job, done);
      this.#waiting.push(() => assert.ok(real.submit(job, done)));
      return true;
    };
    this.pool = new Proxy(real, {
      get(target, key) {
        if (key === 'submit') return submit;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  open(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const run of waiting) run();
  }
}

interface Opened {
  readonly storage: Storage;
  readonly scene: scenes.Scene;
  readonly path: string;
  readonly mount: string;
  readonly gate: Gate;
}

/** A torrent of one file in pieces of 1 MiB; null where this user may not mount a tmpfs of so many MiB. */
async function opened(
  t: TestContext,
  fileMib: number,
  diskMib: number,
  memory?: StorageMemory,
): Promise<Opened | null> {
  const scope = openScope(t);
  const mount = await smallDisk(t, scope, `size=${diskMib}m`);
  if (mount === null) return null;
  const scene = scenes.sceneOf([{ path: 'image', lengthBytes: fileMib * MIB }], MIB);
  const { metainfo } = scene;
  const gate = new Gate(pool);
  const where = { metainfo, output: mount, pool: gate.pool, memory };
  const storage = await openStorage({ ...where, kind: 'positional', forWriting: true });
  scope.defer(() => storage.close());
  scope.defer(() => gate.open());
  return { storage, scene, path: join(mount, 'image'), mount, gate };
}

const allocatedBytes = (path: string): number => fs.statSync(path).blocks * 512;

const punch = (path: string, beginBytes: number, lengthBytes: number): void =>
  void execFileSync('fallocate', ['--punch-hole', '--offset', `${beginBytes}`, '--length', `${lengthBytes}`, path]);

const LOST = /lost data while it was in use: it has holes now/;

test('all of a file in tmpfs is reserved without a piece, which is no write of somebody else’s', async (t) => {
  const there = await opened(t, 40, 64);
  if (there === null) return;
  const { storage, scene, path, gate } = there;
  await storage.prepare({ forWriting: true });
  assert.equal(fs.statSync(path).size, 40 * MIB);
  assert.equal(allocatedBytes(path), 32 * MIB, 'the first part is there at once');
  gate.open();
  await until('all is reserved', DEADLINE_MS, () => allocatedBytes(path) === 40 * MIB);
  assert.equal(await scenes.download(storage, scene, P0), true);
  assert.equal(await storage.glance(1), null);
  const { stamps, trouble } = await storage.inspect();
  assert.equal(trouble, null);
  assert.equal(stamps[0]!.mtimeNs, fs.statSync(path, { bigint: true }).mtimeNs);
  assert.deepEqual(storage.suspects, []);
  punch(path, MIB, 4096);
  assert.match((await storage.glance(1))?.message ?? '', LOST);
});

test('data lost before all is reserved is noticed: what was reserved, and what was written', async (t) => {
  const there = await opened(t, 40, 64);
  if (there === null) return;
  const { storage, scene, path } = there;
  await storage.prepare({ forWriting: true });
  assert.equal(await storage.glance(1), null);
  for (const piece of [0, 36, 37]) assert.equal(await scenes.download(storage, scene, piece as PieceIndex), true);
  assert.equal(allocatedBytes(path), 34 * MIB);
  assert.equal(await storage.glance(1), null);
  punch(path, 37 * MIB, 4096);
  assert.match((await storage.glance(1))?.message ?? '', LOST);
});

test('a file that was cut, and became long again by a write, has lost data', async (t) => {
  const there = await opened(t, 40, 64);
  if (there === null) return;
  const { storage, scene, path, gate } = there;
  await storage.prepare({ forWriting: true });
  for (let piece = 0; piece < 39; piece++) await scenes.download(storage, scene, piece as PieceIndex);
  fs.truncateSync(path, 0);
  assert.equal(await scenes.download(storage, scene, 39 as PieceIndex), true);
  assert.equal(fs.statSync(path).size, 40 * MIB);
  const glanced = await storage.glance(1);
  assert.match(glanced?.message ?? '', LOST);
  gate.open();
  const { stamps, trouble } = await storage.inspect();
  assert.equal(trouble?.message, glanced?.message);
  assert.equal(isUsable(stamps[0]!), false);
});

test('a reservation hides no hole where a piece was', async (t) => {
  const there = await opened(t, 40, 64);
  if (there === null) return;
  const { storage, scene, path, gate } = there;
  await storage.prepare({ forWriting: true });
  assert.equal(await scenes.download(storage, scene, 38 as PieceIndex), true);
  punch(path, 38 * MIB, MIB);
  gate.open();
  await until('the rest is reserved', DEADLINE_MS, () => allocatedBytes(path) >= 39 * MIB);
  await storage.inspect();
  assert.equal(allocatedBytes(path), 39 * MIB);
  assert.match((await storage.glance(1))?.message ?? '', LOST);
});

test('a hole that a reservation fills, asked for before the piece was written, shows by its time', async (t) => {
  const there = await opened(t, 40, 64);
  if (there === null) return;
  const { storage, scene, path, gate } = there;
  await storage.prepare({ forWriting: true });
  assert.equal(await scenes.download(storage, scene, 33 as PieceIndex), true);
  punch(path, 33 * MIB, MIB);
  gate.open();
  await until('all is reserved', DEADLINE_MS, () => allocatedBytes(path) === 40 * MIB);
  await until('somebody else is seen', DEADLINE_MS, () => storage.suspects.length === 1);
  assert.equal(isUsable((await storage.inspect()).stamps[0]!), false);
});

test('a cut file is not made longer again by a reservation', async (t) => {
  const there = await opened(t, 40, 64);
  if (there === null) return;
  const { storage, path, gate } = there;
  await storage.prepare({ forWriting: true });
  fs.truncateSync(path, 0);
  gate.open();
  await until('the rest is reserved', DEADLINE_MS, () => allocatedBytes(path) === 8 * MIB);
  assert.match((await storage.glance(1))?.message ?? '', /was cut off while it was in use/);
});

test('a file that was there before has all its space at once', async (t) => {
  const there = await opened(t, 40, 64);
  if (there === null) return;
  const { storage, scene, path } = there;
  fs.writeFileSync(path, scene.bytes.subarray(0, MIB));
  await storage.prepare({ forWriting: true, isOurs: () => true });
  assert.equal(allocatedBytes(path), 40 * MIB);
});

test('a tmpfs that was filled by others meanwhile is told while most of the download is still to come', async (t) => {
  const there = await opened(t, 48, 64);
  if (there === null) return;
  const { storage, scene, path, mount, gate } = there;
  const errors: HaulError[] = [];
  storage.onError = (error) => errors.push(error);
  await storage.prepare({ forWriting: true });
  assert.equal(await scenes.download(storage, scene, P0), true);
  fs.writeFileSync(join(mount, 'filler'), Buffer.alloc(24 * MIB, 1));
  assert.equal(allocatedBytes(path), 32 * MIB);
  gate.open();
  const error = await until('the error', DEADLINE_MS, () => errors[0]);
  assert.equal(error.code, 'NO_SPACE');
  assert.ok(error.message.startsWith(`no space for ${path}: ${48 * MIB} bytes are needed`), error.message);
  assert.deepEqual(storage.suspects, []);
});

test('a torrent does not begin on space that another one of the engine was promised', async (t) => {
  const memory = engineMemory(pool);
  const there = await opened(t, 56, 100, memory);
  if (there === null) return;
  const { storage, mount, gate } = there;
  const { metainfo } = scenes.sceneOf([{ path: 'other', lengthBytes: 50 * MIB }], MIB);
  const open = (): Promise<Storage> =>
    openStorage({ metainfo, output: mount, pool, kind: 'positional', forWriting: true, memory });
  await storage.prepare({ forWriting: true });
  const refused = await open();
  const error = await refused.prepare({ forWriting: true }).catch((each: unknown) => each);
  assert.ok(error instanceof HaulError, 'it is refused');
  assert.equal(error.code, 'NO_SPACE');
  assert.deepEqual([error.facts.neededBytes, error.facts.freeBytes], [50 * MIB, 44 * MIB]);
  assert.equal(fs.existsSync(join(mount, 'other')), false);
  await refused.close();
  gate.open();
  await storage.close();
  fs.rmSync(join(mount, 'image'));
  const again = await open();
  await again.prepare({ forWriting: true });
  await again.close();
  await memory.close();
});
