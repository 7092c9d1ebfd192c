/** A depot under which the file system becomes read-only, as a kernel makes one that fails: it serves, and says so. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { startDepot } from '../../src/index.js';
import { smallDisk } from '../support/small-disk.js';
import { bytesOf, MIB, sha256 } from './depot-kit.js';

test('what is stored is served, what would change it is 503 READ_ONLY, and the depot is not ready', async (t) => {
  const scope = openScope(t);
  const disk = await smallDisk(t, scope, 'size=96m');
  if (disk === null) return;
  const data = join(disk, 'depot');
  const depot = await startDepot({ data, httpPort: 0, engine: { port: 0 }, log: () => {} });
  scope.defer(() => depot.close(0));
  const bytes = bytesOf(5 * MIB);
  const put = (name: string, body: Buffer) => fetch(`${depot.url}/artifacts/${name}`, { method: 'PUT', body });
  const ready = async (): Promise<[number, string]> => {
    const answer = await fetch(`${depot.url}/readyz`);
    const { checks } = (await answer.json()) as { checks: { name: string; message: string }[] };
    return [answer.status, checks.find(({ name }) => name === 'store')!.message];
  };
  assert.equal((await put('a', bytes)).status, 201);
  assert.deepEqual(await ready(), [200, '']);
  execFileSync('mount', ['--bind', data, data]);
  try {
    execFileSync('mount', ['-o', 'remount,bind,ro', data]);
    assert.deepEqual(await ready(), [503, 'the disk is read-only']);
    for (const body of [bytesOf(10, 2), bytesOf(6 * MIB, 3)]) {
      const refused = await put('b', body);
      const { code, detail } = (await refused.json()) as { code: string; detail: string };
      assert.deepEqual([refused.status, code, refused.headers.has('retry-after')], [503, 'READ_ONLY', true]);
      assert.ok(!detail.includes(disk));
    }
    const answer = await fetch(`${depot.url}/artifacts/a`);
    assert.equal(sha256(Buffer.from(await answer.arrayBuffer())), sha256(bytes));
  } finally {
    execFileSync('umount', ['-l', data]);
  }
  assert.equal((await put('b', bytesOf(6 * MIB, 3))).status, 201);
  assert.deepEqual(await ready(), [200, '']);
});
