/** Open files of all torrents of an engine: who closes what, and a process that may open few. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Descriptors } from '../../src/storage/descriptors.js';
import { FileBudget, fileLimits } from '../../src/storage/file-budget.js';
import { makeFolder } from './scene.js';

test('at the bound idle files of whoever opened none for longest are closed, those in use are not', async (t) => {
  const folder = makeFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  for (let file = 0; file < 6; file++) fs.writeFileSync(join(folder, String(file)), '');
  const budget = new FileBudget({ all: 4, ofOne: 4 });
  const tables = [0, 1, 2].map(() => {
    const table = new Descriptors((file) => join(folder, String(file)), { forWriting: false, budget });
    t.after(() => table.close());
    return table;
  });
  const [a, b, c] = tables as [Descriptors, Descriptors, Descriptors];
  const [held = -1] = await a.acquire([0]);
  await a.acquire([1]);
  a.release([1]);
  await b.acquire([0, 1]);
  b.release([0, 1]);
  assert.equal(budget.count, 4);
  await c.acquire([2]);
  assert.deepEqual([a.openCount, b.openCount, c.openCount, budget.count], [1, 2, 1, 4]);
  await c.acquire([3]);
  assert.deepEqual([a.openCount, b.openCount, c.openCount, budget.count], [1, 1, 2, 4]);
  assert.ok(fs.fstatSync(held).isFile());
  c.release([2, 3]);
  await c.close();
  a.release([0]);
  assert.equal(budget.count, 2);
});

test('whoever has none in use may open in any case, others wait until some of their own are given back', async (t) => {
  const folder = makeFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  for (let file = 0; file < 6; file++) fs.writeFileSync(join(folder, String(file)), '');
  const budget = new FileBudget({ all: 3, ofOne: 3 });
  const [a, b] = [0, 1].map(() => new Descriptors((file) => join(folder, String(file)), { forWriting: false, budget }));
  t.after(() => Promise.all([a!.close(), b!.close()]));
  await a!.acquire([0, 1]);
  await b!.acquire([0, 1]);
  let isIn = false;
  const more = a!.acquire([2]).then(() => (isIn = true));
  await new Promise(setImmediate);
  assert.ok(!isIn);
  a!.release([0, 1]);
  await more;
  a!.release([2]);
  b!.release([0, 1]);
  assert.ok(budget.count <= 3);
});

test('few open files leave few for torrents, many leave 256 for one', () => {
  assert.deepEqual(fileLimits(128), { all: 16, ofOne: 16 });
  assert.equal(fileLimits(64).all, 4);
  assert.equal(fileLimits(1_000_000).ofOne, 256);
  assert.ok(fileLimits(1_000_000).all > 100_000);
});

const URL_OF_INDEX = new URL('../../src/index.js', import.meta.url).href;
const TORRENTS = 20;
const FILES = 24;

/** An engine that seeds and one that downloads, in one process: torrents of many files. Says how all ended. */
const PROGRAM = `
  const fs = await import('node:fs');
  const { join } = await import('node:path');
  const { createEngine, createTorrent, parseTorrent } = await import(${JSON.stringify(URL_OF_INDEX)});
  const [, folder, storage] = process.argv;
  const torrents = [];
  for (let number = 0; number < ${TORRENTS}; number++) {
    const source = join(folder, 'seed', 't' + number);
    fs.mkdirSync(source, { recursive: true });
    for (let file = 0; file < ${FILES}; file++) {
      fs.writeFileSync(join(source, 'f' + file), Buffer.alloc(9000 + 37 * file, 1 + number + file));
    }
    const { bytes: torrent } = await createTorrent(source, { pieceLengthBytes: 65536 });
    torrents.push({ number, metainfo: parseTorrent(torrent) });
  }
  const common = { port: 0, host: '127.0.0.1', threads: 1, storage };
  const seed = await createEngine(common);
  const options = { trackers: [], trustData: true };
  const seeds = torrents.map(({ metainfo }) =>
    seed.add(metainfo, { ...options, mode: 'seed', output: join(folder, 'seed') }));
  await Promise.all(seeds.map(({ done }) => done));
  const leech = await createEngine(common);
  const peers = [{ host: '127.0.0.1', port: seed.port }];
  const gets = torrents.map(({ metainfo, number }) =>
    leech.add(metainfo, { trackers: [], peers, output: join(folder, 'leech' + number) }));
  await Promise.all(gets.map(({ done }) => done));
  await leech.close();
  await seed.close();
  console.log('all done');`;

for (const storage of ['mapped', 'positional']) {
  test(`with 160 open files ${TORRENTS} torrents of ${FILES} are fetched and served (${storage})`, async (t) => {
    const folder = makeFolder();
    t.after(() => fs.rmSync(folder, { recursive: true }));
    const command = 'ulimit -n 160; exec "$0" --input-type=module -e "$1" "$2" "$3"';
    const args = ['-c', command, process.execPath, PROGRAM, folder, storage];
    const { stdout } = await promisify(execFile)('sh', args, { timeout: 120_000 });
    assert.equal(stdout, 'all done\n');
    for (let number = 0; number < TORRENTS; number++) {
      for (let file = 0; file < FILES; file++) {
        const name = join(`t${number}`, `f${file}`);
        const got = fs.readFileSync(join(folder, `leech${number}`, name));
        assert.ok(got.equals(fs.readFileSync(join(folder, 'seed', name))), name);
      }
    }
  });
}
