import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../../lab/scope.js';
import { tempFolder } from '../../../lab/temp.js';
import { until } from '../../../lab/wait.js';
import type { ArtifactRow } from '../../../src/depot/catalogue/port.js';
import { ClockFile } from '../../../src/depot/keep/clock-file.js';
import { CONFIRM_MS } from '../../../src/depot/keep/clock-guard.js';
import { type KeepRules, NO_RULES } from '../../../src/depot/keep/decide.js';
import { Keeper, type KeeperParts } from '../../../src/depot/keep/keeper.js';
import { Uses } from '../../../src/depot/uses.js';
import { ADD, rowOf } from '../catalogue-conformance.js';
import { MemoryCatalogue } from '../memory-catalogue.js';

const DAY = 86_400_000;
const NOW = 1_800_000_000_000;

/** A depot of rows, whose clocks are moved by hand. */
class Scene {
  readonly catalogue = new MemoryCatalogue();
  readonly lines: string[] = [];
  readonly gone: string[] = [];
  readonly inUse = new Set<string>();
  wallMs = NOW;
  elapsedMs = 0;
  extraBytes = 0;

  keeper(rules: Partial<KeepRules>, more: Partial<KeeperParts> = {}): Keeper {
    return new Keeper({
      rules: { ...NO_RULES, ...rules },
      catalogue: this.catalogue,
      remove: async (name, facts) => {
        const row = await this.catalogue.remove(name, facts);
        if (row !== null) this.gone.push(name);
        return row;
      },
      fullness: async () => ({
        usedBytes: (await this.catalogue.counts()).blobBytes + this.extraBytes,
        disk: null,
      }),
      isInUse: ({ name }) => this.inUse.has(name),
      copies: () => 0,
      clocks: () => ({ wallMs: this.wallMs, elapsedMs: this.elapsedMs }),
      lastWallMs: NOW,
      log: (level, message) => void this.lines.push(`${level} ${message}`),
      ...more,
    });
  }

  async fill(count: number, more: (index: number) => Partial<ArtifactRow>): Promise<void> {
    for (let index = 0; index < count; index++) {
      await this.catalogue.put(rowOf(`artifacts/${index}`, `${index}`, { lengthBytes: 100, ...more(index) }), ADD);
    }
  }

  async left(): Promise<number> {
    return (await this.catalogue.counts()).names;
  }

  pass(ms: number): void {
    this.wallMs += ms;
    this.elapsedMs += ms;
  }
}

test('names over their age go, a bounded number in one look, and the next look goes on', async () => {
  const scene = new Scene();
  await scene.fill(600, (index) => ({ expiresMs: NOW - 1000 + index }));
  await scene.fill(700, () => ({ expiresMs: NOW + DAY }));
  const keeper = scene.keeper({});
  assert.deepEqual(await keeper.look(), { removed: { age: 0, idle: 0, watermark: 0 }, isMore: false });
  scene.pass(DAY + 1);
  const looks: number[] = [];
  for (let isMore = true; isMore; ) {
    const report = await keeper.look();
    looks.push(report.removed.age);
    isMore = report.isMore;
  }
  assert.equal(await scene.left(), 0);
  assert.ok(Math.max(...looks) <= 256, `${looks}`);
  assert.equal(keeper.removed.age, 700);
});

test('above the high mark the longest unused go until the low mark, and no further', async () => {
  const scene = new Scene();
  await scene.fill(100, (index) => ({ usedMs: NOW - 1000 + index }));
  const keeper = scene.keeper({ ownBytes: { high: 9_000, low: 5_000 } });
  assert.equal((await keeper.look()).removed.watermark, 50);
  assert.deepEqual(
    scene.gone,
    Array.from({ length: 50 }, (_, index) => `artifacts/${index}`),
  );
  assert.equal((await keeper.look()).removed.watermark, 0);
});

test('a blob that two names keep frees nothing with the first of them: the next look goes on', async () => {
  const scene = new Scene();
  const shared = { lengthBytes: 100 };
  for (const name of ['a', 'b']) await scene.catalogue.put(rowOf(name, 'shared', { ...shared, usedMs: 1 }), ADD);
  await scene.catalogue.put(rowOf('c', 'own', { ...shared, usedMs: 2 }), ADD);
  const keeper = scene.keeper({ ownBytes: { high: 150, low: 100 } });
  await keeper.look();
  assert.deepEqual(scene.gone, ['a']);
  await keeper.look();
  assert.deepEqual(scene.gone, ['a', 'b']);
  await keeper.look();
  assert.equal(await scene.left(), 1);
});

