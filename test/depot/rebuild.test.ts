import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { type RebuildReport, rebuildCatalogue } from '../../src/depot/rebuild.js';
import { allRows, DepotScene, type OpenScene, publish } from './depot-scene.js';

const LONG = Buffer.alloc(300_000, 'long');

async function filled(scene: DepotScene): Promise<readonly ArtifactRow[]> {
  return scene.with(async (open) => {
    await publish(open, 'ci/1/log.txt', Buffer.from('short'), { contentType: 'text/plain', retentionDays: 3 });
    await publish(open, 'ci/1/image.raw', LONG);
    await publish(open, 'ci/2/image.raw', LONG);
    await publish(open, 'other é/name', LONG);
    await publish(open, 'empty', Buffer.alloc(0));
    await publish(open, 'gone', Buffer.from('gone'));
    await publish(open, 'changed', Buffer.from('first'));
    scene.nowMs += 1000;
    await publish(open, 'changed', Buffer.from('second'));
    await open.depot.pin('artifacts/ci/1/log.txt', true);
    await open.depot.remove('artifacts/gone');
    await open.depot.pin('artifacts/empty', true);
    // A pin stays with the name, and so it is beside the blob too.
    await publish(open, 'empty', Buffer.from('not any more'));
    return allRows(open);
  });
}

function rebuild(scene: DepotScene): Promise<RebuildReport> {
  return scene.withStore((store) =>
    rebuildCatalogue({ store, catalogue: scene.catalogueFolder, now: () => scene.nowMs }),
  );
}

const rowsOf = (scene: DepotScene) => scene.with((open) => allRows(open));
const auditOf = (scene: DepotScene) => scene.with(({ catalogue }: OpenScene) => catalogue.audit());

test('the catalogue made anew is the one that was, whatever became of that one', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const before = await filled(scene);
  assert.equal(before.length, 6);
  assert.deepEqual(
    before.filter(({ isPinned }) => isPinned).map(({ name }) => name),
    ['artifacts/ci/1/log.txt', 'artifacts/empty'],
  );
  for (const damage of [
    () => {},
    () => rmSync(path.join(scene.catalogueFolder, 'CURRENT')),
    () => rmSync(scene.catalogueFolder, { recursive: true }),
    () => {
      rmSync(scene.catalogueFolder, { recursive: true });
      writeFileSync(scene.catalogueFolder, 'a file');
    },
    // What an earlier one left that was killed.
    () => mkdirSync(path.join(`${scene.catalogueFolder}.new`, 'x'), { recursive: true }),
  ]) {
    damage();
    const report = await rebuild(scene);
    assert.deepEqual(report.faults, []);
    assert.deepEqual(report.conflicts, []);
    assert.deepEqual(report.found, []);
    assert.equal(report.names, 6);
    assert.deepEqual(await rowsOf(scene), before);
    assert.deepEqual(await auditOf(scene), []);
    assert.equal(existsSync(`${scene.catalogueFolder}.new`), false);
  }
});

test('where there is no catalogue beside blobs, none is made that would have them swept', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  await filled(scene);
  renameSync(scene.catalogueFolder, `${scene.catalogueFolder}.away`);
  await assert.rejects(
    scene.with(async () => {}),
    { code: 'BAD_DATA', message: /is missing, and there are blobs; make it anew with: haul depot rebuild/ },
  );
  assert.equal(existsSync(scene.catalogueFolder), false);
  await rebuild(scene);
  assert.equal((await rowsOf(scene)).length, 6);
});

test('a blob of which nobody knows the name gets one, and is not swept', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const before = await filled(scene);
  const { sha256 } = before.find(({ name }) => name.endsWith('1/image.raw'))!;
  rmSync(scene.namesPath(sha256));
  const report = await rebuild(scene);
  assert.deepEqual(report.found, [`artifacts/lost+found/${sha256}`]);
  await scene.with(async (open) => {
    assert.equal(await open.depot.sweep(), 0);
    const row = (await open.depot.find(report.found[0]!))!;
    assert.equal(row.lengthBytes, LONG.length);
    assert.notEqual(row.infoHash, null);
    assert.notEqual(await open.depot.torrent(row, 'http://a/announce', 'http://a/b'), null);
  });
  // Beside the blob it has that name, too.
  const again = await rebuild(scene);
  assert.deepEqual([again.found, again.names], [[], report.names]);
});

