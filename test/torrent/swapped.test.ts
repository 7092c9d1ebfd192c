/**
 * Somebody with write access to a shared folder swaps files while we work: what was looked at is what is hashed and
 * served.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, type TestContext, test } from 'node:test';
import { seededBytes, writeTree } from '../../lab/data.js';
import { openScope, Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { createTorrent, makeTorrent } from '../../src/content/create.js';
import { recheckFiles } from '../../src/content/recheck.js';
import { HaulError } from '../../src/errors.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { stampFiles } from '../../src/storage/stamp-files.js';
import { createWorkPool } from '../../src/work/pool.js';
import { troubleOf } from '../../src/work/trouble.js';
import { startEngine } from '../support/engines.js';
import { ProbePool } from '../support/probe-pool.js';

const KIB = 1024;
const FILES = [
  { path: 'a', lengthBytes: 50_000 },
  { path: 'sub/b', lengthBytes: 60_000 },
];
const suite = new Scope();
let pool: ProbePool;

before(() => {
  const real = createWorkPool({ threads: 2 });
  suite.defer(() => real.close());
  pool = new ProbePool(real);
});
afterEach(() => {
  pool.fault = () => null;
});
after(() => suite.close());

interface Scene {
  readonly output: string;
  readonly root: string;
  /** As long and as old as `sub/b`, as an attacker can see to. */
  readonly secret: string;
}

async function scene(t: TestContext): Promise<Scene> {
  const base = await tempFolder(openScope(t));
  const output = path.join(base, 'output');
  const root = path.join(output, 'tree');
  await writeTree(root, FILES, 'shared');
  fs.mkdirSync(path.join(base, 'elsewhere'));
  const secret = path.join(base, 'elsewhere', 'b');
  fs.writeFileSync(secret, seededBytes('secret', 60_000));
  for (const file of [secret, path.join(root, 'sub/b')]) fs.utimesSync(file, 1000, 1000);
  return { output, root, secret };
}

/** Two ways to put the secret in the place of `sub/b`; gives the way back. */
const SWAPS: [string, (scene: Scene) => () => void][] = [
  ['a file', ({ root, secret }) => swap(path.join(root, 'sub/b'), secret)],
  ['its folder', ({ root, secret }) => swap(path.join(root, 'sub'), path.dirname(secret))],
];

function swap(place: string, target: string): () => void {
  const aside = `${path.dirname(place)}.aside`;
  fs.renameSync(place, aside);
  fs.symlinkSync(target, place);
  return () => {
    fs.rmSync(place);
    fs.renameSync(aside, place);
  };
}

function isBadData(text: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof HaulError && error.code === 'BAD_DATA' && text.test(error.message);
}

describe('a link in the place of', () => {
  for (const [what, spring] of SWAPS) {
    test(`${what} after the walk makes no torrent, also when it is gone again before the end`, async (t) => {
      for (const isTakenBack of [false, true]) {
        const now = await scene(t);
        let back: (() => void) | null = null;
        pool.fault = (job) => {
          if (job.kind === 'digest-pieces') back ??= spring(now);
          return null;
        };
        const onProgress = (doneBytes: number): void => {
          if (doneBytes > 0 && isTakenBack) back?.();
        };
        // One piece, so that what is taken back was hashed before.
        const making = createTorrent(now.root, { pieceLengthBytes: 256 * KIB, onProgress }, pool);
        await assert.rejects(making, isBadData(/sub\/b: (the file changed while|another file)/));
        assert.ok(back !== null);
      }
    });

    test(`${what} is not checked in its stead`, async (t) => {
      const now = await scene(t);
      const metainfo = parseTorrent(await createTorrent(now.root, { pieceLengthBytes: 16 * KIB }, pool));
      const stamps = await stampFiles(metainfo, now.output, null);
      assert.ok((await recheckFiles(metainfo, now.output, pool, { stamps })).good.isFull);
      // Good bytes, but not the file that will be served.
      fs.copyFileSync(path.join(now.root, 'sub/b'), now.secret);
      spring(now);
      assert.ok((await recheckFiles(metainfo, now.output, pool)).good.isFull);
      const { good } = await recheckFiles(metainfo, now.output, pool, { stamps });
      assert.deepEqual([good.has(0), good.has(3), good.has(6)], [true, false, false]);
    });

    test(`${what} is not seeded when the torrent was made of another`, async (t) => {
      const now = await scene(t);
      const made = await makeTorrent(now.root, {}, pool);
      const engine = await startEngine(openScope(t));
      const metainfo = parseTorrent(made.bytes);
      const seed = { output: now.output, mode: 'seed', trustData: true, hashed: made.stamps, trackers: [] } as const;
      const good = engine.add(metainfo, seed);
      await good.done;
      await good.stop();
      const back = spring(now);
      await assert.rejects(engine.add(metainfo, seed).done, isBadData(/sub\/b is not any more as it was when the tor/));
      back();
      // Other bytes in the same file, which shows by its time.
      fs.writeFileSync(path.join(now.root, 'a'), seededBytes('new', 50_000));
      await assert.rejects(engine.add(metainfo, seed).done, isBadData(/tree\/a is not any more as it was/));
      assert.throws(() => engine.add(metainfo, { ...seed, hashed: [] }), { code: 'BAD_ARGUMENT' });
    });
  }
});

test('a piece of very many small files is of the very files that were seen, too', async (t) => {
  const base = await tempFolder(openScope(t));
  const files = Array.from({ length: 300 }, (_, index) => ({ path: `f${index}`, lengthBytes: 100 }));
  await writeTree(path.join(base, 'tree'), files, 'crowd');
  const metainfo = parseTorrent(await createTorrent(path.join(base, 'tree'), {}, pool));
  const stamps = await stampFiles(metainfo, base, null);
  assert.ok((await recheckFiles(metainfo, base, pool, { stamps })).good.isFull);
  fs.copyFileSync(path.join(base, 'tree/f7'), path.join(base, 'same'));
  fs.renameSync(path.join(base, 'same'), path.join(base, 'tree/f7'));
  assert.ok((await recheckFiles(metainfo, base, pool)).good.isFull);
  assert.equal((await recheckFiles(metainfo, base, pool, { stamps })).good.count, 0);
});

test('a worker opens no other file than the one it is told', async (t) => {
  const file = path.join(await tempFolder(openScope(t)), 'file');
  fs.writeFileSync(file, 'bytes');
  const { dev, ino } = fs.statSync(file, { bigint: true });
  const digest = (device: bigint, inode: bigint): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      const files = [{ path: file, beginBytes: 0, lengthBytes: 5, identity: { device, inode } }];
      pool.submit({ kind: 'digest-pieces', files, pieceLengthBytes: 5 }, (result) =>
        result.ok ? resolve(result.bytes) : reject(new Error(result.errno)),
      );
    });
  assert.equal(troubleOf(await digest(dev, ino)), null);
  assert.equal(troubleOf(await digest(dev, 0n)), null, 'a number that says nothing');
  const largest = 2n ** 64n - 1n;
  for (const [device, inode] of [
    [dev, ino + 1n],
    [dev + 1n, ino],
    [largest, largest],
  ] as const) {
    assert.deepEqual(troubleOf(await digest(device, inode)), { errno: 'ESTALE', file: 0 });
  }
});