test('rows in use do not keep those behind them, however many they are', async () => {
  const scene = new Scene();
  await scene.fill(1200, (index) => ({ usedMs: index, expiresMs: index }));
  for (let index = 0; index < 1190; index++) scene.inUse.add(`artifacts/${index}`);
  const keeper = scene.keeper({});
  assert.equal((await keeper.look()).removed.age, 10);
  scene.inUse.clear();
  await keeper.look();
  assert.equal(await scene.left(), 1190 - 256);
});

test('one that cannot be removed keeps nobody behind it, and is told of', async () => {
  const scene = new Scene();
  await scene.fill(20, (index) => ({ expiresMs: NOW - DAY + index }));
  const keeper = scene.keeper(
    {},
    {
      remove: async (name, facts) => {
        if (name === 'artifacts/0') throw new Error('its row is damaged');
        return scene.catalogue.remove(name, facts);
      },
    },
  );
  await assert.rejects(keeper.look(), /its row is damaged/);
  assert.equal(await scene.left(), 1);
  assert.equal(keeper.removed.age, 19);
});

test('what was published again, fetched or pinned between look and removal stays', async () => {
  const scene = new Scene();
  await scene.fill(3, () => ({ expiresMs: NOW - DAY }));
  const keeper = scene.keeper(
    {},
    {
      isInUse: ({ name }) => {
        // The last moment before it is removed.
        if (name === 'artifacts/0') void scene.catalogue.touch(new Map([[name, NOW]]));
        if (name === 'artifacts/1') {
          void scene.catalogue.put(rowOf(name, '1', { lengthBytes: 100, expiresMs: NOW + DAY }), ADD);
        }
        if (name === 'artifacts/2') void scene.catalogue.pin(name, true);
        return false;
      },
    },
  );
  const { removed } = await keeper.look();
  assert.deepEqual(removed, { age: 0, idle: 0, watermark: 0 });
  assert.equal(await scene.left(), 3);
});

test('what was fetched a moment ago is not unused, though the catalogue hears of it later', async () => {
  const scene = new Scene();
  await scene.fill(4, (index) => ({ usedMs: NOW - 5 * DAY + index }));
  const uses = new Uses({ catalogue: scene.catalogue, after: () => () => {} });
  const keeper = scene.keeper({ idleMs: DAY, ownBytes: { high: 300, low: 200 } }, { uses });
  uses.note('artifacts/0', NOW);
  uses.note('artifacts/3', NOW - 2 * DAY);
  const shown = (await keeper.next(4)).map(({ row, reason }) => `${row.name} ${reason}`);
  assert.deepEqual(shown, ['artifacts/1 idle', 'artifacts/2 idle', 'artifacts/3 idle', 'artifacts/0 idle']);
  // Two are enough for the space; of the others the catalogue hears first.
  assert.deepEqual((await keeper.look()).removed, { age: 0, idle: 2, watermark: 0 });
  assert.deepEqual(scene.gone, ['artifacts/1', 'artifacts/2']);
  await scene.fill(4, (index) => ({ usedMs: NOW - index }));
  uses.note('artifacts/0', NOW - 1_000);
  // All are wanted, and too many: the longest unused goes when the catalogue knows which that is.
  for (let index = 1; index < 4; index++) uses.note(`artifacts/${index}`, NOW + index);
  assert.deepEqual(await keeper.look(), { removed: { age: 0, idle: 0, watermark: 0 }, isMore: true });
  assert.equal((await keeper.look()).removed.watermark, 2);
  assert.deepEqual(scene.gone.slice(2), ['artifacts/0', 'artifacts/1']);
});

