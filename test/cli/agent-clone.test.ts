/** What is cached on this machine is cloned by `haul get`, where the file system can: no byte is moved. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { agentOf, bytesOf, depotOf, folderOf, put } from '../depot/agent-harness.js';
import { exclusiveBytes, loopDisk } from '../support/loop-disk.js';
import { haulWith } from './harness.js';

test('a cached artifact and the file that haul get makes share their blocks', async (t) => {
  const disk = await loopDisk(t, openScope(t), 'btrfs');
  if (disk === null) return;
  const folder = await folderOf(t);
  const depot = await depotOf(t, join(folder, 'data'));
  const { agent } = await agentOf(t, depot.url, join(disk, 'cache'));
  const image = bytesOf(6_000_000);
  await put(depot.url, 'ci/image.raw', image);
  const fetched = await (await fetch(`${agent.url}/artifacts/ci/image.raw`)).arrayBuffer();
  assert.ok(image.equals(Buffer.from(fetched)));
  const env = { SWARMHAUL_AGENT: agent.url, XDG_CONFIG_HOME: folder };
  const { exitCode, stderr, lines } = await haulWith(env, 'get', 'ci/image.raw', '--output', join(disk, 'a'), '--json');
  assert.equal(exitCode, 0, stderr);
  const { agentBytes } = lines.find(({ type }) => type === 'fetched')!;
  assert.equal(agentBytes, image.length);
  const got = join(disk, 'a/image.raw');
  assert.ok(image.equals(await readFile(got)));
  assert.equal(await exclusiveBytes(got), 0);
  // One that shares nothing is told from it.
  await writeFile(join(disk, 'other'), image);
  assert.ok((await exclusiveBytes(join(disk, 'other'))) >= image.length);
});
