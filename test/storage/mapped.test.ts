import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../../lab/wait.js';
import { HaulError } from '../../src/errors.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import type { SigbusGuard } from '../../src/native/guard.js';
import { ExtentTable } from '../../src/storage/extents.js';
import { MapBudget, type MapHolder } from '../../src/storage/map-budget.js';
import { openStorage } from '../../src/storage/open.js';
import { Windows } from '../../src/storage/windows.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { WorkJob, WorkResult } from '../../src/work/port.js';
import { ProbePool } from '../support/probe-pool.js';
import * as scenes from './scene.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const PAGE = 4096;
const pool = createWorkPool({ threads: 1 });
const folder = scenes.makeFolder(scenes.FILE_SYSTEMS[0][1]);
after(async () => {
  await pool.close();
  fs.rmSync(folder, { recursive: true });
});

/** Minor faults of the main thread so far: field 10 of proc(5) `stat`. */
function mainThreadFaults(): number {
  const text = fs.readFileSync(`/proc/self/task/${process.pid}/stat`, 'latin1');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[7]);
}

/** Bytes of a mapped file that count as this process's memory: `Rss` of its entries in proc(5) `smaps`. */
function residentBytesOf(path: string): number {
  let sum = 0;
  let isWanted = false;
  for (const line of fs.readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isWanted = line.endsWith(path);
    else if (isWanted && line.startsWith('Rss:')) sum += Number(line.match(/\d+/)![0]) * KIB;
  }
  return sum;
}

for (const [name, parent] of scenes.FILE_SYSTEMS) {
  const faultsOfStores = async (): Promise<number> => {
    const output = scenes.makeFolder(parent);
    const metainfo = scenes.metainfoOf([{ path: 'file', lengthBytes: 16 * MIB }], MIB);
    const storage = await openStorage({ metainfo, output, pool, kind: 'mapped', forWriting: true });
    await storage.prepare({ forWriting: true });
    const pieces = scenes.pieces(metainfo);
    await Promise.all(pieces.map((piece) => scenes.openPiece(storage, piece)));
    const source = Buffer.alloc(16 * KIB, 5);
    const before = mainThreadFaults();
    for (const piece of pieces) {
      for (let begin = 0; begin < MIB; begin += source.length) storage.store(piece, begin, source, 0, source.length);
    }
    const faults = mainThreadFaults() - before;
    await storage.close();
    fs.rmSync(output, { recursive: true });
    return faults;
  };

  test(`storing into prefaulted pieces costs the main thread no page faults on ${name}`, async () => {
    // A disk that writes back in that very moment write-protects clean pages again, each a fault: not in every round.
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 8 && least >= 100; round++) least = Math.min(least, await faultsOfStores());
    assert.ok(least < 100, `${least} faults for ${(16 * MIB) / PAGE} pages`);
  });
}

test('what was served is given back: mapped memory stays within the budget', async () => {
  const scene = scenes.sceneOf([{ path: 'served', lengthBytes: 16 * MIB + 5000 }], 300_000);
  const output = join(folder, 'served');
  scenes.writeScene(scene, output);
  const path = join(output, 'served');
  const budgets = { readCacheBytes: 2 * MIB, residentUnitBytes: 128 * KIB };
  const storage = await openStorage({
    metainfo: scene.metainfo,
    output,
    pool,
    kind: 'mapped',
    forWriting: true,
    budgets,
  });
  await storage.prepare({ forWriting: false });
  let most = 0;
  for (const piece of scenes.pieces(scene.metainfo)) {
    const length = scene.metainfo.geometry.pieceLength(piece);
    const range = await scenes.readRange(storage, piece, 0, length);
    assert.ok(range.equals(scene.bytes.subarray(piece * 300_000, piece * 300_000 + length)));
    most = Math.max(most, residentBytesOf(path));
  }
  // Fault-around of the populating worker may map some pages beside the range.
  assert.ok(most >= MIB && most <= 2 * MIB * 1.25 + MIB, `${most} bytes were resident`);
  await storage.close();
  assert.equal(residentBytesOf(path), 0);
});

