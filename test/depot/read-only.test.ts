/** A check only reads: not a byte of the folder is another one after it, on a file system that is read-only too. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { openCatalogueCopy } from '../../src/depot/catalogue-copy.js';
import { checkDepot } from '../../src/depot/check.js';
import { openCatalogueOf } from '../../src/depot/open-catalogue.js';
import { openFolderStore } from '../../src/depot/store/folders.js';
import { HaulError } from '../../src/errors.js';
import { makeRandom } from '../../src/random.js';
import { Running } from '../cli/harness.js';
import { skipWithout } from '../support/requirements.js';
import { code, read } from './depot-kit.js';
import { allRows, DepotScene, publish } from './depot-scene.js';

const LONG = Buffer.alloc(300_000, 'long');

/** Every file: its bytes, inode, mode and times. */
function printOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const file = path.join(folder, name);
      const { ino, mode, mtimeMs, ctimeMs } = lstatSync(file);
      const bytes = lstatSync(file).isFile() ? createHash('sha256').update(readFileSync(file)).digest('hex') : '';
      return [name, ino, mode, mtimeMs, ctimeMs, bytes].join(' ');
    });
}

async function filled(scene: DepotScene): Promise<{ readonly short: ArtifactRow; readonly long: ArtifactRow }> {
  return scene.with(async (open) => ({
    short: await publish(open, 'short', Buffer.from('short')),
    long: await publish(open, 'long', LONG),
  }));
}

async function haul(...words: string[]): Promise<{ readonly exitCode: number | null; readonly kinds: string[] }> {
  const { exitCode, lines } = await new Running(['depot', ...words, '--json']).finished;
  return { exitCode, kinds: lines.flatMap(({ type, kind }) => (type === 'finding' ? [String(kind)] : [])) };
}

describe('haul depot check', () => {
  test('changes nothing, also where it finds what is damaged, left over and unknown', async (t) => {
    const scene = await DepotScene.make(openScope(t));
    const { long, short } = await filled(scene);
    const { folder } = scene;
    scene.flip(short);
    writeFileSync(path.join(folder, 'tmp', '0123456789abcdef-1'), 'was under way');
    rmSync(`${scene.blobPath(long.sha256)}.json`);
    const before = printOf(folder);
    assert.deepEqual(await haul('check', '--data', folder), { exitCode: 1, kinds: ['damaged'] });
    assert.deepEqual(printOf(folder), before);
  });

  test('withholds what is damaged when it is told to; a check alone does not', async (t) => {
    const scene = await DepotScene.make(openScope(t));
    const { long } = await filled(scene);
    const file = scene.blobPath(long.sha256);
    // As a bad disk does it: the bytes are others, and no time says so.
    const { atime, mtime } = lstatSync(file);
    execFileSync('chmod', ['u+w', file]);
    writeFileSync(file, 'X', { flag: 'r+' });
    execFileSync('touch', ['-d', mtime.toISOString(), file]);
    assert.ok(atime instanceof Date);
    assert.equal((await haul('check', '--data', scene.folder)).exitCode, 1);
    assert.equal((await haul('check', '--withhold', '--data', scene.folder)).exitCode, 1);
    await scene.with(async ({ store, depot }) => {
      await assert.rejects(read(store.read(long.sha256, { begin: 0, end: 1 })), code('BAD_DATA'));
      await publish({ depot }, 'long', LONG);
      assert.ok((await read(store.read(long.sha256, { begin: 0, end: LONG.length }))).equals(LONG));
    });
  });

  test('works on a file system that is read-only, where a depot says that it is', async (t) => {
    const scope = openScope(t);
    const scene = await DepotScene.make(scope);
    await filled(scene);
    try {
      execFileSync('mount', ['--bind', scene.folder, scene.folder], { stdio: 'ignore' });
      scope.defer(() => void execFileSync('umount', ['-l', scene.folder]));
      execFileSync('mount', ['-o', 'remount,bind,ro', scene.folder], { stdio: 'ignore' });
    } catch {
      skipWithout(t, 'this user may not mount');
      return;
    }
    assert.deepEqual(await haul('check', '--data', scene.folder), { exitCode: 0, kinds: [] });
    await assert.rejects(openFolderStore({ folder: scene.folder }), code('READ_ONLY'));
    const { exitCode, stderr } = await new Running(['depot', '--data', scene.folder, '--http', '0']).finished;
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /read-only/);
  });

  test('a store that is only read refuses all that would change it, and a depot that runs there', async (t) => {
    const scene = await DepotScene.make(openScope(t));
    const { short } = await filled(scene);
    const store = await openFolderStore({ folder: scene.folder, isReadOnly: true });
    await assert.rejects(store.create({ lengthBytes: 1, piecesFromBytes: 1 }), code('READ_ONLY'));
    await assert.rejects(store.remove(short.sha256), code('READ_ONLY'));
    await assert.rejects(store.note(short.sha256, 'artifacts/x', null), code('READ_ONLY'));
    await assert.rejects(openFolderStore({ folder: scene.folder }), code('IN_USE'));
    await store.close();
    await scene.withStore(async () => {
      await assert.rejects(openFolderStore({ folder: scene.folder, isReadOnly: true }), code('IN_USE'));
    });
  });
});

