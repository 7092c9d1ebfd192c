import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { openScope } from '../../lab/scope.js';
import { openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { RecentRows } from '../../src/depot/catalogue/recent-rows.js';
import { HaulError } from '../../src/errors.js';
import { ADD, OVERWRITE, rowOf } from './catalogue-conformance.js';
import { quickFolder } from './quick-folder.js';

const [old, next] = [rowOf('artifacts/a', 'old'), rowOf('artifacts/a', 'new')];

test('what was read while a group of changes ended is not kept', () => {
  const rows = new RecentRows();
  const { groups } = rows;
  rows.changed(new Map([['artifacts/a', next]]));
  rows.found(old, groups);
  assert.equal(rows.get('artifacts/a'), next);
  rows.found(old, rows.groups);
  assert.equal(rows.get('artifacts/a'), old);
});

test('what is gone, damaged, or not known any more is not here', () => {
  const rows = new RecentRows();
  const gone = [null, new HaulError('BAD_DATA', 'damaged')];
  for (const now of gone) {
    rows.found(old, rows.groups);
    rows.changed(new Map([['artifacts/a', now]]));
    assert.equal(rows.get('artifacts/a'), null);
  }
  rows.found(old, rows.groups);
  const { groups } = rows;
  rows.clear();
  rows.found(old, groups);
  assert.equal(rows.get('artifacts/a'), null);
});

test('a thousand are kept, those that were used last', () => {
  const rows = new RecentRows();
  for (let at = 0; at < 1_000; at++) rows.found(rowOf(`artifacts/${at}`, 'x'), rows.groups);
  rows.get('artifacts/0');
  rows.found(old, rows.groups);
  assert.ok(rows.get('artifacts/0') !== null && rows.get('artifacts/999') !== null);
  assert.equal(rows.get('artifacts/1'), null);
});

test('a read of the catalogue that comes late does not bring back what it had before', async (t) => {
  const folder = path.join(await quickFolder(openScope(t)), 'catalogue');
  const before = await openLevelCatalogue(folder);
  await before.put(old, ADD);
  await before.close();
  const catalogue = await openLevelCatalogue(folder);
  const { get } = ClassicLevel.prototype;
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  t.mock.method(ClassicLevel.prototype, 'get', async function (this: unknown, ...all: unknown[]) {
    const value: unknown = await Reflect.apply(get, this, all);
    await held;
    return value;
  });
  const reading = catalogue.get('artifacts/a');
  await catalogue.put(next, OVERWRITE);
  release();
  await reading;
  assert.deepEqual(await catalogue.get('artifacts/a'), next);
  await catalogue.remove('artifacts/a');
  assert.equal(await catalogue.get('artifacts/a'), null);
  await catalogue.close();
  await assert.rejects(catalogue.get('artifacts/a'), { code: 'CLOSED' });
});