/** Serves all of a file. Returns how many populates were asked for. */
async function populatesOf(output: string, scene: scenes.Scene): Promise<number> {
  const probe = new ProbePool(pool);
  let populates = 0;
  probe.fault = ({ kind }) => {
    if (kind === 'populate') populates++;
    return null;
  };
  const { metainfo, bytes } = scene;
  const budgets = { readCacheBytes: 2 * MIB, residentUnitBytes: 128 * KIB };
  const storage = await openStorage({ metainfo, output, pool: probe, kind: 'mapped', forWriting: false, budgets });
  await storage.prepare({ forWriting: false });
  for (const piece of scenes.pieces(metainfo)) {
    const length = metainfo.geometry.pieceLength(piece);
    const range = await scenes.readRange(storage, piece, 0, length);
    assert.ok(range.equals(bytes.subarray(piece * 300_000, piece * 300_000 + length)));
  }
  await storage.close();
  return populates;
}

test('what is in the page cache is served without a worker, where the kernel tells the truth about it', async (t) => {
  const scene = scenes.sceneOf([{ path: 'warm', lengthBytes: 8 * MIB + 5000 }], 300_000);
  const output = join(folder, 'warm');
  scenes.writeScene(scene, output);
  assert.equal(await populatesOf(output, scene), 0);
  if (process.geteuid?.() !== 0) return t.diagnostic('not root: no file of others to look at');
  // Of these mincore(2) may say that all is in memory.
  fs.chownSync(join(output, 'warm'), 12_345, 12_345);
  assert.ok((await populatesOf(output, scene)) >= (8 * MIB) / (128 * KIB));
});

test('a unit of many small files is for a worker: asking for each costs the main thread more', async () => {
  for (const [count, isAsked] of [
    [16, true],
    [17, false],
  ] as const) {
    const files = Array.from({ length: count }, (_, at) => ({ path: `small/${at}`, lengthBytes: 7000 }));
    const scene = scenes.sceneOf(files, 300_000);
    const output = join(folder, `small-${count}`);
    scenes.writeScene(scene, output);
    assert.equal((await populatesOf(output, scene)) === 0, isAsked, `${count} files in a unit`);
  }
});

test('a file in the place of a folder of ours ends nothing: what is mapped is served on', async () => {
  const scene = scenes.sceneOf([{ path: 'show/warm', lengthBytes: 4 * MIB }], 300_000);
  const output = join(folder, 'replaced');
  scenes.writeScene(scene, output);
  const { metainfo, bytes } = scene;
  const budgets = { readCacheBytes: 2 * MIB, residentUnitBytes: 128 * KIB };
  const storage = await openStorage({ metainfo, output, pool, kind: 'mapped', forWriting: false, budgets });
  await storage.prepare({ forWriting: false });
  const [first, second] = scenes.pieces(metainfo);
  await scenes.readRange(storage, first!, 0, 300_000);
  fs.renameSync(join(output, 'show'), join(output, 'moved'));
  fs.writeFileSync(join(output, 'show'), 'a file');
  const range = await scenes.readRange(storage, second!, 0, 300_000);
  assert.ok(range.equals(bytes.subarray(300_000, 600_000)));
  await storage.close();
});

test('a hole in the page cache is for a worker', async () => {
  const lengthBytes = 4 * MIB;
  const scene = scenes.sceneOf([{ path: 'hole', lengthBytes }], 300_000);
  const output = join(folder, 'hole');
  scenes.writeScene(scene, output);
  scene.bytes.fill(0, 2 * MIB, 3 * MIB);
  // On tmpfs a hole has no page until somebody reads it.
  const file = fs.openSync(join(output, 'hole'), 'w');
  fs.ftruncateSync(file, lengthBytes);
  fs.writeSync(file, scene.bytes, 0, 2 * MIB, 0);
  fs.writeSync(file, scene.bytes, 3 * MIB, MIB, 3 * MIB);
  fs.closeSync(file);
  const populates = await populatesOf(output, scene);
  assert.ok(populates >= MIB / (128 * KIB) && populates < 2 * (MIB / (128 * KIB)), `${populates} populates`);
});

test('pages of a finished piece stay for serving, those of an old one go', async () => {
  const scene = scenes.sceneOf([{ path: 'written', lengthBytes: 12 * MIB }], MIB);
  const output = join(folder, 'written');
  const budgets = { openPieceBytes: 2 * MIB, readCacheBytes: 4 * MIB, residentUnitBytes: 512 * KIB };
  const storage = await openStorage({
    metainfo: scene.metainfo,
    output,
    pool,
    kind: 'mapped',
    forWriting: true,
    budgets,
  });
  await storage.prepare({ forWriting: true });
  for (const piece of scenes.pieces(scene.metainfo)) {
    assert.equal(await scenes.download(storage, scene, piece), true);
    assert.equal(storage.reads.pin(piece, 0, MIB), 'ready');
    storage.reads.unpin(piece, 0, MIB);
  }
  const resident = residentBytesOf(join(output, 'written'));
  assert.ok(resident <= 8 * MIB, `${resident} bytes were resident`);
  assert.notEqual(storage.reads.pin(0 as PieceIndex, 0, 10), 'ready');
  await storage.close();
});

