/** A disk that does not give some bytes any more: all else is as it was, and what comes again takes their place. */
import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { checkDepot } from '../../src/depot/check.js';
import { migrateDepot } from '../../src/depot/migrate.js';
import { rebuildCatalogue } from '../../src/depot/rebuild.js';
import { openFolderStore } from '../../src/depot/store/folders.js';
import { loopDisk, spoil } from '../support/loop-disk.js';
import { agentOf, bytesOf, depotOf, folderOf, get, put } from './agent-harness.js';
import { code, read } from './depot-kit.js';
import { allRows, DepotScene, publish } from './depot-scene.js';

const MIB = 2 ** 20;
const GOOD = bytesOf(MIB);
const BAD = bytesOf(2 * MIB);
const SECTOR = BAD.subarray(MIB, MIB + 64);

test('a blob: check, rebuild, migrate and start go on, and its bytes that come again take its place', async (t) => {
  const scope = openScope(t);
  const disk = await loopDisk(t, scope, 'btrfs');
  if (disk === null) return;
  const [scene, other] = [await DepotScene.make(scope, disk), await DepotScene.make(scope)];
  const bad = await scene.with(async (open) => {
    await publish(open, 'good', GOOD);
    return publish(open, 'bad', BAD);
  });
  await spoil(disk, SECTOR);
  const look = await openFolderStore({ folder: scene.folder, isReadOnly: true, isBeside: true });
  const { faults, copiedBlobs } = await other.with((to) => migrateDepot({ from: look, to }));
  await look.close();
  assert.deepEqual([copiedBlobs, faults.length], [1, 1]);
  assert.match(faults[0]!, new RegExp(`${bad.sha256} cannot be read`));
  await scene.withStore((store) => rebuildCatalogue({ store, catalogue: scene.catalogueFolder }));
  await scene.with(async (open) => {
    await open.depot.sweep();
    const { counts, findings } = await checkDepot(open);
    assert.deepEqual([counts.damaged, findings.length], [1, 1], JSON.stringify(findings));
    assert.match(findings[0]!.message, /cannot be read \(.*i\/o error\): artifacts\/bad/);
  });
  // Another process that knows nothing of that.
  await scene.with(async (open) => {
    const all = { begin: 0, end: BAD.length };
    await assert.rejects(read(open.store.read(bad.sha256, all)), code('IO'));
    await publish(open, 'again', BAD);
    assert.ok((await read(open.store.read(bad.sha256, all))).equals(BAD));
    assert.equal((await allRows(open)).length, 3);
    assert.ok((await checkDepot(open)).isGood);
  });
});

test('a blob without a row, and of which the notes cannot be read, stays, and a depot starts', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  await scene.with(async ({ store, depot }) => {
    const upload = await store.create({ lengthBytes: GOOD.length, piecesFromBytes: 1 });
    await upload.write(GOOD);
    const { sha256 } = await upload.finish();
    await store.commit(upload, null);
    mkdirSync(scene.namesPath(sha256));
    assert.equal(await depot.sweep(), 0);
    assert.notEqual(await store.stat(sha256), null);
    rmdirSync(scene.namesPath(sha256));
    assert.equal(await depot.sweep(), 1);
  });
});

test('a cached blob of an agent: who is served gets all of it, and it is fetched anew', async (t) => {
  const scope = openScope(t);
  const disk = await loopDisk(t, scope, 'btrfs');
  if (disk === null) return;
  const depot = await depotOf(t, path.join(await folderOf(t), 'data'));
  const large = bytesOf(6 * MIB);
  const files = { short: GOOD.subarray(0, 1000), middle: BAD, large };
  for (const [name, bytes] of Object.entries(files)) await put(depot.url, name, bytes);
  const cache = path.join(disk, 'cache');
  const first = await agentOf(t, depot.url, cache);
  const all = async (url: string): Promise<void> => {
    for (const [name, bytes] of Object.entries(files)) {
      const answer = await get(url, `artifacts/${name}`);
      assert.equal(answer.status, 200, name);
      assert.ok(answer.bytes.equals(bytes), name);
    }
  };
  await all(first.agent.url);
  await first.agent.close(0);
  for (const at of [SECTOR, files.short.subarray(0, 64), large.subarray(4 * MIB, 4 * MIB + 64)]) await spoil(disk, at);
  const second = await agentOf(t, depot.url, cache);
  for (let round = 0; round < 3; round++) await all(second.agent.url);
  assert.ok(second.receipts.slice(-3).every(({ localBytes, sentBytes }) => localBytes === sentBytes));
  assert.equal(second.warnings.filter((line) => /is fetched (again|anew)/.test(line)).length, 3, `${second.warnings}`);
});
