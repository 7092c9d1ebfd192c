/** Worker threads that die under a transfer: it ends whole, and nobody hears of a failure. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import type { Engine } from '../../src/api.js';
import { startEngine } from '../../src/engine/engine.js';
import type { StorageKind } from '../../src/storage/port.js';
import { createWorkPool } from '../../src/work/pool.js';
import { fileSet } from '../support/engines.js';

const MIB = 1024 * 1024;
const DEADLINE_MS = 60_000;
const REAL_WORKER = new URL('../../src/work/worker.js', import.meta.url).href;
/** More than may be with a worker when it dies, so that none of those dies again at once. */
const BATCHES_PER_LIFE = 80;
const FIRST_DEATH = 5;

/**
 * A worker that exits in the middle of every so many batches, over all threads. Returns its file and the folder that
 * counts them.
 */
async function mortalWorker(scope: Scope): Promise<{ url: URL; tickets: string }> {
  const folder = await tempFolder(scope);
  const tickets = await tempFolder(scope);
  const file = path.join(folder, 'worker.cjs');
  await writeFile(
    file,
    `const fs = require('node:fs');
     let ticket = 0;
     const next = () => {
       for (; ; ticket++) {
         try {
           fs.closeSync(fs.openSync(${JSON.stringify(tickets)} + '/' + ticket, 'wx'));
           return ticket;
         } catch {}
       }
     };
     module.exports = import(${JSON.stringify(REAL_WORKER)}).then(({ default: run }) => (numbers) => {
       const isMortal = numbers[0] > 0 && next() % ${BATCHES_PER_LIFE} === ${FIRST_DEATH};
       const answer = run(numbers);
       if (isMortal) process.exit(1);
       return answer;
     });`,
  );
  return { url: pathToFileURL(file), tickets };
}

async function startMortal(scope: Scope, url: URL, storage: StorageKind): Promise<Engine> {
  const engine = await startEngine(
    { port: 0, host: '127.0.0.1', storage, seed: 1, threads: 1 },
    {
      wrapPool: (pool) => {
        void pool.close();
        return createWorkPool({ threads: 2, needsMemory: true, workerUrl: url });
      },
    },
  );
  scope.defer(() => withDeadline(engine.close(), 'the engine closes', DEADLINE_MS));
  return engine;
}

for (const storage of ['mapped', 'positional'] as const) {
  test(`a transfer whose workers die on both sides ends whole (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 48 * MIB, { pieceLengthBytes: 64 * 1024 });
    const { url, tickets } = await mortalWorker(scope);
    const seed = await startMortal(scope, url, storage);
    const seeding = seed.add(set.metainfo, { output: set.folder, mode: 'seed', trackers: [] });
    await withDeadline(seeding.done, 'the data is checked', DEADLINE_MS);
    const leech = await startMortal(scope, url, storage);
    const output = await tempFolder(scope);
    const peers = [{ host: '127.0.0.1', port: seed.port! }];
    const torrent = leech.add(set.metainfo, { output, trackers: [], peers });
    await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
    assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
    assert.equal(torrent.stats().corruptBytes, 0);
    assert.equal(seeding.state, 'seeding');
    // On a busy machine the batches are large and few.
    assert.ok((await readdir(tickets)).length > FIRST_DEATH, 'a worker died');
  });
}
