/** What a bench says to values that it cannot use, and that it leaves nothing behind. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { removeNow } from '../../bench/support/job.js';
import {
  count,
  counts,
  length,
  lengths,
  list,
  makeFolder,
  oneOf,
  positive,
  someOf,
} from '../../bench/support/options.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { ValueError } from '../../src/cli/values.js';

const RUN = fileURLToPath(new URL('../../bench/run.js', import.meta.url));

/** Runs the suite in a folder of its own. */
function bench(cwd: string, ...words: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  return new Promise((resolve) => {
    execFile(process.execPath, [RUN, ...words], { cwd, env }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test('values in, numbers out; a sweep is a list with commas or a repeated option', () => {
  assert.deepEqual(list(['1,2', '', '3']), ['1', '2', '3']);
  assert.deepEqual(lengths('size', ['256K,1M', '2G', '7']), [2 ** 18, 2 ** 20, 2 ** 31, 7]);
  assert.deepEqual(counts('connections', '1,50'), [1, 50]);
  assert.equal(positive('seconds', '0.3'), 0.3);
  assert.equal(oneOf('input', 'tree', ['file', 'tree']), 'tree');
  assert.deepEqual(someOf('only', 'b,a', ['a', 'b']), ['b', 'a']);
});

test('what is no value is refused with the name of its option', () => {
  const bad: [() => unknown, RegExp][] = [
    ...['3x', '', '-1', '0', '1.5M', 'M', '9999999999999999G', '1e3'].map((text): [() => unknown, RegExp] => [
      () => length('size', text),
      /^--size .*is not a length: write 256K, 1M or 8G$/,
    ]),
    ...['0', '-1', '1.5', 'x', '', '0x10', '1e3', 'Infinity', '99999999999999999999'].map(
      (text): [() => unknown, RegExp] => [() => count('turns', text), /^--turns .*is not a whole number above 0$/],
    ),
    ...['0', '-1', 'x', '', 'Infinity', '1e3', '.5'].map((text): [() => unknown, RegExp] => [
      () => positive('seconds', text),
      /^--seconds .*is not a number above 0$/,
    ]),
    [() => oneOf('input', 'trees', ['file', 'tree']), /^--input trees: it is one of file, tree$/],
    [() => someOf('only', 'a,c', ['a', 'b']), /^--only c: it is one of a, b$/],
    [() => counts('connections', ','), /^--connections has no value$/],
    [() => lengths('size', '1M,3x'), /^--size 3x is not/],
  ];
  for (const [parse, message] of bad)
    assert.throws(parse, (error) => error instanceof ValueError && message.test(error.message));
});

test('a wrong value ends a bench in one line and with 2, before anything is measured or left behind', async (t) => {
  const cwd = await tempFolder(openScope(t));
  fs.writeFileSync(path.join(cwd, 'file'), 'no results');
  const lines = [
    ['loopback', '--size', '3x'],
    ['loopback', '--storage', 'tape'],
    ['loopback', '--seed-storage', 'null'],
    ['loopback', '--turns', 'many'],
    ['loopback', '--threads', '0'],
    ['loopback', '--node', path.join(cwd, 'no-node')],
    ['loopback', '--size', '16K', '--folder', path.join(cwd, 'file')],
    ['rivals', '--only', 'nobody'],
    ['rivals', '--roles', 'judge'],
    ['rivals', '--connections', '0'],
    ['rivals', '--folder', 'loop:tape'],
    ['start', '--turns', 'x'],
    ['floor', '--size', '3K'],
    ['wire', '--turns', '0'],
    ['storage', '--turns', 'x'],
    ['create', '--files', '-1'],
    ['verify', '--input', 'forest'],
    ['hash', '--piece-length', '1x'],
    ['tracker', '--seconds', 'x'],
    ['swarm', '--leeches', 'x'],
    ['swarm', '--only', 'x'],
    ['scale', '--only', 'x'],
    ['limits', '--limit', 'x'],
    ['limits', '--place', 'x'],
    ['cold', '--peers', 'x'],
    ['cold', '--folder', path.join(cwd, 'file', 'below')],
    ['report', path.join(cwd, 'file')],
    ['report', path.join(cwd, 'missing')],
    ['picker', '--unknown'],
    ['wire', '--out', cwd],
    ['floor', `--out=${path.join(cwd, 'file', 'floor.json')}`],
  ];
  for (const words of lines) {
    const { exitCode, stdout, stderr } = await bench(cwd, ...words);
    const what = `${words.join(' ')}\n${stdout}\n${stderr}`;
    assert.equal(exitCode, 2, what);
    assert.match(stderr, /^bench: [^\n]+\. See: [^\n]+ --help\n$/, what);
    assert.equal(stdout, `== ${words[0]}\n`);
  }
  assert.deepEqual(fs.readdirSync(cwd), ['file']);
});

test('a folder that a dying child still writes into is removed all the same', async (t) => {
  const parent = await tempFolder(openScope(t));
  const folder = path.join(parent, 'work');
  await makeFolder(folder);
  let tries = 0;
  removeNow(folder, (target, options) => {
    // After the listing, before the folder goes: what a child would do.
    if (++tries < 3) throw Object.assign(new Error('not empty'), { code: 'ENOTEMPTY' });
    fs.rmSync(target, options);
  });
  assert.equal(tries, 3);
  assert.ok(!fs.existsSync(folder));
  const refuse = (): never => {
    tries++;
    throw Object.assign(new Error('not ours'), { code: 'EACCES' });
  };
  assert.throws(() => removeNow(folder, refuse), /not ours/);
  assert.equal(tries, 4);
});
