/** What a catalogue was refused stays refused, whatever LevelDB finds in its log later; and a full disk is mended. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { openScope } from '../../lab/scope.js';
import { openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { HaulError } from '../../src/errors.js';
import { smallDisk } from '../support/small-disk.js';
import { ADD, listAll, OVERWRITE, rowOf } from './catalogue-conformance.js';
import { quickFolder } from './quick-folder.js';

const { batch } = ClassicLevel.prototype;

/** A device that complains of the batch number so and so; what was written is in the log all the same. */
function complain(t: TestContext, isBad: (call: number) => boolean, isWritten = true): void {
  let calls = 0;
  t.mock.method(ClassicLevel.prototype, 'batch', async function (this: unknown, ...all: unknown[]) {
    const isComplaint = isBad(++calls);
    if (isWritten || !isComplaint) await Reflect.apply(batch, this, all);
    if (isComplaint)
      throw Object.assign(new Error('IO error: 000005.log: Input/output error'), { code: 'LEVEL_IO_ERROR' });
  });
}

describe('a change that was refused', () => {
  test('is not there, nor at the next start: put, overwrite, removal and pin', async (t) => {
    const folder = path.join(await quickFolder(openScope(t)), 'catalogue');
    let catalogue = await openLevelCatalogue(folder);
    const [old, pinned] = [rowOf('artifacts/a', 'old', { expiresMs: 5 }), rowOf('artifacts/p', 'p')];
    for (const row of [old, pinned]) await catalogue.put(row, ADD);
    const changes: (() => Promise<unknown>)[] = [
      () => catalogue.put(rowOf('artifacts/a', 'new', { createdMs: 7 }), OVERWRITE),
      () => catalogue.put(rowOf('artifacts/b', 'b'), ADD),
      () => catalogue.remove('artifacts/a'),
      () => catalogue.pin('artifacts/p', true),
    ];
    for (const change of changes) {
      complain(t, (call) => call === 1);
      await assert.rejects(change(), { code: 'IO' });
      t.mock.restoreAll();
      for (const again of [false, true]) {
        if (again) {
          await catalogue.close();
          catalogue = await openLevelCatalogue(folder);
        }
        assert.deepEqual(await listAll(catalogue, '', 10), [old, pinned]);
        assert.deepEqual(await catalogue.audit(), []);
      }
    }
    await catalogue.close();
  });

  test('is taken back by the next process, where this one could not and was killed', async (t) => {
    const scope = openScope(t);
    const folder = path.join(await quickFolder(scope), 'catalogue');
    const catalogue = await openLevelCatalogue(folder);
    const old = rowOf('artifacts/a', 'old');
    await catalogue.put(old, ADD);
    complain(t, () => true);
    await assert.rejects(catalogue.put(rowOf('artifacts/a', 'new', { createdMs: 7 }), OVERWRITE), { code: 'IO' });
    await assert.rejects(catalogue.settled('artifacts/a'), { code: 'IO' }, 'nobody knows');
    await assert.rejects(catalogue.put(rowOf('artifacts/b', 'b'), ADD), { code: 'IO' }, 'nothing is written behind it');
    // As the files lie when the process is killed now.
    const left = path.join(await quickFolder(scope), 'catalogue');
    cpSync(folder, left, { recursive: true });
    t.mock.restoreAll();
    const next = await openLevelCatalogue(left);
    assert.deepEqual(await listAll(next, '', 10), [old]);
    assert.deepEqual(await next.audit(), []);
    assert.ok(!existsSync(path.join(left, 'undo')));
    await next.close();
    assert.deepEqual(await catalogue.settled('artifacts/a'), old);
    await catalogue.put(rowOf('artifacts/b', 'b'), ADD);
    assert.deepEqual(await catalogue.audit(), []);
    await catalogue.close();
  });

  test('a file of what is to be undone that cannot be read is damage, and said', async (t) => {
    const folder = path.join(await quickFolder(openScope(t)), 'catalogue');
    await (await openLevelCatalogue(folder)).close();
    for (const text of ['', '{}', '[{"type":"put","key":"n"}]', '[1]']) {
      writeFileSync(path.join(folder, 'undo'), text);
      await assert.rejects(openLevelCatalogue(folder), { code: 'BAD_DATA', message: /undo.*haul depot rebuild/ });
    }
  });
});

test('a disk that is full to the last byte: rows are removed, it opens, and with room all is as before', async (t) => {
  const scope = openScope(t);
  const disk = await smallDisk(t, scope, 'size=40m');
  if (disk === null) return;
  const folder = path.join(disk, 'catalogue');
  const fill = (): void => {
    try {
      execFileSync('dd', ['if=/dev/zero', `of=${path.join(disk, 'others')}`, 'bs=4k', 'oflag=append', 'conv=notrunc'], {
        stdio: 'ignore',
      });
    } catch {}
    assert.equal(statfsSync(disk).bavail, 0);
  };
  let catalogue = await openLevelCatalogue(folder);
  const names = Array.from({ length: 300 }, (_, index) => `artifacts/${index}/${'x'.repeat(900)}`);
  await Promise.all(names.map((name) => catalogue.put(rowOf(name, name), ADD)));
  fill();
  for (const name of names.slice(0, 100)) assert.notEqual(await catalogue.remove(name), null);
  fill();
  await catalogue.close();
  // Others took what the ballast had: it can be opened all the same, or says what is missing.
  const again = await openLevelCatalogue(folder).catch((error: unknown) => error as HaulError);
  if (HaulError.is(again)) assert.equal(again.code, 'NO_SPACE', again.message);
  else await again.close();
  rmSync(path.join(disk, 'others'));
  catalogue = await openLevelCatalogue(folder);
  assert.equal((await listAll(catalogue, '', 1000)).length, 200);
  await catalogue.put(rowOf('artifacts/after', 'after'), ADD);
  assert.deepEqual(await catalogue.audit(), []);
  assert.ok(existsSync(path.join(folder, 'ballast')), 'there is one again');
  await catalogue.close();
});