test('a file that is cut off before its piece is opened is an error that names it', async () => {
  const metainfo = scenes.metainfoOf([{ path: 'cut', lengthBytes: 4 * MIB }], MIB);
  const output = join(folder, 'cut');
  const budgets = { windowBytes: MIB };
  const storage = await openStorage({ metainfo, output, pool, kind: 'mapped', forWriting: true, budgets });
  await storage.prepare({ forWriting: true });
  assert.equal(await scenes.openPiece(storage, 2 as PieceIndex), null);
  fs.truncateSync(join(output, 'cut'), 100);
  for (const piece of [1, 3] as PieceIndex[]) {
    const error = await scenes.openPiece(storage, piece);
    assert.ok(error instanceof HaulError);
    assert.equal(error.code, 'BAD_DATA');
    assert.ok(error.message.includes(join(output, 'cut')));
  }
  // A mapping that was good when it was made: hashing must not touch what is gone.
  const outcome = await scenes.verifyPiece(storage, 2 as PieceIndex);
  assert.ok(outcome instanceof HaulError);
  await storage.close();
});

test('an answer that is on its way is told before the end', async (context) => {
  const metainfo = scenes.metainfoOf([{ path: 'gone', lengthBytes: 4 * MIB }], MIB);
  const output = join(folder, 'gone');
  const budgets = { windowBytes: MIB };
  const storage = await openStorage({ metainfo, output, pool, kind: 'mapped', forWriting: true, budgets });
  await storage.prepare({ forWriting: true });
  assert.equal(await scenes.openPiece(storage, 2 as PieceIndex), null);
  fs.truncateSync(join(output, 'gone'), 100);
  const told: string[] = [];
  // The turn in which it is told comes when the test says so.
  const turn = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 0));
  context.mock.timers.enable({ apis: ['setImmediate'] });
  assert.ok(storage.openPiece(1 as PieceIndex, (error) => told.push(`opened ${error?.code}`)));
  storage.fillPiece(2 as PieceIndex, (error) => told.push(`filled ${error}`));
  const closing = storage.close().then(() => told.push('closed'));
  for (let turns = 0; turns < 100 && told.length === 0; turns++) await turn();
  for (let turns = 0; turns < 100 && !told.includes('closed'); turns++) {
    context.mock.timers.tick(1);
    await turn();
  }
  await closing;
  assert.deepEqual(told, ['opened BAD_DATA', 'filled null', 'closed']);
});

test('torrents share the mappings: what one does not use makes room for another, and who has none gets some', () => {
  const files = scenes.entriesOf([{ path: 'w', lengthBytes: 10 * 64 * KIB }]);
  const extents = new ExtentTable(scenes.layoutOf(files), 64 * KIB, PAGE);
  const path = join(folder, 'shared-windows');
  fs.writeFileSync(path, Buffer.alloc(640 * KIB));
  // Each window is one file and one reservation.
  const maps = new MapBudget(6);
  const open = (): Windows => new Windows(extents, { path: () => path, checkOpen: () => {} }, true, { maps });
  const [first, second] = [open(), open()];
  for (const window of [0, 1, 2]) first.hold([window]);
  assert.equal(first.hasRoomFor([3]), false);
  assert.equal(second.hasRoomFor([0]), true, 'it has none');
  second.hold([0]);
  assert.equal(maps.count, 8);
  assert.equal(second.hasRoomFor([1]), false);
  first.drop([1]);
  assert.equal(first.mappedCount, 2, 'above the limit what is idle goes at once');
  first.drop([2]);
  assert.equal(first.mappedCount, 2);
  assert.equal(second.hasRoomFor([1]), true);
  assert.equal(first.mappedCount, 1);
  first.drop([0]);
  second.drop([0]);
  first.close();
  second.close();
  assert.equal(maps.count, 0);
});

