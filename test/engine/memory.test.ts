/**
 * Several torrents in one engine share its memory: they all arrive, within the budget, and give back what they do not
 * use.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { writeSeededFile } from '../../lab/data.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { withDeadline } from '../../lab/wait.js';
import { createTorrent } from '../../src/content/create.js';
import { HaulError } from '../../src/errors.js';
import { parseTorrent } from '../../src/index.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { SystemCallError } from '../../src/native/errno.js';
import { engineMemory } from '../../src/storage/memory.js';
import { openStorage } from '../../src/storage/open.js';
import { createWorkPool } from '../../src/work/pool.js';
import * as scenes from '../storage/scene.js';
import { startEngine } from '../support/engines.js';

const MIB = 1024 * 1024;
const DEADLINE_MS = 60_000;

for (const storage of ['mapped', 'positional'] as const) {
  test(`eight torrents with pieces of a third of the budget and less all arrive in turns (${storage})`, async (t) => {
    const scope = openScope(t);
    const folder = await tempFolder(scope);
    const pool = createWorkPool({ threads: 1 });
    scope.defer(() => pool.close());
    const sets = await Promise.all(
      Array.from({ length: 8 }, async (_, number) => {
        const name = `image-${number}`;
        await writeSeededFile(path.join(folder, name), 5 * MIB + number, name);
        const pieceLengthBytes = number < 4 ? MIB : 64 * 1024;
        return parseTorrent(await createTorrent(path.join(folder, name), { pieceLengthBytes }, pool));
      }),
    );
    // 2.5 MiB of buffers, 11 MiB of mapped pages.
    const options = { storage, memoryBytes: 16 * MIB };
    const seed = await startEngine(scope, options);
    for (const metainfo of sets)
      await seed.add(metainfo, { output: folder, mode: 'seed', trustData: true, trackers: [] }).done;
    const leech = await startEngine(scope, options);
    const peers = [{ host: '127.0.0.1', port: seed.port! }];
    const output = await tempFolder(scope);
    const torrents = sets.map((metainfo) => leech.add(metainfo, { output, trackers: [], peers }));
    await withDeadline(Promise.all(torrents.map(({ done }) => done)), 'all arrive', DEADLINE_MS);
    for (const { name } of sets)
      assert.ok((await readFile(path.join(output, name))).equals(await readFile(path.join(folder, name))), name);
  });

  test(`storages of one memory: one gets what the other gives back, and nothing is kept (${storage})`, async (t) => {
    const scope = openScope(t);
    const pool = createWorkPool({ threads: 1 });
    scope.defer(() => pool.close());
    const memory = engineMemory(pool, 16 * MIB);
    const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 24 * MIB }], MIB);
    const open = async () => {
      const output = await tempFolder(scope);
      const one = await openStorage({
        metainfo: scene.metainfo,
        output,
        pool,
        kind: storage,
        forWriting: true,
        memory,
      });
      await one.prepare({ forWriting: true });
      return one;
    };
    const [first, second] = [await open(), await open()];
    const kind = storage === 'mapped' ? memory.mapped : memory.anonymous;
    const pieces = scenes.pieces(scene.metainfo);
    const most = first.mostPieces;
    assert.equal(most, storage === 'mapped' ? 9 : 2);
    for (const piece of pieces.slice(0, most)) assert.equal(await scenes.openPiece(first, piece), null);
    assert.equal(first.roomPieces, 0);
    const refused = (): void => assert.fail('refused and answered');
    assert.equal(second.openPiece(pieces[0]!, refused), false);
    const room = new Promise<void>((resolve) => (second.onRoom = resolve));
    // What was open in a mapping may be served from there now, and leaves pieces three quarters.
    for (const piece of pieces.slice(0, 3)) first.closePiece(piece);
    await withDeadline(room, 'the other one is told', DEADLINE_MS);
    assert.equal(second.roomPieces > 0, true);
    assert.equal(await scenes.download(second, scene, pieces[0]!), true);
    for (const piece of pieces.slice(3, most)) first.closePiece(piece);
    assert.deepEqual(await scenes.readRange(second, pieces[0]!, 10, 5000), scene.bytes.subarray(10, 5010));
    assert.ok(kind.liveBytes > 0);
    memory.tick(1_000);
    memory.tick(20_000);
    assert.equal(kind.liveBytes, 0);
    await Promise.all([first.close(), second.close()]);
    assert.equal(kind.heldBytes, 0);
    assert.equal(memory.maps.count, 0);
    await memory.close();
  });
}

test('where the system gives no memory a piece is not opened and nothing is read, and all is as before', async (t) => {
  const scope = openScope(t);
  const pool = createWorkPool({ threads: 1 });
  scope.defer(() => pool.close());
  const memory = engineMemory(pool, 16 * MIB);
  const scene = scenes.sceneOf([{ path: 'file', lengthBytes: 8 * MIB }], MIB);
  const output = await tempFolder(scope);
  const options = { metainfo: scene.metainfo, output, pool, kind: 'positional', forWriting: true, memory } as const;
  const storage = await openStorage(options);
  await storage.prepare({ forWriting: true });
  const [first, second] = scenes.pieces(scene.metainfo) as [PieceIndex, PieceIndex];
  assert.equal(await scenes.download(storage, scene, first), true);
  const { slab } = memory;
  const take = slab.take.bind(slab);
  slab.take = () => {
    throw new SystemCallError('mmap', constants.errno.ENOMEM);
  };
  const heldBytes = memory.anonymous.liveBytes;
  const error = await scenes.openPiece(storage, second);
  assert.equal(error?.facts.errno, 'ENOMEM');
  const told = new Promise<HaulError>((resolve) => (storage.onError = resolve));
  assert.equal(storage.reads.pin(first, 0, 1000), 'full');
  assert.equal((await withDeadline(told, 'the read fails', DEADLINE_MS)).facts.errno, 'ENOMEM');
  assert.equal(memory.anonymous.liveBytes, heldBytes);
  slab.take = take;
  assert.equal(await scenes.download(storage, scene, second), true);
  assert.deepEqual(await scenes.readRange(storage, first, 0, 1000), scene.bytes.subarray(0, 1000));
  await storage.close();
  assert.equal(memory.anonymous.heldBytes, 0);
  await memory.close();
});

test('too little memory is a bad argument', async (t) => {
  const scope = openScope(t);
  await assert.rejects(
    startEngine(scope, { memoryBytes: MIB }),
    (error) => error instanceof HaulError && error.code === 'BAD_ARGUMENT',
  );
});
