/** A depot on a disk that others fill to the last byte, by HTTP: right status, nothing lost, names go, it starts. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { request as ask } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { Room } from '../../src/depot/store/room.js';
import { startDepot } from '../../src/index.js';
import { fill, smallDisk } from '../support/small-disk.js';
import { bytesOf, code, KIB, MIB, sha256 } from './depot-kit.js';

interface Told {
  readonly status: number;
  readonly code: unknown;
}

/** A PUT whose length is not announced, of two halves. */
function putHalves(url: string, halves: readonly [Buffer, Buffer], between: () => void): Promise<Told> {
  return new Promise((resolve, reject) => {
    const putting = ask(url, { method: 'PUT', agent: false }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => {
        resolve({ status: answer.statusCode!, code: JSON.parse(String(Buffer.concat(parts))).code });
      });
    });
    putting.on('error', reject);
    putting.write(halves[0], () => {
      between();
      putting.end(halves[1]);
    });
  });
}

test('half way through an upload the disk is full: 507, names go, it starts again, and all comes back', async (t) => {
  const scope = openScope(t);
  const disk = await smallDisk(t, scope, 'size=96m');
  if (disk === null) return;
  const data = join(disk, 'depot');
  const open = () => startDepot({ data, httpPort: 0, engine: { port: 0 } });
  let depot = await open();
  scope.defer(() => depot.close(0));
  const artifact = (name: string): string => `${depot.url}/artifacts/${name}`;
  const put = (name: string, bytes: Buffer) => fetch(artifact(name), { method: 'PUT', body: bytes });
  const get = async (name: string) => sha256(Buffer.from(await (await fetch(artifact(name))).arrayBuffer()));
  const [kept, gone, short] = [bytesOf(2 * MIB), bytesOf(4 * MIB, 2), bytesOf(KIB, 3)];
  for (const [name, bytes] of Object.entries({ kept, gone, short })) assert.equal((await put(name, bytes)).status, 201);
  fill(disk, 24 * MIB);
  const big = bytesOf(12 * MIB, 4);
  const told = await putHalves(artifact('big'), [big.subarray(0, 6 * MIB), big.subarray(6 * MIB)], () => fill(disk));
  assert.deepEqual(told, { status: 507, code: 'NO_SPACE' });
  assert.deepEqual(await readdir(join(data, 'tmp')), []);
  fill(disk);
  for (const bytes of [bytesOf(10, 5), bytesOf(100 * KIB, 6), bytesOf(8 * MIB, 7)]) {
    const answer = await put('refused', bytes);
    assert.equal(answer.status, 507, `${bytes.length}`);
    assert.equal(((await answer.json()) as { code: string }).code, 'NO_SPACE');
  }
  assert.equal((await fetch(`${depot.url}/readyz`)).status, 503);
  for (const [name, bytes] of Object.entries({ kept, gone, short })) assert.equal(await get(name), sha256(bytes));
  // It starts on a disk without a free byte.
  await depot.close(0);
  fill(disk);
  depot = await open();
  for (const [name, bytes] of Object.entries({ kept, gone, short })) assert.equal(await get(name), sha256(bytes));
  assert.equal((await fetch(artifact('gone'), { method: 'DELETE' })).status, 204);
  assert.equal((await fetch(artifact('gone'))).status, 404);
  assert.equal((await fetch(artifact('big'))).status, 404);
  rmSync(join(disk, 'others'));
  assert.equal((await put('big', big)).status, 201);
  assert.equal(await get('big'), sha256(big));
  assert.equal((await fetch(`${depot.url}/readyz`)).status, 200);
  assert.equal((await depot.stats()).names, 3);
  await depot.close(0);
  depot = await open();
  for (const [name, bytes] of Object.entries({ kept, big, short })) assert.equal(await get(name), sha256(bytes));
});

test('the last bytes of a disk are left alone, and the disk is not asked for each artifact', async (t) => {
  const disk = await smallDisk(t, openScope(t), 'size=40m');
  if (disk === null) return;
  let nowMs = 0;
  const room = new Room(disk, () => nowMs);
  await room.claim(10 * MIB);
  await assert.rejects(room.claim(39 * MIB), code('NO_SPACE'));
  await room.claim(37 * MIB);
  fill(disk, MIB);
  await assert.rejects(room.claim(1), code('NO_SPACE'));
  rmSync(join(disk, 'others'));
  await room.claim(MIB);
  nowMs = 1e6;
});
