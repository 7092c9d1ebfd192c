/** Storage of a selection, both kinds: borders go to the part file, skipped files are left alone. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { recheckFiles } from '../../src/content/recheck.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { type FilePriority, Selection } from '../../src/metainfo/selection.js';
import { openStorage } from '../../src/storage/open.js';
import type { Storage, StorageKind } from '../../src/storage/port.js';
import { partFilePath, removePartFile } from '../../src/storage/resume.js';
import { createWorkPool } from '../../src/work/pool.js';
import * as scenes from './scene.js';

const folder = scenes.makeFolder();
const pool = createWorkPool({ threads: 1 });
after(async () => {
  await pool.close();
  fs.rmSync(folder, { recursive: true });
});

const PIECE = 32 * 1024;
/** Piece 0: a, b. 1-2: b. 3: b, c, d, e. 4: e. 5: e, f, g. 6: g. Skipped are b, d, f: borders in 0, 3 (twice) and 5. */
const SCENE = scenes.sceneOf(
  [
    { path: 't/a', lengthBytes: 10_000 },
    { path: 't/sub/b', lengthBytes: 3 * PIECE - 5000 },
    { path: 't/c', lengthBytes: 1000 },
    { path: 't/other/d', lengthBytes: 7000 },
    { path: 't/e', lengthBytes: 2 * PIECE },
    { path: 't/f', lengthBytes: 500 },
    { path: 't/g', lengthBytes: PIECE + 3 },
  ],
  PIECE,
);
const { metainfo, bytes } = SCENE;
const SKIPPED = new Set(['b', 'd', 'f']);
const selection = Selection.of(
  metainfo,
  metainfo.files.map(({ path }): FilePriority => (SKIPPED.has(path.at(-1)!) ? 'skip' : 'normal')),
);
const wanted = scenes.pieces(metainfo).filter((piece) => selection.isWanted(piece));
let count = 0;
const fresh = (): string => join(folder, `${++count}`);

async function open(kind: StorageKind, output: string, forWriting: boolean): Promise<Storage> {
  const storage = await openStorage({ metainfo, output, pool, kind, forWriting, selection });
  try {
    await storage.prepare({ forWriting });
  } catch (error) {
    await storage.close();
    throw error;
  }
  return storage;
}

/** Every wanted piece through `pin` and `slices`, in ranges that begin and end anywhere. */
async function assertServes(storage: Storage): Promise<void> {
  for (const piece of wanted) {
    const begin = metainfo.geometry.pieceBegin(piece);
    const length = metainfo.geometry.pieceLength(piece);
    for (const [from, to] of [
      [0, length],
      [Math.min(9_990, length - 2), Math.min(10_050, length)],
      [length - 1, length],
    ] as const) {
      const range = await scenes.readRange(storage, piece, from, to - from);
      assert.ok(range.equals(bytes.subarray(begin + from, begin + to)), `piece ${piece} from ${from} to ${to}`);
    }
  }
}

test('the scene has the borders it is meant to have', () => {
  assert.deepEqual(wanted, [0, 3, 4, 5, 6]);
  assert.deepEqual(
    wanted.filter((piece) => selection.borders().has(piece)),
    [0, 3, 5],
  );
});

