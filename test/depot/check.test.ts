import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { openScope } from '../../lab/scope.js';
import { rowKey } from '../../src/depot/catalogue/keys.js';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { type CheckProgress, type CheckReport, checkDepot } from '../../src/depot/check.js';
import { DepotScene, publish } from './depot-scene.js';

interface Filled {
  readonly short: ArtifactRow;
  readonly long: ArtifactRow;
  readonly twin: ArtifactRow;
}

const LONG = Buffer.alloc(300_000, 'long');

async function filled(scene: DepotScene): Promise<Filled> {
  return scene.with(async (open) => ({
    short: await publish(open, 'short', Buffer.from('short')),
    long: await publish(open, 'long', LONG, { retentionDays: 1 }),
    twin: await publish(open, 'twin', LONG),
  }));
}

function check(scene: DepotScene, onProgress?: (progress: CheckProgress) => void): Promise<CheckReport> {
  const more = onProgress === undefined ? {} : { onProgress };
  return scene.with(({ store, catalogue }) => checkDepot({ store, catalogue, ...more }));
}

const found = ({ findings }: CheckReport) => findings.map(({ kind, name }) => `${kind} ${name}`).sort();

test('a whole depot is good, and one sees how far the check is', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  await filled(scene);
  const told: CheckProgress[] = [];
  const report = await check(scene, (progress) => told.push(progress));
  assert.deepEqual(report, {
    isGood: true,
    names: 3,
    blobs: 2,
    lengthBytes: LONG.length + 5,
    counts: { damaged: 0, missing: 0, unnamed: 0, sidecar: 0, catalogue: 0 },
    findings: [],
  });
  assert.deepEqual(told.at(-1), { hashedBytes: 300_005, totalBytes: 300_005, blobs: 2, totalBlobs: 2 });
});

test('an empty depot is good', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  assert.equal((await check(scene)).isGood, true);
});

test('a blob with a flipped bit is found and not read any more; put again it is good', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const { short, long } = await filled(scene);
  scene.flip(short);
  scene.flip(long);
  const report = await check(scene);
  assert.equal(report.isGood, false);
  assert.equal(report.counts.damaged, 2);
  const messages = report.findings.map(({ message }) => message).sort();
  assert.ok(messages.includes(`the blob ${long.sha256} is damaged: artifacts/long, artifacts/twin`), messages.join());
  await scene.with(async (open) => {
    const read = async () => {
      for await (const _ of open.depot.read(long, { begin: 0, end: 10 }));
    };
    await assert.rejects(read(), { code: 'BAD_DATA' });
    await publish(open, 'short', Buffer.from('short'));
    await publish(open, 'long', LONG, { retentionDays: 1 });
  });
  assert.deepEqual(await check(scene).then(found), []);
});

test('blobs that are gone, and blobs without a row, are found', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const { long } = await filled(scene);
  rmSync(scene.blobPath(long.sha256));
  await scene.withStore(async (store) => {
    const upload = await store.create({ lengthBytes: null, piecesFromBytes: 1e6 });
    await upload.write(Buffer.from('nobody'));
    await upload.finish();
    await store.commit(upload, null);
  });
  assert.deepEqual(found(await check(scene)), ['missing artifacts/long', 'missing artifacts/twin', 'unnamed null']);
});

test('what lies beside the blobs is held against the rows, both ways', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const { short, long } = await filled(scene);
  await scene.withStore(async (store) => {
    await store.note(short.sha256, short.name, null);
    await store.note(long.sha256, 'artifacts/other', JSON.stringify({ ...long, name: 'artifacts/other' }));
    await store.note(long.sha256, long.name, JSON.stringify({ ...long, expiresMs: 5 }));
    await store.note(long.sha256, 'artifacts/twin', '{');
  });
  assert.deepEqual(found(await check(scene)), [
    'sidecar artifacts/long',
    'sidecar artifacts/other',
    'sidecar artifacts/short',
    'sidecar artifacts/twin',
  ]);
});

test('a damaged row is found, and all blobs are hashed all the same', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const { short } = await filled(scene);
  const level = new ClassicLevel<string, string>(scene.catalogueFolder);
  await level.put(rowKey('artifacts/long'), '[1]');
  await level.close();
  scene.flip(short);
  const report = await check(scene);
  assert.equal(report.counts.damaged, 1);
  assert.ok(report.counts.catalogue > 0);
  assert.equal(report.counts.unnamed, 0);
  assert.equal(report.blobs, 2);
});

test('a folder in the place of a blob, and a blob cut short, are no crash', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const { short, long } = await filled(scene);
  rmSync(scene.blobPath(short.sha256));
  rmSync(scene.blobPath(long.sha256));
  writeFileSync(scene.blobPath(long.sha256), LONG.subarray(5));
  const report = await check(scene);
  assert.deepEqual(found(report), ['damaged artifacts/long', 'missing artifacts/short']);
});

test('it is refused while a depot runs there, and can be stopped', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  await filled(scene);
  const stop = new AbortController();
  await scene.with(async ({ store, catalogue }) => {
    await assert.rejects(check(scene), { code: 'IN_USE' });
    stop.abort();
    await assert.rejects(checkDepot({ store, catalogue, signal: stop.signal }), { code: 'ABORTED' });
  });
});
