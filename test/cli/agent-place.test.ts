/** `haul get`, `publish`, `ls` and `rm` through the agent of the host. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { agentOf, bytesOf, depotOf, folderOf, put, type TestAgent } from '../depot/agent-harness.js';
import { type Finished, haulWith } from './harness.js';

const WRITER = 'w'.repeat(43);
const READER = 'r'.repeat(43);

interface Scene {
  readonly folder: string;
  readonly depot: string;
  readonly one: TestAgent;
  readonly run: (env: Record<string, string>, ...args: string[]) => Promise<Finished>;
}

async function openScene(context: TestContext): Promise<Scene> {
  const folder = await folderOf(context);
  const tokenLines = `${WRITER} read,write,delete /\n${READER} read /`;
  const depot = await depotOf(context, join(folder, 'data'), { tokenLines, anonymous: 'none' });
  const one = await agentOf(context, depot.url, join(folder, 'one'), { token: READER });
  const run = (env: Record<string, string>, ...args: string[]) =>
    haulWith({ XDG_CONFIG_HOME: folder, ...env }, ...args);
  return { folder, depot: depot.url, one, run };
}

function fetchedOf({ lines }: Finished): Record<string, unknown> {
  return lines.find(({ type }) => type === 'fetched') ?? {};
}

test('a file is published, listed, fetched, cloned and removed through an agent', async (context) => {
  const { folder, depot, one, run } = await openScene(context);
  const env = { SWARMHAUL_AGENT: one.agent.url, SWARMHAUL_TOKEN: WRITER };
  const image = bytesOf(6_000_000);
  await mkdir(join(folder, 'src'));
  await writeFile(join(folder, 'src', 'image.raw'), image);
  const published = await run(env, 'publish', join(folder, 'src'), '--name', 'ci/ü 1', '--json');
  assert.equal(published.exitCode, 0, published.stderr);
  assert.ok(String(published.lines.find(({ type }) => type === 'published')!.url).startsWith(depot));
  const listed = await run(env, 'ls', 'ci', '--pattern', '**/*.raw', '--json');
  const artifact = listed.lines.find(({ type }) => type === 'artifact')!;
  assert.equal(artifact.name, 'ci/ü 1/image.raw');
  assert.ok(String(artifact.url).startsWith(one.agent.url));
  assert.deepEqual([artifact.torrentUrl, artifact.magnet], [null, null]);
  // Without a token of its own: the agent has one that reads.
  const reading = { SWARMHAUL_AGENT: one.agent.url };
  const first = await run(reading, 'get', 'ci/ü 1', '--output', join(folder, 'a'), '--json');
  assert.equal(first.exitCode, 0, first.stderr);
  // It went through this agent, which has kept it.
  assert.equal(fetchedOf(first).agentBytes, image.length);
  const other = join(folder, 'other.raw');
  await writeFile(other, bytesOf(6_000_001));
  const direct = await run({ SWARMHAUL_DEPOT: depot, SWARMHAUL_TOKEN: WRITER }, 'publish', other, '--name', 'ci/other');
  assert.equal(direct.exitCode, 0, direct.stderr);
  const strange = await run(reading, 'get', 'ci/other', '--output', join(folder, 'd'), '--json');
  const { webSeedBytes, peerBytes, httpBytes } = fetchedOf(strange);
  assert.deepEqual([Number(webSeedBytes) + Number(peerBytes), httpBytes], [6_000_001, 0], strange.stderr);
  const again = await run(reading, 'get', 'ci/ü 1/image.raw', '--output', join(folder, 'b'), '--json');
  assert.equal(fetchedOf(again).agentBytes, image.length);
  for (const name of ['a', 'b']) {
    assert.deepEqual(await readFile(join(folder, name, 'image.raw')), image);
    assert.deepEqual(await readdir(join(folder, name)), ['image.raw']);
  }
  // What was begun goes on, though all is cached.
  const { sha256 } = artifact as unknown as { sha256: string };
  await mkdir(join(folder, 'c'));
  await writeFile(join(folder, 'c', `.${sha256.slice(0, 32)}.haul-part`), image.subarray(0, 1_000_000));
  const resumed = await run(reading, 'get', 'ci/ü 1/image.raw', '--output', join(folder, 'c'), '--json');
  assert.deepEqual([fetchedOf(resumed).localBytes, fetchedOf(resumed).agentBytes], [1_000_000, 5_000_000]);
  const refused = await run(reading, 'rm', 'ci/ü 1/', '--json');
  assert.match(refused.stderr, /the depot refuses this agent/);
  assert.equal((await run(env, 'rm', 'ci/ü 1/', '--json')).exitCode, 0);
  assert.match((await run(env, 'get', 'ci/ü 1')).stderr, /there is nothing called/);
});

