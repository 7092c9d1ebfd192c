/** Files that are touched while a storage uses them, over both storages and on both kinds of file system. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { Identities } from '../../src/storage/identities.js';
import { openStorage } from '../../src/storage/open.js';
import type { Storage } from '../../src/storage/port.js';
import { loadResume, saveResume } from '../../src/storage/resume.js';
import { isUsable } from '../../src/work/file-stamp.js';
import { createWorkPool } from '../../src/work/pool.js';
import * as scenes from './scene.js';

const KIB = 1024;
const DEADLINE_MS = 20_000;
/** Pieces 0 to 3 lie in a, 4 to 7 in b. */
const SCENE = scenes.sceneOf(
  [
    { path: 't/a', lengthBytes: 256 * KIB },
    { path: 't/b', lengthBytes: 256 * KIB },
    { path: 't/empty', lengthBytes: 0 },
  ],
  64 * KIB,
);
const { metainfo } = SCENE;

/** Also those that only a look shows. */
async function suspects(storage: Storage): Promise<number[]> {
  await storage.inspect();
  return storage.suspects.map(({ file }) => file);
}

interface Stage {
  readonly output: string;
  readonly storage: Storage;
  /** The file that is touched. */
  readonly a: string;
}

async function stage(scope: Scope, parent: string, kind: 'mapped' | 'positional'): Promise<Stage> {
  const output = await tempFolder(scope, parent);
  const pool = createWorkPool({ threads: 1 });
  scope.defer(() => pool.close());
  const storage = await openStorage({ metainfo, output, pool, kind, forWriting: true });
  scope.defer(() => storage.close());
  await storage.prepare({ forWriting: true });
  for (const piece of scenes.pieces(metainfo)) assert.ok(await scenes.download(storage, SCENE, piece));
  return { output, storage, a: join(output, 't/a') };
}

const DISTURBANCES: [what: string, disturb: (file: string) => void, code: string, message: RegExp, isOurs: boolean][] =
  [
    ['is removed', (file) => fs.rmSync(file), 'NOT_FOUND', /t\/a is gone: .*run the same command again/, false],
    [
      'moves with its folder',
      (file) => fs.renameSync(dirname(file), `${dirname(file)} moved`),
      'NOT_FOUND',
      /t\/a is gone/,
      false,
    ],
    [
      'is replaced by a copy',
      (file) => {
        fs.copyFileSync(file, `${file}.copy`);
        fs.renameSync(`${file}.copy`, file);
      },
      'BAD_DATA',
      /t\/a is another file now/,
      false,
    ],
    [
      'is cut',
      (file) => fs.truncateSync(file, 1000),
      'BAD_DATA',
      /t\/a was cut off .*\(1000 bytes, not 262144\)/,
      true,
    ],
    [
      'grows',
      (file) => fs.appendFileSync(file, 'more'),
      'BAD_DATA',
      /t\/a has grown .*\(262148 bytes, not 262144\)/,
      true,
    ],
  ];

for (const [fileSystem, parent] of scenes.FILE_SYSTEMS) {
  for (const kind of ['mapped', 'positional'] as const) {
    describe(`over ${kind} storage on ${fileSystem}`, () => {
      for (const [what, disturb, code, message, isOurs] of DISTURBANCES) {
        test(`a file that ${what} is noticed, and nothing of it is recorded`, async (t) => {
          const scope = openScope(t);
          const { output, storage, a } = await stage(scope, parent, kind);
          assert.equal(await storage.glance(3), null);
          assert.equal((await storage.inspect()).trouble, null);
          disturb(a);
          const seen = await storage.glance(3);
          assert.equal(seen?.code, code);
          assert.match(seen?.message ?? '', message);
          const { stamps, trouble } = await storage.inspect();
          assert.equal(trouble?.message, seen?.message);
          assert.equal(isUsable(stamps[0]!), false);
          if (!fs.existsSync(a)) return;
          const synced = new Bitfield(8);
          synced.setAll();
          await saveResume(metainfo, output, { synced, isClean: true, stamps });
          const { trusted, ours } = await loadResume(metainfo, output);
          assert.deepEqual([...trusted.bytes], [0x0f], 'the neighbour is trusted');
          assert.equal(ours.has(0), isOurs);
        });
      }
    });
  }
}