test('a catalogue of which files are damaged is refused, or nothing of what was published is lost', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const rows = await scene.with(async (open) => {
    for (let index = 0; index < 40; index++) await publish(open, `${index}`, Buffer.from(`bytes of ${index}`));
    return allRows(open);
  });
  const good = `${scene.folder}.good`;
  cpSync(scene.folder, good, { recursive: true });
  openScope(t).defer(() => rmSync(good, { recursive: true, force: true }));
  const random = makeRandom(11);
  const found = { refused: 0, whole: 0 };
  for (let round = 0; round < 12; round++) {
    rmSync(scene.folder, { recursive: true });
    mkdirSync(scene.folder);
    cpSync(good, scene.folder, { recursive: true });
    const files = readdirSync(scene.catalogueFolder).filter((name) =>
      /^(?:CURRENT|MANIFEST-.*|.*\.(?:log|ldb))$/.test(name),
    );
    const file = path.join(scene.catalogueFolder, files[Math.floor(random() * files.length)]!);
    const { size } = lstatSync(file);
    if (round % 3 === 0) rmSync(file);
    else if (round % 3 === 1) truncateSync(file, Math.floor(random() * size));
    else writeFileSync(file, Buffer.alloc(Math.ceil(size / 3), 7), { flag: 'r+' });
    try {
      await scene.with(async (open) => {
        await open.depot.sweep();
        // What the log lost is named again of what lies beside the blobs.
        assert.deepEqual(await allRows(open), rows, `round ${round}, ${path.basename(file)}`);
        assert.deepEqual(await open.catalogue.audit(), []);
      });
      found.whole++;
    } catch (error) {
      if (!HaulError.is(error)) throw error;
      assert.equal(error.code, 'BAD_DATA', error.message);
      assert.match(error.message, /haul depot rebuild/);
      found.refused++;
    }
  }
  assert.ok(found.refused > 0 && found.whole > 0, JSON.stringify(found));
});

test('a copy of a catalogue is opened, and of one that is damaged it is the folder that is named', async (t) => {
  const scene = await DepotScene.make(openScope(t));
  const { long } = await filled(scene);
  await scene.withStore(async (store) => {
    const copy = await openCatalogueCopy(store, scene.catalogueFolder);
    assert.equal((await copy.catalogue.get('artifacts/long'))?.sha256, long.sha256);
    const { isGood } = await checkDepot({ store, catalogue: copy.catalogue });
    assert.ok(isGood);
    await copy.close();
    rmSync(path.join(scene.catalogueFolder, 'CURRENT'));
    const names = { code: 'BAD_DATA', message: new RegExp(`${scene.catalogueFolder}.*haul depot rebuild`) };
    await assert.rejects(openCatalogueCopy(store, scene.catalogueFolder), names);
    await assert.rejects(openCatalogueOf(store, scene.catalogueFolder), names);
  });
});
