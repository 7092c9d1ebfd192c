/** `haul publish`, `get`, `ls`, `rm` and `token` against a depot that wants tokens for everything. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Finished, haul, haulWith, makeFolder, start } from './harness.js';

interface Scene {
  readonly folder: string;
  readonly tokens: string;
  readonly url: string;
  /** Runs a command with this depot and its token in the environment. */
  readonly run: (...args: string[]) => Promise<Finished>;
}

async function openScene(context: TestContext): Promise<Scene> {
  const folder = await makeFolder(context);
  const tokens = join(folder, 'tokens.json');
  const made = await haul('token', 'create', '--tokens', tokens, '--scope', 'read,write,delete', '--note', 'me');
  const secret = made.stdout.trim();
  assert.match(secret, /^haul_[\w-]{43}$/);
  const depot = ['depot', '--data', join(folder, 'data'), '--http', '0', '--port', '0', '--tokens', tokens];
  const running = start(context, ...depot, '--anonymous', 'none', '--json');
  const { url } = await running.line(({ type }) => type === 'listening');
  const env = { SWARMHAUL_DEPOT: String(url), SWARMHAUL_TOKEN: secret, XDG_CONFIG_HOME: folder };
  return { folder, tokens, url: String(url), run: (...args) => haulWith(env, ...args) };
}

test('a folder is published, listed, fetched through the swarm and by HTTP, and removed', async (context) => {
  const { folder, url, run } = await openScene(context);
  const [source, out] = [join(folder, 'dist'), join(folder, 'out')];
  await mkdir(join(source, 'sub'), { recursive: true });
  const image = randomBytes(5_000_000);
  await writeFile(join(source, 'image.raw'), image);
  await writeFile(join(source, 'sub', 'ü b.txt'), 'words\n');
  await writeFile(join(source, '.hidden'), 'not this');
  await symlink('/etc/passwd', join(source, 'away'));
  const published = await run('publish', source, '--name', 'ci/42', '--json');
  assert.equal(published.exitCode, 0, published.stderr);
  const told = published.lines.filter(({ type }) => type === 'published');
  assert.deepEqual(told.map(({ name }) => name).sort(), ['ci/42/image.raw', 'ci/42/sub/ü b.txt']);
  assert.match(published.lines.find(({ type }) => type === 'warning')!.message as string, /away is a link that leads/);
  const again = await run('publish', source, '--name', 'ci/42', '--json');
  assert.equal(again.lines.at(-1)!.sentBytes, 0);
  const listed = await run('ls', 'ci', '--pattern', '**/*.raw', '--json');
  assert.deepEqual(
    listed.lines.filter(({ type }) => type === 'artifact').map(({ name }) => name),
    ['ci/42/image.raw'],
  );
  const got = await run('get', 'ci/42', '--output', out, '--port', '0', '--json');
  assert.equal(got.exitCode, 0, got.stderr);
  assert.equal(got.lines.filter(({ type }) => type === 'fetched').length, 2);
  const { peerBytes, webSeedBytes, httpBytes } = got.lines.at(-1)!;
  assert.deepEqual([Number(peerBytes) + Number(webSeedBytes), httpBytes], [image.length + 6, 0]);
  assert.deepEqual(await readFile(join(out, 'image.raw')), image);
  assert.equal(await readFile(join(out, 'sub', 'ü b.txt'), 'utf8'), 'words\n');
  const here = await run('get', 'ci/42/sub/ü b.txt', '--output', join(out, 'sub'), '--json');
  assert.equal(here.lines.find(({ type }) => type === 'fetched')!.localBytes, 6);
  assert.equal((await run('rm', 'ci/42/')).exitCode, 0);
  const missing = await run('get', 'ci/42', '--output', out, '--depot', url);
  assert.equal(missing.exitCode, 1);
  assert.match(missing.stderr, /there is nothing called ci\/42/);
});

test('a file that is somebody’s is not overwritten, and what has another digest is not taken', async (context) => {
  const { folder, run } = await openScene(context);
  const source = join(folder, 'note.txt');
  await writeFile(source, 'from the depot');
  assert.equal((await run('publish', source, '--name', 'note.txt')).exitCode, 0);
  await mkdir(join(folder, 'out'));
  const mine = join(folder, 'out', 'note.txt');
  await writeFile(mine, 'mine');
  const kept = await run('get', 'note.txt', '--output', join(folder, 'out'));
  assert.match(kept.stderr, /is another file; --force overwrites it/);
  assert.equal(await readFile(mine, 'utf8'), 'mine');
  const other = await run('get', 'note.txt', '--output', folder, '--sha256', '0'.repeat(64), '--force');
  assert.equal(other.exitCode, 5, other.stderr);
  assert.equal((await run('get', 'note.txt', '--output', join(folder, 'out'), '--force')).exitCode, 0);
  assert.equal(await readFile(mine, 'utf8'), 'from the depot');
});

