import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import * as mmap from '../../src/native/mmap-io.js';
import { type Look, look } from '../../src/work/look.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { MemoryRange, WorkJob, WorkPool, WorkResult } from '../../src/work/port.js';
import { troubleOf } from '../../src/work/trouble.js';

const KIB = 1024;
const folder = fs.mkdtempSync(join(tmpdir(), 'haul-pool-'));
const mappings: [number, number][] = [];
after(() => {
  for (const [address, length] of mappings) mmap.unmap(address, length);
  fs.rmSync(folder, { recursive: true });
});

function anonymous(lengthBytes: number): { address: number; bytes: Buffer } {
  const flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS;
  const address = mmap.map(lengthBytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1);
  mappings.push([address, lengthBytes]);
  return { address, bytes: Buffer.from(mmap.view(address, lengthBytes)) };
}

function pattern(lengthBytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: lengthBytes }, (_, index) => (index * 31 + (index >> 8)) & 0xff));
}

const sha1 = (bytes: Uint8Array): Buffer => createHash('sha1').update(bytes).digest();

function run(pool: WorkPool, job: WorkJob): Promise<WorkResult> {
  return new Promise((resolve, reject) => {
    if (!pool.submit(job, resolve)) reject(new Error('no room'));
  });
}

const neverCalled = (): void => assert.fail('a refused job was answered');

function bytesOf(result: WorkResult): Uint8Array {
  assert.ok(result.ok);
  return result.bytes;
}

async function withPool(body: (pool: WorkPool) => Promise<void>, threads = 1, maxJobs?: number): Promise<void> {
  const pool = createWorkPool(maxJobs === undefined ? { threads } : { threads, maxJobs });
  try {
    await body(pool);
  } finally {
    await pool.close();
  }
}

test('verify hashes the concatenation of memory ranges and pad bytes, and tells good from bad', async () => {
  await withPool(async (pool) => {
    const windowBytes = 256 * KIB;
    const { address, bytes } = anonymous(windowBytes);
    bytes.set(pattern(windowBytes));
    const range = (beginBytes: number, lengthBytes: number): MemoryRange => ({
      windowAddress: address,
      windowBytes,
      beginBytes,
      lengthBytes,
    });
    const pad = { windowAddress: 0, windowBytes: 0, beginBytes: 0, lengthBytes: 1_200_000 };
    const ranges = [range(5, 1000), pad, range(100_000, 77)];
    const expected = Buffer.concat([
      bytes.subarray(5, 1005),
      Buffer.alloc(pad.lengthBytes),
      bytes.subarray(100_000, 100_077),
    ]);
    const good = await run(pool, { kind: 'verify', ranges, digest: sha1(expected) });
    assert.deepEqual(good, { ok: true, good: true, bytes: new Uint8Array(0) });
    const single = await run(pool, { kind: 'verify', ranges: [range(0, 9)], digest: sha1(bytes.subarray(0, 9)) });
    assert.equal(single.ok && single.good, true);
    expected[1500]! ^= 1;
    const bad = await run(pool, { kind: 'verify', ranges, digest: sha1(expected) });
    assert.equal(bad.ok && !bad.good, true);
  });
});

test('digest-blocks hashes every 16 KiB of ranges that do not end on blocks', async () => {
  await withPool(async (pool) => {
    const windowBytes = 64 * KIB;
    const { address, bytes } = anonymous(windowBytes);
    bytes.set(pattern(windowBytes));
    const range = { windowAddress: address, windowBytes };
    const ranges = [
      { ...range, beginBytes: 0, lengthBytes: 10_000 },
      { ...range, beginBytes: 20_000, lengthBytes: 30_000 },
    ];
    const all = Buffer.concat([bytes.subarray(0, 10_000), bytes.subarray(20_000, 50_000)]);
    const expected = [all.subarray(0, 16_384), all.subarray(16_384, 32_768), all.subarray(32_768)].map(sha1);
    const digests = bytesOf(await run(pool, { kind: 'digest-blocks', ranges }));
    assert.deepEqual(Buffer.from(digests), Buffer.concat(expected));
  });
});

