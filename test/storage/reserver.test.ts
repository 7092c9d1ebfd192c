/** Space that is reserved beside a download, where that takes as long as writing does. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { HaulError } from '../../src/errors.js';
import { createWorkPool } from '../../src/hash/pool.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import type { Unreserved } from '../../src/storage/make-files.js';
import { openStorage } from '../../src/storage/open.js';
import type { Storage } from '../../src/storage/port.js';
import { Reserver } from '../../src/storage/reserver.js';
import { skipWithout } from '../support/requirements.js';
import { openScope, type Scope } from '../support/scope.js';
import { until, withDeadline } from '../support/wait.js';
import * as scenes from './scene.js';

const MIB = 1024 * 1024;
const DEADLINE_MS = 30_000;
const P0 = 0 as PieceIndex;

const pool = createWorkPool({ threads: 1 });
after(() => pool.close());

interface Bench {
  readonly reserver: Reserver;
  /** As "file:begin+length" in MiB, in order. */
  readonly asked: string[];
  readonly errors: HaulError[];
  isIdle: boolean;
  /** Ends the chunk under way, and lets what follows from it happen. */
  end(error?: Error): Promise<void>;
}

function bench(unreserved: readonly Unreserved[]): Bench {
  const asked: string[] = [];
  const errors: HaulError[] = [];
  const jobs = { isIdle: true };
  let settle: (error?: Error) => void = () => {};
  const reserve = (file: number, beginBytes: number, lengthBytes: number): Promise<void> => {
    asked.push(`${file}:${beginBytes / MIB}+${lengthBytes / MIB}`);
    return new Promise((resolve, reject) => {
      settle = (error) => (error === undefined ? resolve() : reject(error));
    });
  };
  const files = { unreserved, path: (file: number) => `/out/${file}` };
  const reserver = new Reserver(files, { reserve }, jobs, (error) => errors.push(error));
  return {
    reserver,
    asked,
    errors,
    set isIdle(isIdle: boolean) {
      jobs.isIdle = isIdle;
    },
    async end(error) {
      settle(error);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

const part = (file: number, begin: number, length: number, isNew = true): Unreserved => {
  return { file, beginBytes: begin * MIB, lengthBytes: length * MIB, isNew };
};

test('new files are reserved chunk by chunk, one after the other', async () => {
  const { reserver, asked, end } = bench([part(3, 32, 6), part(5, 0, 1)]);
  reserver.step();
  reserver.step();
  assert.deepEqual(asked, ['3:32+4']);
  for (let chunks = 0; chunks < 4; chunks++) await end();
  assert.deepEqual(asked, ['3:32+4', '3:36+2', '5:0+1']);
  reserver.written();
  assert.equal(asked.length, 3);
});

test('nothing is reserved while something else is to be done', async () => {
  const scene = bench([part(0, 0, 12)]);
  scene.isIdle = false;
  scene.reserver.step();
  assert.deepEqual(scene.asked, []);
  scene.isIdle = true;
  scene.reserver.step();
  scene.isIdle = false;
  await scene.end();
  assert.deepEqual(scene.asked, ['0:0+4']);
  scene.isIdle = true;
  scene.reserver.step();
  assert.deepEqual(scene.asked, ['0:0+4', '0:4+4']);
});

test('a record of what lies in the files does not become old without a piece', async () => {
  const old = bench([part(0, 0, 12, false)]);
  old.reserver.step();
  assert.deepEqual(old.asked, [], 'the files were there, and may be recorded');
  old.reserver.written();
  const resting = old.reserver.rest();
  await old.end();
  await withDeadline(resting, 'the rest', DEADLINE_MS);
  old.reserver.step();
  assert.deepEqual(old.asked, ['0:0+4']);
  old.reserver.written();
  assert.deepEqual(old.asked, ['0:0+4', '0:4+4']);

  const fresh = bench([part(0, 0, 12)]);
  fresh.reserver.step();
  await fresh.reserver.rest();
  await fresh.end();
  assert.deepEqual(fresh.asked, ['0:0+4', '0:4+4'], 'nothing is recorded yet');
  fresh.reserver.written();
  void fresh.reserver.rest();
  await fresh.end();
  assert.equal(fresh.asked.length, 2);
});

test('missing space is told with what the file needs, other trouble is left to the writes', async () => {
  const full = bench([part(0, 32, 12)]);
  full.reserver.step();
  await full.end(new HaulError('NO_SPACE', 'full', {}));
  assert.deepEqual(
    full.errors.map(({ code, message }) => `${code} ${message}`),
    [`NO_SPACE no space for /out/0: ${44 * MIB} bytes are needed; free some or choose another folder`],
  );
  full.reserver.written();
  assert.equal(full.asked.length, 1);
  const odd = bench([part(0, 0, 12)]);
  odd.reserver.step();
  await odd.end(new HaulError('IO', 'not supported', {}));
  odd.reserver.step();
  assert.deepEqual([odd.errors, odd.asked.length], [[], 1]);
});

test('closing waits for what is under way, and whatever comes of it is not told', async () => {
  const { reserver, asked, errors, end } = bench([part(0, 0, 12)]);
  reserver.step();
  const closed = reserver.close();
  await end(new HaulError('NO_SPACE', 'full', {}));
  await withDeadline(closed, 'the close', DEADLINE_MS);
  reserver.step();
  assert.deepEqual([asked.length, errors], [1, []]);
});

/** A torrent of one file in pieces of 1 MiB; null where this user may not mount a tmpfs of so many MiB. */
async function opened(
  scope: Scope,
  fileMib: number,
  diskMib: number,
): Promise<{ storage: Storage; scene: scenes.Scene; path: string; mount: string } | null> {
  const mount = scenes.makeFolder();
  scope.defer(() => fs.rmSync(mount, { recursive: true }));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMib}m`, 'tmpfs', mount], { stdio: 'ignore' });
  } catch {
    return null;
  }
  scope.defer(() => void execFileSync('umount', ['-l', mount]));
  const scene = scenes.sceneOf([{ path: 'image', lengthBytes: fileMib * MIB }], MIB);
  const { metainfo } = scene;
  const storage = await openStorage({ metainfo, output: mount, pool, kind: 'positional', forWriting: true });
  scope.defer(() => storage.close());
  return { storage, scene, path: join(mount, 'image'), mount };
}

const allocatedBytes = (path: string): number => fs.statSync(path).blocks * 512;

test('all of a file in tmpfs is reserved without a piece, which is no write of somebody else’s', async (t) => {
  const scope = openScope(t);
  const there = await opened(scope, 40, 64);
  if (there === null) {
    skipWithout(t, 'this user may not mount a tmpfs');
    return;
  }
  const { storage, scene, path } = there;
  await storage.prepare({ forWriting: true });
  assert.equal(fs.statSync(path).size, 40 * MIB);
  assert.ok(allocatedBytes(path) >= 32 * MIB, 'the first part is there at once');
  await until('all is reserved', DEADLINE_MS, () => allocatedBytes(path) === 40 * MIB);
  assert.equal(await scenes.download(storage, scene, P0), true);
  assert.equal(await storage.glance(1), null);
  const { stamps, trouble } = await storage.inspect();
  assert.equal(trouble, null);
  assert.equal(stamps[0]!.mtimeNs, fs.statSync(path, { bigint: true }).mtimeNs);
  assert.deepEqual(storage.suspects, []);
  execFileSync('fallocate', ['--punch-hole', '--offset', `${MIB}`, '--length', '4096', path]);
  assert.match((await storage.glance(1))?.message ?? '', /lost data while it was in use: it has holes now/);
});

test('a tmpfs that was filled by others meanwhile is told while most of the download is still to come', async (t) => {
  const scope = openScope(t);
  const there = await opened(scope, 48, 64);
  if (there === null) {
    skipWithout(t, 'this user may not mount a tmpfs');
    return;
  }
  const { storage, scene, path, mount } = there;
  // Ours from before: nothing more is reserved until a piece is written.
  fs.writeFileSync(path, scene.bytes.subarray(0, MIB));
  const errors: HaulError[] = [];
  storage.onError = (error) => errors.push(error);
  await storage.prepare({ forWriting: true, isOurs: () => true });
  assert.equal(allocatedBytes(path), 32 * MIB);
  fs.writeFileSync(join(mount, 'filler'), Buffer.alloc(24 * MIB, 1));
  assert.equal(allocatedBytes(path), 32 * MIB);
  assert.equal(await scenes.download(storage, scene, P0), true);
  const error = await until('the error', DEADLINE_MS, () => errors[0]);
  assert.equal(error.code, 'NO_SPACE');
  assert.ok(error.message.startsWith(`no space for ${path}: ${48 * MIB} bytes are needed`), error.message);
  assert.deepEqual(storage.suspects, []);
});