test('who has nothing idle is not asked for room', () => {
  const maps = new MapBudget(3);
  const asked: string[] = [];
  const holderOf = (name: string): MapHolder => ({ mapCount: 1, unmapIdle: () => asked.push(name) });
  const [one, idle, busy] = [holderOf('one'), holderOf('idle'), holderOf('busy')];
  maps.changed(3);
  maps.idleChanged(idle, true);
  maps.idleChanged(busy, true);
  maps.idleChanged(busy, false);
  assert.equal(maps.hasRoomFor(0, one), true);
  assert.deepEqual(asked, []);
  assert.equal(maps.hasRoomFor(1, one), false);
  assert.deepEqual(asked, ['one', 'idle']);
});

test('windows without holders are unmapped oldest first, held ones stay', () => {
  const files = scenes.entriesOf([{ path: 'w', lengthBytes: 10 * 64 * KIB }]);
  const extents = new ExtentTable(scenes.layoutOf(files), 64 * KIB, PAGE);
  const path = join(folder, 'windows');
  fs.writeFileSync(path, scenes.noise(640 * KIB, 3));
  const windows = new Windows(extents, { path: () => path, checkOpen: () => {} }, true, {
    windowCount: 3,
    maps: new MapBudget(100),
  });
  windows.hold([0]);
  const kept = windows.buffer(0);
  for (let window = 1; window < 10; window++) {
    windows.hold([window]);
    windows.drop([window]);
    assert.ok(windows.mappedCount <= 3);
  }
  assert.equal(windows.buffer(0), kept);
  assert.deepEqual(kept.subarray(0, 100), scenes.noise(100, 3));
  windows.drop([0]);
  fs.truncateSync(path, 5 * 64 * KIB);
  assert.throws(() => windows.hold([0, 6]), { code: 'BAD_DATA' });
  windows.close();
  assert.equal(windows.mappedCount, 0);
});

test('a window that could not be guarded is not left mapped', () => {
  const files = scenes.entriesOf([{ path: 'w', lengthBytes: 64 * KIB }]);
  const extents = new ExtentTable(scenes.layoutOf(files), 64 * KIB, PAGE);
  const path = join(folder, 'unguarded-window');
  fs.writeFileSync(path, Buffer.alloc(64 * KIB));
  const maps = new MapBudget(100);
  const add = (): number => {
    throw new Error('no guard');
  };
  const guard: SigbusGuard = { total: new Uint32Array(1), add, remove: add, faults: add, firstFault: add };
  const windows = new Windows(extents, { path: () => path, checkOpen: () => {} }, true, { maps, guard });
  assert.throws(() => windows.hold([0]), { message: /no guard/ });
  assert.equal(fs.readFileSync('/proc/self/maps', 'latin1').includes('unguarded-window'), false);
  assert.equal(maps.count, 0);
  windows.close();
});

test('who cannot open a piece while its old memory is on its way back hears when that is gone', async () => {
  const metainfo = scenes.metainfoOf([{ path: 'again', lengthBytes: 2 * MIB }], 128 * KIB);
  const held: (() => void)[] = [];
  let isHolding = true;
  const probe = new (class extends ProbePool {
    override submit(job: WorkJob, done: (result: WorkResult) => void): boolean {
      if (job.kind !== 'release' || !isHolding) return super.submit(job, done);
      held.push(() => super.submit(job, done));
      return true;
    }
  })(pool);
  const budgets = { readCacheBytes: MIB, residentUnitBytes: 128 * KIB };
  const output = join(folder, 'again');
  const storage = await openStorage({ metainfo, output, pool: probe, kind: 'mapped', forWriting: true, budgets });
  await storage.prepare({ forWriting: true });
  const [first, ...others] = scenes.pieces(metainfo) as [PieceIndex, ...PieceIndex[]];
  for (const piece of [first, ...others]) {
    await scenes.openPiece(storage, piece);
    storage.closePiece(piece);
    await new Promise((resolve) => setImmediate(resolve));
    if (held.length > 0) break;
  }
  let rooms = 0;
  storage.onRoom = () => rooms++;
  assert.equal(
    storage.openPiece(first, () => assert.fail('it was refused')),
    false,
  );
  assert.equal(rooms, 0);
  isHolding = false;
  for (const release of held) release();
  await until('word of room', 10_000, () => rooms > 0);
  await scenes.openPiece(storage, first);
  storage.closePiece(first);
  await storage.close();
});