test('of two blobs that have one name the later has it, and the other is not lost', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const old = await scene.with(async (open) => {
    const row = await publish(open, 'a', Buffer.from('old'));
    scene.nowMs += 5;
    await publish(open, 'a', Buffer.from('new'));
    return row;
  });
  // Killed before the old blob went.
  await scene.withStore(async (store) => {
    const upload = await store.create({ lengthBytes: 3, piecesFromBytes: 1e6 });
    await upload.write(Buffer.from('old'));
    await upload.finish();
    await store.commit(upload, { name: old.name, row: JSON.stringify(old) });
  });
  const { conflicts, names } = await rebuild(scene);
  assert.equal(names, 1);
  const [row] = await rowsOf(scene);
  assert.deepEqual(conflicts, [{ name: 'artifacts/a', keptSha256: row!.sha256, otherSha256: old.sha256 }]);
  assert.notEqual(row!.sha256, old.sha256);
});

test('what is beside the blobs and cannot be believed is said, and harms nothing else', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const before = await filled(scene);
  const short = before.find(({ name }) => name.endsWith('log.txt'))!;
  const file = scene.namesPath(short.sha256);
  const line = (name: string, row: unknown) => `\n${JSON.stringify([short.sha256, name, row])}`;
  const hostile = [
    'not JSON at all',
    '[]',
    line('artifacts/../../etc/passwd', JSON.stringify({ ...short, name: 'artifacts/../../etc/passwd' })),
    line('artifacts/x', JSON.stringify(short)),
    line('artifacts/y', JSON.stringify({ ...short, name: 'artifacts/y', sha256: '0'.repeat(64) })),
    line('artifacts/z', JSON.stringify({ ...short, name: 'artifacts/z', lengthBytes: 7 })),
    line('nowhere/z', JSON.stringify({ ...short, name: 'nowhere/z' })),
    line('artifacts/w', '{'),
    line('artifacts/v', JSON.stringify({ ...short, name: 'artifacts/v', expiresMs: -1 })),
  ];
  writeFileSync(file, `${readFileSync(file, 'utf8')}\n${hostile.join('\n')}\n`);
  const report = await rebuild(scene);
  assert.equal(report.faults.length, 7, report.faults.join('\n'));
  assert.deepEqual(await rowsOf(scene), before);
});

test('a depot that was killed before its notes were written is made anew as it was', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const gone = await filled(scene);
  await scene.with(async (open) => {
    // As when the process ends behind the row.
    const mark = 'ab'.repeat(8);
    for (const name of ['ci/1/image.raw', 'changed']) await open.catalogue.remove(`artifacts/${name}`, undefined, mark);
    await open.catalogue.pin('artifacts/ci/2/image.raw', true, mark);
  });
  const before = await rowsOf(scene);
  assert.equal(before.length, gone.length - 2);
  for (let round = 0; round < 2; round++) {
    const { found, faults } = await rebuild(scene);
    assert.deepEqual([found, faults], [[], []]);
    assert.deepEqual(await rowsOf(scene), before);
    await scene.with(({ depot }) => depot.sweep());
  }
});

test('it is refused while a depot runs there, and stopped it leaves all as it was', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const before = await filled(scene);
  await scene.with(async () => {
    await assert.rejects(rebuild(scene), { code: 'IN_USE' });
  });
  const stop = new AbortController();
  stop.abort();
  await scene.withStore(async (store) => {
    const options = { store, catalogue: scene.catalogueFolder, signal: stop.signal };
    await assert.rejects(rebuildCatalogue(options), { code: 'ABORTED' });
  });
  assert.deepEqual(await rowsOf(scene), before);
});
