/** Links that torrents bring, and links that somebody puts in the place of what is shared. */
import assert from 'node:assert/strict';
import { lstat, mkdir, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { haul, makeFolder, start } from './harness.js';

/** Shares `folder`/t by another process; resolves with the URL of its torrent. */
async function share(context: TestContext, folder: string): Promise<string> {
  const sharer = start(context, 'share', join(folder, 't'), '--port', '0', '--http', '0', '--json');
  return String((await sharer.line((line) => line.type === 'listening')).loopbackUrl);
}

it('two torrents of one name cannot make a link that leads out of the output folder together', async (context) => {
  const folder = await makeFolder(context);
  const [first, second, output] = ['first', 'second', 'output'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(join(first, 't/d1/d2'), { recursive: true });
  await mkdir(join(first, 't/z'));
  await writeFile(join(first, 't/z/b'), 'bytes');
  await symlink('../../z', join(first, 't/d1/d2/d3'));
  await mkdir(join(second, 't/d1/d2/d3'), { recursive: true });
  await writeFile(join(second, 't/c'), 'other bytes');
  await symlink('../../../x', join(second, 't/d1/d2/d3/l'));

  const get = async (from: string) =>
    haul('get', await share(context, from), '--output', output, '--port', '0', '--json');
  const fetched = await get(first);
  assert.equal(fetched.exitCode, 0, fetched.stderr);
  assert.equal(await readlink(join(output, 't/d1/d2/d3')), '../../z');
  const refused = await get(second);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /^haul: [^\n]+t\/d1\/d2\/d3\/l would lead to [^\n]+; move it away\n$/);
  await assert.rejects(lstat(join(output, 't/z/l')), { code: 'ENOENT' });
  await assert.rejects(lstat(join(output, 't/c')), { code: 'ENOENT' });
});
