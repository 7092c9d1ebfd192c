/** What docs/operate.md promises: backups that can be restored, a proxy that streams, tables that are whole. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { startChild } from '../../lab/child.js';
import { NGINX } from '../../lab/nginx.js';
import { accepts, freePort } from '../../lab/ports.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import { type Depot, startDepot } from '../../src/index.js';
import { haul } from '../cli/harness.js';
import { CERTIFICATE, PRIVATE_KEY } from '../support/certificate.js';
import { requirePrograms } from '../support/requirements.js';

const SIZES = { 'a/small': 100, 'a/middle.bin': 70_000, 'image.raw': 5_000_000 };
const START_MS = 10_000;

async function open(scope: Scope, data: string, more: { allowHosts?: string[] } = {}): Promise<Depot> {
  const depot = await startDepot({ data, httpPort: 0, engine: { port: 0 }, ...more });
  scope.defer(() => depot.close(0));
  return depot;
}

async function publish(depot: Depot): Promise<Map<string, Buffer>> {
  const made = new Map(Object.entries(SIZES).map(([name, length]) => [name, randomBytes(length)]));
  for (const [name, body] of made) {
    const { status } = await fetch(`${depot.url}/artifacts/${name}`, { method: 'PUT', body });
    assert.equal(status, 201);
  }
  return made;
}

async function checkAll(scope: Scope, data: string, made: ReadonlyMap<string, Buffer>): Promise<void> {
  const checked = await haul('depot', 'check', '--data', data);
  assert.equal(checked.exitCode, 0, checked.stdout + checked.stderr);
  const depot = await open(scope, data);
  for (const [name, bytes] of made) {
    const answer = await fetch(`${depot.url}/artifacts/${name}`);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes, name);
  }
}

test('a copy of the folder of a stopped depot is a depot', async (t) => {
  const scope = openScope(t);
  const root = await tempFolder(scope);
  const [data, copy] = [path.join(root, 'data'), path.join(root, 'copy')];
  const depot = await open(scope, data);
  const made = await publish(depot);
  await depot.close(0);
  await cp(data, copy, { recursive: true, preserveTimestamps: true });
  await checkAll(scope, copy, made);
});

test('a copy from a running depot is one after haul depot rebuild', async (t) => {
  const scope = openScope(t);
  const root = await tempFolder(scope);
  const [data, copy] = [path.join(root, 'data'), path.join(root, 'copy')];
  const depot = await open(scope, data);
  const made = await publish(depot);
  // Something goes on meanwhile: a body of which half is here.
  const underway = new ReadableStream({ start: (controller) => controller.enqueue(randomBytes(300_000)) });
  const aborting = new AbortController();
  const options = { method: 'PUT', body: underway, duplex: 'half' as const, signal: aborting.signal };
  const half = fetch(`${depot.url}/artifacts/half`, options).catch(() => null);
  await mkdir(copy);
  for (const name of ['depot.json', 'secret', 'blobs'])
    await cp(path.join(data, name), path.join(copy, name), { recursive: true, preserveTimestamps: true });
  aborting.abort();
  await half;
  const rebuilt = await haul('depot', 'rebuild', '--data', copy, '--json');
  assert.equal(rebuilt.exitCode, 0, rebuilt.stderr);
  const report = rebuilt.lines.find(({ type }) => type === 'rebuilt')!;
  assert.deepEqual([report.names, report.found, report.faults], [made.size, [], []]);
  await checkAll(scope, copy, made);
});

/** The configuration of the page, on free ports and with the certificate of tests. */
async function startProxy(scope: Scope, folder: string, depot: Depot): Promise<string> {
  const page = await readFile(path.join(PACKAGE_ROOT, 'deploy/nginx/haul-depot.conf'), 'utf8');
  const port = await freePort('127.0.0.1');
  const server = page
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('/etc/ssl/depot.pem', path.join(folder, 'depot.pem'))
    .replace('/etc/ssl/depot.key', path.join(folder, 'depot.key'))
    .replace('http://127.0.0.1:7070', depot.url);
  await writeFile(path.join(folder, 'depot.pem'), CERTIFICATE);
  await writeFile(path.join(folder, 'depot.key'), PRIVATE_KEY);
  const temp = `client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;`;
  const head = `daemon off; master_process off; pid ${folder}/pid; error_log stderr error; events {}`;
  await writeFile(path.join(folder, 'nginx.conf'), `${head}\nhttp { access_log off; ${temp}\n${server}}\n`);
  startChild(scope, NGINX, ['-p', folder, '-e', 'stderr', '-c', path.join(folder, 'nginx.conf')]);
  await until('nginx listens', START_MS, () => accepts('127.0.0.1', port));
  return String(port);
}

test('behind nginx: put, get, a range and a listing; no announces', async (t: TestContext) => {
  if (await requirePrograms(t, [NGINX, 'curl'])) return;
  const scope = openScope(t);
  const folder = await tempFolder(scope);
  const depot = await open(scope, path.join(folder, 'data'), { allowHosts: ['depot.example.org'] });
  const port = await startProxy(scope, folder, depot);
  const curl = async (...args: string[]): Promise<string> => {
    const base = ['-sS', '-k', '--max-time', '30', '--resolve', `depot.example.org:${port}:127.0.0.1`];
    const child = startChild(scope, 'curl', [...base, '-w', '\n%{http_code}', ...args]);
    await child.exited;
    return child.tail();
  };
  const url = `https://depot.example.org:${port}`;
  const bytes = randomBytes(9_000_000);
  await writeFile(path.join(folder, 'image'), bytes);
  assert.match(await curl('-T', path.join(folder, 'image'), `${url}/artifacts/ci/image`), /201$/);
  assert.match(await curl('-o', path.join(folder, 'back'), `${url}/artifacts/ci/image`), /200$/);
  assert.deepEqual(await readFile(path.join(folder, 'back')), bytes);
  assert.match(await curl('-r', '5-9', '-o', path.join(folder, 'range'), `${url}/artifacts/ci/image`), /206$/);
  assert.deepEqual(await readFile(path.join(folder, 'range')), bytes.subarray(5, 10));
  assert.match(await curl(`${url}/artifacts/ci/`), /"ci\/image"/);
  assert.match(await curl(`${url}/announce?info_hash=x`), /404$/);
});

test('the guide explains every code that a depot answers with that an operator can do something about', async () => {
  const page = await readFile(path.join(PACKAGE_ROOT, 'docs/operate.md'), 'utf8');
  for (const code of ['NO_TOKEN', 'BAD_TOKEN', 'TOKEN_SCOPE', 'CROSS_SITE', 'FILE_EXISTS', 'LIMIT', 'BAD_HOST', 'BUSY'])
    assert.ok(page.includes(`\`${code}\``), code);
});