test('an agent that is away is passed over where the depot is known, else it is an error', async (context) => {
  const { folder, depot, one, run } = await openScene(context);
  await put(one.agent.url, 'x', Buffer.from('x')).catch(() => {});
  await one.agent.close(0);
  const { url } = one.agent;
  await writeFile(join(folder, 'x'), 'x');
  const env = { SWARMHAUL_AGENT: url, SWARMHAUL_DEPOT: depot, SWARMHAUL_TOKEN: WRITER };
  const published = await run(env, 'publish', join(folder, 'x'), '--name', 'x');
  assert.equal(published.exitCode, 0, published.stderr);
  assert.match(published.stderr, /agent http:\/\/127\.0\.0\.1:\d+: nobody answers there; the depot is asked itself/);
  const named = await run({ SWARMHAUL_DEPOT: depot }, 'ls', '--agent', url);
  assert.match(named.stderr, /nobody answers there; is haul agent running there\?/);
  assert.notEqual(named.exitCode, 0);
  const alone = await run({ SWARMHAUL_AGENT: url }, 'get', 'x');
  assert.match(alone.stderr, /is haul agent running there/);
  assert.match((await run({}, 'ls', '--agent', url, '--depot', depot)).stderr, /either --agent or --depot/);
  assert.match((await run({}, 'ls', '--agent', 'ftp://x')).stderr, /--agent: it is an http/);
  // One that answers without end, and one that hardly begins.
  for (const [begin, why] of [
    ['HTTP/1.1 200 OK\r\n\r\n', null],
    ['HTTP/1.1 200 O', /no answer within 3 s; the depot is asked itself/],
  ] as const) {
    const odd = createSocketServer((socket) => {
      socket.on('error', () => {});
      socket.write(begin);
      const timer = setInterval(() => socket.write(begin.endsWith('\n') ? 'x' : '0'), 100);
      socket.once('close', () => clearInterval(timer));
    });
    await new Promise<void>((resolve) => odd.listen(0, '127.0.0.1', resolve));
    context.after(() => odd.close());
    const there = { ...env, SWARMHAUL_AGENT: `http://127.0.0.1:${(odd.address() as AddressInfo).port}` };
    const listed = await run(there, 'publish', join(folder, 'none'), '--name', 'x', '--if-no-files-found', 'ignore');
    assert.equal(listed.exitCode, 0, listed.stderr);
    if (why === null) assert.equal(listed.stderr, '');
    else assert.match(listed.stderr, why);
  }
  // The depot that is named is asked, whatever the environment says.
  assert.equal((await run(env, 'ls', '--depot', depot)).exitCode, 0);
});

test('a listing that is none is not passed on, and a depot that is away is told of', async (context) => {
  const folder = await folderOf(context);
  let said: unknown = {};
  const liar = createServer((_, response) => response.end(JSON.stringify(said)));
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
  const { agent } = await agentOf(
    context,
    `http://127.0.0.1:${(liar.address() as AddressInfo).port}`,
    join(folder, 'a'),
  );
  const artifact = {
    name: 'ci/a',
    sha256: 'a'.repeat(64),
    lengthBytes: 3,
    contentType: null,
    created: '2026-01-01T00:00:00.000Z',
    expires: null,
    isPinned: false,
    infoHash: 'b'.repeat(40),
    url: 'http://127.0.0.1/x',
    torrentUrl: 'http://127.0.0.1/passkey',
    magnet: 'magnet:?passkey',
  };
  const ask = async (path: string) => {
    const answer = await fetch(`${agent.url}/artifacts/${path}`);
    return { status: answer.status, text: await answer.text() };
  };
  const listing = { prefix: 'ci/', items: [artifact], cursor: null };
  said = listing;
  const good = await ask('ci/');
  assert.equal(good.status, 200);
  assert.doesNotMatch(good.text, /passkey|bbbb/);
  for (const bad of [{}, [], { ...listing, items: [{ ...artifact, name: 'other/a' }] }, { ...listing, cursor: 7 }]) {
    said = bad;
    assert.equal((await ask('ci/')).status, 502, JSON.stringify(bad));
  }
  assert.equal((await ask('ci/?limit=0')).status, 400);
  assert.equal((await ask('ci/?x=1')).status, 400);
  const closed = new Promise((resolve) => liar.close(resolve));
  // A connection on which nothing was asked yet is not closed by itself.
  liar.closeAllConnections();
  await closed;
  const away = await ask('ci/');
  assert.deepEqual([away.status, /DEPOT_AWAY/.test(away.text)], [504, true]);
});