test('a clock that jumps by years deletes nothing for an hour, says so once, and the page shows why', async () => {
  const scene = new Scene();
  await scene.fill(10, () => ({ expiresMs: NOW + 30 * DAY, usedMs: NOW }));
  const keeper = scene.keeper({ idleMs: 30 * DAY });
  scene.pass(60_000);
  await keeper.look();
  scene.wallMs += 3650 * DAY;
  for (let minute = 0; minute < 60; minute++) {
    await keeper.look();
    assert.equal(await scene.left(), 10);
    scene.pass(60_000);
  }
  assert.equal(scene.lines.length, 1);
  assert.match(scene.lines[0]!, /^warn the clock jumped by 3650\.0 days: nothing goes .* for 60 minutes/);
  assert.deepEqual(
    (await keeper.next(5)).map(({ obstacle }) => obstacle),
    ['clock', 'clock', 'clock', 'clock', 'clock'],
  );
  // Set right before the hour is over: another hour, and all is still there.
  scene.wallMs -= 3650 * DAY;
  for (let minute = 0; minute < 130; minute++) {
    await keeper.look();
    scene.pass(60_000);
  }
  assert.equal(await scene.left(), 10);
  assert.equal(keeper.clockDoubt, null);
  assert.match(scene.lines.at(-1)!, /^info the clock is believed again/);
});

test('what goes next of some names is found behind hundreds of others, whose bytes count', async () => {
  const scene = new Scene();
  await scene.fill(1_200, (index) => ({ usedMs: NOW + index, expiresMs: index < 700 ? NOW + DAY + index : null }));
  const mine = (name: string) => Promise.resolve(/[/](?:699|1100|1199)$/.test(name));
  // 100 bytes each: a thousand and one must go until the low mark.
  const keeper = scene.keeper({ ownBytes: { high: 100_000, low: 19_900 } });
  const found = (await keeper.next(2, mine)).map(({ row, reason, atMs }) => [row.name, reason, atMs]);
  assert.deepEqual(found, [
    ['artifacts/699', 'watermark', NOW],
    ['artifacts/1100', 'watermark', null],
  ]);
  const byAge = await scene.keeper({}).next(5, mine);
  assert.deepEqual(
    byAge.map(({ row, reason, atMs }) => [row.name, reason, atMs]),
    [['artifacts/699', 'age', NOW + DAY + 699]],
  );
});

test('a clock that stays years ahead is taken to be right after an hour', async () => {
  const scene = new Scene();
  await scene.fill(10, () => ({ expiresMs: NOW + 30 * DAY }));
  const keeper = scene.keeper({});
  scene.wallMs += 3650 * DAY;
  await keeper.look();
  scene.pass(CONFIRM_MS);
  await keeper.look();
  assert.equal(await scene.left(), 0);
});

test('a start with a clock that is years off deletes nothing for an hour, over restarts too', async (t) => {
  const folder = await tempFolder(openScope(t));
  const scene = new Scene();
  await scene.fill(5, () => ({ expiresMs: NOW + 30 * DAY }));
  const first = await ClockFile.open(folder);
  assert.equal(first.lastWallMs, null);
  const keepWall = (file: ClockFile) => (wallMs: number) => file.keep(wallMs);
  await scene.keeper({}, { lastWallMs: null, keepWall: keepWall(first) }).look();
  scene.wallMs += 400 * DAY;
  for (let restart = 0; restart < 3; restart++) {
    const file = await ClockFile.open(folder);
    assert.equal(file.lastWallMs, NOW);
    const keeper = scene.keeper({}, { lastWallMs: file.lastWallMs, keepWall: keepWall(file) });
    scene.pass(30 * 60_000);
    await keeper.look();
    assert.equal(await scene.left(), 5);
  }
  await writeFile(path.join(folder, 'clock'), 'x'.repeat(100));
  assert.equal((await ClockFile.open(folder)).lastWallMs, null);
  await first.keep(NOW + DAY);
  assert.equal(await readFile(path.join(folder, 'clock'), 'utf8'), `${NOW + DAY}\n`);
});

test('it looks by itself when there is a hurry, goes on after a failure, and stops when told', async () => {
  const scene = new Scene();
  await scene.fill(600, () => ({ expiresMs: NOW - 1 }));
  let failures = 1;
  const keeper = scene.keeper(
    {},
    {
      keepWall: async () => {
        if (failures-- > 0) throw new Error('no clock today');
      },
    },
  );
  keeper.start();
  await until('a failure is told', 5000, () => scene.lines.length > 0);
  assert.deepEqual(scene.lines, ['warn house-keeping: no clock today']);
  for (let times = 0; times < 100; times++) keeper.hurry();
  await until('all went, in three looks', 5000, async () => (await scene.left()) === 0);
  await keeper.stop();
  keeper.hurry();
  await scene.fill(1, () => ({ expiresMs: NOW - 1 }));
  assert.equal(await scene.left(), 1);
});
