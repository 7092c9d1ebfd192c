/** An agent on a disk that others fill: clients get their bytes all the same, or an answer that breaks off. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { fill, smallDisk } from '../support/small-disk.js';
import { agentOf, bytesOf, depotOf, folderOf, put } from './agent-harness.js';

const MIB = 2 ** 20;

test('a full disk: what has no room is passed on whole, what is cached is served, and later it is kept', async (t) => {
  const disk = await smallDisk(t, openScope(t), 'size=48m');
  if (disk === null) return;
  const depot = await depotOf(t, join(await folderOf(t), 'data'));
  const { agent, receipts } = await agentOf(t, depot.url, join(disk, 'cache'));
  const [long, cached, short] = [bytesOf(24 * MIB), bytesOf(5 * MIB), bytesOf(MIB)];
  for (const [name, bytes] of Object.entries({ long, cached, short })) await put(depot.url, name, bytes);
  const get = async (name: string, bytes: Buffer): Promise<void> => {
    const answer = await fetch(`${agent.url}/artifacts/${name}`);
    assert.equal(answer.status, 200, name);
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes), name);
  };
  await get('cached', cached);
  for (const freeBytes of [12 * MIB, 0]) {
    fill(disk, freeBytes);
    for (const [name, bytes] of Object.entries({ long, cached, short })) await get(name, bytes);
  }
  rmSync(join(disk, 'others'));
  await until('it comes from the cache', 20_000, async () => {
    await get('long', long);
    return receipts.some(({ localBytes }) => localBytes === long.length);
  });
});
