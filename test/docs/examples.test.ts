/** Every example runs, as its first lines say. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { run } from '../../lab/child.js';
import { writeTree } from '../../lab/data.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { EngineOptions } from '../../src/api.js';
import { withTrackers } from '../../src/metainfo/torrent.js';
import { startTracker } from '../../src/tracker/server.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';

const LIMIT_MS = 30_000;
const example = (name: string): string => path.join(PACKAGE_ROOT, 'examples', `${name}.mjs`);

/** A seed and the .torrent that leads to it. */
async function offered(scope: Scope, seedOptions: EngineOptions = {}) {
  const set = await fileSet(scope, 3_000_000);
  const tracker = await startTracker({ host: '127.0.0.1', port: 0 });
  scope.defer(() => tracker.close());
  const seed = await startSeed(scope, set, seedOptions);
  tracker.register(set.metainfo.infoHash, { seedPort: seed.port! });
  const torrentFile = path.join(await tempFolder(scope), 'image.torrent');
  await writeFile(torrentFile, withTrackers(set.torrent, [[`${tracker.url('127.0.0.1')}/announce`]]));
  return { set, torrentFile, output: await tempFolder(scope) };
}

describe('the examples', () => {
  const scope = new Scope();
  const tested = new Set<string>();
  after(() => scope.close());
  const examine = (name: string, body: () => Promise<void>): void => {
    tested.add(`${name}.mjs`);
    test(name, body);
  };

  for (const name of ['download', 'progress-bar']) {
    examine(name, async () => {
      const { set, torrentFile, output } = await offered(scope);
      const printed = await run(scope, process.execPath, [example(name), torrentFile, output]);
      const line = name === 'download' ? /^image\.bin is in .*; 3000000 bytes came/m : /^done image\.bin 3000000$/m;
      assert.match(printed, line);
      assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
    });
  }

  test('a download that cannot be is told in one line', async () => {
    const { torrentFile } = await offered(scope);
    const child = spawn(process.execPath, [example('download'), torrentFile, '/proc/nowhere'], { stdio: 'pipe' });
    scope.defer(() => void child.kill('SIGKILL'));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [exitCode] = (await withDeadline(once(child, 'close'), 'the example ends', LIMIT_MS)) as [number];
    assert.deepEqual([exitCode, said.split('\n').length], [1, 2], said);
    assert.match(said, /^[A-Z_]+: .*\/proc\/nowhere/);
  });

  examine('create-and-seed', async () => {
    const folder = await tempFolder(scope);
    await writeTree(path.join(folder, 'build'), [{ path: 'a/b.bin', lengthBytes: 200_000 }], 'build');
    const torrentFile = path.join(folder, 'build.torrent');
    const child = spawn(process.execPath, [example('create-and-seed'), path.join(folder, 'build'), torrentFile]);
    scope.defer(() => void child.kill('SIGKILL'));
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await until('it seeds', LIMIT_MS, () => said.includes('seeding build on port'));
    const output = await tempFolder(scope);
    await (await startEngine(scope)).add(await readFile(torrentFile), { output }).done;
    assert.deepEqual(await readTree(path.join(output, 'build')), await readTree(path.join(folder, 'build')));
    child.kill('SIGINT');
    const [exitCode] = (await withDeadline(once(child, 'close'), 'the example ends', LIMIT_MS)) as [number];
    assert.equal(exitCode, 0);
    assert.match(said, /^200000 bytes sent$/m);
  });

  examine('two-engines', async () => {
    assert.match(await run(scope, process.execPath, [example('two-engines')]), /^the copy is the same$/m);
  });

  examine('http-server', async () => {
    const { set, torrentFile, output } = await offered(scope, { uploadBytesPerSec: 1_500_000 });
    const child = spawn(process.execPath, [example('http-server'), torrentFile, output, '0']);
    scope.defer(() => void child.kill('SIGKILL'));
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await until('it serves', LIMIT_MS, () => said.includes('\n'));
    const url = `${said.trim()}image.bin`;
    const [whole, tail] = [path.join(output, 'whole'), path.join(output, 'tail')];
    const reading = run(scope, 'curl', ['-sSf', '-o', whole, url]);
    const [part, last] = await Promise.all([
      run(scope, 'curl', ['-sSf', '-r', '2000000-', '-o', tail, '-w', '%{http_code} %{size_download}', url]),
      run(scope, 'curl', ['-sS', '-r', '-5', '-o', path.join(output, 'last'), '-w', '%{http_code}', url]),
    ]);
    assert.deepEqual([part, last], ['206 1000000', '206']);
    await reading;
    const bytes = await readFile(set.path);
    assert.ok((await readFile(whole)).equals(bytes), 'all of it');
    assert.ok((await readFile(tail)).equals(bytes.subarray(2_000_000)), 'where a second reader began');
    const codes = ['9000000-', '5-2'].map((range) => ['-r', range]).concat([['-I']]);
    const answers = codes.map((words) =>
      run(scope, 'curl', ['-s', ...words, '-o', '/dev/null', '-w', '%{http_code}', url]),
    );
    assert.deepEqual(await Promise.all(answers), ['416', '416', '200']);
    assert.equal(await run(scope, 'curl', ['-s', '-w', '%{http_code}', `${said.trim()}%ff`]), 'no such file\n404');
    child.kill('SIGINT');
    const [exitCode] = (await withDeadline(once(child, 'close'), 'the example ends', LIMIT_MS)) as [number];
    assert.equal(exitCode, 0);
  });

  test('all are run here', async () => {
    assert.deepEqual(new Set(await readdir(path.join(PACKAGE_ROOT, 'examples'))), tested);
  });
});