test('write and read move bytes between memory and files, with zeros where there is no file', async () => {
  await withPool(async (pool) => {
    const windowBytes = 8 * KIB;
    const { address, bytes } = anonymous(windowBytes);
    const source = pattern(300);
    bytes.set(source, 50);
    const fd = fs.openSync(join(folder, 'moved'), 'w+');
    try {
      const memory = { windowAddress: address, windowBytes, beginBytes: 50, lengthBytes: 300 };
      const files = [
        { fd, beginBytes: 10, lengthBytes: 100 },
        { fd: -1, beginBytes: 0, lengthBytes: 50 },
        { fd, beginBytes: 200, lengthBytes: 150 },
      ];
      assert.equal((await run(pool, { kind: 'write', files, memory })).ok, true);
      const written = fs.readFileSync(join(folder, 'moved'));
      assert.deepEqual(written.subarray(10, 110), source.subarray(0, 100));
      assert.deepEqual(written.subarray(200), source.subarray(150));
      bytes.fill(0xff);
      assert.equal((await run(pool, { kind: 'read', files, memory })).ok, true);
      const expected = Buffer.concat([source.subarray(0, 100), Buffer.alloc(50), source.subarray(150)]);
      assert.deepEqual(bytes.subarray(50, 350), expected);
      const past = await run(pool, { kind: 'read', files: [{ fd, beginBytes: 100, lengthBytes: 300 }], memory });
      assert.deepEqual(past, { ok: false, errno: 'ENODATA', operation: 'read' });
    } finally {
      fs.closeSync(fd);
    }
  });
});

test('digest-pieces hashes across files, counts pads as zeros, and says which file cannot be read', async () => {
  await withPool(async (pool) => {
    const first = pattern(40_000);
    const [path, short] = [join(folder, 'first é'), join(folder, 'short')];
    fs.writeFileSync(path, first);
    fs.writeFileSync(short, first.subarray(0, 100));
    const files = [
      { path, beginBytes: 0, lengthBytes: 40_000 },
      { path: null, beginBytes: 0, lengthBytes: 8000 },
      { path: short, beginBytes: 0, lengthBytes: 20_000 },
      { path, beginBytes: 0, lengthBytes: 5000 },
      { path: join(folder, 'none'), beginBytes: 0, lengthBytes: 23_000 },
      { path: folder, beginBytes: 0, lengthBytes: 10_000 },
      { path, beginBytes: 1, lengthBytes: 14_000 },
    ];
    const bytes = bytesOf(await run(pool, { kind: 'digest-pieces', files, pieceLengthBytes: 24_000 }));
    const pieces = Array.from({ length: 5 }, (_, i) => Buffer.from(bytes.subarray(i * 20, (i + 1) * 20)));
    assert.equal(bytes.length, 100);
    assert.deepEqual(pieces[0], sha1(first.subarray(0, 24_000)));
    assert.deepEqual(pieces[1], sha1(Buffer.concat([first.subarray(24_000), Buffer.alloc(8000)])));
    assert.deepEqual(troubleOf(pieces[2]!), { errno: 'ENODATA', file: 2 });
    assert.deepEqual(troubleOf(pieces[3]!), { errno: 'ENOENT', file: 4 });
    assert.deepEqual(troubleOf(pieces[4]!), { errno: 'EISDIR', file: 5 });
    assert.equal(troubleOf(pieces[0]!), null);
    assert.deepEqual(openBelow(folder), []);
  });
});

test('a piece longer than the buffer, of files shorter and longer than it, has the digest of its bytes', async () => {
  await withPool(async (pool) => {
    const path = join(folder, 'long');
    const content = pattern(1_500_000);
    fs.writeFileSync(path, content);
    const ranges = [
      [10, 700_000],
      [5, 1],
      [0, 1_500_000],
      [400_000, 524_288],
    ] as const;
    const files = ranges.map(([beginBytes, lengthBytes]) => ({ path, beginBytes, lengthBytes }));
    const bytes = Buffer.concat(ranges.map(([begin, length]) => content.subarray(begin, begin + length)));
    const pieceLengthBytes = 1_048_576;
    const expected = [0, 1, 2].map((i) => sha1(bytes.subarray(i * pieceLengthBytes, (i + 1) * pieceLengthBytes)));
    const result = bytesOf(await run(pool, { kind: 'digest-pieces', files, pieceLengthBytes }));
    assert.deepEqual(Buffer.from(result), Buffer.concat(expected));
  });
});

