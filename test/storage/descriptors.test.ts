import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { HaulError } from '../../src/errors.js';
import { Descriptors } from '../../src/storage/descriptors.js';
import { makeFolder } from './scene.js';

test('a failed open is told to everybody who waits for it, and tried again the next time', async (t) => {
  const folder = makeFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const descriptors = new Descriptors((file) => join(folder, String(file)), { forWriting: false });
  t.after(() => descriptors.close());
  const missing = { code: 'NOT_FOUND' };
  await Promise.all([
    assert.rejects(descriptors.acquire([1]), missing),
    assert.rejects(descriptors.acquire([1]), missing),
  ]);
  assert.equal(descriptors.openCount, 0);
  fs.writeFileSync(join(folder, '1'), 'here');
  const [fd = -1] = await descriptors.acquire([1]);
  assert.equal(fs.fstatSync(fd).size, 4);
  descriptors.release([1]);
});

test('a file whose open fails after its caller failed at another one is not remembered either', async (t) => {
  const folder = makeFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const descriptors = new Descriptors((file) => join(folder, String(file)), { forWriting: false });
  t.after(() => descriptors.close());
  const files = Array.from({ length: 64 }, (_, file) => file);
  await assert.rejects(descriptors.acquire(files), { code: 'NOT_FOUND' });
  for (let turn = 0; descriptors.openCount > 0 && turn < 100_000; turn++) await new Promise(setImmediate);
  assert.equal(descriptors.openCount, 0);
});

test('a pipe in the place of a file holds nobody up, whoever reads or writes', { timeout: 20_000 }, async (t) => {
  const folder = makeFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  await promisify(execFile)('mkfifo', [join(folder, '1')]);
  const check = (_: number, fd: number): void => {
    if (!fs.fstatSync(fd).isFile()) throw new HaulError('BAD_DATA', 'it is another file now');
  };
  for (const forWriting of [false, true]) {
    const descriptors = new Descriptors((file) => join(folder, String(file)), { forWriting, check });
    await assert.rejects(descriptors.acquire([1]), { code: 'BAD_DATA' });
    await descriptors.close();
  }
});

test('above the limit the least recently used are closed, never one that is held', async (t) => {
  const folder = makeFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  for (const file of [0, 1, 2, 3]) fs.writeFileSync(join(folder, String(file)), '');
  const descriptors = new Descriptors((file) => join(folder, String(file)), { forWriting: false, limit: 2 });
  t.after(() => descriptors.close());
  const [held = -1] = await descriptors.acquire([0]);
  await descriptors.acquire([1]);
  descriptors.release([1]);
  const [third = -1] = await descriptors.acquire([2]);
  descriptors.release([2]);
  assert.equal(descriptors.openCount, 2);
  assert.doesNotThrow(() => fs.fstatSync(held));
  assert.deepEqual(await descriptors.acquire([2]), [third], 'the newest stays open');
  descriptors.release([2]);
  descriptors.release([0]);
});

test('where the process has no descriptor left, idle ones are closed and the file opened all the same', async (t) => {
  const folder = makeFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  for (let file = 0; file < 12; file++) fs.writeFileSync(join(folder, String(file)), '');
  const url = new URL('../../src/storage/descriptors.js', import.meta.url).href;
  const program = `
    const fs = await import('node:fs');
    const { Descriptors } = await import(${JSON.stringify(url)});
    const descriptors = new Descriptors((file) => ${JSON.stringify(folder)} + '/' + file, { forWriting: false });
    for (let file = 0; file < 11; file++) { await descriptors.acquire([file]); descriptors.release([file]); }
    try { for (;;) fs.openSync('/dev/null'); } catch (error) { console.log(error.code); }
    await descriptors.acquire([11]);
    console.log(descriptors.openCount < 11);`;
  const command = `ulimit -n 64; exec "$0" --input-type=module -e "$1"`;
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, program]);
  assert.equal(stdout, 'EMFILE\ntrue\n');
});
