/** Writes through an agent, and whose token may what: bodies that do not come, names that change, cached bytes. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { seededBytes } from '../../lab/data.js';
import { until } from '../../lab/wait.js';
import { createToken } from '../../src/depot/http/token-file.js';
import type { Scope } from '../../src/depot/http/tokens.js';
import { agentOf, depotOf, folderOf, get, put, sha256 } from './agent-harness.js';
import { requestText, statusesOf } from './raw-answers.js';

const MIB = 2 ** 20;

test('a body that is short, endless, slow or another one than was said leaves nothing', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  const began = (lines: readonly string[], body: string | Buffer): net.Socket => {
    const socket = net.connect(agent.port, '127.0.0.1').on('error', () => {});
    socket.resume().write(requestText('PUT', '/artifacts/half', lines));
    socket.write(body);
    return socket;
  };
  /** What the depot is being sent. */
  const underWay = async (): Promise<number> =>
    ((await (await fetch(`${depot.url}/status`)).json()) as { uploads: unknown[] }).uploads.length;
  const slow = Array.from({ length: 4 }, () => began(['Content-Length: 100'], 'a'));
  const endless = began(['Transfer-Encoding: chunked'], Buffer.from(`100000\r\n${'b'.repeat(MIB)}\r\n`));
  await until('they are under way', 20_000, async () => (await underWay()) > 0);
  // Others are not kept waiting by them.
  await put(agent.url, 'whole', seededBytes(1, 5 * MIB));
  for (const socket of [...slow, endless]) socket.destroy();
  await until('they are given up', 20_000, async () => (await underWay()) === 0);
  const other = Buffer.from(sha256(Buffer.from('other')), 'hex').toString('base64');
  for (const line of [`Repr-Digest: sha-256=:${other}:`, `X-Checksum-Sha256: ${'0'.repeat(64)}`]) {
    const text = requestText('PUT', '/artifacts/half', ['Content-Length: 3', line, 'Connection: close'], 'abc');
    assert.deepEqual(await statusesOf(agent.port, text), [422], line);
  }
  const cas = requestText('PUT', `/cas/${'0'.repeat(64)}`, ['Content-Length: 3', 'Connection: close'], 'abc');
  assert.deepEqual(await statusesOf(agent.port, cas), [422]);
  assert.equal((await get(agent.url, 'artifacts/half')).status, 404);
  const { items } = JSON.parse(String((await get(depot.url, 'artifacts/')).bytes)) as { items: { name: string }[] };
  assert.deepEqual(
    items.map(({ name }) => name),
    ['whole'],
  );
  await until('only what is whole is cached', 20_000, async () => agent.stats().usedBytes === 5 * MIB);
});

test('put, got and removed by many at once through two agents, a name has bytes of one, or none', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'));
  const agents = await Promise.all(
    ['a', 'b'].map(async (name) => (await agentOf(context, depot.url, join(folder, name))).agent),
  );
  const bodies = new Map(
    [1, 2, 3].map((seed) => seededBytes(seed, seed * 100_001)).map((body) => [sha256(body), body]),
  );
  const dice = seededBytes('dice', 1000);
  const seen = new Set<string>();
  const one = async (turn: number): Promise<void> => {
    const { url } = agents[dice[turn]! % 2]!;
    const kind = ['PUT', 'DELETE', 'GET', 'GET', 'GET'][dice[turn + 300]! % 5]!;
    const body = [...bodies.values()][turn % 3]!;
    const range: Record<string, string> = turn % 4 === 0 ? { range: 'bytes=1000-' } : {};
    const init = kind === 'PUT' ? { method: kind, body } : { method: kind, headers: range };
    const answer = await fetch(`${url}/artifacts/x${kind === 'PUT' ? '?overwrite=true' : ''}`, init);
    seen.add(`${kind} ${answer.status}`);
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (kind !== 'GET' || answer.status === 404) return;
    assert.ok(answer.status === 200 || answer.status === 206, `${answer.status} ${bytes.subarray(0, 300)}`);
    const whole = bodies.get(answer.headers.get('etag')!.replaceAll('"', ''))!;
    assert.ok(bytes.equals(whole.subarray(answer.status === 206 ? 1000 : 0)), `turn ${turn}`);
  };
  for (let turn = 0; turn < 144; turn += 12) await Promise.all(Array.from({ length: 12 }, (_, k) => one(turn + k)));
  for (const expected of ['PUT 201', 'PUT 200', 'DELETE 204', 'GET 200', 'GET 206', 'GET 404'])
    assert.ok(seen.has(expected), `${expected}: ${[...seen]}`);
  // Alone, what one has done is what the same one sees at once.
  const { url } = agents[0]!;
  for (let turn = 0; turn < 3; turn++) {
    const body = [...bodies.values()][turn % 3]!;
    await put(url, 'x?overwrite=true', body);
    assert.equal(sha256((await get(url, 'artifacts/x')).bytes), sha256(body));
    assert.equal((await fetch(`${url}/artifacts/x`, { method: 'DELETE' })).status, 204);
    for (const path of ['artifacts/x', 'artifacts/x?info', 'local/artifacts/x'])
      assert.equal((await get(url, path)).status, 404, path);
  }
});

