/** What `haul get NAME` does to what is in the place of its file already, and to others that fetch the same. */
import assert from 'node:assert/strict';
import { link, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesOf, depotOf, folderOf, put, sha256 } from '../depot/agent-harness.js';
import { haul, start } from './harness.js';

const MIB = 2 ** 20;
const SHORT = bytesOf(2 * MIB);
const LONG = bytesOf(5 * MIB);

interface Scene {
  readonly out: string;
  /** Words of the command but for the name. */
  readonly words: readonly string[];
}

/** A depot with one artifact of each kind: `short` comes by HTTP, `long` as a torrent. */
async function sceneOf(context: TestContext): Promise<Scene> {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'data'));
  await put(depot.url, 'short', SHORT);
  await put(depot.url, 'long', LONG);
  const out = join(folder, 'out');
  await mkdir(out);
  return { out, words: ['--depot', depot.url, '--output', out, '--port', '0', '--json', '--progress-interval', '50'] };
}

test('two at once into one folder both have it, and leave nothing else there', async (context) => {
  const { out, words } = await sceneOf(context);
  const hidden = `.${sha256(SHORT).slice(0, 32)}`;
  // Of one that was killed when two were at it.
  await writeFile(join(out, `${hidden}.2.haul-part`), SHORT.subarray(0, 1000));
  const slow = start(context, 'get', 'short', ...words, '--download-limit', '600K');
  await slow.line(({ type, doneBytes }) => type === 'progress' && Number(doneBytes) > 0);
  slow.child.kill('SIGSTOP');
  const quick = await haul('get', 'short', ...words);
  slow.child.kill('SIGCONT');
  assert.equal(quick.exitCode, 0, quick.stderr);
  const { httpBytes, localBytes } = quick.lines.find(({ type }) => type === 'fetched')!;
  assert.deepEqual([httpBytes, localBytes], [SHORT.length - 1000, 1000]);
  const { exitCode, stderr } = await slow.finished;
  assert.equal(exitCode, 0, stderr);
  assert.ok((await readFile(join(out, 'short'))).equals(SHORT));
  assert.deepEqual(await readdir(out), ['short']);
});

test('a file with other names, or that is read-only, is replaced by --force, and not written into', async (context) => {
  const { out, words } = await sceneOf(context);
  const precious = Buffer.from('precious');
  for (const [name, bytes] of Object.entries({ short: SHORT, long: LONG })) {
    const place = join(out, name);
    const other = join(out, `other-${name}`);
    await writeFile(other, precious, { mode: 0o444 });
    await link(other, place);
    const refused = await haul('get', name, ...words);
    assert.equal(refused.exitCode, 1, refused.stderr);
    assert.match(String(refused.lines.find(({ type }) => type === 'error')?.message), /is another file; --force/);
    const forced = await haul('get', name, ...words, '--force');
    assert.equal(forced.exitCode, 0, forced.stderr);
    assert.ok((await readFile(place)).equals(bytes));
    assert.deepEqual([(await readFile(other)).toString(), (await stat(other)).nlink], ['precious', 1]);
  }
});

test('a link in the place of the file is neither followed nor replaced, and named', async (context) => {
  const { out, words } = await sceneOf(context);
  for (const name of ['short', 'long']) {
    await symlink('elsewhere', join(out, name));
    for (const more of [[], ['--force']]) {
      const { exitCode, lines, stderr } = await haul('get', name, ...words, ...more);
      assert.equal(exitCode, 1, stderr);
      assert.match(String(lines.find(({ type }) => type === 'error')?.message), /no plain file: move it away/);
    }
  }
  assert.deepEqual((await readdir(out)).sort(), ['long', 'short']);
});
