/** The agent as a process that is killed at any moment: no bad byte after it, no stray file, and what was cached is. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeFolder, Running } from '../cli/harness.js';
import { bytesOf, depotOf, get, put, sha256 } from './agent-harness.js';

const MIB = 2 ** 20;
const SEED = 20_261_128;
/** Of this test; `AGENT_KILLS=100` for the whole claim. */
const KILLS = Number(process.env.AGENT_KILLS ?? 6);

function* randoms(seed: number): Generator<number> {
  for (let state = seed >>> 0; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

async function agentProcess(context: TestContext, depot: string, cache: string): Promise<[Running, string]> {
  const running = new Running([
    'agent',
    '--depot',
    depot,
    '--cache',
    cache,
    '--cache-bytes',
    '1GiB',
    '--http',
    '0',
    '--port',
    '0',
    '--json',
  ]);
  context.after(async () => {
    running.child.kill('SIGKILL');
    await running.finished;
  });
  const { url } = await running.line(({ type }) => type === 'listening');
  return [running, String(url)];
}

/** What lies in the cache: everything must be something. */
async function strays(cache: string): Promise<string[]> {
  const found = [];
  const known = new Set(['swarmhaul-cache', 'names', 'small', 'blobs', 'tmp']);
  for (const name of await readdir(cache)) if (!known.has(name)) found.push(name);
  for (const name of await readdir(join(cache, 'tmp'))) found.push(`tmp/${name}`);
  for (const prefix of await readdir(join(cache, 'blobs')))
    for (const sha of await readdir(join(cache, 'blobs', prefix))) {
      const inside = await readdir(join(cache, 'blobs', prefix, sha));
      if (!inside.includes('record') && !inside.includes('torrent')) found.push(`blobs/${prefix}/${sha}`);
    }
  return found;
}

test('an agent that is killed gives no bad byte and leaves no stray file', async (context) => {
  const folder = await makeFolder(context);
  const cache = join(folder, 'cache');
  const depot = await depotOf(context, join(folder, 'depot'));
  const files = new Map<string, string>();
  for (const [name, length] of Object.entries({ a: 5000, b: 3 * MIB, c: 7 * MIB, d: 24 * MIB })) {
    const bytes = bytesOf(length);
    await put(depot.url, name, bytes);
    files.set(name, sha256(bytes));
  }
  const random = randoms(SEED);
  const next = (): number => random.next().value as number;
  for (let kill = 0; kill < KILLS; kill++) {
    const [running, url] = await agentProcess(context, depot.url, cache);
    assert.deepEqual(await strays(cache), [], `after kill ${kill}`);
    const loads = [...files].map(async ([name, sha]) => {
      const answer = await get(url, `artifacts/${name}`).catch(() => null);
      if (answer !== null && answer.status === 200) assert.equal(sha256(answer.bytes), sha, `${name}, kill ${kill}`);
    });
    const killing = new Promise<void>((resolve) => {
      setTimeout(() => {
        running.child.kill('SIGKILL');
        resolve();
      }, next() * 900);
    });
    await Promise.all([...loads, killing]);
    await running.finished;
  }
  const [last, url] = await agentProcess(context, depot.url, cache);
  assert.deepEqual(await strays(cache), []);
  for (const [name, sha] of files) assert.equal(sha256((await get(url, `artifacts/${name}`)).bytes), sha, name);
  assert.equal((await last.stop('SIGTERM')).exitCode, 0);
});