interface Secured {
  readonly depot: Awaited<ReturnType<typeof depotOf>>;
  readonly folder: string;
  /** The secret of a token for what is below a prefix; without time it is over already. */
  readonly token: (scopes: Scope[], prefix: string, isOver?: boolean) => string;
}

async function secured(context: TestContext): Promise<Secured> {
  const folder = await folderOf(context);
  const file = join(folder, 'tokens.json');
  const token = (scopes: Scope[], prefix: string, isOver = false): string => {
    const expiresMs = isOver ? Date.now() + 1 : null;
    return createToken(file, { scopes, prefix, expiresMs, note: '' }, Date.now()).secret;
  };
  token(['admin'], '');
  const depot = await depotOf(context, join(folder, 'depot'), { tokens: file, anonymous: 'none' });
  return { depot, folder, token };
}

test('what a client may read is not given to who may not, also with the depot away', async (context) => {
  const { depot, folder, token } = await secured(context);
  const own = token(['read'], 'artifacts/open/');
  const client = token(['read', 'write', 'delete'], 'artifacts/');
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'), { token: own });
  const bytes = seededBytes(3, 5 * MIB);
  const as = async (secret: string | null, method: string, path: string, body?: Buffer): Promise<Response> => {
    const headers: Record<string, string> = secret === null ? {} : { authorization: `Bearer ${secret}` };
    return fetch(`${agent.url}/${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
  };
  for (const name of ['secret/x', 'open/x'])
    await until(`${name} is put`, 20_000, async () => {
      // The file of tokens is read again when it has changed.
      return (await as(client, 'PUT', `artifacts/${name}`, bytes)).status < 300;
    });
  await until('it is cached', 20_000, async () => agent.stats().usedBytes === bytes.length);
  assert.equal(sha256(Buffer.from(await (await as(null, 'GET', 'artifacts/open/x')).arrayBuffer())), sha256(bytes));
  const closed = ['artifacts/secret/x', 'artifacts/secret/x?info', 'local/artifacts/secret/x', 'artifacts/secret/'];
  const nobody = [null, 'nonsense', client, token(['read'], 'artifacts/secret/', true)];
  const refused = async (statuses: readonly number[]): Promise<void> => {
    for (const path of [...closed, `cas/${sha256(bytes)}`])
      for (const secret of nobody) {
        const answer = await as(secret, 'GET', path);
        assert.ok(statuses.includes(answer.status), `${path}: ${answer.status}`);
        assert.doesNotMatch(await answer.text(), new RegExp(`${sha256(bytes)}|${own}|${client}`));
      }
  };
  await refused([403]);
  for (const path of ['status', 'receipts', 'metrics', 'readyz'])
    assert.doesNotMatch(await (await as(null, 'GET', path)).text(), /secret\/x/, path);
  await depot.close(0);
  await refused([504]);
  // What the agent itself was told is there, marked as soon as it is not believed without asking any more.
  await until('it is marked', 20_000, async () => {
    const stale = await as(null, 'GET', 'artifacts/open/x');
    assert.equal(sha256(Buffer.from(await stale.arrayBuffer())), sha256(bytes));
    return stale.headers.has('x-swarmhaul-stale');
  });
});

test('a token that does not do is told to whose it is: 401 for the client’s, 403 for the agent’s', async (context) => {
  const { depot, folder, token } = await secured(context);
  const [reader, writer] = [token(['read'], ''), token(['write'], 'artifacts/mine/')];
  const over = token(['write'], '', true);
  const put = async (url: string, path: string, secret: string | null): Promise<Response> =>
    fetch(`${url}/artifacts/${path}`, {
      method: 'PUT',
      body: 'x',
      headers: secret === null ? {} : { authorization: `Bearer ${secret}` },
    });
  await until('the tokens are known', 20_000, async () => (await put(depot.url, 'mine/a', writer)).status < 300);
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'), { token: reader });
  const statusOf = async (path: string, secret: string | null): Promise<number> => {
    const answer = await put(agent.url, path, secret);
    const { detail } = (await answer.json()) as { detail?: string };
    assert.equal(answer.headers.has('www-authenticate'), answer.status === 401);
    // Nobody is told of a token that is not his.
    assert.equal(/refuses this agent/.test(detail ?? ''), secret === null, detail);
    return answer.status;
  };
  assert.equal(await statusOf('mine/b', writer), 201);
  assert.equal(await statusOf('mine/c', null), 403);
  for (const [path, secret, status] of [
    ['mine/c', 'nonsense', 401],
    ['mine/c', over, 401],
    ['other/c', writer, 403],
    ['mine/c', reader, 403],
  ] as const)
    assert.equal(await statusOf(path, secret), status, `${path} ${status}`);
  // A new agent on the same cache whose token is none: not even what is cached.
  await agent.close(0);
  const { agent: second } = await agentOf(context, depot.url, join(folder, 'cache'), { token: 'nonsense' });
  assert.equal((await get(second.url, 'artifacts/mine/b')).status, 403);
});
