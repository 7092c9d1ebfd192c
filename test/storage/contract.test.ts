/** What every storage must do, run over both implementations and two kinds of file system. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { HaulError } from '../../src/errors.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { fileSystemOf } from '../../src/native/file-systems.js';
import type { Budgets } from '../../src/storage/budgets.js';
import { engineMemory } from '../../src/storage/memory.js';
import { openStorage } from '../../src/storage/open.js';
import type { Storage, StorageKind } from '../../src/storage/port.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { WorkPool } from '../../src/work/port.js';
import * as scenes from './scene.js';

const KIB = 1024;
const P0 = 0 as PieceIndex;
const P1 = 1 as PieceIndex;
const pool = createWorkPool({ threads: 1 });
after(() => pool.close());

const MANY: scenes.FileScene[] = [
  { path: 't/first', lengthBytes: 100_001 },
  { path: 't/empty', lengthBytes: 0 },
  ...Array.from({ length: 150 }, (_, index) => ({ path: `t/small/${index}`, lengthBytes: (index * 37) % 700 })),
  { path: 't/.pad/5000', lengthBytes: 5000, isPad: true },
  { path: 't/sub/deep/last', lengthBytes: 333_333 },
  { path: 't/.pad/7', lengthBytes: 7, isPad: true },
];
const SMALL_BUDGETS: Partial<Budgets> = {
  openPieceBytes: 256 * KIB,
  readCacheBytes: 512 * KIB,
  residentUnitBytes: 64 * KIB,
  windowBytes: 128 * KIB,
  windowCount: 3,
};

for (const kind of ['mapped', 'positional'] as const) {
  for (const [name, parent] of scenes.FILE_SYSTEMS)
    describe(`${kind} storage on ${name}`, () => contract(kind, parent));
}

function contract(kind: StorageKind, parent: string): void {
  const folder = scenes.makeFolder(parent);
  let count = 0;
  after(() => fs.rmSync(folder, { recursive: true }));

  const open = async (scene: scenes.Scene, output: string, forWriting: boolean, budgets = {}): Promise<Storage> => {
    const storage = await openStorage({ metainfo: scene.metainfo, output, pool, kind, forWriting: true, budgets });
    await storage.prepare({ forWriting });
    return storage;
  };
  const fresh = (): string => join(folder, `${++count}`);

  for (const pieceLength of [32 * KIB, 100_000, 256 * KIB]) {
    test(`a tree of tiny, empty and padded files arrives in pieces of ${pieceLength} and is read back`, async () => {
      const scene = scenes.sceneOf(MANY, pieceLength);
      const output = fresh();
      const storage = await open(scene, output, true, SMALL_BUDGETS);
      assert.equal(storage.kind, kind);
      const order = scenes.pieces(scene.metainfo).sort((a, b) => ((a * 7) % 5) - ((b * 7) % 5));
      for (const piece of order) assert.equal(await scenes.download(storage, scene, piece), true);
      await checkReadable(storage, scene);
      assert.deepEqual(
        [...(await storage.sync())].sort((a, b) => a - b),
        scenes.pieces(scene.metainfo),
      );
      assert.deepEqual(await storage.sync(), []);
      await storage.close();
      checkFiles(scene, output);

      const seed = await open(scene, output, false, SMALL_BUDGETS);
      await checkReadable(seed, scene);
      await seed.close();
    });
  }

  test('a bad piece is found, its blocks are told apart, and it can be repaired in place', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 200_000 }], 64 * KIB);
    const output = fresh();
    const storage = await open(scene, output, true);
    assert.equal(await scenes.openPiece(storage, P1), null);
    scenes.storePiece(storage, scene, P1);
    storage.store(P1, 20_000, Buffer.from('spoiled'), 0, 7);
    assert.equal(await scenes.verifyPiece(storage, P1), false);
    const good = scene.bytes.subarray(64 * KIB, 128 * KIB);
    const digests = (await scenes.digestBlocks(storage, P1)) as Uint8Array;
    const isGood = [0, 1, 2, 3].map((block) => {
      const expected = createHash('sha1')
        .update(good.subarray(block * 16384, (block + 1) * 16384))
        .digest();
      return expected.equals(digests.subarray(block * 20, block * 20 + 20));
    });
    assert.deepEqual(isGood, [true, false, true, true]);
    storage.store(P1, 20_000, good, 20_000, 20_007);
    assert.equal(await scenes.verifyPiece(storage, P1), true);
    storage.closePiece(P1);
    assert.deepEqual(await storage.sync(), [P1]);
    await storage.close();
    assert.deepEqual(fs.readFileSync(join(output, 'file')).subarray(64 * KIB, 128 * KIB), good);
  });

  test('room goes down to nothing, a refusal changes nothing, and closing a piece gives room back', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 640 * KIB }], 64 * KIB);
    const storage = await open(scene, fresh(), true, { openPieceBytes: 192 * KIB });
    assert.equal(storage.roomPieces, 3);
    const [a, b, c, d] = scenes.pieces(scene.metainfo) as [PieceIndex, PieceIndex, PieceIndex, PieceIndex];
    assert.deepEqual(await Promise.all([a, b, c].map((piece) => scenes.openPiece(storage, piece))), [null, null, null]);
    assert.equal(storage.roomPieces, 0);
    assert.equal(
      storage.openPiece(d, () => assert.fail('refused and answered')),
      false,
    );
    assert.equal(
      storage.openPiece(a, () => assert.fail('opened twice')),
      false,
    );
    storage.closePiece(b);
    assert.equal(storage.roomPieces, 1);
    assert.equal(await scenes.openPiece(storage, d), null);
    await storage.close();
  });

  test('when the device is behind no piece is opened, and onRoom follows; memory is never behind', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 6144 * KIB }], 256 * KIB);
    const output = fresh();
    const budgets = { ...SMALL_BUDGETS, openPieceBytes: 2048 * KIB, windowCount: 64, dirtyBytes: 1 };
    const storage = await open(scene, output, true, budgets);
    const hasDevice = fileSystemOf(fs.statfsSync(output).type).hasNoDevice !== true;
    const pieces = scenes.pieces(scene.metainfo);
    for (let at = 0; at < pieces.length; at += 6) {
      const some = pieces.slice(at, at + 6);
      assert.deepEqual(await Promise.all(some.map((piece) => scenes.openPiece(storage, piece))), Array(6).fill(null));
      for (const piece of some) scenes.storePiece(storage, scene, piece);
      for (const piece of some) assert.equal(await scenes.verifyPiece(storage, piece), true);
      const room = new Promise<void>((resolve) => {
        storage.onRoom = resolve;
      });
      for (const piece of some) storage.closePiece(piece);
      // 1.5 MiB at once, and the limit is twice the read cache: 1 MiB.
      if (hasDevice) {
        assert.equal(storage.roomPieces, 0);
        await room;
      }
      assert.ok(storage.roomPieces > 0);
    }
    assert.equal((await storage.sync()).length, pieces.length);
    assert.ok(fs.readFileSync(join(output, 'file')).equals(scene.bytes));
    await storage.close();
  });

  test('after the device refused a sync no later one claims what was in it', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 128 * KIB }], 64 * KIB);
    const output = fresh();
    let refusals = 1;
    const refusing: WorkPool = {
      threadCount: pool.threadCount,
      room: 64,
      onceRoom: (listener) => pool.onceRoom(listener),
      submit: (job, done) => {
        if (job.kind !== 'sync' || refusals-- <= 0) return pool.submit(job, done);
        setImmediate(done, { ok: false, errno: 'EIO', operation: 'sync' });
        return true;
      },
      close: () => Promise.resolve(),
    };
    const options = { metainfo: scene.metainfo, output, pool: refusing, kind, forWriting: true };
    const storage = await openStorage(options);
    await storage.prepare({ forWriting: true });
    assert.equal(await scenes.openPiece(storage, P0), null);
    scenes.storePiece(storage, scene, P0);
    assert.equal(await scenes.verifyPiece(storage, P0), true);
    storage.closePiece(P0);
    for (let turn = 0; turn < 2; turn++) await assert.rejects(storage.sync(), { code: 'IO' });
    await storage.close();
  });

  test('pieces larger than the budget may still be opened two at a time', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 300 * KIB }], 100 * KIB);
    const storage = await open(scene, fresh(), true, { openPieceBytes: 1 });
    assert.equal(storage.roomPieces, 2);
    await storage.close();
  });

  test('storing into a piece that is not open is a broken invariant, and so is leaving the piece', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 100 * KIB }], 64 * KIB);
    const storage = await open(scene, fresh(), true);
    const block = Buffer.alloc(16 * KIB);
    assert.throws(() => storage.store(P0, 0, block, 0, 10), /not open/);
    await scenes.openPiece(storage, P1);
    assert.throws(() => storage.store(P1, 36 * KIB - 9, block, 0, 10), /leaves piece/);
    assert.throws(() => storage.store(P1, -1, block, 0, 10), /leaves piece/);
    storage.closePiece(P1);
    assert.throws(() => storage.store(P1, 0, block, 0, 10), /not open/);
    await storage.close();
  });

  test('opening is answered later, also when the piece is closed meanwhile', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 100 * KIB }], 64 * KIB);
    const storage = await open(scene, fresh(), true);
    let isSynchronous = true;
    const answer = scenes.openPiece(storage, P0).then((error) => {
      assert.equal(isSynchronous, false);
      return error;
    });
    storage.closePiece(P0);
    isSynchronous = false;
    assert.equal((await answer)?.code, 'CLOSED');
    assert.deepEqual(await storage.sync(), []);
    assert.equal(await scenes.download(storage, scene, P0), true);
    await storage.close();
  });

  test('resident units stay within the budget however much is read, and pins hold theirs', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 4000 * KIB + 123 }], 256 * KIB);
    const output = fresh();
    scenes.writeScene(scene, output);
    const storage = await open(scene, output, false, SMALL_BUDGETS);
    const resident = (): number => storage.reads.units.residentBytes;
    await scenes.pinned(storage, P0, 1000, 5000);
    let most = 0;
    for (let round = 0; round < 2; round++) {
      await checkReadable(storage, scene, () => {
        most = Math.max(most, resident());
      });
    }
    assert.ok(most <= 512 * KIB * 1.25, `${most} bytes were resident`);
    const slices: Buffer[] = [];
    storage.reads.slices(P0, 1000, 5000, slices);
    assert.deepEqual(Buffer.concat(slices), scene.bytes.subarray(1000, 6000));
    storage.reads.unpin(P0, 1000, 5000);
    assert.throws(() => storage.reads.unpin(P0, 1000, 5000), /not pinned/);
    await storage.close();
  });

  test('when pins hold everything the answer is full, and onReadable follows an unpin', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 1024 * KIB }], 64 * KIB);
    const output = fresh();
    scenes.writeScene(scene, output);
    const storage = await open(scene, output, false, SMALL_BUDGETS);
    const order = scenes.pieces(scene.metainfo);
    for (const piece of order.slice(0, 8)) await scenes.pinned(storage, piece, 0, 100);
    assert.equal(storage.reads.pin(order[8]!, 0, 100), 'full');
    const readable = new Promise<void>((resolve) => {
      storage.onReadable = resolve;
    });
    storage.reads.unpin(order[3]!, 0, 100);
    await readable;
    assert.deepEqual(
      await scenes.readRange(storage, order[8]!, 0, 64 * KIB),
      scene.bytes.subarray(512 * KIB, 576 * KIB),
    );
    for (const piece of order.slice(0, 8)) if (piece !== 3) storage.reads.unpin(piece, 0, 100);
    await storage.close();
  });

  test('read-ahead makes a later pin ready at once', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 256 * KIB }], 64 * KIB);
    const output = fresh();
    scenes.writeScene(scene, output);
    const storage = await open(scene, output, false, { asksPageCache: false }); // As if the file were not in memory.
    const readable = new Promise<void>((resolve) => {
      storage.onReadable = resolve;
    });
    storage.reads.readAhead(P1, 10, 100);
    storage.reads.readAhead(P1, 50, 100);
    await readable;
    assert.equal(storage.reads.pin(P1, 0, 64 * KIB), 'ready');
    storage.reads.unpin(P1, 0, 64 * KIB);
    await storage.close();
  });

  test('a file that is cut off while it is served is an error, not a crash', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 512 * KIB }], 64 * KIB);
    const output = fresh();
    scenes.writeScene(scene, output);
    const storage = await open(scene, output, false);
    assert.equal((await scenes.readRange(storage, P0, 0, 100)).length, 100);
    fs.truncateSync(join(output, 'file'), 128 * KIB);
    await assert.rejects(
      scenes.readRange(storage, 5 as PieceIndex, 0, 100),
      (error) =>
        error instanceof HaulError && error.code === 'BAD_DATA' && error.message.includes(join(output, 'file')),
    );
    await storage.close();
  });

  test('an offset above 4 GiB lands where it should', async () => {
    const pieceLength = 1024 * KIB;
    const lengthBytes = 5 * 1024 ** 3 + 3 * pieceLength + 77;
    const metainfo = scenes.metainfoOf([{ path: 'huge', lengthBytes }], pieceLength);
    const piece = (5 * 1024 + 1) as PieceIndex;
    const content = scenes.noise(pieceLength, 99);
    createHash('sha1')
      .update(content)
      .digest()
      .copy(metainfo.pieceHashes, piece * 20);
    const output = fresh();
    fs.mkdirSync(output);
    const path = join(output, 'huge');
    fs.writeFileSync(path, '');
    fs.truncateSync(path, lengthBytes);
    const storage = await openStorage({ metainfo, output, pool, kind, forWriting: true });
    const prepare = storage.prepare.bind(storage) as (options: {
      forWriting: boolean;
      reserve: boolean;
    }) => Promise<void>;
    await prepare({ forWriting: true, reserve: false });
    assert.equal(await scenes.openPiece(storage, piece), null);
    for (let at = 0; at < pieceLength; at += 16384) storage.store(piece, at, content, at, at + 16384);
    assert.equal(await scenes.verifyPiece(storage, piece), true);
    storage.closePiece(piece);
    assert.deepEqual(await scenes.readRange(storage, piece, 777, 5000), content.subarray(777, 5777));
    await storage.sync();
    await storage.close();
    const fd = fs.openSync(path, 'r');
    try {
      const read = Buffer.alloc(pieceLength);
      fs.readSync(fd, read, 0, pieceLength, piece * pieceLength);
      assert.deepEqual(read, content);
      // What a 32-bit offset would have hit.
      fs.readSync(fd, read, 0, pieceLength, (piece * pieceLength) % 2 ** 32);
      assert.deepEqual(read, Buffer.alloc(pieceLength));
      assert.equal(fs.fstatSync(fd).size, lengthBytes);
    } finally {
      fs.closeSync(fd);
    }
  });

  test('close waits for the jobs under way and is the same however often it is called', async () => {
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 512 * KIB }], 64 * KIB);
    const storage = await open(scene, fresh(), true);
    assert.equal(await scenes.openPiece(storage, P0), null);
    scenes.storePiece(storage, scene, P0);
    let outcome: unknown = null;
    storage.verifyPiece(P0, (result) => {
      outcome = result;
    });
    await Promise.all([storage.close(), storage.close()]);
    assert.equal(outcome, true);
    assert.equal(storage.roomPieces, 0);
    assert.equal(
      storage.openPiece(P1, () => assert.fail('opened after close')),
      false,
    );
    assert.equal(storage.reads.pin(P0, 0, 10), 'full');
  });

  test('a piece that is being opened has its answer before the end, and nothing of it is left', async () => {
    const { metainfo } = scenes.sceneOf([{ path: 'file', lengthBytes: 512 * KIB }], 64 * KIB);
    const memory = engineMemory(pool);
    const output = fresh();
    const storage = await openStorage({ metainfo, output, pool, kind, forWriting: true, memory });
    await storage.prepare({ forWriting: true });
    // The second one has memory that is there already.
    assert.equal(await scenes.openPiece(storage, P0), null);
    storage.closePiece(P0);
    let heldAtEnd: number | null = null;
    assert.ok(
      storage.openPiece(P1, (error) => {
        assert.equal(error?.code, 'CLOSED');
        heldAtEnd = memory.anonymous.heldBytes + memory.mapped.heldBytes;
      }),
    );
    await storage.close();
    assert.ok(heldAtEnd !== null && heldAtEnd >= 0, `${heldAtEnd} bytes are held when it is told`);
    assert.deepEqual([memory.anonymous.heldBytes, memory.mapped.heldBytes], [0, 0]);
    await memory.close();
  });
}

async function checkReadable(
  storage: Storage,
  { metainfo, bytes }: scenes.Scene,
  each = (): void => {},
): Promise<void> {
  const { geometry } = metainfo;
  for (const piece of scenes.pieces(metainfo)) {
    const length = geometry.pieceLength(piece);
    for (let begin = 0; begin < length; begin += 50_000) {
      const part = Math.min(50_000, length - begin);
      const at = geometry.pieceBegin(piece) + begin;
      assert.ok(
        (await scenes.readRange(storage, piece, begin, part)).equals(bytes.subarray(at, at + part)),
        `piece ${piece}`,
      );
      each();
    }
  }
}

function checkFiles({ metainfo, bytes }: scenes.Scene, output: string): void {
  for (const { path, beginBytes, lengthBytes, isPad } of metainfo.files) {
    const target = join(output, ...path);
    if (isPad) assert.equal(fs.existsSync(target), false);
    else assert.ok(fs.readFileSync(target).equals(bytes.subarray(beginBytes, beginBytes + lengthBytes)), target);
  }
}
