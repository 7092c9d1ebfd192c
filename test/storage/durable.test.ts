import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { after, test } from 'node:test';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { fileSystemOf } from '../../src/native/file-systems.js';
import { DEFAULT_BUDGETS } from '../../src/storage/budgets.js';
import { DirtyBudget } from '../../src/storage/dirty-budget.js';
import { Durable } from '../../src/storage/durable.js';
import { DataFiles } from '../../src/storage/files.js';
import { Jobs } from '../../src/storage/jobs.js';
import { createWorkPool } from '../../src/work/pool.js';
import * as scenes from './scene.js';

const MIB = 1024 * 1024;
const pool = createWorkPool({ threads: 1 });
after(() => pool.close());

for (const [name, parent] of scenes.FILE_SYSTEMS) {
  test(`verified pieces are written back only where there is a device, and synced in any case: ${name}`, async (t) => {
    const output = scenes.makeFolder(parent);
    t.after(() => fs.rmSync(output, { recursive: true }));
    const metainfo = scenes.metainfoOf([{ path: 'file', lengthBytes: 8 * MIB }], MIB);
    const files = new DataFiles(metainfo, output);
    await files.prepare({ forWriting: true });
    t.after(() => files.close());
    const begun: number[] = [];
    const write = (_fd: number, beginBytes: number): Promise<void> => {
      begun.push(beginBytes / MIB);
      return Promise.resolve();
    };
    const limits = { budgets: { readCacheBytes: 0 }, dirty: new DirtyBudget(DEFAULT_BUDGETS.dirtyBytes) };
    const durable = new Durable(files, files.layout, new Jobs(pool), limits, write);
    for (const piece of [1, 3, 5] as PieceIndex[]) durable.add(piece);
    await durable.close();
    const hasDevice = fileSystemOf(fs.statfsSync(output).type).hasNoDevice !== true;
    assert.equal(files.hasNoDevice, !hasDevice);
    assert.deepEqual(begun.slice(0, 2), hasDevice ? [1, 3] : []);
    assert.deepEqual(await durable.sync(), [1, 3, 5]);
  });
}