test('looks at many files say in order what stat and lstat say, and what is wrong with one is its own', async () => {
  await withPool(async (pool) => {
    const root = fs.mkdtempSync(join(folder, 'look-'));
    const paths = Array.from({ length: 300 }, (_, i) => join(root, `f${i}`));
    paths.forEach((path, i) => void fs.writeFileSync(path, 'x'.repeat(i)));
    fs.chmodSync(paths[7]!, 0o755);
    fs.symlinkSync('f9', join(root, 'link'));
    fs.symlinkSync('loop', join(root, 'loop'));
    const all = [...paths, root, join(root, 'link'), join(root, 'loop'), join(root, 'none'), join(paths[0]!, 'below')];
    const [there, here] = [await look(pool, all, true), await look(pool, all, false)];
    assert.equal(there.length, all.length);
    for (const [i, path] of paths.entries()) {
      assert.deepEqual([there[i]!.kind, there[i]!.lengthBytes, there[i]!.error], ['file', i, null]);
      assert.equal(there[i]!.stamp.mtimeNs, fs.statSync(path, { bigint: true }).mtimeNs);
      assert.equal(there[i]!.isExecutable, i === 7);
    }
    const shown = (looks: readonly Look[]) => looks.slice(300).map(({ error, kind }) => error?.code ?? kind);
    assert.deepEqual(shown(there), ['folder', 'file', 'ELOOP', 'ENOENT', 'ENOTDIR']);
    assert.deepEqual(shown(here), ['folder', 'link', 'link', 'ENOENT', 'ENOTDIR']);
    assert.deepEqual(await look(pool, [], true), []);
    await assert.rejects(look(pool, all, true, AbortSignal.abort()), { code: 'ABORTED' });
  });
  const dead = createWorkPool({ threads: 1 });
  const refused = assert.rejects(look(dead, [folder], true), { code: 'IO', message: /look at/ });
  await dead.close();
  await refused;
});

test('populating a mapping whose file was cut off is an errno, and the jobs beside it are done', async () => {
  await withPool(async (pool) => {
    const path = join(folder, 'cut');
    fs.writeFileSync(path, Buffer.alloc(64 * KIB, 7));
    const fd = fs.openSync(path, 'r+');
    const windowBytes = 64 * KIB;
    const address = mmap.map(windowBytes, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd);
    mappings.push([address, windowBytes]);
    fs.ftruncateSync(fd, 4 * KIB);
    fs.closeSync(fd);
    const range = (beginBytes: number, lengthBytes: number): MemoryRange[] => [
      { windowAddress: address, windowBytes, beginBytes, lengthBytes },
    ];
    const digest = sha1(Buffer.alloc(4000, 7));
    const results = await Promise.all([
      run(pool, { kind: 'verify', ranges: range(0, 4000), digest }),
      run(pool, { kind: 'populate', forWriting: true, ranges: range(0, windowBytes) }),
      run(pool, { kind: 'populate', forWriting: false, ranges: range(16 * KIB, 4096) }),
      run(pool, { kind: 'verify', ranges: range(0, 20_000), digest }),
      run(pool, { kind: 'populate', forWriting: true, ranges: range(0, 4096) }),
    ]);
    assert.deepEqual(
      results.map((result) => (result.ok ? result.good : result.errno)),
      [true, 'EFAULT', 'EFAULT', 'EFAULT', true],
    );
  });
});

test('populated pages are present, released ones come back from the file', async () => {
  await withPool(async (pool) => {
    const path = join(folder, 'pages');
    fs.writeFileSync(path, Buffer.alloc(256 * KIB, 9));
    const fd = fs.openSync(path, 'r+');
    const windowBytes = 256 * KIB;
    const address = mmap.map(windowBytes, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd);
    mappings.push([address, windowBytes]);
    fs.closeSync(fd);
    const ranges = [{ windowAddress: address, windowBytes, beginBytes: 0, lengthBytes: windowBytes }];
    assert.equal((await run(pool, { kind: 'populate', forWriting: true, ranges })).ok, true);
    assert.deepEqual(mmap.incore(address, windowBytes), { present: windowBytes / mmap.pageSize(), absent: 0 });
    const bytes = Buffer.from(mmap.view(address, windowBytes));
    bytes.fill(3, 1000, 2000);
    assert.equal((await run(pool, { kind: 'release', ranges })).ok, true);
    assert.equal(bytes[1500], 3);
    mmap.sync(address, windowBytes);
    assert.equal(fs.readFileSync(path)[1999], 3);
  });
});

test('sync flushes good descriptors and names the errno of a bad one', async () => {
  await withPool(async (pool) => {
    const fds = ['a', 'b', 'c', 'd', 'e'].map((name) => fs.openSync(join(folder, `sync-${name}`), 'w'));
    try {
      assert.equal((await run(pool, { kind: 'sync', fds })).ok, true);
      assert.equal((await run(pool, { kind: 'sync', fds: [] })).ok, true);
      const bad = await run(pool, { kind: 'sync', fds: [...fds, 1_000_000] });
      assert.deepEqual(bad, { ok: false, errno: 'EBADF', operation: 'sync' });
      // A pipe has no fsync, as some file systems have none: EINVAL.
      const pipe = join(folder, 'pipe');
      execFileSync('mkfifo', [pipe]);
      fds.push(fs.openSync(pipe, fs.constants.O_RDWR));
      assert.throws(() => fs.fdatasyncSync(fds.at(-1)!), { code: 'EINVAL' });
      assert.equal((await run(pool, { kind: 'sync', fds })).ok, true);
    } finally {
      for (const fd of fds) fs.closeSync(fd);
    }
  });
});