for (const kind of ['mapped', 'positional'] as const) {
  describe(`a selection in ${kind} storage`, () => {
    test('is stored, verified, synced and served without making what is skipped', async () => {
      const output = fresh();
      const storage = await open(kind, output, true);
      for (const piece of wanted) assert.equal(await scenes.download(storage, SCENE, piece), true);
      await assertServes(storage);
      assert.deepEqual([...(await storage.sync())].sort(), [...wanted].sort());
      await storage.close();

      const made = fs.readdirSync(output, { recursive: true }).map(String).sort();
      const partFile = partFilePath(metainfo, output);
      assert.deepEqual(made, [partFile.slice(output.length + 1), 't', 't/a', 't/c', 't/e', 't/g']);
      for (const { path, beginBytes, lengthBytes } of metainfo.files) {
        if (SKIPPED.has(path.at(-1)!)) continue;
        const content = fs.readFileSync(join(output, ...path));
        assert.ok(content.equals(bytes.subarray(beginBytes, beginBytes + lengthBytes)), path.join('/'));
      }
      assert.ok(fs.statSync(partFile).size < 4 * 4096 + PIECE, 'the part file holds borders only');

      const again = await open(kind, output, false);
      await assertServes(again);
      await again.close();
      const checked = await recheckFiles(metainfo, output, pool, { selection });
      assert.equal(checked.good.count, wanted.length);
      assert.deepEqual(
        checked.files.map(({ path, state }) => `${path} ${state}`),
        ['t/a ok', 't/c ok', 't/e ok', 't/g ok'],
      );
    });

    test('leaves files in the place of skipped ones alone, whatever they are', async () => {
      const output = fresh();
      fs.mkdirSync(join(output, 't/sub'), { recursive: true });
      fs.writeFileSync(join(output, 't/sub/b'), Buffer.alloc(5 * PIECE, 'mine'));
      fs.writeFileSync(join(output, 't/other'), 'a file where the torrent has a folder');
      fs.mkdirSync(join(output, 't/f'));
      const storage = await open(kind, output, true);
      for (const piece of wanted) assert.equal(await scenes.download(storage, SCENE, piece), true);
      await storage.sync();
      await storage.close();
      assert.ok(fs.readFileSync(join(output, 't/sub/b')).equals(Buffer.alloc(5 * PIECE, 'mine')));
      assert.equal(fs.readFileSync(join(output, 't/other'), 'latin1'), 'a file where the torrent has a folder');
      assert.deepEqual(fs.readdirSync(join(output, 't/f')), []);
    });

    test('follows no link in the place of the part file, and opens nothing without it', async () => {
      const output = fresh();
      fs.mkdirSync(output);
      fs.writeFileSync(join(output, 'victim'), 'mine');
      fs.symlinkSync('victim', partFilePath(metainfo, output));
      await assert.rejects(open(kind, output, true), { code: 'BAD_DATA', message: /haul-parts is a link/ });
      assert.equal(fs.readFileSync(join(output, 'victim'), 'latin1'), 'mine');
      fs.unlinkSync(partFilePath(metainfo, output));
      await (await open(kind, output, true)).close();
      await removePartFile(metainfo, output);
      await removePartFile(metainfo, output);
      await assert.rejects(open(kind, output, false), { code: 'NOT_FOUND', message: /haul-parts/ });
    });
  });
}

test('a damaged part file makes bad the pieces at the borders and no other', async () => {
  const output = fresh();
  const storage = await open('positional', output, true);
  for (const piece of wanted) await scenes.download(storage, SCENE, piece);
  await storage.close();
  const good = async (): Promise<string> => {
    const result = await recheckFiles(metainfo, output, pool, { selection });
    return scenes
      .pieces(metainfo)
      .map((piece) => (result.good.has(piece) ? '1' : '0'))
      .join('');
  };
  const whole = scenes
    .pieces(metainfo)
    .map((piece) => (selection.isWanted(piece) ? '1' : '0'))
    .join('');
  const borders = selection.borders();
  const lost = [...whole].map((each, piece) => (borders.has(piece as PieceIndex) ? '0' : each)).join('');
  assert.equal(await good(), whole);
  const partFile = partFilePath(metainfo, output);
  fs.writeFileSync(partFile, Buffer.alloc(fs.statSync(partFile).size));
  assert.equal(await good(), lost);
  fs.truncateSync(partFile, 0);
  assert.equal(await good(), lost);
  fs.unlinkSync(partFile);
  assert.equal(await good(), lost);
});

test('space is asked for what is wanted only', async () => {
  const huge = scenes.metainfoOf(
    [
      { path: 't/huge', lengthBytes: 2 ** 45 },
      { path: 't/small', lengthBytes: 10 },
    ],
    64 * 1024 * 1024,
  );
  const output = fresh();
  const prepare = async (which: Selection | null): Promise<void> => {
    const options = { metainfo: huge, output, pool, kind: 'positional', forWriting: true, selection: which } as const;
    const storage = await openStorage(options);
    await storage.prepare({ forWriting: true }).finally(() => storage.close());
  };
  await assert.rejects(prepare(null), { code: 'NO_SPACE', message: /largest file: .*t\/huge/ });
  await prepare(Selection.of(huge, ['skip', 'normal']));
  assert.deepEqual(fs.readdirSync(join(output, 't')), ['small']);
});
