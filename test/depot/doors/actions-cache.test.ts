/** The Actions cache on a depot, with GitHub's own client: what a job saves the next one restores. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { requireActionsClient, runJob, type Step } from './actions-client.js';
import { type DepotPlace, openPlace } from './depot-place.js';

const MIB = 1024 * 1024;
const TIMEOUT = { timeout: 180_000 };

async function workspaceOf({ folder }: DepotPlace, name: string): Promise<string> {
  const workspace = join(folder, name, 'work');
  await mkdir(join(workspace, 'deps', 'sub'), { recursive: true });
  return workspace;
}

async function saveAndRestore(context: TestContext, protocol: Step['protocol']): Promise<void> {
  if (await requireActionsClient(context)) return;
  const place = await openPlace(context);
  const workspace = await workspaceOf(place, 'one');
  const bytes = randomBytes(40 * MIB);
  const large = join(workspace, 'deps', 'large.bin');
  await writeFile(large, bytes);
  await writeFile(join(workspace, 'deps', 'sub', 'small.txt'), 'small');
  const save = (key: string): Step => ({ work: 'save', protocol, keys: [key] });
  const restore = (...keys: string[]): Step => ({ work: 'restore', protocol, keys, remove: 'deps' });
  const first = await runJob(place.url, workspace, [
    { work: 'restore', protocol, keys: ['Linux-npm-1', 'Linux-npm-'] },
    save('Linux-npm-1'),
    restore('Linux-npm-1'),
  ]);
  assert.equal(first.results[0], null);
  assert.notEqual(first.results[1], -1, first.output);
  assert.equal(first.results[2], 'Linux-npm-1', first.output);
  assert.deepEqual(await readFile(large), bytes);
  assert.equal(await readFile(join(workspace, 'deps', 'sub', 'small.txt'), 'utf8'), 'small');
  const { results, output } = await runJob(place.url, workspace, [
    // An entry never changes.
    { ...save('Linux-npm-1'), write: ['deps/large.bin', 'other'] },
    save('Linux-npm/2 ü'),
    restore('Linux-npm-3', 'Windows-', 'Linux-npm-'),
    // The latest of those that begin so.
    restore('Linux-npm-3', 'Linux-npm'),
    { work: 'restore', protocol, keys: ['Windows-npm'] },
  ]);
  assert.equal(results[0], -1, output);
  assert.notEqual(results[1], -1, output);
  assert.deepEqual(results.slice(2), ['Linux-npm-1', 'Linux-npm/2 ü', null], output);
  assert.equal(await readFile(large, 'utf8'), 'other');
  assert.deepEqual(await readdir(join(place.folder, '..', 'data', '.swarmhaul-actions-cache')), []);
}

test('a folder of 40 MiB is saved and restored by v1', TIMEOUT, (context) => saveAndRestore(context, 'v1'));

test('a folder of 40 MiB is saved and restored by v2', TIMEOUT, (context) => saveAndRestore(context, 'v2'));

test('of jobs that save one key at the same time one wins, and others have theirs', TIMEOUT, async (context) => {
  if (await requireActionsClient(context)) return;
  const place = await openPlace(context);
  const jobs = await Promise.all(
    (['v1', 'v2', 'v2'] as const).map(async (protocol, index) => {
      const workspace = await workspaceOf(place, `job-${index}`);
      await writeFile(join(workspace, 'deps', 'who.bin'), Buffer.alloc(5 * MIB, index));
      const { results, output } = await runJob(place.url, workspace, [
        { work: 'save', protocol, keys: ['shared'] },
        { work: 'save', protocol, keys: [`own-${index}`] },
        { work: 'restore', protocol, keys: [`own-${index}`], remove: 'deps' },
      ]);
      assert.notEqual(results[1], -1, output);
      assert.equal(results[2], `own-${index}`, output);
      assert.equal((await readFile(join(workspace, 'deps', 'who.bin')))[5 * MIB - 1], index);
      return results[0] !== -1;
    }),
  );
  assert.equal(jobs.filter((won) => won).length, 1);
});
