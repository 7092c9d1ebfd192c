/** Folders in the places of a depot's files: bytes that come again take their place, and nothing in them is lost. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { checkDepot } from '../../src/depot/check.js';
import { bytesOf, code, read, sha256 } from './depot-kit.js';
import { DepotScene, publish } from './depot-scene.js';

function obstruct(file: string, text: string): void {
  rmSync(file, { force: true });
  mkdirSync(file);
  writeFileSync(path.join(file, 'note.txt'), text);
}

for (const length of [300, 300_000])
  test(`a blob of ${length} bytes: its place is taken by a folder, twice`, async (t) => {
    const scene = await DepotScene.make(openScope(t));
    const bytes = bytesOf(length);
    const all = { begin: 0, end: length };
    const row = await scene.with(async (open) => {
      const first = await publish(open, 'a', bytes);
      const place = scene.blobPath(first.sha256);
      for (const [round, aside] of ['in-the-way', 'in-the-way-2'].entries()) {
        obstruct(place, `round ${round}`);
        await assert.rejects(read(open.store.read(first.sha256, all)), code('BAD_DATA'));
        await publish(open, 'a', bytes);
        assert.ok((await read(open.store.read(first.sha256, all))).equals(bytes));
        assert.equal(readFileSync(path.join(`${place}.${aside}`, 'note.txt'), 'utf8'), `round ${round}`);
      }
      return first;
    });
    await scene.with(async (open) => {
      assert.deepEqual((await checkDepot(open)).findings, []);
      assert.equal(open.store.usedBytes, length);
      assert.ok((await read(open.store.read(row.sha256, all))).equals(bytes));
    });
  });

test('what lies beside a blob, and what a start sweeps', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const bytes = bytesOf(300_000);
  const sidecar = ({ sha256: digest }: Pick<ArtifactRow, 'sha256'>): string => `${scene.blobPath(digest)}.json`;
  const row = await scene.with((open) => publish(open, 'a', bytes));
  const nobodys = sidecar({ sha256: sha256(Buffer.from('nobody')) });
  const places = [
    sidecar(row),
    nobodys,
    `${scene.namesPath(row.sha256)}.new`,
    path.join(scene.folder, 'tmp', `${'0'.repeat(16)}-1`),
  ];
  for (const place of places) obstruct(place, place);
  await scene.with(async (open) => {
    await publish(open, 'b', bytes);
    assert.deepEqual((await checkDepot(open)).findings, []);
  });
  const inTheWay = (place: string): string => (existsSync(`${place}.in-the-way`) ? `${place}.in-the-way` : place);
  for (const place of places) assert.deepEqual(readdirSync(inTheWay(place)), ['note.txt'], place);
});
