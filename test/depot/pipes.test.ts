/** Somebody put a pipe in the place of a file of the depot's: nothing waits for its other end. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { ClockFile } from '../../src/depot/keep/clock-file.js';
import { secretOf } from '../../src/depot/secret.js';
import { DepotScene, publish } from './depot-scene.js';
import { MemoryCatalogue } from './memory-catalogue.js';
import { quickFolder } from './quick-folder.js';

const LONG = Buffer.alloc(300_000, 'long');
/** Of a wait that never ends. */
const TIMEOUT_MS = 20_000;

function pipe(file: string): void {
  rmSync(file, { force: true, recursive: true });
  execFileSync('mkfifo', [file]);
}

test('where the notes or the record of a blob should be: others are published', { timeout: TIMEOUT_MS }, async (t) => {
  const scene = await DepotScene.make(openScope(t));
  await scene.with(async (open) => {
    const row = await publish(open, 'long', LONG);
    pipe(scene.namesPath(row.sha256));
    pipe(`${scene.blobPath(row.sha256)}.json`);
  });
  await scene.with(async (open) => {
    const row = (await open.depot.find('artifacts/long'))!;
    assert.notEqual(await open.depot.torrent(row, 'http://a/announce', 'http://a/b'), null);
    // That is not the same as none.
    await assert.rejects(open.store.names(row.sha256), { code: 'IO' });
    await publish(open, 'twin', LONG);
    await publish(open, 'other', Buffer.from('other'));
    await open.depot.remove('artifacts/long');
    assert.equal(await open.depot.find('artifacts/long'), null);
  });
});

test('where a file of the catalogue should be: it is damaged', { timeout: TIMEOUT_MS }, async (t) => {
  const folder = await quickFolder(openScope(t));
  for (const name of ['CURRENT', 'LOCK', 'undo', '000003.log']) {
    const place = path.join(folder, name, 'catalogue');
    await (await openLevelCatalogue(place)).close();
    pipe(path.join(place, name));
    await assert.rejects(openLevelCatalogue(place), { code: 'BAD_DATA', message: new RegExp(`${name} is no file`) });
  }
});

test('where secret and clock should be: the one is damaged, the other none', { timeout: TIMEOUT_MS }, async (t) => {
  const folder = await quickFolder(openScope(t));
  for (const name of ['secret', 'clock']) pipe(path.join(folder, name));
  await assert.rejects(secretOf(folder, new MemoryCatalogue()), { code: 'BAD_DATA', message: /secret is no file/ });
  assert.equal((await ClockFile.open(folder)).lastWallMs, null);
});
