import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { checkDepot } from '../../src/depot/check.js';
import { type MigrateOptions, type MigrateReport, migrateDepot } from '../../src/depot/migrate.js';
import { openFolderStore } from '../../src/depot/store/folders.js';
import type { BlobStat } from '../../src/depot/store/port.js';
import { HaulError } from '../../src/errors.js';
import { allRows, DepotScene, publish } from './depot-scene.js';

const LONG = Buffer.alloc(300_000, 'long');

interface Move {
  readonly from: DepotScene;
  readonly to: DepotScene;
}

async function makeMove(scope: Scope): Promise<Move> {
  const [from, to] = [await DepotScene.make(scope), await DepotScene.make(scope)];
  await from.with(async (open) => {
    await publish(open, 'ci/1/log.txt', Buffer.from('short'), { contentType: 'text/plain', retentionDays: 3 });
    await publish(open, 'ci/1/image.raw', LONG);
    await publish(open, 'ci/2/other name é.raw', LONG);
    await publish(open, 'empty', Buffer.alloc(0));
    await publish(open, 'changed', Buffer.from('first'));
    from.nowMs += 1000;
    await publish(open, 'changed', Buffer.from('second'));
    await open.depot.pin('artifacts/ci/1/log.txt', true);
  });
  return { from, to };
}

/** Beside a depot that may run on the old folder. */
async function move({ from, to }: Move, more: Partial<MigrateOptions> = {}): Promise<MigrateReport> {
  const store = await openFolderStore({ folder: from.folder, isReadOnly: true, isBeside: true });
  try {
    return await to.with((open) => migrateDepot({ from: store, to: open, now: () => 0, ...more }));
  } finally {
    await store.close();
  }
}

const rowsOf = (scene: DepotScene): Promise<readonly ArtifactRow[]> => scene.with((open) => allRows(open));

async function assertGood(scene: DepotScene): Promise<void> {
  const { findings } = await scene.with(({ store, catalogue }) => checkDepot({ store, catalogue }));
  assert.deepEqual(findings, []);
}

test('all names come with their bytes, times, pins and torrents, and again nothing is to do', async (t) => {
  const both = await makeMove(openScope(t));
  const told: number[] = [];
  const report = await move(both, { onProgress: ({ doneBytes }) => told.push(doneBytes) });
  assert.deepEqual(await rowsOf(both.to), await rowsOf(both.from));
  await assertGood(both.to);
  const { passes, blobs, names, copiedBlobs, copiedBytes, putNames, isSettled, faults, conflicts } = report;
  assert.deepEqual({ passes, blobs, names, copiedBlobs }, { passes: 2, blobs: 4, names: 5, copiedBlobs: 4 });
  assert.equal(copiedBytes, LONG.length + 'short'.length + 'second'.length);
  assert.deepEqual([putNames, isSettled, faults, conflicts], [5, true, [], []]);
  assert.ok(told.includes(copiedBytes));
  const again = await move(both);
  assert.deepEqual([again.passes, again.copiedBlobs, again.putNames, again.isSettled], [1, 0, 0, true]);
});

test('what the old depot does meanwhile is found by the next pass', async (t) => {
  const both = await makeMove(openScope(t));
  await both.from.with(async (open) => {
    const work: Promise<unknown>[] = [];
    let isBusy = true;
    const report = await move(both, {
      isMirror: true,
      onProgress: ({ blobs, totalBlobs }) => {
        if (!isBusy || blobs < totalBlobs) return;
        isBusy = false;
        // It has come to its end, and not looked again.
        work.push(
          publish(open, 'changed', Buffer.from('third')),
          publish(open, 'new', Buffer.from('new')),
          open.depot.pin('artifacts/ci/1/log.txt', false),
          open.depot.remove('artifacts/ci/1/image.raw'),
        );
      },
    });
    await Promise.all(work);
    assert.equal(work.length, 4);
    assert.ok(report.passes >= 2);
  });
  // Once it was stopped.
  await move(both, { isMirror: true });
  assert.deepEqual(await rowsOf(both.to), await rowsOf(both.from));
  await assertGood(both.to);
});

