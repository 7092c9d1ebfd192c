/** A file system that has room, and no inodes for it: no other file can be made. */
import assert from 'node:assert/strict';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { smallDisk } from '../support/small-disk.js';
import { agentOf, bytesOf, depotOf, folderOf, get, put } from './agent-harness.js';

const MIB = 2 ** 20;

/** Whatever is free goes to others. */
async function useUp(disk: string): Promise<void> {
  await mkdir(join(disk, 'others'), { recursive: true });
  for (let index = 0; statfsSync(disk).ffree > 0; index++) writeFileSync(join(disk, 'others', `${index}`), '');
}

async function readyOf(url: string, name: string): Promise<string> {
  const { checks } = (await (await fetch(`${url}/readyz`)).json()) as { checks: { name: string; message: string }[] };
  return checks.find((check) => check.name === name)!.message;
}

test('an agent passes on what it cannot keep, whole, and says so', async (t) => {
  const disk = await smallDisk(t, openScope(t), 'size=200m,nr_inodes=100');
  if (disk === null) return;
  const depot = await depotOf(t, join(await folderOf(t), 'data'));
  const { agent } = await agentOf(t, depot.url, join(disk, 'cache'));
  const files = { short: bytesOf(1000), middle: bytesOf(2 * MIB), long: bytesOf(12 * MIB) };
  for (const [name, bytes] of Object.entries(files)) await put(depot.url, name, bytes);
  await useUp(disk);
  for (const [name, bytes] of Object.entries(files)) {
    const answer = await get(agent.url, `artifacts/${name}`);
    assert.equal(answer.status, 200, name);
    assert.ok(answer.bytes.equals(bytes), name);
  }
  // What was begun, and was not kept, gave its own back.
  await useUp(disk);
  await until('the cache says so', 10_000, async () => /inodes/.test(await readyOf(agent.url, 'cache')));
  rmSync(join(disk, 'others'), { recursive: true });
  await until('and no more', 10_000, async () => (await readyOf(agent.url, 'cache')) === '');
});

test('a depot refuses what is put with 507, removes names, says so, and starts', async (t) => {
  const disk = await smallDisk(t, openScope(t), 'size=200m,nr_inodes=700');
  if (disk === null) return;
  const data = join(disk, 'depot');
  const open = () => depotOf(t, data);
  let depot = await open();
  const [kept, gone] = [bytesOf(5 * MIB), bytesOf(1000)];
  await put(depot.url, 'kept', kept);
  await put(depot.url, 'gone', gone);
  await useUp(disk);
  for (const bytes of [bytesOf(2000), bytesOf(5 * MIB)]) {
    const answer = await fetch(`${depot.url}/artifacts/refused`, { method: 'PUT', body: bytes });
    assert.equal(answer.status, 507);
    assert.equal(((await answer.json()) as { code: string }).code, 'NO_SPACE');
  }
  await until('it is not ready', 10_000, async () => /inodes/.test(await readyOf(depot.url, 'store')));
  await depot.close(0);
  await useUp(disk);
  depot = await open();
  assert.ok((await get(depot.url, 'artifacts/kept')).bytes.equals(kept));
  assert.equal((await fetch(`${depot.url}/artifacts/gone`, { method: 'DELETE' })).status, 204);
  assert.equal((await get(depot.url, 'artifacts/gone')).status, 404);
  await put(depot.url, 'again', gone);
  rmSync(join(disk, 'others'), { recursive: true });
  await put(depot.url, 'after', bytesOf(MIB));
});
