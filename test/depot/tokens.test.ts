/** Tokens by real requests: who may do what, below which path, until when, and what a scope never does. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, lstatSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { createToken, readTokenFile, revokeToken } from '../../src/depot/http/token-file.js';
import { hashToken, type Scope, type Token } from '../../src/depot/http/tokens.js';
import { openTestDoor, type TestDoor, type TestDoorOptions } from './door-harness.js';
import { openPlace } from './doors/depot-place.js';
import { quickFolder } from './quick-folder.js';

const DAY_MS = 86_400_000;
const NOW_MS = 1_700_000_000_000;

function tokenOf(secret: string, scopes: readonly Scope[], more: Partial<Token> = {}): Token {
  const fixed = { prefix: '', expiresMs: null, note: '', createdMs: NOW_MS };
  return { id: secret, hash: hashToken(secret), scopes, ...fixed, ...more };
}

type Ask = (secret: string | null, method: string, path: string, body?: string) => Promise<Response>;

async function openWith(context: TestContext, tokens: Token[], more: TestDoorOptions['door'] = {}) {
  const door: TestDoor = await openTestDoor(context, { tokens, door: { wallClockMs: () => NOW_MS, ...more } });
  const ask: Ask = async (secret, method, path, body) => {
    const headers: Record<string, string> = secret === null ? {} : { authorization: `Bearer ${secret}` };
    const answer = await fetch(door.url + path, { method, headers, ...(body === undefined ? {} : { body }) });
    return answer;
  };
  const status = async (...words: Parameters<Ask>): Promise<number> => {
    const answer = await ask(...words);
    await answer.arrayBuffer();
    return answer.status;
  };
  return { ...door, ask, status };
}

test('a scope does what it says and no more, by every method', async (context) => {
  const names = ['reader', 'writer', 'remover', 'chief'];
  const scopes: Scope[] = ['read', 'write', 'delete', 'admin'];
  const tokens = names.map((name, at) => tokenOf(`${name}-0123456789`, [scopes[at]!]));
  const { status, depository } = await openWith(context, tokens, { anonymous: 'none' });
  const key = createHash('sha256').update('x').digest('hex');
  const asked: [allowed: string, method: string, path: string, body?: string][] = [
    ['writer chief', 'PUT', '/artifacts/a', 'x'],
    ['reader chief', 'GET', '/artifacts/a'],
    ['reader chief', 'HEAD', '/artifacts/a'],
    ['reader chief', 'GET', '/artifacts/a?info'],
    ['reader chief', 'GET', '/artifacts/'],
    ['reader chief', 'GET', '/metrics'],
    ['writer chief', 'PUT', `/cas/${key}`, 'x'],
    ['reader chief', 'GET', `/cas/${key}`],
    ['writer chief', 'PUT', `/ac/${key}`, 'y'],
    ['reader chief', 'GET', `/ac/${key}`],
    ['writer chief', 'PUT', '/pins/a'],
    ['remover chief', 'DELETE', '/pins/a'],
    ['chief', 'PUT', '/artifacts/a?overwrite=true', 'z'],
  ];
  for (const [allowed, method, path, body] of asked) {
    for (const name of names) {
      const found = await status(`${name}-0123456789`, method, path, body);
      const expected = allowed.split(' ').includes(name) ? [200, 201] : [403];
      assert.ok(expected.includes(found), `${name} ${method} ${path}: ${found}`);
    }
    assert.equal(await status(null, method, path, body), 401, `${method} ${path}`);
    assert.equal(await status('unknown-0123456789', method, path, body), 401, `${method} ${path}`);
  }
  for (const [name, expected] of [
    ['reader', 403],
    ['writer', 403],
    ['remover', 204],
    ['chief', 404],
  ] as const)
    assert.equal(await status(`${name}-0123456789`, 'DELETE', '/artifacts/a'), expected, name);
  assert.deepEqual([...depository.rows.keys()], [`cas/${key}`, `ac/${key}`]);
});

test('/openapi.json says what needs a token, and that is true of every operation', async (context) => {
  type Operations = Record<string, { readonly security?: unknown[]; readonly 'x-scope'?: string }>;
  for (const [anonymous, expected] of [
    ['none', ['read', 'write', 'delete']],
    ['read', ['write', 'delete']],
    ['all', []],
  ] as const) {
    const { url } = await openWith(context, [], { anonymous });
    const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, Operations> };
    const needing = new Set<string>();
    for (const [template, operations] of Object.entries(paths)) {
      const path = template.replaceAll('{key}', '0'.repeat(64)).replaceAll(/\{\w+\}/g, 'a');
      for (const [method, { security, 'x-scope': scope }] of Object.entries(operations)) {
        const isNeeded = security !== undefined && security.length > 0;
        if (isNeeded) needing.add(scope!);
        if (template === '/events' || template.startsWith('/arrivals/')) continue;
        const answer = await fetch(url + path, { method: method.toUpperCase() });
        await answer.arrayBuffer();
        assert.equal(answer.status === 401, isNeeded, `${anonymous} ${method} ${path}: ${answer.status}`);
      }
    }
    assert.deepEqual([...needing].sort(), [...expected].sort());
  }
});

test('a token of another path reaches nothing, and the beginning of a name is none', async (context) => {
  const tokens = [tokenOf('ci-0123456789abc', ['read', 'write', 'delete'], { prefix: 'artifacts/ci/' })];
  const { ask, status } = await openWith(context, tokens, { anonymous: 'none' });
  const token = 'ci-0123456789abc';
  assert.equal(await status(token, 'PUT', '/artifacts/ci/1', 'x'), 201);
  const key = '0'.repeat(64);
  for (const path of ['/artifacts/other', '/artifacts/ci', '/artifacts/cix', `/ac/${key}`]) {
    const answer = await ask(token, 'PUT', path, 'x');
    assert.equal(answer.status, 403, path);
    assert.equal(((await answer.json()) as { code: string }).code, 'TOKEN_SCOPE');
    assert.equal(await status(token, 'GET', path), 403, path);
    assert.equal(await status(token, 'DELETE', path), 403, path);
  }
  for (const path of ['/artifacts/ci/../other', '/artifacts/ci/%2e%2e/other', '/artifacts/ci%2F..%2Fother'])
    assert.ok((await status(token, 'GET', path)) >= 400, path);
  assert.equal(await status(token, 'GET', '/artifacts/'), 403);
  assert.equal(await status(token, 'GET', '/artifacts/cix/'), 403);
  assert.equal(await status(token, 'GET', '/artifacts/ci/'), 200);
  assert.equal(await status(token, 'PUT', '/pins/other'), 403);
});

test('a token whose time is over is refused, also where none is needed, as are broken headers', async (context) => {
  let nowMs = NOW_MS;
  const tokens = [tokenOf('short-0123456789', ['read', 'write'], { expiresMs: NOW_MS + 1000 })];
  const { status, port } = await openWith(context, tokens, { wallClockMs: () => nowMs });
  const token = 'short-0123456789';
  assert.equal(await status(token, 'PUT', '/artifacts/a', 'x'), 201);
  nowMs += 999;
  assert.equal(await status(token, 'GET', '/artifacts/a'), 200);
  nowMs += 1;
  assert.equal(await status(token, 'GET', '/artifacts/a'), 401);
  assert.equal(await status(null, 'GET', '/artifacts/a'), 200);
  const basic = Buffer.from(`ci:${token}`).toString('base64');
  const long = `Bearer ${'x'.repeat(10_000)}`;
  const headers = ['Bearer', 'Bearer ', `Basic ${basic}`, 'Basic :', `Token ${token}`, long];
  for (const authorization of headers) {
    const answer = await fetch(`http://127.0.0.1:${port}/artifacts/a`, { headers: { authorization } });
    assert.equal(answer.status, 401, authorization.slice(0, 20));
    assert.match(answer.headers.get('www-authenticate')!, /^Bearer /);
    assert.ok(!(await answer.text()).includes(token));
  }
  nowMs = NOW_MS;
  const again = await fetch(`http://127.0.0.1:${port}/artifacts/a`, { headers: { authorization: `Basic ${basic}` } });
  assert.equal(again.status, 200);
});

test('a revoked token is refused by a depot that runs, and the others hold', async (context) => {
  const folder = await quickFolder(openScope(context));
  const file = join(folder, 'tokens.json');
  const wish = { scopes: ['read', 'write'] as Scope[], prefix: '', expiresMs: null, note: '' };
  const [first, second] = [createToken(file, wish, Date.now()), createToken(file, wish, Date.now())];
  const { url } = await openPlace(context, { tokens: file, anonymous: 'none' });
  const get = async (secret: string): Promise<number> =>
    (await fetch(`${url}/artifacts/`, { headers: { authorization: `Bearer ${secret}` } })).status;
  assert.deepEqual([await get(first.secret), await get(second.secret)], [200, 200]);
  revokeToken(file, first.token.id);
  await until('it is refused', 30_000, async () => (await get(first.secret)) === 401);
  assert.equal(await get(second.secret), 200);
});

test('who may read a file of tokens still may when it is changed, also behind a link', async (context) => {
  const folder = await quickFolder(openScope(context));
  const [file, link] = [join(folder, 'tokens.json'), join(folder, 'link')];
  const wish = { scopes: ['read'] as Scope[], prefix: '', expiresMs: null, note: '' };
  const { token } = createToken(file, wish, Date.now());
  const isRoot = process.getuid?.() === 0;
  const [uid, gid] = isRoot ? [65_534, 65_533] : [process.getuid!(), process.getgid!()];
  chownSync(file, uid, gid);
  chmodSync(file, 0o640);
  symlinkSync('tokens.json', link);
  createToken(link, wish, Date.now());
  revokeToken(file, token.id);
  const now = statSync(file);
  assert.deepEqual([now.uid, now.gid, now.mode & 0o777], [uid, gid, 0o640]);
  assert.equal(readTokenFile(link).length, 1);
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.deepEqual(readdirSync(folder).sort(), ['link', 'tokens.json']);
});

test('a clock that falls back to 1970 revives no token', async (context) => {
  const folder = await quickFolder(openScope(context));
  const file = join(folder, 'tokens.json');
  const wish = { scopes: ['read'] as Scope[], prefix: '', expiresMs: Date.now() - 1000, note: '' };
  const { secret } = createToken(file, wish, Date.now() - 2000);
  const { url } = await openPlace(context, { tokens: file, anonymous: 'none' });
  const get = async (): Promise<number> =>
    (await fetch(`${url}/artifacts/`, { headers: { authorization: `Bearer ${secret}` } })).status;
  assert.equal(await get(), 401);
  context.mock.timers.enable({ apis: ['Date'], now: 1000 });
  assert.equal(await get(), 401);
});

test('who may only write shortens no time, unpins nothing and replaces nothing', async (context) => {
  const tokens = [
    tokenOf('writer-0123456789', ['read', 'write']),
    tokenOf('keeper-0123456789', ['read', 'write', 'delete']),
  ];
  const { ask, status, depository } = await openWith(context, tokens);
  const [writer, keeper] = ['writer-0123456789', 'keeper-0123456789'];
  const days = (name: string): number | null => {
    const { expiresMs, createdMs } = depository.rows.get(name)!;
    return expiresMs === null ? null : (expiresMs - createdMs) / DAY_MS;
  };
  assert.equal(await status(keeper, 'PUT', '/artifacts/a?retention-days=30', 'x'), 201);
  const told = (await (await ask(writer, 'PUT', '/artifacts/a?retention-days=1', 'x')).json()) as { expires: string };
  assert.equal(days('artifacts/a'), 30);
  assert.equal(Date.parse(told.expires), depository.rows.get('artifacts/a')!.expiresMs);
  assert.equal(await status(writer, 'PUT', '/artifacts/a?retention-days=60', 'x'), 200);
  assert.equal(days('artifacts/a'), 60);
  assert.equal(await status(writer, 'PUT', '/artifacts/a', 'x'), 200);
  assert.equal(await status(writer, 'PUT', '/artifacts/a?retention-days=1', 'x'), 200);
  assert.equal(days('artifacts/a'), null);
  assert.equal(await status(keeper, 'PUT', '/artifacts/a?retention-days=1', 'x'), 200);
  assert.equal(days('artifacts/a'), 1);
  assert.equal(await status(writer, 'PUT', '/artifacts/a', 'other'), 409);
  assert.equal(await status(writer, 'PUT', '/pins/a'), 200);
  assert.equal(await status(writer, 'DELETE', '/pins/a'), 403);
  assert.equal(await status(keeper, 'DELETE', '/pins/a'), 200);
});

test('of /ac the first value stays for who may only write; who may delete replaces it', async (context) => {
  const tokens = [
    tokenOf('writer-0123456789', ['read', 'write']),
    tokenOf('keeper-0123456789', ['read', 'write', 'delete']),
  ];
  const { ask, status } = await openWith(context, tokens);
  const path = `/ac/${'7'.repeat(64)}`;
  const value = async (): Promise<string> => (await ask(null, 'GET', path)).text();
  assert.equal(await status('writer-0123456789', 'PUT', path, 'first'), 201);
  const again = await ask('writer-0123456789', 'PUT', path, 'a longer second');
  const sha256 = createHash('sha256').update('first').digest('hex');
  assert.deepEqual([again.status, again.headers.get('etag')], [200, `"${sha256}"`]);
  assert.equal(((await again.json()) as { sha256: string }).sha256, sha256);
  assert.equal(await value(), 'first');
  assert.equal(await status('keeper-0123456789', 'PUT', path, 'third'), 200);
  assert.equal(await value(), 'third');
});