test('a name that always gets other bytes is not said to be there, and does not go for a mirror', async (t) => {
  const both = await makeMove(openScope(t));
  await move(both);
  const store = await openFolderStore({ folder: both.from.folder, isReadOnly: true, isBeside: true });
  await both.from.with(async (open) => {
    let count = 0;
    let isBusy = true;
    const from: MigrateOptions['from'] = {
      names: (sha256) => store.names(sha256),
      pieces: (sha256) => store.pieces(sha256),
      read: (sha256, range) => store.read(sha256, range),
      list: async function* () {
        const all: BlobStat[] = [];
        for await (const blob of store.list()) all.push(blob);
        both.from.nowMs += 1000;
        if (isBusy) await publish(open, 'changed', Buffer.from(`${count++}`));
        yield* all;
      },
    };
    const busy = await move(both, { from, isMirror: true });
    assert.equal(busy.isSettled, false);
    const names = (await rowsOf(both.to)).map(({ name }) => name);
    assert.ok(names.includes('artifacts/changed'), names.join());
    isBusy = false;
    assert.equal((await move(both, { from, isMirror: true })).isSettled, true);
    assert.deepEqual(await rowsOf(both.to), await allRows(open));
  });
  await store.close();
  await assertGood(both.to);
});

test('one that is stopped at any blob goes on, and what is there is not copied again', async (t) => {
  const both = await makeMove(openScope(t));
  let copied = 0;
  for (let stops = 0; ; stops++) {
    const stop = new AbortController();
    try {
      const report = await move(both, {
        signal: stop.signal,
        // After each that came whole.
        onProgress: ({ blobs }) => {
          if (blobs > copied) stop.abort();
        },
      });
      assert.equal(report.isSettled, true);
      break;
    } catch (error) {
      assert.ok(HaulError.is(error) && error.code === 'ABORTED', String(error));
      copied++;
      assert.ok(stops < 10);
    }
  }
  assert.deepEqual(await rowsOf(both.to), await rowsOf(both.from));
  await assertGood(both.to);
});

test('a damaged blob is told and not taken, the others come, and nothing is removed then', async (t) => {
  const both = await makeMove(openScope(t));
  const image = (await rowsOf(both.from)).find(({ name }) => name.endsWith('image.raw'))!;
  both.from.flip(image);
  await both.to.with((open) => publish(open, 'mine', Buffer.from('mine')));
  const report = await move(both, { isMirror: true });
  assert.equal(report.faultCount, 1);
  assert.match(report.faults[0]!, new RegExp(image.sha256));
  const names = (await rowsOf(both.to)).map(({ name }) => name);
  assert.deepEqual(names, ['artifacts/changed', 'artifacts/ci/1/log.txt', 'artifacts/empty', 'artifacts/mine']);
  await assertGood(both.to);
});

test('later bytes of the new depot stay, its own names too, unless it is to be a mirror', async (t) => {
  const both = await makeMove(openScope(t));
  both.to.nowMs = both.from.nowMs + 1;
  await both.to.with(async (open) => {
    await publish(open, 'changed', Buffer.from('later'));
    await publish(open, 'mine', LONG);
  });
  both.to.nowMs -= 1_000_000;
  await both.to.with((open) => publish(open, 'empty', Buffer.from('earlier')));
  const report = await move(both);
  assert.deepEqual(report.conflicts, ['changed']);
  const rows = await rowsOf(both.to);
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');
  const at = (name: string) => rows.find((row) => row.name === `artifacts/${name}`)?.sha256;
  assert.deepEqual([at('changed'), at('empty')], [digest('later'), digest('')]);
  assert.notEqual(at('mine'), undefined);
  await assertGood(both.to);
  const mirrored = await move(both, { isMirror: true });
  assert.equal(mirrored.removedNames, 1);
  assert.equal((await rowsOf(both.to)).length, rows.length - 1);
  await assertGood(both.to);
});
