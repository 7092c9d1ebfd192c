/** What an agent passes on to its depot is checked there as if it had come by itself. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentOf, depotOf, folderOf } from './agent-harness.js';

test('digests in any words, conditions and queries reach the depot through an agent', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  const digest = (text: string): string => `sha-256=:${createHash('sha256').update(text).digest('base64')}:`;
  const put = async (headers: Record<string, string>, query = ''): Promise<number> => {
    const answer = await fetch(`${agent.url}/artifacts/a${query}`, { method: 'PUT', body: 'bytes', headers });
    await answer.arrayBuffer();
    return answer.status;
  };
  for (const name of ['repr-digest', 'content-digest']) {
    assert.equal(await put({ [name]: digest('other') }), 422, name);
    assert.equal(await put({ [name]: 'nonsense' }), 400, name);
  }
  assert.equal(await put({ 'x-checksum-sha256': '0'.repeat(64) }), 422);
  assert.equal(await put({}, '?retention-days=0'), 400);
  assert.equal((await fetch(`${depot.url}/artifacts/a`)).status, 404);
  assert.equal(await put({ 'content-digest': digest('bytes') }), 201);
  assert.equal(await put({ 'if-none-match': '*' }), 412);
});