test('room counts down to a refusal, and whoever waits is told once when the queue empties', async () => {
  await withPool(
    async (pool) => {
      const results: Promise<WorkResult>[] = [];
      for (let count = 0; count < 4; count++) {
        assert.equal(pool.room, 4 - count);
        results.push(run(pool, { kind: 'populate', forWriting: false, ranges: [] }));
      }
      assert.equal(pool.room, 0);
      assert.equal(pool.submit({ kind: 'release', ranges: [] }, neverCalled), false);
      let roomCalls = 0;
      const roomCame = new Promise<void>((resolve) => {
        pool.onceRoom(() => {
          roomCalls++;
          resolve();
        });
      });
      await roomCame;
      assert.ok(pool.room > 0);
      await Promise.all(results);
      assert.equal(roomCalls, 1);
      assert.equal(pool.room, 4);
    },
    1,
    4,
  );
});

test('a thousand jobs on two threads each get their own answer, never synchronously', async () => {
  await withPool(async (pool) => {
    const windowBytes = 4096;
    const { address, bytes } = anonymous(windowBytes);
    bytes.set(pattern(windowBytes));
    let isSubmitting = true;
    const answers = Array.from({ length: 1000 }, (_, index) => {
      const isTrue = index % 3 === 0;
      const digest = isTrue ? sha1(bytes.subarray(index, index + 9)) : Buffer.alloc(20, index);
      const ranges = [{ windowAddress: address, windowBytes, beginBytes: index, lengthBytes: 9 }];
      return run(pool, { kind: 'verify', ranges, digest }).then((result) => {
        assert.equal(isSubmitting, false);
        assert.deepEqual([result.ok && result.good, index], [isTrue, index]);
      });
    });
    await new Promise((resolve) => process.nextTick(resolve));
    isSubmitting = false;
    await Promise.all(answers);
  }, 2);
});

test('a range that leaves its window fails its own job only', async () => {
  await withPool(async (pool) => {
    const { address } = anonymous(4096);
    const range = { windowAddress: address, windowBytes: 4096, beginBytes: 4000, lengthBytes: 200 };
    const ranges = [{ ...range, lengthBytes: 96 }];
    const [bad, good] = await Promise.all([
      run(pool, { kind: 'write', files: [], memory: range }),
      run(pool, { kind: 'populate', forWriting: true, ranges }),
    ]);
    assert.equal(bad.ok, false);
    assert.equal(good.ok, true);
  });
});

test('close answers every job: those under way are waited for, the rest cancelled, later ones refused', async () => {
  const pool = createWorkPool({ threads: 1 });
  const windowBytes = 16 * 1024 * KIB;
  const { address } = anonymous(windowBytes);
  const ranges = [{ windowAddress: address, windowBytes, beginBytes: 0, lengthBytes: windowBytes }];
  // The worker has begun.
  assert.equal((await run(pool, { kind: 'release', ranges: [] })).ok, true);
  const results: WorkResult[] = [];
  let submitted = 0;
  while (submitted < 200 && pool.room > 0) {
    if (!pool.submit({ kind: 'verify', ranges, digest: Buffer.alloc(20) }, (result) => results.push(result))) break;
    submitted++;
  }
  // However busy the machine is: the worker is at them.
  while (results.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([pool.close(), pool.close()]);
  assert.equal(results.length, submitted);
  assert.ok(results.some((result) => result.ok));
  assert.ok(results.some((result) => !result.ok && result.errno === 'ECANCELED'));
  assert.equal(pool.room, 0);
  assert.equal(pool.submit({ kind: 'release', ranges: [] }, neverCalled), false);
});

test('an idle pool does not keep the process alive', async () => {
  const url = new URL('../../src/work/pool.js', import.meta.url).href;
  const program = `
    const { createWorkPool } = await import(${JSON.stringify(url)});
    const pool = createWorkPool({ threads: 2 });
    pool.submit({ kind: 'release', ranges: [] }, () => console.log('done'));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  assert.equal(stdout, 'done\n');
});

/** Files of this process that are open below a folder. A worker may open some of its own at any time. */
function openBelow(top: string): string[] {
  return fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = fs.readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(top) ? [target] : [];
    } catch {
      return [];
    }
  });
}
