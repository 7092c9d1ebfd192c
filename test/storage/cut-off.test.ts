/**
 * Mapped files that are cut off while they are in use: the process lives, the torrent is told which file it was, no
 * piece counts as good.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../../lab/wait.js';
import { HaulError } from '../../src/errors.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { sigbusGuard } from '../../src/native/guard.js';
import { openStorage } from '../../src/storage/open.js';
import type { Storage } from '../../src/storage/port.js';
import { isUsable } from '../../src/work/file-stamp.js';
import { createWorkPool } from '../../src/work/pool.js';
import * as scenes from './scene.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const FIRST = 0 as PieceIndex;
const SECOND = 1 as PieceIndex;
const skip = sigbusGuard() === null ? 'there is no native library' : false;

const pool = createWorkPool({ threads: 1 });
const folder = scenes.makeFolder(scenes.FILE_SYSTEMS[0][1]);
after(async () => {
  await pool.close();
  fs.rmSync(folder, { recursive: true });
});

interface Stage {
  readonly scene: scenes.Scene;
  readonly storage: Storage;
  readonly path: string;
  /** What `onError` was told. */
  readonly told: HaulError[];
}

async function stageOf(name: string, pieceLengthBytes: number, forWriting = true): Promise<Stage> {
  const scene = scenes.sceneOf([{ path: name, lengthBytes: 4 * MIB }], pieceLengthBytes);
  if (!forWriting) scenes.writeScene(scene, folder);
  const { metainfo } = scene;
  const storage = await openStorage({ metainfo, output: folder, pool, kind: 'mapped', forWriting });
  await storage.prepare({ forWriting });
  const told: HaulError[] = [];
  storage.onError = (error) => told.push(error);
  return { scene, storage, path: join(folder, name), told };
}

function assertNames(error: unknown, path: string): void {
  assert.ok(error instanceof HaulError, String(error));
  assert.equal(error.code, 'BAD_DATA');
  assert.ok(error.message.startsWith(`${path} was cut off`), error.message);
  assert.equal(error.facts.path, path);
}

test('blocks stored where the file was cut off: the torrent is told, the process lives', { skip }, async () => {
  const { scene, storage, path, told } = await stageOf('stored', MIB);
  assert.equal(await scenes.openPiece(storage, SECOND), null);
  fs.truncateSync(path, 100);
  const before = sigbusGuard()!.total[0]!;
  scenes.storePiece(storage, scene, SECOND);
  const faults = sigbusGuard()!.total[0]! - before;
  // Half a block lies in two or three pages; after it nothing more is stored.
  assert.ok(faults >= 1 && faults <= 3, `${faults} faults`);
  assertNames(await scenes.verifyPiece(storage, SECOND), path);
  assertNames(await scenes.digestBlocks(storage, SECOND), path);
  assertNames(await scenes.openPiece(storage, 3 as PieceIndex), path);
  await assert.rejects(storage.keepUnfinished([]), { code: 'BAD_DATA' });
  await until('the torrent is told', 5000, () => told.length > 0);
  await storage.close();
  assert.equal(told.length, 1);
  assertNames(told[0], path);
});

test('a hash over memory that is no part of the file proves nothing, and nothing is recorded', { skip }, async () => {
  // A piece of one block: it is stored whole before anybody can have looked.
  const { scene, storage, path } = await stageOf('hashed', 16 * KIB);
  const last = (scene.metainfo.geometry.pieceCount - 1) as PieceIndex;
  assert.equal(await scenes.download(storage, scene, FIRST), true);
  assert.equal(await scenes.openPiece(storage, last), null);
  fs.truncateSync(path, MIB);
  const begin = scene.metainfo.geometry.pieceBegin(last);
  storage.store(last, 0, scene.bytes, begin, begin + 16 * KIB);
  const outcome = await scenes.verifyPiece(storage, last);
  assert.notEqual(outcome, true, 'the memory hashes well, the file has nothing');
  assertNames(outcome, path);
  storage.closePiece(last);
  assert.deepEqual(await storage.sync(), [FIRST]);
  const { stamps, trouble } = await storage.inspect();
  assert.equal(trouble?.code, 'BAD_DATA');
  assert.equal(isUsable(stamps[0]!), false);
  await storage.close();
});

