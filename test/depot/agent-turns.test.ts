/** More is asked of an agent at once than it fetches: who comes later waits. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { AGENT_LIMITS } from '../../src/depot/agent/limits.js';
import { Turns } from '../../src/depot/agent/turns.js';
import { agentOf, bytesOf, depotOf, folderOf, get, put } from './agent-harness.js';

test('a turn goes to who has waited longest; who waits too long, or is gone, has none', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const turns = new Turns(1);
  const [stays, goes] = [new AbortController(), new AbortController()];
  assert.equal(await turns.wait(stays.signal, 1_000), true);
  const order: string[] = [];
  const wait = async (name: string, signal: AbortSignal, waitMs: number | null): Promise<void> => {
    order.push(`${name} ${await turns.wait(signal, waitMs)}`);
  };
  const all = [wait('late', stays.signal, 1_000), wait('gone', goes.signal, null), wait('first', stays.signal, 2_000)];
  all.push(wait('second', stays.signal, null), wait('last', stays.signal, null));
  context.mock.timers.tick(1_000);
  goes.abort();
  turns.free();
  turns.free();
  turns.close();
  await Promise.all(all);
  assert.deepEqual(order, ['late false', 'gone false', 'first true', 'second true', 'last false']);
  assert.equal(await turns.wait(stays.signal), false);
});

test('of many blobs that an agent is asked for at once all come, kept or not', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'), { cacheBytes: 64 * 2 ** 20 });
  const long = bytesOf(6 * 2 ** 20);
  const kinds = [
    { count: 2 * AGENT_LIMITS.fetches + 20, bytes: (at: number) => Buffer.from(`short ${at}`) },
    // The cache has room for ten.
    { count: 10 + AGENT_LIMITS.throughs + 2, bytes: (at: number) => Buffer.from(long).fill(at, 0, 1000) },
  ];
  for (const [kind, { count, bytes }] of kinds.entries()) {
    const all = Array.from({ length: count }, (_, at) => ({ name: `${kind}/${at}`, bytes: bytes(at) }));
    for (const one of all) await put(depot.url, one.name, one.bytes);
    const answers = await Promise.all(all.map(({ name }) => get(agent.url, `artifacts/${name}`)));
    for (const [at, answer] of answers.entries()) {
      assert.equal(answer.status, 200, String(answer.bytes.subarray(0, 300)));
      assert.ok(answer.bytes.equals(all[at]!.bytes));
    }
  }
});
