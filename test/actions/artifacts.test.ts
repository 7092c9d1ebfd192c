/** The two actions against a depot: what one job uploads another downloads, with the inputs of GitHub's own. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { depotOf, folderOf } from '../depot/agent-harness.js';
import { makeRunner, type Runner, readAction, runAction } from './step.js';

interface Scene {
  readonly url: string;
  readonly runner: Runner;
}

async function openScene(context: TestContext): Promise<Scene> {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'data'));
  const runner = await makeRunner(join(folder, 'runner'), { SWARMHAUL_DEPOT: depot.url });
  return { url: depot.url, runner };
}

async function write(runner: Runner, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(runner.workspace, name, '..'), { recursive: true });
    await writeFile(join(runner.workspace, name), text);
  }
}

/** All files below a folder, with slashes. */
async function filesOf(folder: string): Promise<string[]> {
  const all = await readdir(folder, { recursive: true, withFileTypes: true });
  return all
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

test('globs, folders and excludes make an artifact, and a download gives the files back', async (context) => {
  const { url, runner } = await openScene(context);
  const image = randomBytes(5_000_000);
  await write(runner, {
    'out/image.raw': image,
    'out/run': '#!/bin/sh\n',
    'out/a b/ü.txt': 'words',
    'out/tmp/scratch.txt': 'not this',
    'out/tmp/keep.txt': 'but this',
    'out/skip/deep/x': 'not this',
    'out/.secret': 'not this',
    'README.md': 'not this',
  });
  await chmod(join(runner.workspace, 'out', 'run'), 0o755);
  const path = '# what is built\nout/*\n!out/skip/\n  !out/tmp/*.txt\r\nout/tmp/keep.txt\n\n!out/none/**\n';
  const up = await runAction(runner, 'upload', { name: 'build x', path, 'retention-days': '3' });
  assert.equal(up.exitCode, 0, up.output);
  const tar = await fetch(`${url}/artifacts/actions/owner/repo/42/build%20x.tar`);
  const bytes = Buffer.from(await tar.arrayBuffer());
  assert.equal(up.outputs['artifact-digest'], createHash('sha256').update(bytes).digest('hex'));
  assert.match(up.outputs['artifact-id']!, /^\d{1,15}$/);
  assert.deepEqual(Buffer.from(await (await fetch(up.outputs['artifact-url']!)).arrayBuffer()), bytes);
  for (const given of [{ name: 'build x' }, { 'artifact-ids': up.outputs['artifact-id']! }] as Record<
    string,
    string
  >[]) {
    const down = await runAction(runner, 'download', { ...given, path: `got-${Object.keys(given)[0]}` });
    assert.equal(down.exitCode, 0, down.output);
    const folder = down.outputs['download-path']!;
    assert.equal(folder, join(runner.workspace, `got-${Object.keys(given)[0]}`));
    assert.deepEqual(await filesOf(folder), ['a b/ü.txt', 'image.raw', 'run', 'tmp/keep.txt']);
    assert.deepEqual(await readFile(join(folder, 'image.raw')), image);
    assert.equal((await stat(join(folder, 'run'))).mode & 0o111, 0o111);
  }
  assert.deepEqual(await readdir(join(runner.folder, 'temp')), []);
});

test('all of a run, by pattern, merged, and as they are', async (context) => {
  const { runner } = await openScene(context);
  for (const shard of ['1', '2']) {
    await write(runner, { [`report-${shard}.xml`]: `shard ${shard}` });
    const up = await runAction(runner, 'upload', { name: `report-${shard}`, path: `report-${shard}.xml` });
    assert.equal(up.exitCode, 0, up.output);
  }
  await write(runner, { 'log.txt': 'a log' });
  const log = await runAction(runner, 'upload', { name: 'log', path: 'log.txt', 'compression-level': '9' });
  assert.equal(log.exitCode, 0, log.output);
  const get = async (path: string, given: Record<string, string>): Promise<string[]> => {
    const { exitCode, output, outputs } = await runAction(runner, 'download', { path, ...given });
    assert.equal(exitCode, 0, output);
    return filesOf(outputs['download-path']!);
  };
  assert.deepEqual(await get('all', {}), ['log/log.txt', 'report-1/report-1.xml', 'report-2/report-2.xml']);
  const merged = { pattern: 'report-*', 'merge-multiple': 'true' };
  assert.deepEqual(await get('merged', merged), ['report-1.xml', 'report-2.xml']);
  assert.deepEqual(await get('plain', { name: 'log', 'skip-decompress': 'true' }), ['log.tar']);
  assert.deepEqual(await get('none', { 'run-id': '41' }), []);
  const home = await runAction(runner, 'download', { name: 'log', path: '~/logs' });
  assert.equal(home.outputs['download-path'], join(runner.env.HOME!, 'logs'));
  const missing = await runAction(runner, 'download', { name: 'missing' });
  assert.deepEqual([missing.exitCode, /::error::.*nothing called/.test(missing.output)], [1, true], missing.output);
  const ids = await runAction(runner, 'download', { 'artifact-ids': '7' });
  assert.deepEqual([ids.exitCode, /no artifact with the id 7/.test(ids.output)], [1, true], ids.output);
});

test('an artifact is replaced where that is asked for, and nothing to send is what the input says', async (context) => {
  const { runner } = await openScene(context);
  await write(runner, { a: 'one' });
  assert.equal((await runAction(runner, 'upload', { path: 'a' })).exitCode, 0);
  await write(runner, { a: 'two' });
  const refused = await runAction(runner, 'upload', { path: 'a' });
  assert.deepEqual([refused.exitCode, /^::error::/m.test(refused.output)], [1, true], refused.output);
  const replaced = await runAction(runner, 'upload', { path: 'a', overwrite: 'true' });
  assert.equal(replaced.exitCode, 0, replaced.output);
  const down = await runAction(runner, 'download', { name: 'artifact', path: 'got' });
  assert.equal(await readFile(join(down.outputs['download-path']!, 'a'), 'utf8'), 'two');
  for (const [what, exitCode, words] of [
    ['warn', 0, /^::warning::.*not there/m],
    ['error', 1, /^::error::/m],
    ['ignore', 0, /^(?![\s\S]*::)/],
  ] as const) {
    const none = await runAction(runner, 'upload', { name: 'n', path: 'none/x', 'if-no-files-found': what });
    assert.equal(none.exitCode, exitCode, none.output);
    assert.match(none.output, words);
    assert.equal(none.outputs['artifact-id'], '');
  }
});

test('a single file is uploaded as it is under its own name, and comes back so', async (context) => {
  const { url, runner } = await openScene(context);
  const files = { 'out/deep/app-1.2.tar': 'no tar at all', 'out/b': 'b', 'out/c d.txt': 'words' };
  await write(runner, files);
  const send = (path: string, more = {}) => runAction(runner, 'upload', { name: 'x', path, archive: 'false', ...more });
  const many = await send('out/');
  assert.deepEqual([many.exitCode, /::error::.*one file, and these are 3/.test(many.output)], [1, true], many.output);
  const up = await send('out/**/*.tar');
  assert.equal(up.exitCode, 0, up.output);
  const bytes = Buffer.from(files['out/deep/app-1.2.tar']);
  assert.equal(up.outputs['artifact-digest'], createHash('sha256').update(bytes).digest('hex'));
  assert.equal(up.outputs['artifact-url'], `${url}/artifacts/actions/owner/repo/42/file/app-1.2.tar`);
  assert.equal(await (await fetch(up.outputs['artifact-url'])).text(), bytes.toString());
  assert.equal((await send('out/c d.txt', { name: 'a/b is not looked at' })).exitCode, 0);
  // An archive of nearly that name is another one.
  const archive = await runAction(runner, 'upload', { name: 'app-1.2', path: 'out/b' });
  assert.equal(archive.exitCode, 0, archive.output);
  assert.notEqual(archive.outputs['artifact-id'], up.outputs['artifact-id']);
  const get = async (path: string, given: Record<string, string>): Promise<string[]> => {
    const { exitCode, output, outputs } = await runAction(runner, 'download', { path, ...given });
    assert.equal(exitCode, 0, output);
    return filesOf(outputs['download-path']!);
  };
  assert.deepEqual(await get('named', { name: 'app-1.2.tar' }), ['app-1.2.tar']);
  assert.equal(await readFile(join(runner.workspace, 'named/app-1.2.tar'), 'utf8'), bytes.toString());
  assert.deepEqual(await get('id', { 'artifact-ids': up.outputs['artifact-id']! }), ['app-1.2.tar']);
  assert.deepEqual(await get('archive', { name: 'app-1.2' }), ['b']);
  const all = ['app-1.2.tar/app-1.2.tar', 'app-1.2/b', 'c d.txt/c d.txt'];
  assert.deepEqual(await get('all', {}), all);
  assert.deepEqual(await get('some', { pattern: 'c*', 'merge-multiple': 'true' }), ['c d.txt']);
  await write(runner, { 'out/b': 'other' });
  assert.equal((await send('out/b')).exitCode, 0);
  await write(runner, { 'out/b': 'changed' });
  assert.equal((await send('out/b')).exitCode, 1);
  assert.equal((await send('out/b', { overwrite: 'true' })).exitCode, 0);
  assert.equal((await send('none', { 'if-no-files-found': 'error' })).exitCode, 1);
});

test('names and inputs that are none are refused, and no name leads out of its folder', async (context) => {
  const { url, runner } = await openScene(context);
  await write(runner, { a: 'one' });
  for (const name of ['../x', 'a/b', 'a:b', '..', '.', 'a*', 'a\nb'])
    assert.equal((await runAction(runner, 'upload', { name, path: 'a' })).exitCode, 1, name);
  for (const given of [
    { 'retention-days': 'x' },
    { 'compression-level': '10' },
    { overwrite: 'yes' },
    { archive: 'no' },
    { 'if-no-files-found': 'maybe' },
    { path: '!a' },
    { path: '' },
  ] as Record<string, string>[])
    assert.equal((await runAction(runner, 'upload', { path: 'a', ...given })).exitCode, 1, JSON.stringify(given));
  // What others may have put there.
  const answer = await fetch(`${url}/artifacts/actions/owner/repo/42/...tar`, { method: 'PUT', body: 'x' });
  assert.ok(answer.status < 500);
  const down = await runAction(runner, 'download', { path: 'got' });
  if (answer.status === 201) assert.equal(down.exitCode, 1, down.output);
  // A file that is called as an option or a command of the runner.
  await write(runner, { '--overwrite': 'x', 'sub/x y': '1' });
  const odd = await runAction(runner, 'upload', { name: '-n $(id)', path: '--overwrite\nsub/x y' });
  assert.equal(odd.exitCode, 0, odd.output);
});

test('whatever tar says, a download ends as tar does, and tells the first lines of it', async (context) => {
  const { runner } = await openScene(context);
  await write(runner, { a: 'one' });
  assert.equal((await runAction(runner, 'upload', { path: 'a' })).exitCode, 0);
  const tar = join(runner.folder, 'bin', 'tar');
  const lines = `yes 'tar: a: 9 s in the future' | head -n 90000 >&2`;
  const saying = (exitCode: number) => `#!/bin/sh\n${lines}\nexit ${exitCode}\n`;
  await writeFile(tar, saying(0), { mode: 0o755 });
  const down = await runAction(runner, 'download', { name: 'artifact', path: 'got' });
  assert.deepEqual([down.exitCode, down.outputs['download-path']], [0, join(runner.workspace, 'got')], down.output);
  await writeFile(tar, saying(2));
  const failed = await runAction(runner, 'download', { name: 'artifact', path: 'got' });
  assert.equal(failed.exitCode, 1);
  assert.match(failed.output, /^::error::artifact artifact cannot be unpacked: tar: a: 9 s in the future/m);
  assert.ok(failed.output.length < 4_000, String(failed.output.length));
});

test('inputs and outputs are called as in the originals', async () => {
  const upload = await readAction('upload');
  const UPLOADS = ['name', 'path', 'if-no-files-found', 'retention-days', 'compression-level', 'overwrite'];
  for (const name of [...UPLOADS, 'include-hidden-files', 'archive']) assert.ok(name in upload.inputs, name);
  assert.deepEqual(Object.keys(upload.outputs), ['artifact-id', 'artifact-url', 'artifact-digest']);
  const download = await readAction('download');
  const DOWNLOADS = ['name', 'artifact-ids', 'path', 'pattern', 'merge-multiple', 'repository', 'run-id'];
  for (const name of [...DOWNLOADS, 'github-token', 'skip-decompress', 'digest-mismatch'])
    assert.ok(name in download.inputs, name);
  assert.deepEqual(Object.keys(download.outputs), ['download-path']);
  assert.deepEqual([upload.runs.using, download.runs.using], ['composite', 'composite']);
});
