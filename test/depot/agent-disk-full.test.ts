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
  /** What it says of its cache, to who asks whether it is ready, in its figures, and on its page. */
  const said = async () => {
    const ready = await fetch(`${agent.url}/readyz`);
    const { checks } = (await ready.json()) as { checks: { name: string; ready: boolean; message: string }[] };
    const figures = await (await fetch(`${agent.url}/metrics`)).text();
    const page = (await (await fetch(`${agent.url}/status`)).json()) as { problems: { text: string }[] };
    return {
      status: ready.status,
      cache: checks.find(({ name }) => name === 'cache'),
      isKept: /^haul_agent_cache_ready (\d)$/m.exec(figures)?.[1],
      freeBytes: Number(/^haul_agent_cache_disk_free_bytes (\d+)$/m.exec(figures)?.[1]),
      passedOn: Number(/^haul_agent_passed_on_total (\d+)$/m.exec(figures)?.[1]),
      problems: page.problems.map(({ text }) => text),
    };
  };
  await get('cached', cached);
  const before = await said();
  assert.deepEqual(before.cache, { name: 'cache', ready: true, message: '' });
  assert.deepEqual([before.status, before.isKept, before.passedOn, before.problems], [200, '1', 0, []]);
  assert.ok(before.freeBytes > 30 * MIB);
  for (const freeBytes of [12 * MIB, 0]) {
    fill(disk, freeBytes);
    for (const [name, bytes] of Object.entries({ long, cached, short })) await get(name, bytes);
  }
  const full = await said();
  const message = 'the disk is full: what is fetched is passed on, and not kept';
  assert.deepEqual(full.cache, { name: 'cache', ready: true, message });
  assert.deepEqual([full.status, full.isKept, full.freeBytes], [200, '0', 0]);
  assert.deepEqual([full.passedOn, full.problems], [2, [`the cache: ${message}`]]);
  rmSync(join(disk, 'others'));
  assert.deepEqual((await said()).isKept, '1');
  await until('it comes from the cache', 20_000, async () => {
    await get('long', long);
    return receipts.some(({ localBytes }) => localBytes === long.length);
  });
});
