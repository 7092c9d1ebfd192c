/** The disk of a depot whose blobs are on S3 is full: what is there is served, nothing is taken, and all comes back. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MOTO, S3_KEYS, startAnyS3 } from '../../../lab/s3-server.js';
import { openScope } from '../../../lab/scope.js';
import { startDepot } from '../../../src/depot/depot.js';
import { requirePrograms } from '../../support/requirements.js';
import { fill, smallDisk } from '../../support/small-disk.js';
import { bytesOf, MIB, sha256 } from '../depot-kit.js';

Object.assign(process.env, S3_KEYS);

test('a full disk before S3: 507 for uploads, no wrong byte, and all is well when there is room', async (t) => {
  const scope = openScope(t);
  const disk = await smallDisk(t, scope, 'size=120m');
  if (disk === null) return;
  const s3 = await startAnyS3(scope);
  if (s3 === null) {
    await requirePrograms(t, [MOTO]);
    return;
  }
  const options = { data: join(disk, 'depot'), store: s3.url('full'), storeCacheBytes: 64 * MIB, httpPort: 0 };
  const open = () => startDepot({ ...options, engine: { port: 0 } });
  let depot = await open();
  scope.defer(() => depot.close(0));
  const put = (name: string, bytes: Buffer) => fetch(`${depot.url}/artifacts/${name}`, { method: 'PUT', body: bytes });
  const get = async (name: string): Promise<[number, Buffer]> => {
    const answer = await fetch(`${depot.url}/artifacts/${name}`);
    return [answer.status, Buffer.from(await answer.arrayBuffer())];
  };
  const blobs = { long: bytesOf(17 * MIB), short: bytesOf(1000, 2) };
  for (const [name, bytes] of Object.entries(blobs)) assert.equal((await put(name, bytes)).status, 201);
  // Its cache is lost, as with a new disk.
  await depot.close(0);
  await rm(join(options.data, 'cache', 'blobs'), { recursive: true, force: true });
  depot = await open();
  fill(disk);
  const refused = await put('refused', bytesOf(2 * MIB, 3));
  assert.deepEqual([refused.status, ((await refused.json()) as { code: string }).code], [507, 'NO_SPACE']);
  for (const [name, bytes] of Object.entries(blobs)) {
    const [status, got] = await get(name);
    if (status === 200) assert.equal(sha256(got), sha256(bytes), name);
    else assert.ok(status === 503 || status === 507, `${status} ${got}`);
  }
  // Clients go to another depot, that has room.
  const ready = await fetch(`${depot.url}/readyz`);
  assert.equal(ready.status, 503);
  assert.match(await ready.text(), /"store s3","ready":false,"message":"the disk is full"/);
  assert.match(await (await fetch(`${depot.url}/metrics`)).text(), /^haul_depot_disk_free_bytes \d+$/m);
  await rm(join(disk, 'others'));
  for (const [name, bytes] of Object.entries(blobs)) assert.deepEqual(await get(name), [200, bytes]);
  assert.equal((await put('taken', bytesOf(2 * MIB, 3))).status, 201);
  assert.equal((await fetch(`${depot.url}/readyz`)).status, 200);
});