test('what goes next is listed with the reason: by age, unused, and what is pinned not at all', async (context) => {
  const folder = await makeFolder(context);
  const running = start(context, 'depot', '--data', folder, '--http', '0', '--port', '0', '--idle-days', '2', '--json');
  const { url } = await running.line(({ type }) => type === 'listening');
  const put = (name: string) => fetch(`${url}/artifacts/${name}`, { method: 'PUT', body: name });
  await put('ci/old?retention-days=1');
  await put('ci/unused');
  await put('ci/kept');
  await put('other');
  await fetch(`${url}/pins/ci/kept`, { method: 'PUT' });
  const env = { SWARMHAUL_DEPOT: String(url), XDG_CONFIG_HOME: folder };
  const told = await haulWith(env, 'ls', 'ci', '--expiring', '--json');
  const next = told.lines
    .filter(({ type }) => type === 'artifact')
    .map(({ name, next }) => [name, next as undefined | { reason: string; obstacle: null }] as const);
  assert.deepEqual(
    next.map(([name, found]) => [name, found?.reason, found?.obstacle]),
    [
      ['ci/old', 'age', null],
      ['ci/unused', 'idle', null],
    ],
  );
  const lines = (await haulWith(env, 'ls', 'ci', '--expiring')).stdout.trimEnd().split('\n');
  assert.equal(lines.length, 2);
  assert.match(lines[0]!, /^ *23 B {2}\d{4}-\d\d-\d\d \d\d:\d\d {2}age {8}ci\/old$/);
  assert.match(lines[1]!, / {2}idle {7}ci\/unused$/);
});

test('a token that is revoked, or for another prefix, does not suffice', async (context) => {
  const { folder, tokens, url } = await openScene(context);
  assert.equal((await stat(tokens)).mode & 0o777, 0o600);
  const made = await haul('token', 'create', '--tokens', tokens, '--prefix', 'ci/', '--json');
  const { token, id } = made.lines.at(-1) as unknown as { token: string; id: string };
  assert.ok(!(await readFile(tokens, 'utf8')).includes(token));
  const listed = await haul('token', 'list', '--tokens', tokens);
  assert.match(listed.stdout, new RegExp(`${id} {2}read,write {2}/artifacts/ci/ {2}for ever`));
  const file = join(folder, 'x');
  await writeFile(file, 'x');
  const put = (name: string): Promise<Finished> =>
    haul('publish', file, '--name', name, '--depot', url, '--token', token, '--json');
  // The depot looks at the file now and then.
  let allowed = await put('ci/x');
  while (allowed.exitCode !== 0) {
    assert.match(allowed.stderr, /token is not known/);
    allowed = await put('ci/x');
  }
  assert.match((await put('other/x')).stderr, new RegExp(`the token ${id} is not for this name`));
  assert.equal((await haul('token', 'revoke', id, '--tokens', tokens)).exitCode, 0);
  assert.equal((await haul('token', 'revoke', id, '--tokens', tokens)).exitCode, 1);
  await chmod(tokens, 0o644);
  const open = await haul('token', 'list', '--tokens', tokens);
  assert.match(open.stderr, /others can read or change it; chmod 600/);
});

test('haul config check says what is wrong, and commands use what is right', async (context) => {
  const { folder, url, run } = await openScene(context);
  const config = join(folder, 'haul', 'config.json');
  await mkdir(join(folder, 'haul'));
  await writeFile(config, JSON.stringify({ depot: 'ftp://x', colour: 1 }));
  const wrong = await haul('config', 'check', config);
  assert.equal(wrong.exitCode, 1);
  assert.match(wrong.stderr, /depot: /);
  await writeFile(config, JSON.stringify({ depot: url, retentionDays: 3 }));
  assert.equal((await haul('config', 'check', config)).exitCode, 0);
  await writeFile(join(folder, 'x'), 'x');
  const published = await run('publish', join(folder, 'x'), '--name', 'x', '--json');
  assert.ok(published.lines.find(({ type }) => type === 'published')!.expires);
  await rm(config);
});

test('a depot that lies about names or digests makes no file anywhere', async (context) => {
  const folder = await makeFolder(context);
  const good = {
    name: 'ci/a',
    sha256: 'a'.repeat(64),
    lengthBytes: 3,
    contentType: null,
    created: '2026-01-01T00:00:00.000Z',
    expires: null,
    isPinned: false,
    infoHash: null,
    url: 'http://127.0.0.1/x',
    torrentUrl: null,
    magnet: null,
  };
  let item: Record<string, unknown> = good;
  const server = createServer(({ url }, response) => {
    const isList = url!.startsWith('/artifacts/ci/');
    response.statusCode = isList || url!.startsWith('/artifacts/one') ? 200 : 404;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(isList ? { prefix: 'ci/', items: [item], cursor: null } : item));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const get = (name: string) =>
    haul('get', name, '--depot', `http://127.0.0.1:${port}`, '--output', join(folder, 'out'), '--timeout', '20');
  for (const lie of [
    { name: 'ci/../../outside' },
    { name: '/etc/outside' },
    { name: 'other/a' },
    { sha256: '../../outside' },
    { lengthBytes: -1 },
    { name: 5 },
  ]) {
    item = { ...good, ...lie };
    for (const name of ['ci/', 'one']) {
      const { exitCode, stderr } = await get(name);
      assert.notEqual(exitCode, 0, JSON.stringify(lie));
      assert.match(stderr, /cannot be believed/, `${name} ${JSON.stringify(lie)}`);
    }
  }
  assert.deepEqual(
    (await readdir(folder, { recursive: true })).filter((name) => name !== 'out'),
    [],
  );
});