test('a file that is as long as before when somebody looks is still not believed', { skip }, async () => {
  const { scene, storage, path, told } = await stageOf('mended', 16 * KIB);
  const last = (scene.metainfo.geometry.pieceCount - 1) as PieceIndex;
  assert.equal(await scenes.openPiece(storage, last), null);
  fs.truncateSync(path, MIB);
  storage.store(last, 0, scene.bytes, 0, 16 * KIB);
  fs.truncateSync(path, 4 * MIB);
  const outcome = await scenes.verifyPiece(storage, last);
  assert.ok(outcome instanceof HaulError && outcome.code === 'BAD_DATA', String(outcome));
  assert.ok(outcome.message.startsWith(`${path} lost data`), outcome.message);
  const { stamps } = await storage.inspect();
  assert.equal(isUsable(stamps[0]!), false);
  await until('the torrent is told', 5000, () => told.length > 0);
  await storage.close();
});

test('other torrents of the process do not mind', { skip }, async () => {
  const victim = await stageOf('victim', MIB);
  const other = await stageOf('other', MIB);
  assert.equal(await scenes.openPiece(victim.storage, FIRST), null);
  assert.equal(await scenes.openPiece(other.storage, FIRST), null);
  fs.truncateSync(victim.path, 0);
  scenes.storePiece(victim.storage, victim.scene, FIRST);
  scenes.storePiece(other.storage, other.scene, FIRST);
  assert.equal(await scenes.verifyPiece(other.storage, FIRST), true);
  other.storage.closePiece(FIRST);
  assertNames(await scenes.verifyPiece(victim.storage, FIRST), victim.path);
  assert.equal(await scenes.download(other.storage, other.scene, SECOND), true);
  await Promise.all([victim.storage.close(), other.storage.close()]);
  assert.deepEqual(other.told, []);
});

test('what was lost is not handed out', { skip }, async () => {
  const { storage, path, told } = await stageOf('served', MIB, false);
  await scenes.pinned(storage, FIRST, 0, 100);
  storage.onError = (error) => told.push(error);
  const slices: Buffer[] = [];
  storage.reads.slices(FIRST, 0, 100, slices);
  fs.truncateSync(path, 0);
  // A copy of our own, where mostly the kernel reads.
  assert.equal(Buffer.concat(slices)[0], 0);
  assert.equal(storage.reads.pin(FIRST, 0, 100), 'full');
  await until('the torrent is told', 5000, () => told.length > 0);
  assertNames(told[0], path);
  storage.reads.unpin(FIRST, 0, 100);
  await storage.close();
});

test('a window that is unmapped and mapped again is guarded, and what it lost is not forgotten', { skip }, async () => {
  const scene = scenes.sceneOf([{ path: 'windows', lengthBytes: 4 * MIB }], 16 * KIB);
  const budgets = { windowBytes: MIB, windowCount: 1, readCacheBytes: 128 * KIB, residentUnitBytes: 16 * KIB };
  const { metainfo } = scene;
  const storage = await openStorage({ metainfo, output: folder, pool, kind: 'mapped', forWriting: true, budgets });
  await storage.prepare({ forWriting: true });
  const told: HaulError[] = [];
  storage.onError = (error) => told.push(error);
  for (const piece of [0, 70, 140, 210, 1] as PieceIndex[]) {
    assert.equal(await scenes.download(storage, scene, piece), true);
  }
  assert.equal(await scenes.openPiece(storage, 2 as PieceIndex), null);
  fs.truncateSync(join(folder, 'windows'), 0);
  storage.store(2 as PieceIndex, 0, scene.bytes, 0, 16 * KIB);
  assertNames(await scenes.verifyPiece(storage, 2 as PieceIndex), join(folder, 'windows'));
  await storage.close();
});

test('of a piece of several files the one that is cut off is named', async () => {
  const files = ['a', 'b', 'c'].map((name) => ({ path: `several/${name}`, lengthBytes: 300_000 }));
  const scene = scenes.sceneOf(files, MIB);
  const { metainfo } = scene;
  const storage = await openStorage({ metainfo, output: folder, pool, kind: 'mapped', forWriting: true });
  await storage.prepare({ forWriting: true });
  assert.equal(await scenes.openPiece(storage, FIRST), null);
  fs.truncateSync(join(folder, 'several', 'b'), 0);
  assertNames(await scenes.verifyPiece(storage, FIRST), join(folder, 'several', 'b'));
  storage.closePiece(FIRST);
  await storage.close();
});
