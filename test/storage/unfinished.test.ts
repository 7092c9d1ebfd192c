/** Unfinished pieces in the record: nothing of them is used unless the end was clean and the files are as they were. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import type { BlockIndex, PieceIndex } from '../../src/metainfo/geometry.js';
import { Selection } from '../../src/metainfo/selection.js';
import type { UnfinishedPiece } from '../../src/metainfo/unfinished.js';
import { openStorage } from '../../src/storage/open.js';
import type { Storage, StorageKind } from '../../src/storage/port.js';
import { loadResume, resumePath, saveResume } from '../../src/storage/resume.js';
import { decodeResume, unfinishedLimit } from '../../src/storage/resume-record.js';
import { stampFiles } from '../../src/storage/stamp-files.js';
import { createWorkPool } from '../../src/work/pool.js';
import * as scenes from './scene.js';

const BLOCK = 16 * 1024;
const folder = scenes.makeFolder();
after(() => fs.rmSync(folder, { recursive: true }));
let count = 0;

/** Seven pieces of four blocks, the last of two: 0-2 in a, 3 in a and b, 4-6 in b. */
const SCENE = scenes.sceneOf(
  [
    { path: 't/a', lengthBytes: 14 * BLOCK },
    { path: 't/b', lengthBytes: 12 * BLOCK - 99 },
  ],
  4 * BLOCK,
);
const { metainfo } = SCENE;
/** Pieces of 100,000 bytes cross files and padding. */
const MANY: scenes.FileScene[] = [
  { path: 't/first', lengthBytes: 70_001 },
  ...Array.from({ length: 80 }, (_, index) => ({ path: `t/small/${index}`, lengthBytes: (index * 37) % 700 })),
  { path: 't/.pad/5000', lengthBytes: 5000, isPad: true },
  { path: 't/last', lengthBytes: 233_333 },
];
const PIECES = unfinished([1, '0110'], [3, '1000'], [6, '01']);

function unfinished(...pieces: readonly (readonly [number, string])[]): UnfinishedPiece[] {
  return pieces.map(([piece, text]) => {
    const blocks = new Bitfield(text.length);
    for (let block = 0; block < text.length; block++) if (text[block] === '1') blocks.set(block);
    return { piece: piece as PieceIndex, blocks };
  });
}

function scene(): string {
  const output = join(folder, `${++count}`);
  scenes.writeScene(SCENE, output);
  return output;
}

async function save(
  output: string,
  isClean: boolean,
  pieces = PIECES,
  synced: readonly number[] = [0],
  selection: Selection | null = null,
): Promise<void> {
  const bits = new Bitfield(metainfo.geometry.pieceCount);
  for (const piece of synced) bits.set(piece);
  const stamps = await stampFiles(metainfo, output, selection);
  await saveResume(metainfo, output, { synced: bits, isClean, stamps, unfinished: pieces }, selection);
}

async function load(output: string, selection: Selection | null = null): Promise<string> {
  const { unfinished, problem } = await loadResume(metainfo, output, selection);
  assert.equal(problem, null);
  const draw = (blocks: Bitfield) =>
    Array.from({ length: blocks.bitCount }, (_, at) => (blocks.has(at) ? 1 : 0)).join('');
  return unfinished.map(({ piece, blocks }) => `${piece}:${draw(blocks)}`).join(' ');
}

test('after a clean end the blocks of unfinished pieces are known, and none of those pieces is trusted', async () => {
  const output = scene();
  await save(output, true);
  assert.equal(await load(output), '1:0110 3:1000 6:01');
  const { trusted, recheck } = await loadResume(metainfo, output);
  assert.deepEqual([...trusted.bytes, ...recheck.bytes], [0x80, 0]);
});

test('after any other end there are none', async () => {
  const output = scene();
  await save(output, false);
  assert.equal(await load(output), '');
});

