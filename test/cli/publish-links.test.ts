/** Folders with a link, as `haul publish` makes them: gone at its end, or at the next start where it was killed. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, readlink, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { linkFolder } from '../../src/cli/publish-links.js';
import { sweepHeld } from '../../src/depot/held-folder.js';

const HOUR_MS = 3_600_000;

test('a link is there under the name that was asked for, and goes with its folder', async (context) => {
  const root = await tempFolder(openScope(context));
  const file = join(root, 'file');
  await writeFile(file, 'bytes');
  for (const name of ['other', 'lock', 'data']) {
    const { path, remove } = await linkFolder(file, name, root);
    assert.equal(await readFile(join(path, name), 'utf8'), 'bytes');
    assert.equal(await readlink(join(path, name)), file);
    await remove();
    assert.deepEqual(await readdir(root), ['file']);
  }
});

test('what a killed process left is swept when it is old, and nothing that is in use or of others', async (context) => {
  const root = await tempFolder(openScope(context));
  const file = join(root, 'file');
  await writeFile(file, 'bytes');
  const inUse = await linkFolder(file, 'a', root);
  const killed = join(root, 'haul-publish-killed');
  await mkdir(join(killed, 'data'), { recursive: true });
  await writeFile(join(killed, 'lock'), '');
  await symlink(file, join(killed, 'data', 'name'));
  // As before there were locks.
  await mkdir(join(root, 'haul-publish-before'));
  await symlink(root, join(root, 'haul-publish-link'));
  await writeFile(join(root, 'haul-publish-file'), '');
  await mkdir(join(root, 'else'));
  const all = await readdir(root);
  const now = Date.now();
  await sweepHeld('haul-publish-', root, now);
  assert.deepEqual(await readdir(root), all, 'all are young');
  await sweepHeld('haul-publish-', root, now + 2 * HOUR_MS);
  const without = (...names: string[]): string[] => all.filter((name) => !names.includes(name));
  assert.deepEqual(await readdir(root), without('haul-publish-killed'));
  await sweepHeld('haul-publish-', root, now + 31 * 24 * HOUR_MS);
  assert.deepEqual(await readdir(root), without('haul-publish-killed', 'haul-publish-before'));
  assert.equal(await readFile(file, 'utf8'), 'bytes');
  await utimes(join(inUse.path, '..'), 0, 0);
  await sweepHeld('haul-publish-', root, now);
  assert.ok((await readdir(inUse.path)).includes('a'));
  await inUse.remove();
  await sweepHeld('haul-publish-', join(root, 'none'), now);
});