test('a file that was replaced before it is opened again is not written to', async (t) => {
  const scope = openScope(t);
  for (const kind of ['mapped', 'positional'] as const) {
    const output = await tempFolder(scope);
    const pool = createWorkPool({ threads: 1 });
    scope.defer(() => pool.close());
    const storage = await openStorage({ metainfo, output, pool, kind, forWriting: true });
    scope.defer(() => storage.close());
    await storage.prepare({ forWriting: true });
    const file = join(output, 't/a');
    fs.writeFileSync(`${file}2`, Buffer.alloc(256 * KIB, 'precious'));
    fs.renameSync(`${file}2`, file);
    const [piece] = scenes.pieces(metainfo);
    await assert.rejects(scenes.download(storage, SCENE, piece!), { code: 'BAD_DATA', message: /is another file now/ });
    assert.ok(fs.readFileSync(file).equals(Buffer.alloc(256 * KIB, 'precious')), kind);
  }
});

test('a look goes on where the last one ended', async (t) => {
  const folder = await tempFolder(openScope(t));
  const files = [0, 1, 2, 3, 4];
  for (const file of files) fs.writeFileSync(join(folder, String(file)), 'x');
  const identities = new Identities({
    files,
    pathOf: (file) => join(folder, String(file)),
    lengthOf: () => 1,
    partFile: 5,
    hasInodes: true,
    isExact: false,
  });
  await identities.note();
  fs.rmSync(join(folder, '4'));
  const looks = [];
  for (let turn = 0; turn < 5; turn++) looks.push((await identities.glance(2))?.code ?? 'fine');
  assert.deepEqual(looks, ['fine', 'fine', 'NOT_FOUND', 'fine', 'NOT_FOUND']);
});

test('where inode numbers are made up only lengths and names count', async (t) => {
  const folder = await tempFolder(openScope(t));
  const file = join(folder, '0');
  fs.writeFileSync(file, 'x');
  const options = {
    files: [0],
    pathOf: () => file,
    lengthOf: () => 1,
    partFile: 1,
    hasInodes: false,
    isExact: false,
  };
  const identities = new Identities(options);
  await identities.note();
  fs.writeFileSync(`${file}2`, 'y');
  fs.renameSync(`${file}2`, file);
  assert.equal(await identities.glance(1), null);
  assert.deepEqual([(await identities.inspect()).stamps[0]!.inode], [0n]);
  fs.rmSync(file);
  assert.equal((await identities.glance(1))?.code, 'NOT_FOUND');
});

for (const kind of ['mapped', 'positional'] as const) {
  test(`what another program writes while we do puts a file under suspicion, nothing else (${kind})`, async (t) => {
    const scope = openScope(t);
    for (const [, parent] of scenes.FILE_SYSTEMS) {
      const { storage, a } = await stage(scope, parent, kind);
      assert.deepEqual(await suspects(storage), [], 'what we wrote ourselves is no cause');
      await storage.sync();
      await scenes.readRange(storage, scenes.pieces(metainfo)[1]!, 0, 1000);
      assert.deepEqual(await suspects(storage), [], 'nor what we read and synced');
      const fd = fs.openSync(a, 'r+');
      fs.writeSync(fd, 'x', 5000);
      fs.closeSync(fd);
      await until('it is noticed', DEADLINE_MS, async () => !isUsable((await storage.inspect()).stamps[0]!));
      const { stamps, trouble } = await storage.inspect();
      assert.equal(trouble, null);
      assert.equal(isUsable(stamps[1]!), true);
      const taken = storage.suspects;
      assert.deepEqual(await suspects(storage), [0]);
      const [piece = 0 as PieceIndex] = scenes.pieces(metainfo);
      assert.equal(storage.hasOtherWriter(piece), kind === 'mapped');
      storage.acquit(taken);
      assert.deepEqual(await suspects(storage), []);
    }
  });
}

test('a file that was deleted and made anew is another one, also with the same inode number', async (t) => {
  const file = join(await tempFolder(openScope(t)), '0');
  fs.writeFileSync(file, 'x');
  const identities = new Identities({
    files: [0],
    pathOf: () => file,
    lengthOf: () => 1,
    partFile: 1,
    hasInodes: true,
    isExact: false,
  });
  await identities.note();
  fs.appendFileSync(file, 'more');
  fs.truncateSync(file, 1);
  fs.chmodSync(file, 0o600);
  assert.equal(await identities.glance(1), null, 'changes do not make it another file');
  if (!scenes.rebear(file, Buffer.from('y'))) {
    t.skip('inode numbers are not given out again here');
    return;
  }
  assert.match((await identities.glance(1))?.message ?? '', /is another file now/);
  const { stamps, trouble } = await identities.inspect();
  assert.ok(!isUsable(stamps[0]!));
  assert.equal(trouble?.code, 'BAD_DATA');
  const fd = fs.openSync(file, 'r');
  t.after(() => fs.closeSync(fd));
  assert.throws(() => identities.checkOpen(0, fd), { code: 'BAD_DATA' });
});