test('those in a file that was touched, replaced or cut do not count', async () => {
  for (const disturb of [
    (path: string) => fs.utimesSync(path, 1_000_000, 1_000_000),
    (path: string) => fs.truncateSync(path, 5),
    (path: string) => fs.rmSync(path),
    (path: string) => {
      fs.copyFileSync(path, `${path}.new`);
      fs.renameSync(`${path}.new`, path);
    },
  ]) {
    const output = scene();
    await save(output, true);
    disturb(join(output, 't/a'));
    assert.equal(await load(output), '6:01');
  }
});

test('a piece is either verified or unfinished', async () => {
  const output = scene();
  await save(output, true, PIECES, [0, 1]);
  assert.equal(await load(output), '3:1000 6:01');
});

test('under another selection those whose bytes lie elsewhere, or are not wanted, do not count', async () => {
  const output = scene();
  await save(output, true);
  const onlyA = Selection.without(metainfo, new Bitfield(2, new Uint8Array([0x40])));
  assert.equal(await load(output, onlyA), '1:0110');
});

test('any damage to such a record makes it unusable, and it is no longer than it may be', async () => {
  const output = scene();
  await save(output, true);
  const whole = fs.readFileSync(resumePath(metainfo, output));
  assert.equal(typeof decodeResume(metainfo, whole), 'object');
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= flip;
      assert.equal(typeof decodeResume(metainfo, damaged), 'string');
      assert.equal(typeof decodeResume(metainfo, whole.subarray(0, at)), 'string');
    }),
  );
  const limit = unfinishedLimit(metainfo.geometry);
  assert.equal(limit, metainfo.geometry.pieceCount);
  await save(output, true, unfinished(...Array.from({ length: limit + 3 }, () => [1, '0110'] as const)));
  assert.equal((await loadResume(metainfo, output)).unfinished.length, limit);
});

for (const kind of ['mapped', 'positional'] as const) {
  for (const [name, parent] of scenes.FILE_SYSTEMS)
    test(`${kind} storage on ${name} keeps such blocks in files, not called synced; the rest completes them`, () =>
      keepsBlocks(kind, parent));
}

async function keepsBlocks(kind: StorageKind, parent: string): Promise<void> {
  const output = scenes.makeFolder(parent);
  const pool = createWorkPool({ threads: 1 });
  const all = scenes.sceneOf(MANY, 100_000);
  const { geometry } = all.metainfo;
  const open = async (): Promise<Storage> => {
    const storage = await openStorage({ metainfo: all.metainfo, output, pool, kind, forWriting: true });
    await storage.prepare({ forWriting: true });
    return storage;
  };
  const copy = (storage: Storage, piece: PieceIndex, isWanted: (block: number) => boolean): void => {
    const begin = geometry.pieceBegin(piece);
    for (let block = 0; block < geometry.blockCount(piece); block++) {
      const at = geometry.blockBegin(block as BlockIndex);
      const end = at + geometry.blockLength(piece, block as BlockIndex);
      if (isWanted(block)) storage.store(piece, at, all.bytes, begin + at, begin + end);
    }
  };
  const isKept = (block: number): boolean => block !== 2 && block !== 5;
  const order = [1, 0] as PieceIndex[];
  const first = await open();
  for (const piece of order) {
    assert.equal(await scenes.openPiece(first, piece), null);
    copy(first, piece, isKept);
  }
  await first.keepUnfinished(unfinished([0, '1101101'], [1, '1101101']));
  assert.deepEqual(await first.sync(), []);
  await first.close();

  const second = await open();
  for (const piece of order) {
    assert.equal(await scenes.openPiece(second, piece), null);
    assert.equal(await new Promise((resolve) => second.fillPiece(piece, resolve)), null);
    copy(second, piece, (block) => !isKept(block));
    assert.equal(await scenes.verifyPiece(second, piece), true);
    second.closePiece(piece);
  }
  assert.deepEqual(await second.sync(), order);
  await second.close();
  await pool.close();
  fs.rmSync(output, { recursive: true });
}
